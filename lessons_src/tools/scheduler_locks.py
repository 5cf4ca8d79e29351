"""Locks, events and queues that the scheduler can see: drop-ins for Python's own.

Only one thread runs at a time, so a plain variable is enough for each. To wait is to
tell the scheduler for what, and to let another thread run.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

_here = threading.local()


class Wait(NamedTuple):
    """What a thread waits for: until `over()`, or, if it `may_give_up`, less."""

    primitive: "Primitive"
    over: Callable[[], bool]
    may_give_up: bool


class Outside(RuntimeError):
    """Something would wait outside of a run, where nobody could end it."""


def enter(thread: Any) -> None:
    """Make `thread`, of the scheduler, the one that runs here."""
    _here.thread = thread


def name_here() -> str:
    """Return the name of the thread that runs here, "main" outside of a run."""
    return _here.thread.name if hasattr(_here, "thread") else "main"


class Primitive:
    """Something that threads wait for."""

    def _begin(self) -> None:
        """Begin a step of its own, if this statement has waited for something else.

        So `with a, b:` can be interrupted between its two locks, as it can in Python.
        """
        if hasattr(_here, "thread"):
            _here.thread.begin_to_wait(self)

    def _wait(
        self, over: Callable[[], bool], blocking: bool = True, timeout: float = -1
    ) -> bool:
        """Wait until `over()`; False if the wait was given up.

        No time passes here: whoever waits with a limit gives up whenever the
        scheduler lets it run too early.
        """
        if over():
            return True
        if not blocking or timeout == 0:
            return False
        if not hasattr(_here, "thread"):
            raise Outside(f"a {type(self).__name__} would wait for ever outside a run")
        gives_up = timeout is not None and timeout > 0
        while not over():
            _here.thread.block(Wait(self, over, gives_up))
            if gives_up:
                return over()
        return True


class Lock(Primitive):
    """Like `threading.Lock`: at most one thread has it, and any may release it."""

    def __init__(self) -> None:
        self.owner: str | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; False if it was not to be had."""
        self._begin()
        if not self._wait(lambda: self.owner is None, blocking, timeout):
            return False
        self.owner = name_here()
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self.owner is None:
            raise RuntimeError("release unlocked lock")
        self.owner = None

    def locked(self) -> bool:
        """Tell whether a thread has the lock."""
        return self.owner is not None

    def _let_go(self) -> int:
        """Give the lock back for a while, however often it was taken."""
        self.owner = None
        return 1

    def _take_again(self, name: str, count: int) -> None:
        self.owner = name

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"held by {self.owner}" if self.owner else "free"


class RLock(Lock):
    """Like `threading.RLock`: its owner may take it again, and must give it back."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, once more if this thread has it already."""
        self._begin()
        mine = (None, name_here())
        if not self._wait(lambda: self.owner in mine, blocking, timeout):
            return False
        self.owner = name_here()
        self.count += 1
        return True

    def release(self) -> None:
        """Give the lock back once."""
        if self.owner != name_here():
            raise RuntimeError("cannot release un-acquired lock")
        self.count -= 1
        if not self.count:
            self.owner = None

    def _let_go(self) -> int:
        self.owner, self.count, count = None, 0, self.count
        return count

    def _take_again(self, name: str, count: int) -> None:
        self.owner, self.count = name, count

    def __repr__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return super().__repr__() + times


class Semaphore(Primitive):
    """Like `threading.Semaphore`: at most `value` threads are inside."""

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self.value = value

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Go in; False if there was no room."""
        self._begin()
        if not self._wait(lambda: self.value > 0, blocking, timeout):
            return False
        self.value -= 1
        return True

    def release(self, n: int = 1) -> None:
        """Make room for `n` more."""
        if n < 1:
            raise ValueError("n must be one or more")
        self.value += n

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"{self.value} free"


class Event(Primitive):
    """Like `threading.Event`: threads wait until another one sets it."""

    def __init__(self) -> None:
        self.flag = False

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self.flag

    def set(self) -> None:
        """Let all go on that wait, now or later."""
        self.flag = True

    def clear(self) -> None:
        """Make threads wait again."""
        self.flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; False if the wait was given up."""
        self._begin()
        return self._wait(lambda: self.flag, timeout=timeout)

    def __repr__(self) -> str:
        return "set" if self.flag else "not set"


class Condition(Primitive):
    """Like `threading.Condition`: wait, without the lock, to be notified."""

    def __init__(self, lock: Lock | None = None) -> None:
        self.lock = RLock() if lock is None else lock
        self.waiting: list[str] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; False if it was not to be had."""
        return self.lock.acquire(blocking, timeout)

    def release(self) -> None:
        """Give the lock back."""
        self.lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back, wait to be notified, take the lock again."""
        name = self._name_of_owner("wait on")
        taken = self.lock._let_go()
        self.waiting.append(name)

        def notified() -> bool:
            return name not in self.waiting

        in_time = self._wait(lambda: notified() and self._lock_is_free(), True, timeout)
        if not in_time:
            in_time = notified()
            self.waiting = [each for each in self.waiting if each != name]
            self._wait(self._lock_is_free)
        self.lock._take_again(name, taken)
        return in_time

    def wait_for(
        self, predicate: Callable[[], Any], timeout: float | None = None
    ) -> Any:
        """Wait until `predicate()` is true; return what it gave last."""
        while not (true := predicate()):
            if not self.wait(timeout):
                return predicate()
        return true

    def notify(self, n: int = 1) -> None:
        """Wake the `n` threads that have waited longest."""
        self._name_of_owner("notify on")
        del self.waiting[:n]

    def notify_all(self) -> None:
        """Wake all that wait."""
        self.notify(len(self.waiting))

    def _lock_is_free(self) -> bool:
        return self.lock.owner is None

    def _name_of_owner(self, what: str) -> str:
        if self.lock.owner != name_here():
            raise RuntimeError(f"cannot {what} un-acquired lock")
        return self.lock.owner

    def __enter__(self) -> bool:
        return self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.lock.release()

    def __repr__(self) -> str:
        return f"{self.lock}, waiting: {', '.join(self.waiting) or 'nobody'}"


class Queue(Primitive):
    """Like `queue.Queue`: first in, first out, at most `maxsize` items if it is > 0."""

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self.items: deque[Any] = deque()
        self.unfinished = 0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put `item` at the end, when there is room."""
        self._begin()
        if not self._wait(lambda: not self.full(), block, timeout):
            raise queue.Full
        self.items.append(item)
        self.unfinished += 1

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the first item, when there is one."""
        self._begin()
        if not self._wait(lambda: not self.empty(), block, timeout):
            raise queue.Empty
        return self.items.popleft()

    def put_nowait(self, item: Any) -> None:
        """Put `item` at the end, or raise `queue.Full`."""
        self.put(item, block=False)

    def get_nowait(self) -> Any:
        """Take the first item, or raise `queue.Empty`."""
        return self.get(block=False)

    def task_done(self) -> None:
        """Tell that an item from the queue has been dealt with."""
        if not self.unfinished:
            raise ValueError("task_done() called too many times")
        self.unfinished -= 1

    def join(self) -> None:
        """Wait until all items have been dealt with."""
        self._begin()
        self._wait(lambda: not self.unfinished)

    def qsize(self) -> int:
        """Return how many items are in the queue."""
        return len(self.items)

    def empty(self) -> bool:
        """Tell whether no item is in the queue."""
        return not self.items

    def full(self) -> bool:
        """Tell whether there is no room for another item."""
        return 0 < self.maxsize <= len(self.items)

    def __repr__(self) -> str:
        return repr(list(self.items))
