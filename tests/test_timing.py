import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import psutil
import pytest

from lessons_src import timing as lesson
from lessons_src.timing import (
    BusyMachine,
    Measured,
    SetBack,
    Usage,
    account_of_children,
    coarse,
    collect,
    count_primes,
    counted_table,
    living_children_cpu,
    measure,
    mostly,
    usage_of,
    wait,
    work,
    write,
)
from lessons_src.tools.experiment import compare, seconds_taken
from lessons_src.tools.pools import warm_pool
from lessons_src.tools.recorded import RECORDED_LINE, transcript
from lessons_src.tools.spans import this_thread
from lessons_src.tools.timeline import Span

LIMIT = 60


@pytest.fixture
def clocks(monkeypatch):
    """Clocks that stand still until the test moves them."""
    now = SimpleNamespace(wall=100.0, thread=20.0, process=50.0)
    monkeypatch.setattr(lesson, "clock", lambda: now.wall)
    monkeypatch.setattr("lessons_src.tools.spans.time.perf_counter", lambda: now.wall)
    monkeypatch.setattr(lesson.time, "thread_time", lambda: now.thread)
    monkeypatch.setattr(lesson.time, "process_time", lambda: now.process)
    return now


def test_each_clock_counts_what_passes_while_the_task_runs(clocks):
    def task(thread):
        clocks.wall += 8
        clocks.thread += thread
        clocks.process += 3
        return "done"

    measured = measure(task, 2)
    assert (measured.answer, measured.wall) == ("done", 8)
    assert (measured.thread_cpu, measured.process_cpu) == (2, 3)


@pytest.mark.parametrize(
    ("task", "argument", "kind"),
    [(wait, 0, "waiting"), (work, 0, "working"), (count_primes, 10, "working")],
)
def test_the_span_tells_what_was_done(task, argument, kind):
    measured = measure(task, argument)
    assert (measured.span.task, measured.span.kind) == (task.__name__, kind)


def test_a_task_without_a_name_is_measured_too():
    assert measure(partial(count_primes, 10)).span.task == "task"


def test_an_error_of_the_task_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0)


def test_work_goes_on_until_its_thread_has_used_its_seconds(monkeypatch):
    looks = itertools.count()
    monkeypatch.setattr(lesson.time, "thread_time", lambda: next(looks))
    work(5)
    # One look for the start, and one each at 1 to 5
    assert next(looks) == 6


def test_wait_sleeps(monkeypatch):
    naps = []
    monkeypatch.setattr(lesson.time, "sleep", naps.append)
    wait(7)
    assert naps == [7]


def test_write_goes_on_until_its_thread_has_used_its_seconds(monkeypatch):
    looks = itertools.count()
    monkeypatch.setattr(lesson.time, "thread_time", lambda: next(looks))
    write(5)
    assert next(looks) == 6


def test_write_gives_up_on_a_disk_that_makes_it_wait(monkeypatch):
    looks = itertools.count(step=lesson.GIVE_UP_SECONDS / 2)
    monkeypatch.setattr(lesson.time, "thread_time", lambda: 0.0)
    monkeypatch.setattr(lesson, "clock", lambda: next(looks))
    write(5)


def test_usage_is_what_was_added_meanwhile(monkeypatch):
    readings = [SimpleNamespace(user=3, system=1), SimpleNamespace(user=5, system=2)]
    asked = []
    monkeypatch.setattr(lesson.os, "times", lambda: readings.pop(0))
    assert usage_of(asked.append, 7) == Usage(user=2, system=1)
    assert asked == [7]


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (Usage(0.0, 0.0), "neither"),
        (Usage(0.2, 0.2), "neither"),
        (Usage(0.6, 0.1), "user"),
        (Usage(0.1, 0.6), "sys"),
    ],
)
def test_it_is_told_where_most_of_the_cpu_went(usage, told):
    assert mostly(usage, unit=1.0) == told


@pytest.mark.parametrize(("limit", "primes"), [(0, 0), (3, 1), (10, 4), (1000, 168)])
def test_primes_are_counted(limit, primes):
    assert count_primes(limit) == primes


