import asyncio
import multiprocessing
import os
import pickle
import threading
import time

import pytest

from lessons_src.tools import playground_run, pools
from lessons_src.tools.playground_plan import (
    ASYNCIO,
    LOOP,
    PROCESSES,
    SUB_INTERPRETERS,
    THREADS,
    Settings,
    engines,
    plan,
)
from lessons_src.tools.playground_run import (
    Job,
    compute,
    do_chunk,
    make_jobs,
    run_for_real,
    steps_a_second,
)
from lessons_src.tools.timeline import most_at_once, order, workers

SHORT = Settings(tasks=6, seconds=0.05, waiting=60, workers=2)


@pytest.fixture
def spawn():
    return multiprocessing.get_context("spawn")


def told(spans):
    """What was done, whoever did it and when."""
    kinds = {"taking turns": "working"}
    return sorted((each.task, kinds.get(each.kind, each.kind)) for each in spans)


@pytest.mark.parametrize("engine", engines())
def test_each_engine_does_what_the_loop_does(engine, spawn):
    settings = SHORT._replace(engine=engine)
    real = run_for_real(settings, spawn)
    assert told(real.spans) == told(plan(SHORT._replace(engine=LOOP), 1))
    assert all(each.start <= each.stop for each in real.spans)
    assert real.start_up >= 0
    assert len(workers(real.spans)) <= settings.lanes


def test_processes_come_from_the_context_that_is_given(context):
    settings = SHORT._replace(engine=PROCESSES, waiting=100)
    real = run_for_real(settings, context)
    assert len(order(real.spans)) == SHORT.tasks
    assert all(each.process != os.getpid() for each in real.spans)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("engine", [THREADS, PROCESSES])
def test_two_workers_wait_at_the_same_time(engine, spawn):
    settings = Settings(4, 0.5, 100, engine=engine)
    real = run_for_real(settings, spawn)
    assert most_at_once(real.spans) == 2
    assert len(workers(real.spans)) == 2


def test_the_loop_never_does_two_things_at_once(spawn):
    real = run_for_real(SHORT._replace(engine=LOOP), spawn)
    assert most_at_once(real.spans) == 1
    assert order(real.spans) == ["1", "2", "3", "4", "5", "6"]


def test_in_asyncio_all_wait_at_once_and_one_computes(spawn):
    real = run_for_real(Settings(9, 0.5, 90, engine=ASYNCIO), spawn)
    assert most_at_once(real.spans, "waiting") == 9
    computing = [each for each in real.spans if each.kind != "waiting"]
    assert most_at_once(computing) == 1


def test_asyncio_runs_where_a_loop_runs_already(spawn):
    async def cell():
        return run_for_real(SHORT._replace(engine=ASYNCIO), spawn)

    assert told(asyncio.run(cell()).spans) == told(plan(SHORT, 1))


def test_a_chunk_stays_with_one_worker(spawn):
    real = run_for_real(SHORT._replace(engine=PROCESSES, chunk=3), spawn)
    for tasks in ("123", "456"):
        assert len(workers(each for each in real.spans if each.task in tasks)) == 1


def test_a_task_counts_the_steps_that_its_seconds_are_worth(monkeypatch):
    counted = []
    monkeypatch.setattr(playground_run, "compute", counted.append)
    [jobs] = make_jobs(SHORT._replace(engine=LOOP), 1_000_000)
    do_chunk(jobs)
    assert counted == [20_000] * 6
    assert compute(20_000) == 20_000


def test_a_core_counts_more_than_a_thousand_steps_a_second():
    assert steps_a_second() > 1000


def test_computing_that_took_longer_than_alone_was_in_turns(monkeypatch):
    monkeypatch.setattr(playground_run, "compute", lambda steps: time.sleep(0.1))
    kinds = [do_chunk([Job("1", 0, alone, 1)])[0].kind for alone in (60.0, 0.01)]
    assert kinds == ["working", "taking turns"]


def test_jobs_and_workers_can_be_sent_to_processes():
    for thing in (do_chunk, Job("1", 0.1, 0.1, 10), SHORT):
        assert pickle.loads(pickle.dumps(thing)) == thing


def test_settings_that_cannot_be_are_refused_before_anything_starts(spawn):
    with pytest.raises(ValueError, match="workers must be from 1 to 8"):
        run_for_real(SHORT._replace(workers=0, engine=THREADS), spawn)


@pytest.mark.parametrize("engine", [THREADS, ASYNCIO])
def test_an_error_in_a_worker_comes_back_and_nothing_stays(engine, spawn, monkeypatch):
    def fail(job):
        raise OSError("no core left")

    monkeypatch.setattr(playground_run, "_compute", fail)
    before = threading.active_count()
    with pytest.raises(OSError, match="no core left"):
        run_for_real(SHORT._replace(engine=engine), spawn)
    assert threading.active_count() == before


@pytest.mark.parametrize("engine", [THREADS, PROCESSES])
def test_an_answer_that_does_not_come_is_an_error(engine, spawn, monkeypatch):
    monkeypatch.setattr(playground_run, "_warm", lambda pool, size: None)
    monkeypatch.setattr(playground_run, "LIMIT_SECONDS", 0.01)
    with pytest.raises(TimeoutError, match=r"no answer after 0\.01 s"):
        run_for_real(Settings(2, 0.5, 100, engine=engine), spawn)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("engine", [THREADS, PROCESSES])
def test_workers_that_do_not_come_up_are_an_error(engine, spawn, monkeypatch):
    monkeypatch.setattr(playground_run, "MEETING_SECONDS", 0)
    monkeypatch.setattr(playground_run, "_introduce", lambda: 1)
    monkeypatch.setattr(pools, "START_LIMIT_SECONDS", 0.01)
    monkeypatch.setattr(pools, "line_up", bool)
    with pytest.raises(TimeoutError, match="not all workers came up"):
        run_for_real(SHORT._replace(engine=engine), spawn)
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(SUB_INTERPRETERS not in engines(), reason="Python 3.14 has them")
def test_sub_interpreters_live_in_this_process(spawn):
    real = run_for_real(SHORT._replace(engine=SUB_INTERPRETERS), spawn)
    assert {each.process for each in real.spans} == {os.getpid()}
