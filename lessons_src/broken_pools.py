"""Lesson 11, Broken pools: what ends a worker, and what is lost with it.

    the notebook         the pool
    tasks   -----------> worker: answer, answer, *dies*
    BrokenProcessPool <- the executor ends the other workers as well
    nothing, ever     <- a multiprocessing.Pool starts a new worker, and forgets

The programs that break pools on a leash are in the folder `listings`, their names
begin with `broken_pools_`; `broken_pools_tables` runs them.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, NamedTuple

from lessons_src.tools.timeline import Recorder, Span

PARCELS = ["apples", "books", "bomb", "cups", "dates", "eggs"]
# In the story of one pool they are being opened when the bomb goes off
BUSY = ("books", "cups")
NAP_SECONDS = 0.1
LONG_SECONDS = 60
END_OF_EXECUTOR = "--- the executor is done ---"
ERROR_LINE = re.compile(r"(?:Fatal Python error: |^(?:\w+\.)*(?=\w+Error))(.+?)(?::|$)")


class Cause(NamedTuple):
    """One way to spoil a task: what is called with what, or what goes before it."""

    function: Callable[..., Any]
    arguments: tuple = ()
    initializer: Callable[[], None] | None = None


class Fate(NamedTuple):
    """What came of one `Cause`, and of the tasks handed in before and after it.

    Parameters
    ----------
    careful
        The name of the error that `try` and `except` in the worker caught, or "".
    task, after
        What `result` gave for the spoilt task, and for the next one.
    why
        The error that the `__cause__` of a BrokenProcessPool names, or "".
    exit_code, signal
        How the worker ended that opened the task before, if it did; the name of the
        signal, or "".
    pool_task, pool_after
        The answer or the error of the two out of a `multiprocessing.Pool`, or "never".
    stderr
        The error that the executor's worker named on it last, or "".
    recorded
        Whether this system lacks that cause, and the fate is that of a run on Linux.
    """

    name: str
    before: str
    careful: str
    task: str
    why: str
    after: str
    exit_code: int | None
    # A name, for a recorded one may be of a signal that this system does not know
    signal: str
    pool_task: str
    pool_after: str
    stderr: str = ""
    recorded: bool = False


class SlowDown(Exception):
    """What the client of a server raises, and how it often looks: it must have both."""

    def __init__(self, message: str, *, response: int) -> None:
        super().__init__(message)
        self.response = response


class Sealed:
    """Something that can be pickled, and not be unpickled."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return break_seal, ()


def break_seal() -> None:
    """Fail, as what a pickle calls may fail in another process."""
    raise ValueError("nobody can open this")


def open_parcel(parcel: str) -> str:
    """Open `parcel`: the task of this lesson. Some are a surprise.

    >>> open_parcel("apples")
    'apples unpacked'
    """
    if parcel in SURPRISES:
        return SURPRISES[parcel]()
    return f"{parcel} unpacked"


def open_unhurried(parcel: str) -> str:
    """Open `parcel` after a nap, long enough to be seen on a timeline."""
    time.sleep(2 * NAP_SECONDS)
    return open_parcel(parcel)


def open_on_record(recorder: Recorder, parcel: str) -> str:
    """Open `parcel`, and leave its span in `recorder`."""
    with recorder.span(parcel):
        return open_parcel(parcel)


def open_slowly(recorder: Recorder, parcel: str) -> str:
    """Open `parcel` and leave marks; the bomb waits until `BUSY` are at work."""
    leave_mark(recorder, parcel, "begun")
    while parcel == "bomb" and not {mark.task for mark in recorder.spans} >= set(BUSY):
        time.sleep(0.01)
    time.sleep(LONG_SECONDS if parcel in BUSY else NAP_SECONDS)
    answer = open_parcel(parcel)
    leave_mark(recorder, parcel, "done")
    return answer


def leave_mark(recorder: Recorder, parcel: str, kind: str) -> None:
    """Leave a span without length in `recorder`."""
    with recorder.span(parcel, kind):
        pass


def story_of(marks: Iterable[Span], stop: float) -> list[Span]:
    """Make one span of the marks of each parcel; those not done end at `stop`.

    >>> begun = Span(7, 1, "bomb", 2.0, 2.0, "begun")
    >>> story_of([begun], 3.5)[0].kind, story_of([begun], 3.5)[0].seconds
    ('died', 1.5)
    """
    marks = list(marks)
    done = {mark.task: mark.start for mark in marks if mark.kind == "done"}
    story = []
    for mark in (mark for mark in marks if mark.kind == "begun"):
        cut = "died" if mark.task == "bomb" else "cut off"
        kind = "working" if mark.task in done else cut
        story.append(mark._replace(stop=done.get(mark.task, stop), kind=kind))
    return story


