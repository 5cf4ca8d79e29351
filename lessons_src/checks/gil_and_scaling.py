"""The exercise checks of lesson 13: laws, what is posted, and how many at a time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from math import isclose
from multiprocessing import get_context, get_start_method, resource_tracker
from multiprocessing.shared_memory import SharedMemory
from numbers import Real
from typing import Any

from lessons_src.gil_and_scaling import amdahl, serial_share
from lessons_src.gil_and_scaling_sharing import make_array, weigh
from lessons_src.tools.verdict import Wrong, judged

# A speed-up, the workers that brought it, and how many we think of
MEASURED = [(1.6, 2, 8), (2.5, 4, 16), (3.0, 8, 2), (4.0, 4, 64)]
MEGABYTES, PARTS, MOST_BYTES = 8, 4, 10_000
CALLS, AT_ONCE = 200, 10
CALL_SECONDS, PATIENCE_SECONDS = 0.005, 20
NO_ANSWER = "There is no answer yet."


@judged
def exercise_1(expect: Callable[[float, int, int], Any]) -> str:
    """Check that `expect` foretells what more workers bring, by Amdahl's law."""
    for speed_up, workers, more in MEASURED:
        found = expect(speed_up, workers, more)
        if found is None:
            raise Wrong(NO_ANSWER, "serial_share gives the share; amdahl takes it.")
        wanted = amdahl(serial_share(speed_up, workers), more)
        case = f"{workers} workers are {speed_up} times as fast; with {more}"
        if not isinstance(found, Real):
            raise Wrong(f"{case}, you return {found!r}, not a number.")
        shared_by_all = isclose(found, speed_up * more / workers)
        if shared_by_all and not isclose(found, wanted):
            raise Wrong(
                f"{case}, you say {found:.3g}: as if all could be shared.",
                "First find the share that could not.",
            )
        if not isclose(found, wanted, rel_tol=0.01):
            raise Wrong(f"{case}, it should be {wanted:.3g}, not {found:.3g}.")
    return "Twice the workers, never quite twice the speed."


@judged
def exercise_2(add_up: Callable[..., Any]) -> str:
    """Check that `add_up` adds in the pool, and posts next to nothing."""
    array = make_array(MEGABYTES)
    wanted = int(array.sum())
    # A forked worker should find the tracker of shared blocks, and not start its own
    resource_tracker.ensure_running()
    context = get_context(get_start_method())
    with _blocks_left() as left, _WeighedPool(2, context) as pool:
        found = add_up(pool, array, PARTS)
        if isinstance(found, Iterable) and not isinstance(found, str):
            found = sum(found)
    if found is None and not pool.letters:
        raise Wrong(NO_ANSWER, "Put the numbers where all can read them.")
    if not pool.letters:
        raise Wrong("The pool had nothing to do.", "pool.map(worker, parts)")
    if sum(pool.letters) > MOST_BYTES:
        raise Wrong(
            f"You posted {sum(pool.letters):,} bytes; {MOST_BYTES:,} are plenty.",
            "Post a name or a path, and which part: not the numbers.",
        )
    if len(pool.letters) < 2:
        raise Wrong("All went in one letter, to one worker.", "One task for each part.")
    if found != wanted:
        raise Wrong(f"The sum is {wanted}, not {found!r}.")
    if left:
        raise Wrong("Your block of shared memory is still there.", "close, then unlink")
    return f"{MEGABYTES} MB added up, and less than {MOST_BYTES:,} bytes posted."


@judged
def exercise_3(call_all: Callable[..., Awaitable[Any]]) -> str:
    """Check that `call_all` calls all, in one thread, and few of them at a time."""
    if not inspect.iscoroutinefunction(call_all):
        raise Wrong("call_all should be a coroutine.", "async def call_all(...)")
    rig = _Line()
    # A notebook's thread has a loop already
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(asyncio.run, rig.watch(call_all)).result()
    if found is None and not rig.most:
        raise Wrong(NO_ANSWER, "asyncio.Semaphore(at_once), and asyncio.gather.")
    if rig.most > AT_ONCE:
        raise Wrong(
            f"{rig.most} calls were open at once; {AT_ONCE} are allowed.",
            "async with a semaphore, around each call.",
        )
    if rig.most < AT_ONCE:
        raise Wrong(
            f"At most {rig.most} of {AT_ONCE} calls were open at once.",
            "Start them all; each waits for its turn at the semaphore.",
        )
    if isinstance(found, Iterable):
        found = list(found)
    if found != [_answer(number) for number in range(CALLS)]:
        raise Wrong("These are not all answers, in the order of the numbers.", "gather")
    return f"{CALLS} calls, never more than {AT_ONCE} open, on one thread."


class _WeighedPool(ProcessPoolExecutor):
    """A process pool that notes how much each letter weighs."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.letters: list[int] = []

    def submit(self, function: Callable, /, *arguments: Any, **named: Any) -> Future:
        self.letters.append(weigh((function, arguments, named)))
        return super().submit(function, *arguments, **named)


class _Line:
    """It answers calls, and counts how many are open at once."""

    def __init__(self) -> None:
        self.open = self.most = 0

    async def call(self, number: int) -> str:
        if number not in range(CALLS):
            raise ValueError(f"there is no number {number!r}")
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(CALL_SECONDS)
        finally:
            self.open -= 1
        return _answer(number)

    async def watch(self, call_all: Callable[..., Awaitable[Any]]) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await call_all(self.call, range(CALLS), AT_ONCE)
        except TimeoutError:
            raise Wrong("Your calls did not come to an end.") from None


def _answer(number: int) -> str:
    return f"answer {number}"


@contextmanager
def _blocks_left() -> Iterator[list[str]]:
    """Yield a list of the blocks of shared memory that were made and not given back.

    It is filled at the end, also after an error, and then they are given back.
    """
    made: list[str] = []
    left: list[str] = []
    original = SharedMemory.__init__

    def noted(self: SharedMemory, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        made.append(self.name)

    SharedMemory.__init__ = noted
    try:
        yield left
    finally:
        SharedMemory.__init__ = original
        left += _given_back(made)


def _given_back(names: list[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        try:
            memory = SharedMemory(name)
        except FileNotFoundError:
            continue
        memory.close()
        memory.unlink()
        yield name
