"""The playground's real run: the same tasks, by a real engine, on real cores.

Settings -> chunks -> loop | threads | processes | sub-interpreters | asyncio -> spans

Computing is a counted number of steps, not seconds of a clock: that is the same work
in each engine, and the clock that counts the CPU time of a thread ticks 64 times a
second on Windows, too seldom for a task of 0.05 s. Cheap to import, as workers do it.
"""

import asyncio
import concurrent.futures
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from threading import BrokenBarrierError
from typing import Any, NamedTuple

from lessons_src.tools.playground_plan import (
    ASYNCIO,
    LOOP,
    PROCESSES,
    SUB_INTERPRETERS,
    WAITING,
    Settings,
    check,
    computed_kind,
)
from lessons_src.tools.pools import warm_pool
from lessons_src.tools.spans import Span, clock, span, this_thread

LIMIT_SECONDS = 60
MEETING_SECONDS = 60
NOT_UP = "not all workers came up in time"
TRIALS, TRIAL_STEPS = 15, 100_000
NAP_SECONDS = 0.02


class Job(NamedTuple):
    """A task as workers get it; `computes` is the seconds its `steps` take alone."""

    name: str
    waits: float
    computes: float
    steps: int


class Real(NamedTuple):
    """What a real run did, and the seconds until its workers were up."""

    spans: list[Span]
    start_up: float


def compute(steps: int) -> int:
    """Count to `steps` in pure Python, which holds the GIL.

    >>> compute(1000)
    1000
    """
    counted = 0
    for _ in range(steps):
        counted += 1
    return counted


def steps_a_second() -> float:
    """Measure how fast a free core computes: the best trial was disturbed least."""
    trials = []
    for _ in range(TRIALS):
        start = clock()
        compute(TRIAL_STEPS)
        trials.append(clock() - start)
    return TRIAL_STEPS / min(trials)


def make_jobs(settings: Settings, speed: float) -> list[list[Job]]:
    """Cut the tasks of `settings` into chunks, for cores of `speed` steps a second.

    >>> make_jobs(Settings(tasks=2, seconds=0.5, waiting=80, engine="loop"), 1000)
    [[Job(name='1', waits=0.4, computes=0.1, steps=100), \
Job(name='2', waits=0.4, computes=0.1, steps=100)]]
    """
    waits, computes = settings.wait_seconds, settings.computing_seconds
    steps = round(computes * speed)
    return [
        [Job(str(number), waits, computes, steps) for number in chunk]
        for chunk in settings.chunks
    ]


def do_chunk(jobs: list[Job]) -> list[Span]:
    """Do `jobs` one after the other: wait, then compute; say who did it when."""
    spans = []
    for job in jobs:
        if job.waits:
            start = clock()
            time.sleep(job.waits)
            spans.append(span(job.name, start, WAITING))
        spans += _compute(job)
    return spans


DoAll = Callable[[list[list[Job]]], Iterable[list[Span]]]


def run_for_real(settings: Settings, context: BaseContext) -> Real:
    """Do all tasks by the engine of `settings`, with processes from `context`.

    Raises
    ------
    ValueError
        If `settings` cannot be.
    TimeoutError
        If there is no answer after `LIMIT_SECONDS`.
    """
    check(settings)
    chunks = make_jobs(settings, steps_a_second())
    start = clock()
    with _opened(settings, context) as do_all:
        start_up = clock() - start
        try:
            spans = [each for done in do_all(chunks) for each in done]
        except (TimeoutError, multiprocessing.TimeoutError):
            raise TimeoutError(f"no answer after {LIMIT_SECONDS} s") from None
    return Real(sorted(spans, key=lambda each: each.start), start_up)


@contextmanager
def _opened(settings: Settings, context: BaseContext) -> Iterator[DoAll]:
    """Give what does all chunks, by workers that are up; close it afterwards."""
    if settings.engine == LOOP:
        yield lambda chunks: map(do_chunk, chunks)
    elif settings.engine == PROCESSES:
        try:
            pool = warm_pool(context, settings.workers)
        except BrokenBarrierError:
            raise TimeoutError(NOT_UP) from None
        try:
            yield lambda chunks: pool.map_async(do_chunk, chunks, 1).get(LIMIT_SECONDS)
        finally:
            pool.terminate()
            pool.join()
    else:
        pool = _executor(settings.engine)(settings.lanes)
        worker = _do_in_asyncio if settings.engine == ASYNCIO else do_chunk
        try:
            _warm(pool, settings.lanes)
            yield lambda chunks: _answers([pool.submit(worker, c) for c in chunks])
        finally:
            pool.shutdown(cancel_futures=True)


def _executor(engine: str) -> Callable[[int], Executor]:
    if engine == SUB_INTERPRETERS:
        # From Python 3.14 on
        return concurrent.futures.InterpreterPoolExecutor
    # asyncio has a thread of its own: in a notebook's, a loop runs already
    return ThreadPoolExecutor


def _warm(pool: Executor, size: int) -> None:
    """Come back when all `size` workers of `pool` have been heard of."""
    met: set[int] = set()
    give_up = clock() + MEETING_SECONDS
    while len(met) < size:
        met.update(_answers([pool.submit(_introduce) for _ in range(size)]))
        if clock() > give_up:
            raise TimeoutError(NOT_UP)


def _introduce() -> int:
    # Long enough for the others to get a task too
    time.sleep(NAP_SECONDS)
    return this_thread()


def _answers(futures: list[Future]) -> list[Any]:
    give_up = clock() + LIMIT_SECONDS
    return [each.result(max(0.0, give_up - clock())) for each in futures]


def _do_in_asyncio(jobs: list[Job]) -> list[Span]:
    """Begin all `jobs` at once, in an event loop of their own."""
    return asyncio.run(_gather(jobs))


async def _gather(jobs: list[Job]) -> list[Span]:
    done = await asyncio.gather(*map(_wait_then_compute, jobs))
    return [each for spans in done for each in spans]


async def _wait_then_compute(job: Job) -> list[Span]:
    waited = []
    if job.waits:
        start = clock()
        await asyncio.sleep(job.waits)
        waited.append(span(job.name, start, WAITING))
    return waited + _compute(job)


def _compute(job: Job) -> list[Span]:
    if not job.computes:
        return []
    start = clock()
    compute(job.steps)
    done = span(job.name, start)
    return [done._replace(kind=computed_kind(done.seconds, job.computes))]
