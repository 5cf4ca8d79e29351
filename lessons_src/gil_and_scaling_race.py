"""Lesson 13: every kind of work on every engine, and a thousand calls at once.

    kinds of work  x  engines -> answers (all equal) and seconds -> Race -> a table

Workers need none of this: what they run is in `gil_and_scaling`.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.context import BaseContext
from threading import Barrier, get_ident
from typing import TYPE_CHECKING, NamedTuple

from lessons_src.gil_and_scaling import (
    LIMIT_SECONDS,
    Task,
    do,
    some_bytes,
    sub_interpreters,
    think,
    this_run,
)
from lessons_src.tools.experiment import in_turns
from lessons_src.tools.recorded import live_or_recorded
from lessons_src.tools.spans import clock

if TYPE_CHECKING:
    from lessons_src.tools.picture import Picture

Run = Callable[[list[Task]], list[int]]
Work = Callable[[Run], list[int]]

LOOP, INTERPRETERS = "loop", "sub-\ninterpreters"
ENGINES = [LOOP, "threads", "asyncio", "processes", INTERPRETERS]
# A thread costs little: one for each task
THREADS = 8
SOON_SECONDS = 0.02
# Within this factor of the best, nobody has lost
CLOSE = 1.3
INK, PALE = "#111111", "0.45"


class Race(NamedTuple):
    """What `race` found: for each kind of work and engine, a share of the loop's time.

    Parameters
    ----------
    equal
        Whether all engines gave the loop's answers to all kinds of work.
    where
        The Python, the day and the cores of the run.
    stored
        The same for the column of sub-interpreters, if that was recorded, or "".
    """

    shares: dict[str, dict[str, float]]
    equal: bool
    where: str
    stored: str = ""

    def winners(self, kind: str) -> list[str]:
        """Name the engines that are close to the best; none if that is the loop.

        Unless the loop wins alone.

        >>> Race({"naps": {"loop": 1, "threads": 0.2}}, True, "").winners("naps")
        ['threads']
        """
        row = self.shares[kind]
        best = min(row.values())
        close = [engine for engine in row if row[engine] <= CLOSE * best]
        return [] if LOOP in close and len(close) > 1 else close

    def draw(self) -> "Picture":
        """Draw the shares as a table; the winners of each row are framed."""
        from lessons_src.tools.picture import new_figure, picture

        kinds = list(self.shares)
        figure = new_figure(9, 1.5 + 0.62 * len(kinds))
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        axes.set(xlim=(-0.5, len(ENGINES) - 0.5), ylim=(len(kinds) - 0.5, -0.5))
        axes.set_xticks(range(len(ENGINES)), ENGINES, fontsize=14)
        axes.set_yticks(range(len(kinds)), kinds, fontsize=14)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for y, kind in enumerate(kinds):
            winners = self.winners(kind)
            for x, engine in enumerate(ENGINES):
                share = self.shares[kind].get(engine)
                text = "-" if share is None else _figures(share)
                look = {"fontsize": 17, "color": INK if engine in winners else PALE}
                if engine in winners:
                    look |= {"weight": "bold", "bbox": _frame()}
                axes.text(x, y, text, ha="center", va="center", **look)
        said = f"Seconds, as a share of the loop's ({self.where})"
        if self.stored:
            said += f"\nsub-interpreters: stored run ({self.stored})"
        axes.set_xlabel(said, fontsize=12)
        return picture(figure, f"Each of {len(kinds)} kinds of work on five engines")


def at_once(tasks: list[Task]) -> Work:
    """Make work of `tasks` that do not need each other."""
    return lambda run: run(tasks)


def one_by_one(tasks: list[Task]) -> Work:
    """Make work of `tasks` each of which starts from the answer before it."""

    def work(run: Run) -> list[int]:
        answers = [0]
        for task in tasks:
            answers += run([task._replace(start=answers[-1])])
        return answers[1:]

    return work


def make_kinds(scale: float = 1) -> dict[str, Work]:
    """Make each kind of work of the race, `scale` times as long as usual."""
    adds, waits = round(300_000 * scale), 0.03 * scale
    block = some_bytes(round(6 * scale) or 1)
    return {
        "400 tiny tasks": at_once([Task(adds=3, start=n) for n in range(400)]),
        "8 waits": at_once([Task(waits, start=n) for n in range(8)]),
        "8 sums in Python": at_once([Task(adds=adds, start=n) for n in range(8)]),
        "8 hashes in C": at_once([Task(block=block, start=n) for n in range(8)]),
        "a chain of 8 sums": one_by_one([Task(adds=adds // 2)] * 8),
    }


@contextmanager
def open_engines(context: BaseContext, workers: int) -> Iterator[dict[str, Run]]:
    """Open every engine, with all its workers up; yield what runs tasks on each."""
    with ExitStack() as stack:
        # Processes first: a fork copies one thread only, whatever the others held
        pools = {
            "processes": ProcessPoolExecutor(workers, context),
            "threads": ThreadPoolExecutor(THREADS),
        }
        if engine := sub_interpreters(workers):
            pools[INTERPRETERS] = engine()
        for pool in pools.values():
            stack.enter_context(pool)
        runs = {name: partial(in_pool, pool) for name, pool in pools.items()}
        for run in runs.values():
            run([Task(SOON_SECONDS)] * THREADS)
        yield {LOOP: in_loop, "asyncio": in_asyncio, **runs}


def in_loop(tasks: list[Task]) -> list[int]:
    """Do `tasks` one after the other.

    >>> in_loop([Task(adds=10), Task(adds=3)])
    [45, 3]
    """
    return [do(task) for task in tasks]


def in_pool(pool: Executor, tasks: list[Task]) -> list[int]:
    """Do `tasks` in `pool`, whatever its engine, one to a letter."""
    return list(pool.map(do, tasks, timeout=LIMIT_SECONDS))


def in_asyncio(tasks: list[Task]) -> list[int]:
    """Do `tasks` on a loop of asyncio of their own, in a thread of its own."""

    async def gather() -> list[int]:
        return await asyncio.gather(*map(do_async, tasks))

    # A notebook's thread has a loop already, and one is all that a thread can have
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, gather()).result(LIMIT_SECONDS)


async def do_async(task: Task) -> int:
    """Do `task` as `do` does, but let others go on while it waits."""
    if task.waits:
        await asyncio.sleep(task.waits)
    return think(task)


def race(
    context: BaseContext,
    workers: int,
    kinds: Mapping[str, Work] | None = None,
    repeats: int = 3,
) -> Race:
    """Run each of `kinds` on every engine, `repeats` times and in turns."""
    kinds = kinds or make_kinds()
    wanted = {kind: work(in_loop) for kind, work in kinds.items()}
    answers: dict[tuple[str, str], list[int]] = {}

    def measure(kind: str, engine: str) -> float:
        start = clock()
        answers[kind, engine] = kinds[kind](runs[engine])
        return clock() - start

    with open_engines(context, workers) as runs:
        pairs = [(kind, engine) for kind in kinds for engine in runs]
        measures = [partial(measure, *pair) for pair in pairs]
        taken = in_turns(measures, repeats, "race")
    equal = all(answers[kind, engine] == wanted[kind] for kind, engine in pairs)
    # The least: what else is at work on this machine can only add to it
    best = dict(zip(pairs, (max(min(each), 1e-9) for each in taken), strict=True))
    shares = {
        kind: {engine: best[kind, engine] / best[kind, LOOP] for engine in runs}
        for kind in kinds
    }
    return Race(shares, equal, this_run())


def with_sub_interpreters(found: Race) -> Race:
    """Fill in the column of sub-interpreters from a recorded run, if it is missing."""
    live = sub_interpreters() is not None
    text = live_or_recorded("gil_and_scaling_race", lambda: "{}", live)
    stored = json.loads(text.splitlines()[-1])
    if not stored:
        return found
    for kind, row in found.shares.items():
        if kind in stored["shares"]:
            row[INTERPRETERS] = stored["shares"][kind]
    return found._replace(stored=stored["where"])


class Server:
    """It answers when `size` calls are open, and notes on which threads they wait."""

    def __init__(self, size: int) -> None:
        self.threads: set[int] = set()
        self._everybody, self._everyone = Barrier(size), asyncio.Barrier(size)

    def call(self, _number: int) -> None:
        """Wait in this thread until all calls are open."""
        self.threads.add(get_ident())
        self._everybody.wait(LIMIT_SECONDS)

    async def call_async(self, _number: int) -> None:
        """Wait until all calls are open, and leave this thread to others meanwhile."""
        self.threads.add(get_ident())
        async with asyncio.timeout(LIMIT_SECONDS):
            await self._everyone.wait()


def _figures(share: float) -> str:
    return f"{share:.0f}" if share >= 10 else f"{share:.2g}"


def _frame() -> dict[str, object]:
    return {"boxstyle": "round,pad=0.3", "fc": "#DDEEFF", "ec": "#0072B2", "lw": 2.5}
