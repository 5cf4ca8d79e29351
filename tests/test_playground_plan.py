from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons_src.tools import playground_plan
from lessons_src.tools.playground_plan import (
    ASYNCIO,
    LOOP,
    ONE_OF,
    PROCESSES,
    SUB_INTERPRETERS,
    THREADS,
    Settings,
    check,
    computing_at_once,
    computing_spans,
    cores_kept_busy,
    engines,
    last_stop,
    plan,
    refusal,
)
from lessons_src.tools.timeline import most_at_once, order, workers

HALF = Settings(tasks=4, seconds=1.0, waiting=50)


def bars(spans):
    return [
        (each.process, each.task, each.kind, each.start, each.stop) for each in spans
    ]


def test_the_loop_waits_and_computes_one_task_after_the_other():
    assert bars(plan(Settings(2, 1.0, 25, engine=LOOP, workers=8), 1)) == [
        (1, "1", "waiting", 0.0, 0.25),
        (1, "1", "working", 0.25, 1.0),
        (1, "2", "waiting", 1.0, 1.25),
        (1, "2", "working", 1.25, 2.0),
    ]


def test_with_one_gil_two_threads_compute_at_half_speed():
    assert bars(plan(HALF, 1)) == [
        (1, "1", "waiting", 0.0, 0.5),
        (2, "2", "waiting", 0.0, 0.5),
        (1, "1", "taking turns", 0.5, 1.5),
        (2, "2", "taking turns", 0.5, 1.5),
        (1, "3", "waiting", 1.5, 2.0),
        (2, "4", "waiting", 1.5, 2.0),
        (1, "3", "taking turns", 2.0, 3.0),
        (2, "4", "taking turns", 2.0, 3.0),
    ]


def test_on_two_cores_two_workers_compute_at_full_speed():
    assert bars(plan(HALF, 2))[2:4] == [
        (1, "1", "working", 0.5, 1.0),
        (2, "2", "working", 0.5, 1.0),
    ]
    assert last_stop(plan(HALF, 2)) == 2.0


def test_a_worker_that_is_alone_for_a_while_is_faster_for_that_while():
    # Chunks of 2 and 1: from second 2 on, the first worker computes alone
    spans = plan(Settings(3, 1.0, 0, workers=2, chunk=2), 1)
    assert bars(spans) == [
        (1, "1", "taking turns", 0.0, 2.0),
        (2, "3", "taking turns", 0.0, 2.0),
        (1, "2", "working", 2.0, 3.0),
    ]


def test_three_workers_on_two_cores_share_them():
    spans = plan(Settings(3, 1.0, 0, workers=3), 2)
    assert {each.stop for each in spans} == {1.5}
    assert {each.kind for each in spans} == {"taking turns"}


def test_the_next_chunk_goes_to_the_worker_that_is_free_first():
    spans = plan(Settings(5, 1.0, 100, workers=2, chunk=2), 1)
    assert {each.task: each.process for each in spans} == {
        "1": 1,
        "2": 1,
        "3": 2,
        "4": 2,
        "5": 1,
    }
    assert last_stop(spans) == 3.0


def test_chunks_of_all_tasks_leave_nothing_to_the_others():
    spans = plan(HALF._replace(chunk=4), 1)
    assert workers(spans) == [(1, 1)]
    assert last_stop(spans) == 4.0


def test_in_asyncio_all_waits_overlap_and_computing_goes_in_turn():
    assert bars(plan(Settings(3, 1.0, 50, engine=ASYNCIO), 1)) == [
        (1, "1", "waiting", 0.0, 0.5),
        (1, "2", "waiting", 0.0, 1.0),
        (1, "3", "waiting", 0.0, 1.5),
        (1, "1", "working", 0.5, 1.0),
        (1, "2", "working", 1.0, 1.5),
        (1, "3", "working", 1.5, 2.0),
    ]


