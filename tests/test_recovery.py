"""The runner when nothing dies: order, windows, bars, Ctrl-C, and what it refuses."""

import json
import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import count
from operator import attrgetter
from pathlib import Path

import faults
import psutil
import pytest
from faults import Item, square

from lessons_src.tools import recovery_loop
from lessons_src.tools.leash import run_cell, run_code
from lessons_src.tools.recovery import Failure, Report, processes, run, stream
from lessons_src.tools.recovery_report import Unfinished, WorkerDied
from lessons_src.tools.timeline import most_at_once, workers

pytestmark = pytest.mark.filterwarnings(
    "error::pytest.PytestUnhandledThreadExceptionWarning"
)

# Two workers, four chunks each
WINDOW = 8
LIMIT = 30

threads = partial(ThreadPoolExecutor, 2)


def double(number):
    return 2 * number


def refuse_odd(number):
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


# Results


@pytest.mark.parametrize("size", [None, 1, 7, 1000])
def test_it_gives_what_a_plain_loop_gives(size, start_method):
    report = run(
        double, range(100), executor=processes(2, start_method), chunk_size=size
    )
    assert report.results == list(map(double, range(100)))
    assert report.failures == []
    assert (report.total, report.restarts, report.reruns) == (100, 0, 0)


@pytest.mark.parametrize("ordered", [False, True])
def test_a_stream_gives_each_number_and_result_once(ordered, start_method):
    make = processes(2, start_method)
    pairs = list(stream(double, range(50), executor=make, ordered=ordered))
    assert sorted(pairs) == [(n, 2 * n) for n in range(50)]
    assert not ordered or pairs == sorted(pairs)


def wait_for_the_last(item):
    number, last = item
    if number == 0:
        deadline = time.monotonic() + LIMIT
        while not last.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
    elif number == 19:
        last.touch()
    return number


def test_results_come_as_they_are_done(tmp_path):
    items = [(n, tmp_path / "last") for n in range(20)]
    results = stream(wait_for_the_last, items, executor=processes(2), chunk_size=1)
    # Number 0 waited for number 19, so at most that one came after it
    assert 0 in [n for n, _ in results][-2:]


def test_in_order_a_slow_item_holds_up_those_behind_it():
    items = [Item(0, pause=0.3), *(Item(n) for n in range(1, 20))]
    results = stream(square, items, executor=processes(2), chunk_size=1, ordered=True)
    assert list(results) == [(n, n * n) for n in range(20)]


def test_where_an_item_failed_stands_its_failure():
    report = run(refuse_odd, range(4), executor=processes(2), chunk_size=2)
    assert report.results[::2] == [0, 2]
    assert report.results[1::2] == report.failures
    first = report.failures[0]
    assert (first.index, first.item, first.tries) == (1, 1, 1)
    assert isinstance(first.error, ValueError)
    assert "ValueError: 1 is odd" in first.cause
    assert "refuse_odd" in first.cause


def test_a_report_and_its_failures_can_be_pickled():
    report = run(refuse_odd, range(4), executor=processes(2))
    again = pickle.loads(pickle.dumps(report))
    assert str(again) == str(report)
    assert again.results[0] == 0


def stop_iteration(number):
    raise StopIteration(number)


def cancel(number):
    import asyncio

    raise asyncio.CancelledError


@pytest.mark.parametrize("worker", [stop_iteration, cancel])
@pytest.mark.parametrize("make", [threads, processes(2)])
def test_errors_with_a_meaning_to_python_are_errors_like_all(worker, make):
    report = run(worker, range(3), executor=make, chunk_size=2, tries=1)
    assert len(report.failures) == 3


# Window


def test_an_endless_input_is_drawn_no_further_than_the_window():
    drawn = count()
    size = 5

    def numbers():
        while True:
            yield next(drawn)

    with stream(double, numbers(), executor=processes(2), chunk_size=size) as results:
        for taken in range(1, 41):
            next(results)
            so_far = next(drawn)
            # The look itself took one number each time
            assert so_far - (taken - 1) <= taken + (WINDOW + 1) * size


