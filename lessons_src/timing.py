"""Lesson 08, Timing: tasks whose cost is known, and clocks that are rigged.

three clocks -> task: wait, work or write -> the same clocks again -> Measured
"""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from math import isqrt
from multiprocessing import get_all_start_methods
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from lessons_src.tools.timeline import Span, clock, span

BLOCK_BYTES = 1 << 20
GIVE_UP_SECONDS = 20
PROGRAM_LIMIT_SECONDS = 60
METHODS = {"fork", "spawn", "forkserver"}


class Measured(NamedTuple):
    """The `answer` of a task, its span, and the CPU seconds that two clocks counted.

    `thread_cpu` is what the calling thread used, `process_cpu` what all threads of
    the calling process did.
    """

    answer: Any
    span: Span
    thread_cpu: float
    process_cpu: float

    @property
    def wall(self) -> float:
        """The seconds from start to stop."""
        return self.span.seconds


class Usage(NamedTuple):
    """CPU seconds spent in the program's own code, and in the system on its behalf."""

    user: float
    system: float


def wait(seconds: float) -> None:
    """Sleep for `seconds`, as one waits for a server."""
    time.sleep(seconds)


def work(seconds: float) -> None:
    """Compute until this thread has used `seconds` of a core, however long it takes."""
    done = time.thread_time() + seconds
    while time.thread_time() < done:
        sum(range(1000))


def write(seconds: float) -> None:
    """Write one file over and over until this thread has used `seconds` of a core."""
    block, done = bytes(BLOCK_BYTES), time.thread_time() + seconds
    # On a disk that makes its writers wait, that may take for ever
    give_up = clock() + GIVE_UP_SECONDS
    with TemporaryFile(buffering=0) as file:
        while time.thread_time() < done and clock() < give_up:
            file.seek(0)
            file.write(block)


def count_primes(limit: int) -> int:
    """Count the primes below `limit`.

    >>> count_primes(10)
    4
    """
    numbers = range(2, limit)
    return sum(all(n % d for d in range(2, isqrt(n) + 1)) for n in numbers)


def measure(task: Callable[..., object], *arguments: Any) -> Measured:
    """Read three clocks before and after `task(*arguments)`.

    >>> measure(count_primes, 10).answer
    4
    """
    thread, process = time.thread_time(), time.process_time()
    start = clock()
    answer = task(*arguments)
    name = getattr(task, "__name__", "task")
    bar = span(name, start, "waiting" if task is wait else "working")
    process, thread = time.process_time() - process, time.thread_time() - thread
    return Measured(answer, bar, thread, process)


def collect(
    method: Callable[..., Iterable[Measured]],
    worker: Callable[[float], Measured],
    items: Collection[float],
) -> list[Measured]:
    """Return what `method(worker, items)` brings, when all of it is there.

    >>> collect(map, abs, [-1, 2])
    [1, 2]
    """
    return list(method(worker, items))


def counted_table(runs: Mapping[str, Measured], unit: float) -> str:
    """Say how many `unit` seconds of CPU each clock counted in each of `runs`.

    The answer of a run is what its workers measured.

    >>> inner = Measured(None, Span(8, 1, "work", 0, 1), 0.3, 0.3)
    >>> outer = Measured([inner, inner], Span(7, 1, "collect", 0, 1), 0.0, 0.01)
    >>> print(counted_table({"two processes": outer}, 0.3))
    run              thread_time  process_time  the workers' own
    two processes              0             0                 2
    """
    lines = ["run              thread_time  process_time  the workers' own"]
    for name, run in runs.items():
        own = sum(each.thread_cpu for each in run.answer)
        columns = zip((run.thread_cpu, run.process_cpu, own), (11, 12, 16), strict=True)
        counts = [f"{round(cpu / unit):{width}}" for cpu, width in columns]
        lines.append("  ".join([f"{name:<15}", *counts]))
    return "\n".join(lines)


def usage_of(task: Callable[[float], object], seconds: float) -> Usage:
    """Return what `task(seconds)` used of the CPU, in and outside of the system."""
    before = os.times()
    task(seconds)
    after = os.times()
    return Usage(after.user - before.user, after.system - before.system)


def mostly(usage: Usage, unit: float) -> str:
    """Say where most of `usage` was spent, if it is worth the name.

    >>> mostly(Usage(user=0.3, system=0.01), unit=0.3)
    'user'
    >>> mostly(Usage(user=0.01, system=0.02), unit=0.3)
    'neither'
    """
    if usage.user + usage.system < unit / 2:
        return "neither"
    return "user" if usage.user > usage.system else "sys"


def living_children_cpu() -> float:
    """Return the CPU seconds used so far by all processes that stem from this one."""
    import psutil

    seconds = 0.0
    for child in psutil.Process().children(recursive=True):
        # One may end just now
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            seconds += times.user + times.system
    return seconds


def account_of_children() -> str:
    """Run the program `timing_children`, or show its transcript where it cannot run."""
    from lessons_src.tools.leash import run_code
    from lessons_src.tools.programs import program
    from lessons_src.tools.recorded import live_or_recorded

    def run() -> str:
        return run_code(program("timing_children"), PROGRAM_LIMIT_SECONDS).output

    live = bool(find_spec("resource")) and set(get_all_start_methods()) >= METHODS
    return live_or_recorded("timing_children", run, live)


def coarse(fine: Callable[[], float], tick: float) -> float:
    """Read the clock `fine` as if it moved only every `tick` seconds.

    >>> coarse(lambda: 2.7, tick=0.5)
    2.5
    """
    return fine() // tick * tick


class SetBack:
    """A wall clock that somebody sets back by `seconds` after the first look.

    >>> clock = SetBack(3600)
    >>> first = clock()
    >>> clock() < first
    True
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.looks = 0

    def __call__(self) -> float:
        """Return what the clock shows now."""
        self.looks += 1
        return time.time() - (self.seconds if self.looks > 1 else 0)


class BusyMachine:
    """A make-believe machine that is slow in its `busy` runs, on its own clock.

    >>> machine = BusyMachine(busy=[2], slow=3)
    >>> for _ in range(3):
    ...     machine.run(1)
    >>> machine.clock()
    5
    """

    def __init__(self, busy: Iterable[int] = (), slow: int = 3) -> None:
        self.busy = set(busy)
        self.slow = slow
        self.runs: list[float] = []
        self.now = 0

    def run(self, seconds: int) -> None:
        """Let a task of `seconds` pass, on the clock only."""
        self.runs.append(seconds)
        self.now += seconds * (self.slow if len(self.runs) in self.busy else 1)

    def clock(self) -> int:
        """Return the seconds that have passed on this machine."""
        return self.now
