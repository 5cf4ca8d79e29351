"""Run each fault on an engine that is not Python's own pool, and say what it cost.

A program for a child interpreter, for these engines change what they find: Dask how
errors are pickled, loky which start methods there are; and a sub-interpreter knows
only the path that its interpreter was started with.
"""

import concurrent.futures
import json
import logging
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import faults

from lessons_src.tools.recovery import run


@contextmanager
def loky():
    import loky

    yield lambda: loky.ProcessPoolExecutor(2)


@contextmanager
def interpreters():
    yield lambda: concurrent.futures.InterpreterPoolExecutor(2)


@contextmanager
def dask():
    import dask
    from distributed import Client, LocalCluster

    settings = {
        # It blames a task for a death after four; one will do here
        "distributed.scheduler.allowed-failures": 0,
        "distributed.comm.timeouts.connect": "5s",
    }
    quiet = logging.CRITICAL
    logging.getLogger("distributed").setLevel(quiet)
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=quiet,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor


def cost(fault, make, folder):
    """Return what `fault` cost on the engine that `make` makes."""
    folder.mkdir()
    report = run(
        faults.square,
        faults.items_with(fault, folder),
        executor=make,
        chunk_size=5,
        timeout=0.5 if fault == "hang" else None,
    )
    runs = faults.runs(folder)
    guilty_runs = runs.pop(faults.GUILTY, 0)
    return {
        "failed": [each.index for each in report.failures],
        "errors": [type(each.error).__name__ for each in report.failures],
        "tries": [each.tries for each in report.failures],
        "right": [n for n, each in enumerate(report.results) if each == n * n],
        "guilty runs": guilty_runs,
        "most runs": max(runs.values()),
        "restarts": report.restarts,
    }


def refusal(make):
    """Return what is said to a time-out on this engine."""
    try:
        return str(run(abs, [-1], executor=make, timeout=60))
    except ValueError as error:
        return str(error)


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)
    name, folder, *tried = sys.argv[1:]
    with {"loky": loky, "interpreters": interpreters, "dask": dask}[name]() as make:
        for fault in tried:
            print(json.dumps([fault, cost(fault, make, Path(folder, fault))]))
        print(json.dumps(["timeout", refusal(make)]))
        print(
            json.dumps(
                ["lambda", run(lambda n: n + 1, [1, 2], executor=make).results]
                if name != "interpreters"
                else ["lambda", None]
            )
        )