def test_threads_and_processes_measure_the_answers_of_the_loop(context):
    limits = [10, 100, 1000]
    task = partial(measure, count_primes)
    with warm_pool(context, 2) as pool, ThreadPoolExecutor(2) as threads:
        by_pool = pool.map_async(task, limits).get(LIMIT)
        by_threads = collect(threads.map, task, limits)
    wanted = [count_primes(limit) for limit in limits]
    assert [measured.answer for measured in by_pool] == wanted
    assert [measured.answer for measured in by_threads] == wanted
    assert this_thread() not in {measured.span.thread for measured in by_threads}
    assert {measured.span.process for measured in by_pool} & {
        measured.span.process for measured in by_threads
    } == set()


@pytest.mark.parametrize("task", [wait, work, write, count_primes])
def test_tasks_can_be_posted(task):
    assert pickle.loads(pickle.dumps(partial(measure, task))).args == (task,)


def test_records_can_be_posted():
    records = [Measured(4, Span(7, 1, "work", 0, 1), 0.5, 0.75), Usage(0.5, 0.25)]
    assert pickle.loads(pickle.dumps(records)) == records


def run_of(thread, process, *own):
    bar = Span(7, 1, "work", 0, 1)
    inner = [Measured(None, bar, seconds, 9.9) for seconds in own]
    return Measured(inner, bar, thread, process)


def test_the_table_counts_in_units_of_one_task():
    runs = {
        "wait": run_of(0.01, 0.02, 0.01),
        "two threads": run_of(0.0, 0.99, 0.51, 0.49),
    }
    assert counted_table(runs, 0.5).splitlines()[1:] == [
        "wait                       0             0                 0",
        "two threads                0             2                 2",
    ]


class FakeProcess:
    def __init__(self, user, system, children=(), gone=False):
        self.times = SimpleNamespace(user=user, system=system)
        self.below = list(children)
        self.gone = gone

    def children(self, recursive):
        assert recursive
        return self.below

    def cpu_times(self):
        if self.gone:
            raise psutil.NoSuchProcess(1)
        return self.times


def test_living_children_are_added_up_and_the_parent_is_not(monkeypatch):
    children = [FakeProcess(1, 2), FakeProcess(9, 9, gone=True), FakeProcess(4, 8)]
    monkeypatch.setattr(psutil, "Process", lambda: FakeProcess(100, 100, children))
    assert living_children_cpu() == 15


def test_the_account_of_children_is_recorded_as_it_runs():
    assert account_of_children().removeprefix(RECORDED_LINE) == transcript(
        "timing_children"
    )


@pytest.mark.parametrize(
    ("name", "answer"),
    [("find_spec", None), ("get_all_start_methods", ["spawn"])],
)
def test_without_an_account_of_children_the_recorded_one_is_shown(
    monkeypatch, name, answer
):
    monkeypatch.setattr(lesson, name, lambda *_: answer)
    assert account_of_children() == RECORDED_LINE + transcript("timing_children")


@pytest.mark.parametrize(
    ("fine", "shown"), [(0.0, 0.0), (0.49, 0.0), (0.5, 0.5), (7.99, 7.5)]
)
def test_a_coarse_clock_shows_the_last_tick(fine, shown):
    assert coarse(lambda: fine, tick=0.5) == shown


def test_a_clock_that_is_set_back_gives_less_than_no_time(monkeypatch):
    monkeypatch.setattr(lesson.time, "time", lambda: 9000.0)
    assert seconds_taken(list, clock=SetBack(3600)) == -3600


def test_a_busy_machine_is_slow_in_its_busy_runs_only():
    machine = BusyMachine(busy=[2, 3], slow=5)
    moments = []
    for seconds in (1, 1, 2, 1):
        machine.run(seconds)
        moments.append(machine.clock())
    assert moments == [1, 6, 16, 17]
    assert machine.runs == [1, 1, 2, 1]


def test_apart_the_same_task_seems_slower_and_in_turns_it_does_not():
    apart, in_turns = (BusyMachine(busy=[5, 6, 7, 8]) for _ in range(2))
    medians = [
        compare({"same": partial(apart.run, 1)}, clock=apart.clock).rows[0].seconds
        for _ in "AB"
    ]
    assert medians == [1, 3]
    task = partial(in_turns.run, 1)
    rows = compare({"A": task, "B": task}, clock=in_turns.clock).rows
    assert [row.ratio for row in rows] == [1, 1]
