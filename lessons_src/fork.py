"""Lesson 03, Fork: what several processes share, by accident and on purpose.

    os.fork()   parent ---+--- the same program, fork returned the child's id
                          +--- the same program, fork returned 0

    Process     parent  -- function, arguments -->  child: runs the function, ends

Nothing here forks when it is imported. The programs that do are in the folder
`listings`, their names begin with `fork_`, and they run on a leash.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_all_start_methods
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lessons_src.tools.timeline import Span, clock, span

# A spawned child imports this module: what only readers or the parent need is
# imported here, for the names, or in the function that needs it
if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from multiprocessing.sharedctypes import Synchronized, SynchronizedArray
    from multiprocessing.synchronize import Barrier

    from lessons_src.tools.leash import Outcome

START_METHODS = ("fork", "forkserver", "spawn")
PROGRAM_SECONDS = 30
WAIT_SECONDS = 60
MEMORY_MAP = Path("/proc/self/smaps_rollup")


class StartUp(NamedTuple):
    """Some children of one start method, one after the other.

    Parameters
    ----------
    starting
        From the order to start a child to its first line.
    working
        What each child did then.
    own_bytes
        The memory that each child shared with nobody at its end.
    """

    starting: list[Span]
    working: list[Span]
    own_bytes: list[int]

    @property
    def first_ms(self) -> float:
        """Milliseconds that the first child took to start."""
        return 1000 * self.starting[0].seconds

    @property
    def next_ms(self) -> float:
        """Milliseconds that the other children took to start, the median."""
        return 1000 * _median(start.seconds for start in self.starting[1:])

    @property
    def own_mb(self) -> float:
        """Megabytes that a child shared with nobody, the median."""
        return _median(self.own_bytes) / 2**20


def count_primes(start: int, stop: int) -> int:
    """Count the primes from `start` up to, not including, `stop`.

    >>> count_primes(0, 50), count_primes(50, 100)
    (15, 10)
    """
    return sum(map(is_prime, range(start, stop)))


def is_prime(number: int) -> bool:
    """Tell whether `number` can be divided by 1 and itself only.

    >>> [number for number in range(12) if is_prime(number)]
    [2, 3, 5, 7, 11]
    """
    return number > 1 and all(number % factor for factor in range(2, number))


def add_primes(counter: Synchronized, start: int, stop: int) -> None:
    """Add 1 to `counter` for each prime from `start` to `stop`."""
    for number in range(start, stop):
        if is_prime(number):
            with counter.get_lock():
                counter.value += 1


def add_one_late(counter: Synchronized, meet: Barrier) -> None:
    """Add 1 to `counter`, but wrong on purpose: all read before anyone writes."""
    seen = counter.value
    meet.wait(WAIT_SECONDS)
    counter.value = seen + 1


def fill_slot(counts: SynchronizedArray, slot: int, start: int, stop: int) -> None:
    """Put the number of primes from `start` to `stop` into `counts[slot]`."""
    counts[slot] = count_primes(start, stop)


def mark_primes(name: str, start: int, stop: int) -> None:
    """Set byte n of the shared memory `name` to 1 for each prime n of a range."""
    block = SharedMemory(name)
    for number in range(start, stop):
        block.buf[number] = is_prime(number)
    block.close()


def note_primes(notes: dict[str, int], start: int, stop: int) -> None:
    """Note in `notes`, a manager's dict, how many primes a range has."""
    notes[f"{start} to {stop - 1}"] = count_primes(start, stop)


def leave(exit_code: int) -> None:
    """End this process with `exit_code`."""
    sys.exit(exit_code)


@contextmanager
def shared_bytes(size: int) -> Iterator[SharedMemory]:
    """Make a block of `size` bytes for all processes, and remove it at the end."""
    block = SharedMemory(create=True, size=size)
    try:
        yield block
    finally:
        block.close()
        block.unlink()


def run_processes(
    context: BaseContext, worker: Any, arguments: Sequence[tuple]
) -> list[int | None]:
    """Run `worker` in a process for each of `arguments`; return the exit codes."""
    processes = [context.Process(target=worker, args=given) for given in arguments]
    for process in processes:
        process.start()
    return [join(process) for process in processes]


