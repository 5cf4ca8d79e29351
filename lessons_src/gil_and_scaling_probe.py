"""Lesson 13: which calls hold the GIL, and who gets on while they do.

one long call here, which nobody may interrupt ... a counter there: does it get on?
"""

import hashlib
import mmap
import pickle
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory

from lessons_src.gil_and_scaling import LIMIT_SECONDS, sub_interpreters
from lessons_src.tools.machine import gil_enabled
from lessons_src.tools.recorded import live_or_recorded
from lessons_src.tools.spans import clock

TICK_SECONDS, SETTLE_SECONDS = 0.001, 0.05
# How often a call is made before we say that nobody got on meanwhile
TRIES, MANY_TRIES = 100, 20_000
# The file in which a ticker counts: eight bytes, and one that says stop
COUNT, STOP, BOARD_BYTES = slice(0, 8), 8, 16


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
    numbers = list(range(200_000))

    def run() -> str:
        with engine() as pool, ticking(pool) as ticks:
            on = gets_on_during(partial(sum, numbers), ticks, tries)
        return f"{name:18}{'gets on' if on else 'stands still'}"

    stem = f"gil_and_scaling_{name.split()[-1]}".replace("-", "_")
    return live_or_recorded(stem, run, gil and engine is not None).rstrip()
