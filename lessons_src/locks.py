"""Lesson 05, Locks: accounts and workers, and what is rigged to meet or to be seen.

thread A:  reads 0 ... meets B ... writes 5     both read before either writes,
thread B:  reads 0 ... meets A ... writes 5     and one deposit is lost
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing import get_all_start_methods
from typing import TYPE_CHECKING, Any, NamedTuple

from lessons_src.tools.timeline import Recorder, Span

if TYPE_CHECKING:
    from ctypes import c_int
    from multiprocessing.context import BaseContext

    from lessons_src.tools.leash import Outcome

WAIT_SECONDS = 60
COUNTING_SECONDS = 0.2
BOOKING_SECONDS = 0.1
STACK = re.compile(r'call first\):\n  File "listing\.py", line (\d+) in (\w+)')


def go_on() -> None:
    """Do nothing: no pause at all."""


class Meeting:
    """A pause that ends when `parties` threads have come, or after `patience` seconds.

    >>> alone = Meeting(2, patience=0.01)
    >>> alone()
    >>> alone.happened
    False
    """

    def __init__(self, parties: int, patience: float) -> None:
        self.happened = False
        self._all_here = threading.Barrier(parties)
        self._patience = patience

    def __call__(self) -> None:
        """Wait for the others, but not for ever."""
        with suppress(threading.BrokenBarrierError):
            self._all_here.wait(self._patience)
            self.happened = True


class Account:
    """A balance, the lock that goes with it, and a pause before each writing."""

    def __init__(self, pause: Callable[[], object] = go_on) -> None:
        self.balance = 0
        self.lock = threading.Lock()
        self.pause = pause


class TwoDeposits(NamedTuple):
    """Whether two threads met in the pause, and the balance after two deposits."""

    met: bool
    balance: int


class SoldOut(Exception):
    """There is no seat left."""


def deposit(account: Account, amount: int) -> None:
    """Add `amount` to the balance, in two steps that another thread can part."""
    seen = account.balance
    account.pause()
    account.balance = seen + amount


def deposit_locked(account: Account, amount: int) -> None:
    """Add `amount` to the balance while nobody else can."""
    with account.lock:
        deposit(account, amount)


def two_deposits(worker: Callable[..., None], patience: float) -> TwoDeposits:
    """Deposit 5 twice by `worker`, in two threads that try to meet in the pause."""
    meeting = Meeting(2, patience)
    account = Account(pause=meeting)
    run_together(worker, (account, 5), (account, 5))
    return TwoDeposits(meeting.happened, account.balance)


def bare(lock: threading.Lock, work: Callable[[], object]) -> None:
    """Do `work` under `lock`, but wrong on purpose: an error skips the release."""
    lock.acquire()
    work()
    lock.release()


def try_finally(lock: threading.Lock, work: Callable[[], object]) -> None:
    """Do `work` under `lock`, and release it whatever happens."""
    lock.acquire()
    try:
        work()
    finally:
        lock.release()


def with_block(lock: threading.Lock, work: Callable[[], object]) -> None:
    """Do `work` under `lock`: the same as `try_finally`, in two lines."""
    with lock:
        work()


def leaves_locked(hold: Callable[..., None]) -> bool:
    """Tell whether `hold` leaves a lock held when the work under it fails.

    >>> leaves_locked(bare), leaves_locked(with_block)
    (True, False)
    """
    lock = threading.Lock()
    with suppress(ZeroDivisionError):
        hold(lock, lambda: 1 / 0)
    return lock.locked()


def run_together(function: Callable[..., Any], *calls: tuple) -> list[Any]:
    """Run `function` on each of `calls`, all in threads; join them, return the answers.

    >>> run_together(max, (1, 2), (4, 3))
    [2, 4]

    What one of them raises is raised here, after all have ended.
    """
    with ThreadPoolExecutor(len(calls)) as threads:
        tickets = [threads.submit(function, *call) for call in calls]
    for error in filter(None, [ticket.exception() for ticket in tickets]):
        raise error
    return [ticket.result() for ticket in tickets]


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `function(*arguments)` returns in another thread."""
    return run_together(function, arguments)[0]


