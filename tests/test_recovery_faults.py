"""What each fault of one item costs, on each engine: that item, and exactly that."""

import concurrent.futures
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import faults
import pytest
from faults import COUNT, GUILTY, items_with, square

from lessons_src.tools.leash import run_code
from lessons_src.tools.recovery import ItemTimeoutError, WorkerDied, processes, run

InterpreterPoolExecutor = getattr(concurrent.futures, "InterpreterPoolExecutor", None)
TRIES = 2
LIMIT = 0.5  # of an item, in seconds: nothing here takes longer, but a hang
ENGINE_LIMIT = 300

# The error of the report, how often the guilty item runs, whether its worker dies
COSTS_AN_ITEM = {
    "raise": (ValueError, 1),
    "sys.exit": (SystemExit, 1),
    "memory": (MemoryError, 1),
    "unpicklable result": (TypeError, 1),
    "unpicklable error": (RuntimeError, 1),
    "unloadable error": (faults.Unloadable, 1),
    "unloadable result": (ValueError, 2),
    "unpicklable item": (TypeError, 0),
    "unloadable item": (ValueError, 0),
}
COSTS_A_WORKER = {
    "os._exit": (WorkerDied, 7),
    "SIGKILL": (WorkerDied, -9),
    "segfault": (WorkerDied, -11),
    "hang": (ItemTimeoutError, -9),
}
DEATHS = [fault for fault in COSTS_A_WORKER if fault != "hang"]
# Threads hand over what cannot be pickled
TRIED_IN_THREADS = [fault for fault in COSTS_AN_ITEM if not fault.endswith("item")]
ALL_RIGHT_IN_THREADS = {"unpicklable result", "unloadable result"}


def run_with(fault, folder, executor, **options):
    limit = LIMIT if fault == "hang" else None
    return run(
        square,
        items_with(fault, folder),
        executor=executor,
        chunk_size=5,
        **{"timeout": limit, "tries": TRIES, **options},
    )


def assert_only_the_guilty_failed(report, error):
    wanted = [n * n for n in range(COUNT)]
    (failure,) = report.failures
    assert failure.index == GUILTY
    assert isinstance(failure.error, error)
    assert report.results[GUILTY] is failure
    innocent = report.results[:GUILTY] + report.results[GUILTY + 1 :]
    assert innocent == wanted[:GUILTY] + wanted[GUILTY + 1 :]
    return failure


def assert_no_death(report, folder, guilty_runs):
    runs = faults.runs(folder)
    assert runs.pop(GUILTY, 0) == guilty_runs
    assert report.restarts == 0
    # To find the result that cannot be loaded, its chunk is run item by item
    most = 2 if guilty_runs == 2 else 1
    assert set(runs) == set(range(COUNT)) - {GUILTY}
    assert max(runs.values()) <= most
    assert report.reruns == sum(runs.values()) - len(runs)


@pytest.mark.parametrize("fault", COSTS_AN_ITEM)
def test_an_error_costs_one_item_and_no_worker(fault, start_method, tmp_path):
    error, guilty_runs = COSTS_AN_ITEM[fault]
    report = run_with(fault, tmp_path, processes(2, start_method))
    failure = assert_only_the_guilty_failed(report, error)
    assert failure.exit_code is None
    assert failure.tries == 1
    assert_no_death(report, tmp_path, guilty_runs)


@pytest.mark.parametrize("fault", COSTS_A_WORKER)
def test_a_death_costs_one_item_in_as_many_runs_as_it_has_tries(
    fault, start_method, tmp_path
):
    error, exit_code = COSTS_A_WORKER[fault]
    report = run_with(fault, tmp_path, processes(2, start_method))
    failure = assert_only_the_guilty_failed(report, error)
    assert failure.tries == faults.runs(tmp_path)[GUILTY] == TRIES
    assert report.restarts == TRIES
    last = (tmp_path / str(GUILTY)).read_text().split()[-1]
    assert failure.pid == int(last)
    if os.name == "posix":
        assert failure.exit_code == exit_code
    # At most what ran beside it ran again: one chunk for each try, and its own
    assert max(n for i, n in faults.runs(tmp_path).items() if i != GUILTY) <= 2


