import pytest

from lessons_src.tools.attempts import attempt


def test_an_attempt_tells_the_answer_as_python_writes_it():
    assert attempt(str.upper, "done") == "'DONE'"


def test_an_attempt_tells_an_error_by_its_name_and_its_text():
    def sell():
        raise LookupError("no seat is left")

    assert attempt(sell) == "LookupError: no seat is left"


def test_an_attempt_tells_an_error_without_a_text_by_its_name_alone():
    assert attempt(next, iter(())) == "StopIteration"


def test_an_attempt_keeps_nobody_from_stopping_the_program():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupt)
