"""What each fault of one item costs, on each engine: that item, and exactly that."""

import concurrent.futures
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import faults
import loky
import pytest
from faults import COUNT, GUILTY, items_with, square

from lessons_src.tools.leash import run_code
from lessons_src.tools.recovery import ItemTimeoutError, WorkerDied, processes, run

InterpreterPoolExecutor = getattr(concurrent.futures, "InterpreterPoolExecutor", None)
TRIES = 2
LIMIT = 0.5  # of an item, in seconds: nothing here takes longer, but a hang

# The error of the report, how often the guilty item runs, whether its worker dies
COSTS_AN_ITEM = {
    "raise": (ValueError, 1),
    "sys.exit": (SystemExit, 1),
    "memory": (MemoryError, 1),
    "unpicklable result": (TypeError, 1),
    "unpicklable error": (RuntimeError, 1),
    # Dask teaches Python to load it after all
    "unloadable error": ((RuntimeError, faults.Unloadable), 1),
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


@pytest.mark.parametrize("fault", [*COSTS_AN_ITEM, *COSTS_A_WORKER])
def test_loky_pays_the_same(fault, tmp_path):
    error, _ = {**COSTS_AN_ITEM, **COSTS_A_WORKER}[fault]
    report = run_with(fault, tmp_path, lambda: loky.ProcessPoolExecutor(2))
    assert_only_the_guilty_failed(report, error)
    if fault in COSTS_AN_ITEM:
        assert_no_death(report, tmp_path, COSTS_AN_ITEM[fault][1])
    else:
        assert faults.runs(tmp_path)[GUILTY] == report.restarts == TRIES


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
        wanted = {
            "unpicklable error": faults.Unpicklable,
            "unloadable error": faults.Unloadable,
        }.get(fault, COSTS_AN_ITEM[fault][0])
        assert type(failure.error) is wanted
    assert set(faults.runs(tmp_path).values()) == {1}


@pytest.mark.skipif(InterpreterPoolExecutor is None, reason="from Python 3.14 on")
@pytest.mark.parametrize("fault", COSTS_AN_ITEM)
def test_sub_interpreters_pay_the_same(fault, tmp_path):
    error, guilty_runs = COSTS_AN_ITEM[fault]
    report = run_with(fault, tmp_path, lambda: InterpreterPoolExecutor(2), tries=1)
    assert_only_the_guilty_failed(report, error)
    assert_no_death(report, tmp_path, guilty_runs)


# Dask has threads and processes of its own: all that it does happens in a child
DASK = """
import dask, json, logging, sys
from distributed import Client, LocalCluster
from pathlib import Path

sys.path.insert(0, {tests!r})
import faults
from lessons_src.tools.recovery import run

settings = {{
    # Dask blames a task for a death after four; one will do here
    "distributed.scheduler.allowed-failures": 0,
    "distributed.comm.timeouts.connect": "5s",
}}

def said(fault, client):
    folder = Path({folder!r}, fault)
    folder.mkdir()
    items = faults.items_with(fault, folder)
    report = run(faults.square, items, executor=client.get_executor, chunk_size=5)
    runs = faults.runs(folder)
    failure = report.failures[0]
    right = [n for n, result in enumerate(report.results) if result == n * n]
    print(json.dumps([fault, len(report.failures), right, failure.index,
                      type(failure.error).__name__, failure.tries,
                      runs.get(faults.GUILTY, 0), max(runs.values())]), flush=True)

if __name__ == "__main__":
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(settings), LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as cluster, Client(cluster) as client:
        for fault in {faults!r}:
            said(fault, client)
        try:
            run(abs, [1], executor=client.get_executor, timeout=1)
        except ValueError as error:
            print(json.dumps(["timeout", str(error)]))
"""


@pytest.fixture(scope="module")
def dask_said(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("dask"))
    tried = [*COSTS_AN_ITEM, *DEATHS]
    tests = str(Path(faults.__file__).parent)
    outcome = run_code(DASK.format(folder=folder, faults=tried, tests=tests), 150)
    assert outcome.exit_code == 0, outcome.errors
    lines = [line for line in outcome.output.splitlines() if line.startswith("[")]
    return {fault: said for fault, *said in map(json.loads, lines)}


@pytest.mark.parametrize("fault", COSTS_AN_ITEM)
def test_dask_pays_the_same_for_an_error(fault, dask_said):
    error, guilty_runs = COSTS_AN_ITEM[fault]
    failures, right, index, name, tries, runs, most = dask_said[fault]
    assert (failures, index, tries, runs) == (1, GUILTY, 1, guilty_runs)
    assert right == [n for n in range(COUNT) if n != GUILTY]
    assert name in str(error), name
    assert most == max(1, guilty_runs)


@pytest.mark.parametrize("fault", DEATHS)
def test_dask_pays_one_run_more_for_a_death(fault, dask_said):
    failures, right, index, name, tries, runs, _ = dask_said[fault]
    assert (failures, index, name, tries) == (1, GUILTY, "WorkerDied", TRIES)
    assert right == [n for n in range(COUNT) if n != GUILTY]
    # It does not say who died, so the first death only makes a suspect
    assert runs == TRIES + 1


def test_dask_refuses_a_timeout_before_it_starts(dask_said):
    assert (
        "no timeout with this executor, for ClientExecutor" in dask_said["timeout"][0]
    )


def test_what_threads_cannot_do_is_said_before_they_start():
    executor = partial(ThreadPoolExecutor, 2)
    with pytest.raises(ValueError, match="no timeout with this executor"):
        run(square, items_with(""), executor=executor, timeout=1)
    with pytest.warns(RuntimeWarning, match="a crash in one ends the whole program"):
        run(square, items_with(""), executor=executor)
