"""Lesson 13, The GIL and scaling: one task, and the laws of how far it can be shared.

    a task      waits -> adds numbers in Python -> hashes a block in C -> answer
    the GIL     one long call here -> does a counter beside it get on?
    the laws    a share that cannot be shared -> how many times as fast at best

`gil_and_scaling_race` runs the tasks on every engine, `gil_and_scaling_sharing` posts
100 MB, `gil_and_scaling_start` starts processes, and a Python without a GIL.
"""

import concurrent.futures
import hashlib
import mmap
import pickle
import platform
import sys
import sysconfig
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from functools import cache, partial
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from lessons_src.tools.machine import cores_allowed, gil_enabled
from lessons_src.tools.recorded import live_or_recorded
from lessons_src.tools.spans import Span, clock, span

LIMIT_SECONDS = 60
MEGABYTE = 1_000_000
TICK_SECONDS, SETTLE_SECONDS, NAP_SECONDS = 0.001, 0.05, 0.05
# How often a call is made before we say that nobody got on meanwhile
TRIES, MANY_TRIES = 100, 20_000
# The file in which a ticker counts: eight bytes, and one that says stop
COUNT, STOP, BOARD_BYTES = slice(0, 8), 8, 16
SOME_NUMBERS = list(range(200_000))


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
    """Hash so many `blocks`, and return when each was hashed."""
    spans = []
    for number in range(1, blocks + 1):
        start = clock()
        hashlib.sha256(some_bytes(megabytes))
        spans.append(span(f"{task} {number}", start))
    return spans


def nap_under(lock: AbstractContextManager, name: str) -> Span:
    """Nap while holding `lock`, as a task that needs one thing all the time."""
    with lock:
        start = clock()
        time.sleep(NAP_SECONDS)
        return span(name, start, "holding")


def tick(path: str) -> None:
    """Count in the file `path`, once a millisecond, until it says stop."""
    give_up = clock() + 2 * LIMIT_SECONDS
    with Path(path).open("r+b") as file, mmap.mmap(file.fileno(), 0) as board:
        while not board[STOP] and clock() < give_up:
            board[COUNT] = (int.from_bytes(board[COUNT]) + 1).to_bytes(8)
            time.sleep(TICK_SECONDS)


@contextmanager
def ticking(pool: Executor) -> Iterator[Callable[[], int]]:
    """Let a worker of `pool` count; yield the function that reads how far it is.

    Raises
    ------
    TimeoutError
        If it does not begin to count within a minute.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "board")
        path.write_bytes(bytes(BOARD_BYTES))
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as board:
            ticker = pool.submit(tick, str(path))

            # A look into memory: it gives nobody else a turn
            def ticks() -> int:
                return int.from_bytes(board[COUNT])

            try:
                give_up = clock() + LIMIT_SECONDS
                while not ticks():
                    if ticker.done() or clock() > give_up:
                        raise TimeoutError("the ticker did not begin to count")
                    time.sleep(TICK_SECONDS)
                yield ticks
            finally:
                board[STOP] = 1
                ticker.result(LIMIT_SECONDS)


def gets_on_during(
    call: Callable[[], object], ticks: Callable[[], int], tries: int = TRIES
) -> bool:
    """Tell whether a ticker gets on while this thread does nothing but `call`.

    Python would take the GIL from us every 5 ms. So that only `call` itself can let
    go of it, we ask Python to wait for a minute, and undo that afterwards.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(LIMIT_SECONDS)
    try:
        # Whoever has begun to wait for the GIL still has the short patience
        time.sleep(SETTLE_SECONDS)
        for _ in range(tries):
            seen = ticks()
            call()
            if ticks() != seen:
                return True
        return False
    finally:
        sys.setswitchinterval(before)


def make_calls() -> dict[str, Callable[[], object]]:
    """Make seven calls into C, by name."""
    import numpy as np

    numbers, block = list(range(200_000)), bytes(4_000_000)
    array = np.arange(300_000)[::-1]
    return {
        "sum(numbers)": partial(sum, numbers),
        "sorted(numbers)": partial(sorted, numbers),
        "pickle.dumps(numbers)": partial(pickle.dumps, numbers),
        "sha256(block)": partial(hashlib.sha256, block),
        "zlib.compress(block)": partial(zlib.compress, block),
        "np.sort(array)": partial(np.sort, array),
        "time.sleep(0.01)": partial(time.sleep, 0.01),
    }


def who_lets_go(calls: Mapping[str, Callable[[], object]]) -> str:
    """Say which of `calls` let another thread run; without a GIL, what was recorded."""

    def run() -> str:
        with ThreadPoolExecutor(1) as pool, ticking(pool) as ticks:
            found = {name: gets_on_during(calls[name], ticks) for name in calls}
        words = {True: "lets others run", False: "holds the GIL"}
        return "\n".join(f"{name:22}{words[free]}" for name, free in found.items())

    return live_or_recorded("gil_and_scaling_calls", run, gil_enabled()).rstrip()


def who_gets_on(context: BaseContext) -> str:
    """Say whose counter gets on while one long call holds the GIL of this thread.

    Without a GIL, or without sub-interpreters, say what was recorded.
    """
    gil = gil_enabled()
    return "\n".join(
        [
            _gets_on("a thread", partial(ThreadPoolExecutor, 1), gil, TRIES),
            _gets_on("a process", partial(ProcessPoolExecutor, 1, context), gil),
            _gets_on("a sub-interpreter", sub_interpreters(), gil),
        ]
    )


def _gets_on(
    name: str,
    engine: Callable[[], Executor] | None,
    gil: bool,
    tries: int = MANY_TRIES,
) -> str:
    def run() -> str:
        with engine() as pool, ticking(pool) as ticks:
            on = gets_on_during(partial(sum, SOME_NUMBERS), ticks, tries)
        return f"{name:18}{'gets on' if on else 'stands still'}"

    stem = f"gil_and_scaling_{name.split()[-1]}".replace("-", "_")
    return live_or_recorded(stem, run, gil and engine is not None).rstrip()


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