def last_error(text: str) -> str:
    r"""Return the name of the last error that Python printed in `text`, or "".

    >>> last_error("Traceback ...\nTypeError: 1 missing\n")
    'TypeError'
    >>> last_error("Process 12 terminated abruptly with exit code -9")
    ''
    """
    found = [match for line in text.splitlines() if (match := ERROR_LINE.match(line))]
    return found[-1][1] if found else ""


def careful(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function`; an error is turned into plain data, as the article tries to.

    >>> careful(int, "6"), careful(int, "six")
    (6, ('caught', 'ValueError'))
    """
    try:
        return function(*arguments)
    except Exception as error:
        return "caught", type(error).__name__


def ask_server() -> None:
    """Fail as the client of a busy server does."""
    raise SlowDown("too many requests", response=429)


def fail_with_lock() -> None:
    """Raise an error that holds a lock, so that it cannot be pickled."""
    raise ValueError(threading.Lock())


def interrupt() -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


def dig(depth: int = 0) -> int:
    """Call itself for ever."""
    return dig(depth + 1)


def dig_in_c() -> bool:
    """Compare two lists in lists in lists; C code calls itself for it, unlimited."""
    one: list = []
    other: list = []
    for _ in range(400_000):
        one, other = [one], [other]
    sys.setrecursionlimit(100_000_000)
    return one == other


def die_of(name: str) -> None:
    """Send this process the signal `name`."""
    os.kill(os.getpid(), getattr(signal, name))


SURPRISES = {
    "bomb": partial(os._exit, 7),
    "rock": partial(int, "rock"),
    "exit": partial(sys.exit, 3),
    "sealed box": Sealed,
    "busy line": ask_server,
    "glue": partial(time.sleep, LONG_SECONDS),
}
CAUSES = {
    "an error": Cause(int, ("six",)),
    "asks for too much memory": Cause(bytearray, (sys.maxsize - 99,)),
    "recursion without end": Cause(dig),
    "sys.exit(3)": Cause(sys.exit, (3,)),
    "KeyboardInterrupt": Cause(interrupt),
    "the task is a lambda": Cause(lambda: "never sent"),
    "answer cannot be pickled": Cause(threading.Lock),
    "error cannot be pickled": Cause(fail_with_lock),
    "answer cannot be unpickled": Cause(Sealed),
    "error cannot be unpickled": Cause(ask_server),
    "argument cannot be unpickled": Cause(print, (Sealed(),)),
    "initializer fails": Cause(open_parcel, ("apples",), break_seal),
    "os._exit(0)": Cause(os._exit, (0,)),
}
# Whether it ends the worker depends on the Python
DEEP_IN_C = {"recursion in C": Cause(dig_in_c)}
# Windows has none of these, or shows a window
POSIX_CAUSES = {
    "killed, as out of memory": Cause(die_of, ("SIGKILL",)),
    "terminated": Cause(die_of, ("SIGTERM",)),
    "crash in C": Cause(die_of, ("SIGSEGV",)),
    "abort in C++": Cause(os.abort),
    "CPU time used up": Cause(die_of, ("SIGXCPU",)),
    "closes all files": Cause(os.closerange, (0, 256)),
}


class Ran(NamedTuple):
    """What came of numbered tasks: answers, errors, and those whose pool broke."""

    answers: dict[int, Any]
    errors: dict[int, BaseException]
    broken: dict[int, BrokenProcessPool]


def run_round(
    worker: Callable[[Any], Any],
    tasks: Mapping[int, Any],
    make_pool: Callable[[], Executor],
) -> Ran:
    """Run each of the numbered `tasks` in one pool, made for them."""
    ran, futures = Ran({}, {}, {}), {}
    with make_pool() as pool:
        for number, task in tasks.items():
            try:
                futures[pool.submit(worker, task)] = number
            except BrokenProcessPool as error:
                ran.broken[number] = error
        for future in as_completed(futures):
            number, error = futures[future], future.exception()
            if error is None:
                ran.answers[number] = future.result()
            elif isinstance(error, BrokenProcessPool):
                ran.broken[number] = error
            else:
                ran.errors[number] = error
    return ran


def run_each(
    worker: Callable[[Any], Any],
    items: Iterable[Any],
    make_pool: Callable[[], Executor],
    tries: int = 2,
) -> Ran:
    """Run `worker` for each of `items`; who was in a broken pool runs again, alone."""
    tasks = dict(enumerate(items))
    ran = run_round(worker, tasks, make_pool)
    for number in sorted(ran.broken):
        for _ in range(tries):
            alone = run_round(worker, {number: tasks[number]}, make_pool)
            del ran.broken[number]
            for known, found in zip(ran, alone, strict=True):
                known.update(found)
            if not alone.broken:
                break
    return ran
