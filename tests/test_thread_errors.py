import sys
import threading
from threading import Thread

import pytest

from lessons_src.tools.thread_errors import collect_thread_errors


def end(*threads):
    for thread in threads:
        thread.start()
        thread.join(60)


def test_the_errors_of_all_threads_are_collected_and_not_printed(capsys):
    with collect_thread_errors() as errors:
        end(Thread(target=int, args=["four"]), Thread(target=[].pop), Thread())
    assert [type(error) for error in errors] == [ValueError, IndexError]
    assert capsys.readouterr().err == ""


def test_an_exit_of_a_thread_is_no_error():
    with collect_thread_errors() as errors:
        end(Thread(target=sys.exit))
    assert errors == []


def test_the_hook_is_put_back_whatever_happens_in_the_block():
    before = threading.excepthook
    with pytest.raises(ZeroDivisionError), collect_thread_errors():
        raise ZeroDivisionError
    assert threading.excepthook is before


def test_blocks_may_be_nested():
    with collect_thread_errors() as outer:
        with collect_thread_errors() as inner:
            end(Thread(target=[].pop))
        end(Thread(target=int, args=["four"]))
    assert [len(outer), len(inner)] == [1, 1]
    assert isinstance(outer[0], ValueError)