def test_nothing_is_drawn_while_nobody_asks():
    drawn = []
    items = (drawn.append(n) or n for n in range(1000))
    results = stream(double, items, executor=processes(2), chunk_size=1)
    assert drawn == [0]
    next(results)
    before = len(drawn)
    time.sleep(0.3)
    assert len(drawn) == before
    results.close()


def test_in_order_the_results_that_wait_count_too():
    drawn = []
    items = (drawn.append(n) or Item(n, pause=0 if n else 1) for n in range(1000))
    with stream(
        square, items, executor=processes(2), chunk_size=1, ordered=True
    ) as results:
        assert next(results) == (0, 0)
        assert len(drawn) <= 2 * WINDOW


def chunk_lengths(report):
    lengths = []
    for span in report.spans:
        words = span.task.split()
        lengths.append(1 if len(words) == 2 else int(words[3]) - int(words[1]) + 1)
    return lengths


def test_chunks_of_cheap_items_grow_and_those_of_slow_items_do_not():
    cheap = chunk_lengths(run(double, range(20_000), executor=processes(2)))
    assert min(cheap) == 1
    assert 100 < max(cheap) <= 1000
    assert sum(cheap) == 20_000
    slow = [Item(n, pause=0.12) for n in range(12)]
    assert set(chunk_lengths(run(square, slow, executor=processes(2)))) == {1}


# Timeline and bar


def test_each_chunk_has_a_span_and_two_workers_work_at_once():
    items = [Item(n, pause=0.05) for n in range(12)]
    report = run(square, items, executor=processes(2), chunk_size=3)
    tasks = sorted(map(attrgetter("task"), report.spans))
    wanted = ["items 0 to 2", "items 3 to 5", "items 6 to 8", "items 9 to 11"]
    assert tasks == sorted(wanted)
    assert {span.kind for span in report.spans} == {"working"}
    assert most_at_once(report.spans) == len(workers(report.spans)) == 2


def test_the_span_of_a_death_says_so(tmp_path):
    items = faults.items_with("os._exit", tmp_path)
    report = run(square, items, executor=processes(2), chunk_size=5)
    died = [span.task for span in report.spans if span.kind == "died"]
    assert "items 15 to 19" in died
    assert died.count("item 17") == 1


class Bar:
    """Takes down what it is told."""

    def __init__(self, total):
        self.total, self.steps, self.postfix, self.closed = total, [], {}, False

    def update(self, steps):
        self.steps.append(steps)

    def set_postfix(self, **postfix):
        self.postfix = postfix

    def close(self):
        self.closed = True


@pytest.mark.parametrize("fault", ["", "raise", "SIGKILL"])
def test_the_bar_counts_each_item_once_even_after_a_restart(fault, tmp_path):
    bars = []

    def make(total):
        bars.append(Bar(total))
        return bars[0]

    items = faults.items_with(fault, tmp_path)
    run(square, items, executor=processes(2), chunk_size=5, progress=make)
    (bar,) = bars
    assert bar.total == sum(bar.steps) == 40
    assert bar.postfix == ({"failed": 1} if fault else {})
    assert bar.closed


def test_true_asks_for_a_bar_of_tqdm(capsys):
    run(double, range(10), executor=processes(2), progress=True)
    assert "10/10" in capsys.readouterr().err


# Ctrl-C and leaving early

