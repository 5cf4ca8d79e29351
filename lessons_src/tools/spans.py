"""One span: who did what from when to when, on a clock that all processes share.

    start = clock() -> works -> span("task 3", start)

Cheap to import, as spawned workers do; `timeline` hands its names on.
"""

import os
import threading
import time
from itertools import count
from typing import NamedTuple

_threads_seen = count(1)
# From Python 3.12 on; before, there is no executor of sub-interpreters
_in_main_interpreter = getattr(threading, "_is_main_interpreter", lambda: True)


class Span(NamedTuple):
    """One stretch of time in which one worker did one thing.

    Parameters
    ----------
    process
        Number of the process, as the system counts.
    thread
        Number of the thread, as `this_thread` counts.
    task
        Name of the unit of work; the same name means the same task.
    start, stop
        Seconds on `clock`.
    kind
        What the worker did: "working", "waiting", "holding" (a lock), or any
        other word.

    >>> nap = Span(process=7, thread=1, task="nap", start=2.0, stop=2.5)
    >>> nap.kind, nap.seconds, nap.worker
    ('working', 0.5, (7, 1))
    """

    process: int
    thread: int
    task: str
    start: float
    stop: float
    kind: str = "working"

    @property
    def worker(self) -> tuple[int, int]:
        """Who ran: process and thread."""
        return self.process, self.thread

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.stop - self.start


class _ThisThread(threading.local):
    """What Python makes anew in each thread that looks at it."""

    def __init__(self) -> None:
        # The system's number tells sub-interpreters apart, the count tells a
        # thread from an ended one whose number it inherited. A sub-interpreter has
        # one thread, which looks like a new one to it in each call
        seen = next(_threads_seen) if _in_main_interpreter() else 0
        self.number = threading.get_native_id() << 20 | seen


_this_thread = _ThisThread()


def clock() -> float:
    """Return the seconds on a clock that all processes of this machine share.

    `time.perf_counter` reads CLOCK_MONOTONIC on Linux, mach_absolute_time on macOS
    and QueryPerformanceCounter on Windows. Each counts for the whole system, so two
    processes can compare their readings, but two machines cannot. `time.time` is
    shared too, but jumps when somebody sets the clock.

    References
    ----------
    Python documentation, `time.perf_counter` and `time.get_clock_info`; CPython,
    `py_get_monotonic_clock` and `py_get_win_perf_counter` in Python/pytime.c.
    """
    return time.perf_counter()


def this_thread() -> int:
    """Return a number of this thread that no other thread of its process ever has.

    `threading.get_ident` will not do: it is given again once a thread has ended, and
    five threads one after the other would look like one worker.
    """
    return _this_thread.number


def span(task: str, start: float, kind: str = "working") -> Span:
    """Return the span of `task` that began at `start`, a `clock`, and ends now.

    >>> start = clock()
    >>> nap = span("nap", start)
    >>> nap.task, nap.kind, nap.start == start, nap.stop >= start
    ('nap', 'working', True, True)
    """
    stop = time.perf_counter()
    return Span(os.getpid(), _this_thread.number, task, start, stop, kind)