def join(process: BaseProcess) -> int | None:
    """Wait for `process`, but not for ever, and return its exit code."""
    process.join(WAIT_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def wait_for_children() -> None:
    """Wait until all forked children of this process have ended."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def own_megabytes() -> float:
    """Return the memory that this process shares with nobody, in whole tens of MB.

    Linux only. A page that no other process maps is private.
    """
    rows = [row.split() for row in MEMORY_MAP.read_text().splitlines()[1:]]
    kilobytes = sum(int(row[1]) for row in rows if row[0].startswith("Private"))
    return round(kilobytes / 1024, -1)


def report_home(pipe: Connection, number: int, ordered: float) -> None:
    """Send when child `number`, `ordered` by then, began and worked, and its size."""
    arrived = span(f"start {number}", ordered, "waiting")
    begun = clock()
    count_primes(0, 1_000)
    pipe.send((arrived, span(f"work {number}", begun), _own_bytes()))


def can_fork() -> bool:
    """Tell whether this system has `os.fork`."""
    return hasattr(os, "fork")


def run_program(name: str, *arguments: str, limit: float = PROGRAM_SECONDS) -> str:
    """Run the program `name` on a leash and return what it printed.

    Where it cannot run, return the transcript of a run on Linux.
    """
    from lessons_src.tools.recorded import live_or_recorded

    def run() -> str:
        return transcript_of(watch(name, *arguments, limit=limit))

    live = can_run(name, *arguments)
    return live_or_recorded("_".join([name, *arguments]), run, live)


def watch(name: str, *arguments: str, limit: float = PROGRAM_SECONDS) -> Outcome:
    """Run the program `name` on a leash of `limit` seconds."""
    from lessons_src.tools.leash import run_code
    from lessons_src.tools.programs import program

    return run_code(program(name), limit, *arguments)


def transcript_of(outcome: Outcome) -> str:
    r"""Return what a program printed, and how it ended if not in peace.

    >>> from lessons_src.tools.leash import Outcome
    >>> print(transcript_of(Outcome(None, None, "so far\n", "", hung=True, limit=3)))
    so far
    --> hung: stopped after 3 s
    """
    lines = outcome.output.splitlines()
    if outcome.exit_code != 0:
        lines.append(f"--> {outcome.ended}")
    return "\n".join(lines)


def can_run(name: str, *arguments: str) -> bool:
    """Tell whether this system can run the program `name` with these `arguments`."""
    if "memory" in name:
        return can_fork() and MEMORY_MAP.exists()
    if arguments:
        return arguments[0] in get_all_start_methods()
    return can_fork()


def own_methods() -> list[str]:
    """Return those of the three start methods that this system has."""
    return [method for method in START_METHODS if method in get_all_start_methods()]


def start_children(method: str) -> StartUp:
    """Start a few children by `method` in a fresh interpreter, and measure them."""
    outcome = watch("fork_start_up", method, limit=WAIT_SECONDS)
    if outcome.exit_code != 0:
        raise ChildProcessError(f"{outcome.ended}\n{outcome.errors}")
    starting, working, own_bytes = zip(*json.loads(outcome.output), strict=True)
    return StartUp(spans(starting), spans(working), list(own_bytes))


def table(runs: dict[str, StartUp]) -> str:
    """Lay out what `start_children` measured for each start method.

    >>> nap = Span(1, 1, "start", 0.0, 0.002)
    >>> print(table({"fork": StartUp([nap, nap], [nap, nap], [2**20, 2**20])}))
    start method  first child  next children  own memory
    fork               2.0 ms         2.0 ms      1.0 MB
    """
    lines = ["start method  first child  next children  own memory"]
    for name, run in runs.items():
        first, following = f"{run.first_ms:.1f} ms", f"{run.next_ms:.1f} ms"
        size = f"{run.own_mb:.1f} MB"
        lines.append(f"{name:<12}{first:>13}{following:>15}{size:>12}")
    return "\n".join(lines)


def compare(runs: dict[str, StartUp]) -> str:
    """Say what holds on every system about the three start methods."""
    from lessons_src.tools.recorded import live_or_recorded

    live = set(runs) == set(START_METHODS)
    return live_or_recorded("fork_compare", lambda: _relations(**runs), live)


def _relations(fork: StartUp, forkserver: StartUp, spawn: StartUp) -> str:
    slow = spawn.next_ms > 3 * fork.next_ms
    warm = forkserver.first_ms > 2 * forkserver.next_ms
    large = spawn.own_mb > 3 * fork.own_mb
    return (
        f"spawn takes more than 3 times as long as fork: {slow}\n"
        f"forkserver's first child takes more than 2 times as long as others: {warm}\n"
        f"a spawned child owns more than 3 times the memory of a forked one: {large}"
    )


def spans(rows: Sequence[Sequence]) -> list[Span]:
    """Make spans of the rows that JSON keeps of them.

    >>> spans([[7, 1, "nap", 2.0, 2.5, "waiting"]])[0].seconds
    0.5
    """
    return [Span(*row) for row in rows]


def _own_bytes() -> int:
    import psutil

    # Of this very process: macOS tells nobody else
    return psutil.Process().memory_full_info().uss


def _median(numbers: Iterable[float]) -> float:
    # The module statistics loads a dozen others, in each child
    ordered = sorted(numbers)
    return ordered[len(ordered) // 2]