@pytest.mark.parametrize("fault", TRIED_IN_THREADS)
def test_in_threads_what_need_not_travel_is_no_fault(fault, tmp_path):
    report = run_with(fault, tmp_path, lambda: ThreadPoolExecutor(2), tries=1)
    if fault in ALL_RIGHT_IN_THREADS:
        assert not report.failures
        assert len(report.results) == COUNT
    else:
        (failure,) = report.failures
        assert failure.index == GUILTY
        # The error itself, as it was raised
        wanted = {"unpicklable error": faults.Unpicklable}
        assert type(failure.error) is wanted.get(fault, COSTS_AN_ITEM[fault][0])
    assert set(faults.runs(tmp_path).values()) == {1}


# Engines of others, each in one child for all its faults; see foreign_engines.py
FOREIGN = {
    "loky": [*COSTS_AN_ITEM, *COSTS_A_WORKER],
    # It cannot end a worker that hangs
    "dask": [*COSTS_AN_ITEM, *DEATHS],
    "interpreters": [*COSTS_AN_ITEM] if InterpreterPoolExecutor else [],
}
PROGRAM = Path(faults.__file__).with_name("foreign_engines.py")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Return what an engine said of a fault; each engine is asked once."""

    @cache
    def ask(engine):
        folder = tmp_path_factory.mktemp(engine)
        path = os.pathsep.join([str(PROGRAM.parent), *sys.path])
        outcome = run_code(
            PROGRAM.read_text(encoding="utf-8"),
            ENGINE_LIMIT,
            engine,
            folder,
            *FOREIGN[engine],
            env={"PYTHONPATH": path},
        )
        assert outcome.exit_code == 0, outcome
        lines = [line for line in outcome.output.splitlines() if line.startswith("[")]
        return dict(map(json.loads, lines))

    return ask


def cases(faults_of_interest):
    return [
        (engine, fault)
        for engine, tried in FOREIGN.items()
        for fault in tried
        if fault in faults_of_interest
    ]


@pytest.mark.timeout(ENGINE_LIMIT + 60)
@pytest.mark.parametrize(("engine", "fault"), cases(COSTS_AN_ITEM))
def test_a_foreign_engine_pays_the_same_for_an_error(engine, fault, said):
    error, guilty_runs = COSTS_AN_ITEM[fault]
    cost = said(engine)[fault]
    assert cost["errors"] == [error.__name__]
    assert (cost["failed"], cost["tries"], cost["restarts"]) == ([GUILTY], [1], 0)
    assert cost["right"] == [n for n in range(COUNT) if n != GUILTY]
    assert (cost["guilty runs"], cost["most runs"]) == (
        guilty_runs,
        max(1, guilty_runs),
    )


@pytest.mark.timeout(ENGINE_LIMIT + 60)
@pytest.mark.parametrize(("engine", "fault"), cases(COSTS_A_WORKER))
def test_a_foreign_engine_pays_the_same_for_a_death(engine, fault, said):
    error, _ = COSTS_A_WORKER[fault]
    cost = said(engine)[fault]
    assert cost["errors"] == [error.__name__]
    assert (cost["failed"], cost["tries"]) == ([GUILTY], [TRIES])
    assert cost["right"] == [n for n in range(COUNT) if n != GUILTY]
    # Dask does not say who died, so the first death only makes a suspect; and it
    # starts its workers again by itself
    dask = engine == "dask"
    assert cost["guilty runs"] == TRIES + dask
    assert cost["restarts"] == (0 if dask else TRIES)


@pytest.mark.timeout(ENGINE_LIMIT + 60)
@pytest.mark.parametrize("engine", [name for name, tried in FOREIGN.items() if tried])
def test_what_a_foreign_engine_can_is_known_before_it_starts(engine, said):
    refused = "no timeout with this executor" in said(engine)["timeout"]
    assert refused == (engine != "loky")
    if engine != "interpreters":
        # They pack functions by value
        assert said(engine)["lambda"] == [2, 3]


def test_what_threads_cannot_do_is_said_before_they_start():
    executor = partial(ThreadPoolExecutor, 2)
    with pytest.raises(ValueError, match="no timeout with this executor"):
        run(square, items_with(""), executor=executor, timeout=1)
    with pytest.warns(RuntimeWarning, match="a crash in one ends the whole program"):
        run(square, items_with(""), executor=executor)