INTERRUPTED = """
import json, os, signal, sys, threading, time
sys.path.insert(0, {tests!r})
from concurrent.futures import ThreadPoolExecutor
from faults import Item, square
from lessons_src.tools.recovery import processes, run

def press():
    while len(os.listdir({folder!r})) < 10:
        time.sleep(0.001)
    os.killpg(os.getpgrp(), signal.SIGINT)

if __name__ == "__main__":
    items = [Item(n, folder={folder!r}, pause=0.02) for n in range(2000)]
    threading.Thread(target=press).start()
    report = run(square, items, executor={make}, chunk_size=2, tries=1)
    print(json.dumps([report.interrupted, len(report.results), len(report.failures),
        [n for n, each in enumerate(report.results) if each == n * n]]))
    print(report)
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends itself a Ctrl-C as a shell does")
@pytest.mark.parametrize(
    "make",
    [
        'processes(2, "fork")',
        'processes(2, "spawn")',
        'processes(2, "forkserver")',
        "lambda: ThreadPoolExecutor(2)",
    ],
)
def test_ctrl_c_gives_what_is_there_and_leaves_nobody(make, tmp_path):
    tests = str(Path(faults.__file__).parent)
    outcome = run_code(
        INTERRUPTED.format(folder=str(tmp_path), make=make, tests=tests), LIMIT
    )
    assert (outcome.exit_code, outcome.errors) == (0, "")
    first, said, restored = outcome.output.splitlines()
    interrupted, length, failures, done = json.loads(first)
    assert interrupted
    assert failures == 0
    # What a worker had begun, and what of it came back
    begun = set(faults.runs(tmp_path))
    assert len(begun) <= len(done) + 2 * 2
    assert set(done) <= begun
    assert length <= len(done) + (WINDOW + 1) * 2
    assert said == f"interrupted, {len(done)} of 2000 items done, 0 failed."
    assert restored == "True"


def test_leaving_a_loop_early_ends_the_workers():
    for number, _ in stream(double, count(), executor=processes(2)):
        if number > 10:
            break
    assert not multiprocessing.active_children()


def test_an_error_in_the_loop_ends_the_workers():
    with (
        pytest.raises(ZeroDivisionError),
        stream(double, count(), executor=processes(2)) as results,
    ):
        for number, _ in results:
            1 // (5 - number)
    assert not multiprocessing.active_children()


def numbers_and_an_error():
    yield from range(20)
    raise FileNotFoundError("the next page")


@pytest.mark.parametrize("size", [1, 7, None])
def test_what_was_drawn_before_an_error_of_the_input_has_its_result(size):
    with pytest.raises(FileNotFoundError, match="the next page") as caught:
        run(double, numbers_and_an_error(), executor=processes(2), chunk_size=size)
    assert caught.value.report.results == [2 * n for n in range(20)]
    got = []
    with pytest.raises(FileNotFoundError):
        got += [0]
        for number, result in stream(
            double, numbers_and_an_error(), executor=processes(2), chunk_size=size
        ):
            assert result == 2 * number
            got.append(number)
    assert sorted(got[1:]) == list(range(20))
    assert not multiprocessing.active_children()


def test_a_result_too_large_for_the_journal_is_given_all_the_same(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(recovery_loop, "LARGEST_ROW", 1000)
    journal = tmp_path / "run.journal"
    with pytest.warns(RuntimeWarning, match="item 1 is too large for the journal"):
        report = run(bytes, [5, 5000, 7], executor=processes(1), journal=journal)
    assert report.results == [bytes(5), bytes(5000), bytes(7)]
    with pytest.warns(RuntimeWarning, match="item 1 is too large"):
        assert (
            run(bytes, [5, 5000, 7], executor=processes(1), journal=journal).resumed
            == 2
        )


class Refused(Exception):
    """As many clients' errors are: Python's own way cannot load it."""

    def __init__(self, message, *, response):
        super().__init__(message)
        self.response = response


def refuse(number):
    raise Refused(f"no {number}", response=404)


def test_an_error_keeps_its_class_and_what_it_holds(start_method):
    report = run(refuse, [5], executor=processes(1, start_method))
    (failure,) = report.failures
    assert type(failure.error) is Refused
    assert (str(failure.error), failure.error.response) == ("no 5", 404)


def test_it_runs_in_a_thread_that_is_not_the_main_one():
    reports = []

    def work():
        reports.append(run(double, range(10), executor=processes(2)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(LIMIT)
    assert reports[0].results == [2 * n for n in range(10)]


def test_no_file_of_marks_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    list(stream(double, range(10), executor=processes(2)))
    with stream(double, count(), executor=processes(2)) as results:
        next(results)
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


# What is refused before anybody starts


async def coroutine(number):
    return number


def test_an_unknown_start_method_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'spwan', not one of \['.*spawn'"):
        processes(2, "spwan")


def test_what_makes_no_bar_is_refused():
    with pytest.raises(TypeError, match="None, which is no bar"):
        run(double, [1], executor=NoWorker, progress=lambda total: None)


class NoWorker:
    def __init__(self, *arguments, **options):
        self.arguments = arguments

    def submit(self, *arguments):
        raise AssertionError("a worker was started")

    def shutdown(self, wait=True):
        pass


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"worker": 5}, TypeError, "worker is 5, not a function"),
        ({"worker": lambda n: n}, TypeError, "define it with def at the top of a mod"),
        ({"items": []}, ValueError, "there are no items"),
        ({"items": iter(())}, ValueError, "there are no items"),
        ({"items": 5}, TypeError, "items is 5, no iterable: pass a list"),
        ({"items": "paths"}, TypeError, "items is one str, whose characters"),
        ({"chunk_size": 0}, ValueError, "chunk_size is 0: give 1 or more"),
        ({"tries": 0}, ValueError, "tries is 0: an item needs 1 or more"),
        ({"timeout": 0}, ValueError, "timeout is 0 s: give more, or leave it out"),
        ({"timeout": 1}, ValueError, "no timeout with this executor"),
        ({"timeout": "1"}, TypeError, "timeout is '1', not a number of seconds"),
        ({"tries": "2"}, TypeError, "tries is '2', not a whole number"),
        ({"progress": "yes"}, TypeError, "progress is 'yes': give True, or what makes"),
        ({"worker": coroutine}, TypeError, "is a coroutine function"),
        ({"executor": processes}, TypeError, "no Executor: call it"),
        ({"executor": 4}, TypeError, r"pass what makes one, such as processes\(4\)"),
        ({"executor": list}, TypeError, r"made \[\], which is no Executor"),
    ],
)
@pytest.mark.parametrize("call", [run, stream])
def test_what_cannot_be_used_is_refused_with_the_cure(call, changes, error, words):
    arguments = {"worker": double, "items": [1], "executor": NoWorker, **changes}
    worker, items = arguments.pop("worker"), arguments.pop("items")
    with pytest.raises(error, match=words):
        call(worker, items, **arguments)


def test_an_executor_instead_of_what_makes_one_is_refused():
    with ProcessPoolExecutor(1) as pool, pytest.raises(TypeError, match="made anew"):
        run(double, [1], executor=pool)


def test_the_broken_executor_again_is_refused(tmp_path):
    pool = ProcessPoolExecutor(1)
    items = faults.items_with("os._exit", tmp_path)
    with pytest.raises(TypeError, match="must make a new one at each call"):
        run(square, items, executor=lambda: pool)


class NoRoom(ProcessPoolExecutor):
    """Has no room for a worker, as often as it is told."""

    left = 0

    def _spawn_process(self):
        if NoRoom.left:
            NoRoom.left -= 1
            raise OSError("no room for a process")
        super()._spawn_process()


def test_a_worker_that_cannot_be_started_now_is_started_later(start_method):
    NoRoom.left = 3
    context = multiprocessing.get_context(start_method)
    make = partial(NoRoom, 2, mp_context=context)
    assert run(double, range(9), executor=make).results == [2 * n for n in range(9)]
    assert NoRoom.left == 0


def test_workers_that_can_never_be_started_are_given_up_with_the_reason():
    NoRoom.left = 1000
    with pytest.raises(RuntimeError, match="30 times in a row") as caught:
        run(double, range(9), executor=partial(NoRoom, 2))
    assert "no room for a process" in str(caught.value.__cause__)


IN_A_CELL = """
from lessons_src.tools.recovery import processes, run

