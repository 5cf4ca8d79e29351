import os
import pickle
import sys
import threading
import time
from multiprocessing import get_all_start_methods, get_context

import pytest

from lessons_src.tools import spans
from lessons_src.tools.timeline import Span, clock, span, workers

LIMIT = 60


def test_span_is_stamped_with_this_process_and_the_time_since_start():
    before = clock()
    made = span("task", before, "waiting")
    assert made.process == os.getpid()
    assert (made.task, made.start, made.kind) == ("task", before, "waiting")
    assert before <= made.stop <= clock()
    assert made.seconds == made.stop - made.start


def test_spans_of_one_thread_have_one_worker():
    assert span("a", clock()).worker == span("b", clock()).worker


def test_threads_one_after_the_other_are_different_workers():
    made = []
    for _ in range(20):
        thread = threading.Thread(target=lambda: made.append(span("task", clock())))
        thread.start()
        thread.join(LIMIT)
    assert len(workers(made)) == 20


@pytest.mark.skipif(sys.version_info < (3, 14), reason="comes with Python 3.14")
def test_calls_of_one_sub_interpreter_have_one_worker():
    from concurrent.futures import InterpreterPoolExecutor

    with InterpreterPoolExecutor(1) as pool:
        made = [pool.submit(span, "a", clock()).result(LIMIT) for _ in range(3)]
    assert len({each.worker for each in made} | {span("here", clock()).worker}) == 2


def test_a_sub_interpreter_has_one_thread_whenever_it_is_looked_at(monkeypatch):
    # As it comes about there: thread locals are new in each call
    monkeypatch.setattr(spans, "_in_main_interpreter", lambda: False)
    assert spans._ThisThread().number == spans._ThisThread().number
    made = []
    thread = threading.Thread(target=lambda: made.append(spans._ThisThread().number))
    thread.start()
    thread.join(LIMIT)
    assert made != [spans._ThisThread().number]


def test_span_survives_pickling():
    made = span("task", clock())
    back = pickle.loads(pickle.dumps(made))
    assert type(back) is Span
    assert back == made


def make_span():
    return span("child", clock())


@pytest.mark.parametrize("method", get_all_start_methods())
def test_clock_is_shared_with_other_processes(method):
    with get_context(method).Pool(1) as pool:
        before = clock()
        child = pool.apply_async(make_span).get(LIMIT)
        after = clock()
    assert child.process != os.getpid()
    assert before < child.start <= child.stop < after


def test_clock_is_the_one_that_its_docstring_names():
    names = {"linux": "CLOCK_MONOTONIC", "darwin": "mach_", "win32": "QueryPerformance"}
    if sys.platform in names:
        info = time.get_clock_info("perf_counter")
        assert names[sys.platform] in info.implementation
        assert info.monotonic