class RecordedLock:
    """A lock that leaves in `recorder` who waited for it and who held it."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._lock = threading.Lock()

    @contextmanager
    def held_by(self, task: str, ask: Callable[[], object] = go_on) -> Iterator[None]:
        """Hold the lock for `task`; call `ask` when the waiting has begun."""
        with self.recorder.span(task, "waiting"):
            ask()
            self._lock.acquire()
        try:
            # Inside the lock, or two holders would seem to overlap
            with self.recorder.span(task, "holding"):
                yield
        finally:
            self._lock.release()


def count_inside(lock: RecordedLock, meet: Meeting, task: str) -> None:
    """Count coins and book them, all of it under the lock."""
    with lock.held_by(task, ask=meet):
        with lock.recorder.span(task):
            time.sleep(COUNTING_SECONDS)
        time.sleep(BOOKING_SECONDS)


def count_outside(lock: RecordedLock, meet: Meeting, task: str) -> None:
    """Count coins first; only the booking needs the lock."""
    with lock.recorder.span(task):
        meet()
        time.sleep(COUNTING_SECONDS)
    with lock.held_by(task):
        time.sleep(BOOKING_SECONDS)


def watch_three(worker: Callable[..., None]) -> list[Span]:
    """Run `worker` for three customers of one lock; return who did what, and when."""
    lock, meet = RecordedLock(Recorder()), Meeting(3, WAIT_SECONDS)
    run_together(worker, *[(lock, meet, name) for name in ("Ada", "Ben", "Cy")])
    return lock.recorder.spans


def plus_equals(gil: bool) -> str:
    """Run the program `locks_plus_equals` with or without a GIL; return its text.

    Where no Python can run without a GIL, return the transcript of a run on Linux.
    """
    from lessons_src.tools.machine import free_threaded_python
    from lessons_src.tools.recorded import live_or_recorded

    name = "locks_plus_equals"
    if gil:
        # A free-threaded Python can run with a GIL, too
        return _run(name, 10, env={"PYTHON_GIL": "1"}).output
    python = free_threaded_python()
    # On one core, losses are rare; the program stops at the first one
    return live_or_recorded(
        name, lambda: _run(name, 200, python=python).output, python is not None
    )


def hold_in_two_processes() -> str:
    """Run the program `locks_two_processes`, which forks; return its text.

    Where there is no fork, return the transcript of a run on Linux.
    """
    from lessons_src.tools.recorded import live_or_recorded

    name = "locks_two_processes"
    live = "fork" in get_all_start_methods()
    return live_or_recorded(name, lambda: _run(name).output, live)


def where_they_stand(name: str) -> str:
    """Run the program `name`, which ends with its stacks; say where its threads stand.

    What it printed before comes first.
    """
    from lessons_src.tools.programs import program

    run = _run(name)
    return "\n".join([run.output + run.ended, *standing(run.errors, program(name))])


def standing(stacks: str, text: str) -> list[str]:
    r"""Say where each thread of the program `text` stands, from its `stacks`.

    >>> text = "def pay():\n    lock.acquire()"
    >>> stack = 'Thread 1 (most recent call first):\n  File "listing.py", line 2 in pay'
    >>> standing(stack, text)
    ['pay stands at: lock.acquire()']
    """
    lines = text.splitlines()
    found = STACK.findall(stacks)
    return sorted(
        f"{function} stands at: {lines[int(number) - 1].strip()}"
        for number, function in found
    )


def deposit_often(lock: AbstractContextManager, balance: "c_int", times: int) -> None:
    """Add 1 to the shared `balance`, `times` times, each under `lock`."""
    for _ in range(times):
        with lock:
            balance.value = balance.value + 1


def in_two_processes(context: "BaseContext", times: int) -> int:
    """Let two processes deposit under one lock; return the balance."""
    lock, balance = context.Lock(), context.Value("i", 0, lock=False)
    arguments = lock, balance, times
    workers = [context.Process(target=deposit_often, args=arguments) for _ in "AB"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WAIT_SECONDS)
    return balance.value


def _run(name: str, *arguments: object, **how: Any) -> "Outcome":
    from lessons_src.tools.leash import run_code
    from lessons_src.tools.programs import program

    return run_code(program(name), WAIT_SECONDS, *arguments, **how)