def double(number):
    return 2 * number

try:
    print(run(double, [1, 2, 3], executor=processes(2, {method!r})).results)
except TypeError as error:
    print(error)
"""


def test_a_function_of_a_notebook_cell_is_refused_unless_it_is_inherited(start_method):
    outcome = run_cell(IN_A_CELL.format(method=start_method), LIMIT)
    if start_method == "fork":
        assert outcome.output == "[2, 4, 6]\n"
    else:
        assert "move it into a module, and import it" in outcome.output


IN_A_SCRIPT = """
from lessons_src.tools.recovery import processes, run

def double(number):
    return 2 * number

{guard}
    print(run(double, [1, 2, 3], executor=processes(2, {method!r})).results)
"""


def test_a_function_of_a_script_will_do(start_method):
    code = IN_A_SCRIPT.format(guard='if __name__ == "__main__":', method=start_method)
    assert run_code(code, LIMIT).output == "[2, 4, 6]\n"


@pytest.mark.parametrize("start_method", ["spawn"])
def test_a_script_without_a_guard_ends_with_a_word_about_it(start_method):
    outcome = run_code(IN_A_SCRIPT.format(guard="if 1:", method=start_method), LIMIT)
    assert outcome.exit_code == 1
    assert "workers ended before they began an item, 3 times" in outcome.errors
    (said,) = [line for line in outcome.errors.splitlines() if "3 times" in line]
    assert 'if __name__ == "__main__":' in said


def raise_at_once():
    raise ValueError("no model file")


def test_an_initializer_that_fails_is_given_up_after_three_pools(start_method):
    make = processes(2, start_method, initializer=raise_at_once)
    with pytest.raises(RuntimeError, match="an initializer that fails"):
        run(double, range(5), executor=make)
    assert not multiprocessing.active_children()


def remember(value):
    globals()["remembered"] = value


def recall(number):
    if number == 5 and remembered == "model":  # noqa: F821
        psutil.Process().kill()
    return remembered  # noqa: F821


def test_an_initializer_runs_again_in_a_new_pool(start_method):
    make = processes(2, start_method, initializer=remember, initargs=("model",))
    report = run(recall, range(10), executor=make, chunk_size=1)
    assert [each.index for each in report.failures] == [5]
    assert set(report.results[:5] + report.results[6:]) == {"model"}


def nested(number):
    report = run(double, range(number, number + 3), executor=processes(2), chunk_size=1)
    return report.results


def test_a_worker_may_have_workers_of_its_own(start_method):
    report = run(nested, range(4), executor=processes(2, start_method), chunk_size=1)
    assert report.results == [[2 * n, 2 * n + 2, 2 * n + 4] for n in range(4)]


def die_with_a_child_at_work(number):
    if number == 2:
        inner = stream(double, count(), executor=processes(1))
        next(inner)
        psutil.Process().kill()
    return number


def test_a_worker_that_dies_takes_its_own_workers_with_it(start_method):
    # And they leave the outer run's file of marks alone, which names the item
    make = processes(2, start_method)
    report = run(die_with_a_child_at_work, range(8), executor=make, chunk_size=4)
    (failure,) = report.failures
    assert (failure.index, failure.tries) == (2, 2)
    assert report.results[3:] == [3, 4, 5, 6, 7]


# Words


def test_a_report_tells_ten_failures_and_how_many_more():
    failures = [Failure(n, n, ValueError("bad")) for n in range(12)]
    lines = str(Report([*failures, 1], total=13)).splitlines()
    assert lines[0] == "1 of 13 items done, 12 failed."
    assert lines[1] == "- item 0 (0): ValueError: bad"
    assert lines[-1] == "- and 2 more, in .failures"
    assert len(lines) == 12


def test_a_report_says_what_happened_on_the_way():
    report = Report([1], 1, restarts=2, reruns=7, resumed=3)
    assert str(report) == (
        "1 of 1 items done, 0 failed, pool made anew twice, 7 innocent items run "
        "again, 3 from the journal."
    )
    unfinished = Failure(1, 1, Unfinished("Ctrl-C came first"), tries=0)
    cut = Report([1, unfinished], None, interrupted=True)
    assert str(cut) == "interrupted, 1 items done, 0 failed."


def test_a_failure_names_signals_and_exit_codes():
    died = partial(Failure, 1, "a", WorkerDied("its worker died"), None, 7)
    assert died(exit_code=3, tries=1).signal is None
    assert str(died(exit_code=3, tries=1)).endswith("process 7, exit code 3, 1 try")
    assert died(exit_code=-signal.SIGTERM).signal == "SIGTERM"
    assert died(exit_code=-99).signal == "signal 99"
