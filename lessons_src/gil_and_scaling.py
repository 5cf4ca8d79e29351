"""Lesson 13, The GIL and scaling: one task, and the laws of how far it can be shared.

    a task      waits -> adds numbers in Python -> hashes a block in C -> answer
    the laws    a share that cannot be shared -> how many times as fast at best

`gil_and_scaling_probe` finds out who holds the GIL, `gil_and_scaling_race` runs the
tasks on every engine, `gil_and_scaling_sharing` posts 100 MB, `gil_and_scaling_start`
starts processes, and a Python without a GIL.
"""

import concurrent.futures
import hashlib
import platform
import sysconfig
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from datetime import date
from functools import cache, partial
from multiprocessing.context import BaseContext
from typing import NamedTuple

from lessons_src.tools.machine import cores_allowed
from lessons_src.tools.spans import Span, clock, span

LIMIT_SECONDS = 60
MEGABYTE = 1_000_000
NAP_SECONDS = 0.05


class Task(NamedTuple):
    """One task: first it waits, then Python adds numbers, then C hashes a block.

    What it answers depends on `start` too: the answer of a task before it, perhaps.
    """

    waits: float = 0.0
    adds: int = 0
    block: bytes = b""
    start: int = 0


def do(task: Task) -> int:
    """Do `task` and return its answer.

    >>> do(Task(adds=10)), do(Task(adds=10, start=1))
    (45, 46)
    """
    if task.waits:
        time.sleep(task.waits)
    return think(task)


def think(task: Task) -> int:
    """Compute the answer of `task`, without its wait."""
    total = task.start
    for number in range(task.adds):
        total += number
    if task.block:
        total += hashlib.sha256(task.block).digest()[0]
    return total


@cache
def some_bytes(megabytes: int) -> bytes:
    """Make so many `megabytes`, and keep them for the next time."""
    return bytes(megabytes * MEGABYTE)


def hash_blocks(task: str, blocks: int = 12, megabytes: int = 4) -> list[Span]:
    """Hash so many `blocks` as one `task`, and return when each was hashed."""
    spans = []
    for _ in range(blocks):
        start = clock()
        hashlib.sha256(some_bytes(megabytes))
        spans.append(span(task, start))
    return spans


def nap_under(lock: AbstractContextManager, name: str) -> Span:
    """Nap while holding `lock`, as a task that needs one thing all the time."""
    with lock:
        start = clock()
        time.sleep(NAP_SECONDS)
        return span(name, start, "holding")


def sub_interpreters(workers: int = 1) -> Callable[[], Executor] | None:
    """Return what opens so many `workers`, each a sub-interpreter, from 3.14 on."""
    engine = getattr(concurrent.futures, "InterpreterPoolExecutor", None)
    return engine and partial(engine, workers)


def this_run() -> str:
    """Say what a figure needs beside it: the Python, the day, the cores."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        python += " free-threaded"
    return f"{python}, {date.today()}, cores: {cores_allowed()}"


def amdahl(serial_share: float, workers: int) -> float:
    """Return how many times as fast `workers` are if a `serial_share` is not shared.

    The share is that of the seconds that one worker takes; the work is the same.

    >>> amdahl(0.5, 2), round(amdahl(0.05, 1000), 1)
    (1.3333333333333333, 19.6)

    References
    ----------
    G. M. Amdahl, "Validity of the single processor approach to achieving large scale
    computing capabilities", AFIPS Spring Joint Computer Conference, 1967.
    """
    return 1 / (serial_share + (1 - serial_share) / workers)


def gustafson(serial_share: float, workers: int) -> float:
    """Return how many times as much `workers` do if all but a `serial_share` grows.

    The share is that of the seconds that all take together; the time is the same.

    >>> gustafson(0.2, 2), round(gustafson(0.05, 1000), 2)
    (1.8, 950.05)

    References
    ----------
    J. L. Gustafson, "Reevaluating Amdahl's law", Communications of the ACM 31, 1988.
    """
    return workers - serial_share * (workers - 1)


def serial_share(speed_up: float, workers: int) -> float:
    """Return the share that was not shared, from a `speed_up` that was measured.

    It is what `amdahl` would need for that speed-up. What a pool costs is in it, and
    so it may grow with the workers.

    >>> round(serial_share(amdahl(0.2, 8), 8), 6)
    0.2

    References
    ----------
    A. H. Karp and H. P. Flatt, "Measuring parallel processor performance",
    Communications of the ACM 33, 1990.

    Raises
    ------
    ValueError
        If there is only one worker, who shares nothing.
    """
    if workers < 2:
        raise ValueError("it takes two workers or more to share")
    return (1 / speed_up - 1 / workers) / (1 - 1 / workers)


def seconds_with(
    context: BaseContext, alone: Sequence[Task], shared: Sequence[Task], workers: int
) -> float:
    """Return the seconds for the tasks `alone`, done here, then `shared` in a pool.

    The start of the pool does not count.
    """
    from lessons_src.tools.pools import warm_pool

    with warm_pool(context, workers) as pool:
        start = clock()
        for task in alone:
            do(task)
        pool.map_async(do, shared, chunksize=1).get(LIMIT_SECONDS)
        return clock() - start


def seconds_a_report(
    context: BaseContext, alone: Sequence[Task], shared: Sequence[Task], workers: int
) -> float:
    """Return the seconds a report when each of `workers` takes as much as is `shared`.

    As many seconds as all that work takes, divided by how many reports it makes.
    """
    grown = list(shared) * workers
    reports = (len(alone) + len(grown)) / (len(alone) + len(shared))
    return seconds_with(context, alone, grown, workers) / reports