@pytest.mark.parametrize(
    ("engine", "gil", "seconds"),
    [
        (LOOP, True, 4.0),
        (THREADS, True, 3.0),
        (THREADS, False, 2.0),
        (PROCESSES, True, 2.0),
        (SUB_INTERPRETERS, True, 2.0),
        (ASYNCIO, True, 2.5),
        (ASYNCIO, False, 2.5),
    ],
)
def test_what_each_engine_takes_on_two_cores(engine, gil, seconds):
    settings = HALF._replace(engine=engine)
    assert last_stop(plan(settings, computing_at_once(settings, 2, gil))) == seconds


@pytest.mark.parametrize(
    ("engine", "gil", "at_once"),
    [
        (LOOP, False, 1),
        (ASYNCIO, False, 1),
        (THREADS, True, 1),
        (THREADS, False, 4),
        (PROCESSES, True, 4),
        (SUB_INTERPRETERS, True, 4),
    ],
)
def test_who_can_compute_at_once(engine, gil, at_once):
    settings = Settings(workers=6, engine=engine)
    assert computing_at_once(settings, 4, gil) == at_once
    assert computing_at_once(settings._replace(workers=1), 4, gil) == 1


@pytest.mark.parametrize("engine", ONE_OF)
def test_nothing_is_drawn_of_what_takes_no_time(engine):
    for waiting, kinds in {0: "working taking turns", 100: "waiting"}.items():
        spans = plan(Settings(4, 0.5, waiting, engine=engine), 1)
        assert len(spans) == 4
        assert all(each.kind in kinds for each in spans)


SETTINGS = st.builds(
    Settings,
    tasks=st.integers(1, 40),
    seconds=st.integers(1, 40).map(lambda n: n / 20),
    waiting=st.integers(0, 100),
    workers=st.integers(1, 8),
    engine=st.sampled_from(list(ONE_OF)),
    chunk=st.integers(1, 40),
)


@given(SETTINGS, st.integers(1, 8))
def test_every_plan_does_all_the_work_and_no_faster_than_can_be(settings, cores):
    at_once = computing_at_once(settings, cores, gil=True)
    spans = plan(settings, at_once)
    computing = settings.tasks * settings.computing_seconds
    assert len(order(spans)) == settings.tasks
    assert len(workers(spans)) <= settings.lanes
    assert last_stop(spans) <= settings.loop_seconds + 1e-4
    assert last_stop(spans) >= max(settings.seconds, computing / at_once) - 1e-4
    assert cores_kept_busy(spans, settings) <= at_once + 1e-2
    for task in order(spans):
        bars = [each for each in spans if each.task == task]
        assert all(a.stop == b.start for a, b in pairwise(bars))
        assert sum(each.seconds for each in bars) >= settings.seconds - 1e-5


@given(SETTINGS.filter(lambda settings: settings.engine == ASYNCIO))
def test_asyncio_computes_one_at_a_time(settings):
    assert most_at_once(computing_spans(plan(settings, 1))) <= 1


def test_sub_interpreters_are_offered_where_they_are(monkeypatch):
    futures = SimpleNamespace()
    monkeypatch.setattr(playground_plan, "concurrent", SimpleNamespace(futures=futures))
    assert engines() == [LOOP, THREADS, PROCESSES, ASYNCIO]
    with pytest.raises(ValueError, match=r"need Python 3\.14"):
        check(Settings(engine=SUB_INTERPRETERS))
    futures.InterpreterPoolExecutor = None
    assert SUB_INTERPRETERS in engines()
    check(Settings(engine=SUB_INTERPRETERS))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tasks": 41}, "tasks must be from 1 to 40, not 41"),
        ({"seconds": 0.0}, "seconds must be from"),
        ({"waiting": 101}, "waiting must be from 0 to 100, not 101"),
        ({"workers": 9}, "workers must be from 1 to 8, not 9"),
        ({"chunk": 0}, "chunk must be from 1 to 40, not 0"),
        ({"engine": "steam"}, "engine must be one of loop, threads"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        check(Settings(**wrong))


def test_a_plan_that_takes_too_long_is_refused_with_what_to_lower():
    assert refusal(Settings(), 10.0) == ""
    assert "lower the tasks or the seconds each" in refusal(Settings(), 10.1)
