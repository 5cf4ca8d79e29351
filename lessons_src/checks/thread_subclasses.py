"""The exercise checks of lesson 06: each takes the reader's class and tries it."""

import threading
import time
from collections.abc import Callable
from queue import Queue
from threading import Thread
from typing import Any
from unittest.mock import patch

from lessons_src.thread_subclasses import (
    DEGREES,
    LAST,
    LIMIT,
    measure,
)
from lessons_src.tools.thread_errors import collect_thread_errors
from lessons_src.tools.verdict import Wrong, judged

TEXTS = {"to be or not to be": 6, "hello": 1}
TICKS = 3
# A stopped thread should not sleep on; the difference is the check's margin
LONG_PAUSE_SECONDS = 6.0
PATIENCE_SECONDS = 3.0
EARLY = ["Oslo", "Cairo", "Rome"]
LATE = ["Lima", "Atlantis", "Oslo"]
POLL_SECONDS = 0.01


@judged
def exercise_1(WordCounter: type[Thread]) -> str:
    """Check that `WordCounter(text)` counts in a thread of its own."""
    _refuse_no_thread_class(WordCounter, "answer = len(text.split()), but where?")
    threads = {text: _made(WordCounter, text) for text in TEXTS}
    if any(_answer_of(thread) in TEXTS.values() for thread in threads.values()):
        raise Wrong(
            "The words were counted before anybody called start().",
            "The counting belongs into run.",
        )
    with collect_thread_errors() as errors:
        for thread in threads.values():
            thread.start()
            _end(thread, LIMIT)
    if any(thread.ident is None for thread in threads.values()):
        raise Wrong("start() started no thread.", "Write run, and leave start alone.")
    if any(thread.is_alive() for thread in threads.values()):
        raise Wrong("The thread does not end.")
    if errors:
        raise Wrong(f"run let an error out: {_told(errors[0])}")
    for text, words in TEXTS.items():
        answer = _answer_of(threads[text])
        if answer is None:
            raise Wrong(
                "After join() there is no answer.",
                "What run returns is dropped: keep it as self.answer.",
            )
        if answer != words:
            raise Wrong(f"{text!r} has {words} words; answer is {answer!r}.")
    return "It counts when it is told to, and keeps its answer."


@judged
def exercise_2(Ticker: type[Thread]) -> str:
    """Check that `Ticker(tick, pause)` ticks, and that `stop()` ends it soon."""
    _refuse_no_thread_class(Ticker, "stop() sets an Event. Who looks at it?")
    if not callable(getattr(Ticker, "stop", None)):
        raise Wrong("Ticker has no method stop().")
    with collect_thread_errors() as errors:
        ticked, ticks_on, sleeps_on = _tried(Ticker)
    if errors:
        raise Wrong(f"run let an error out: {_told(errors[0])}")
    if not ticked:
        raise Wrong(f"It did not tick {TICKS} times.", "run needs a loop.")
    if ticks_on:
        raise Wrong("stop() was called, and it ticks on.", "Ask is_set() in the loop.")
    if sleeps_on:
        raise Wrong(
            "stop() was called, and it sleeps on to the end of its pause.",
            "time.sleep cannot be woken. Event.wait(pause) can.",
        )
    return "It ticks, and it ends in the middle of a pause."


def _tried(Ticker: type[Thread]) -> tuple[bool, bool, bool]:
    """Say if one with short pauses ticked and ticks on, one with a long one sleeps."""
    ticks = _Ticks()
    quick = _made(Ticker, ticks.tick, POLL_SECONDS)
    slow = _made(Ticker, ticks.tick, LONG_PAUSE_SECONDS)
    try:
        quick.start()
        _wait_until(lambda: ticks.made >= TICKS or not quick.is_alive())
        ticked = ticks.made >= TICKS
        quick.stop()
        _end(quick, PATIENCE_SECONDS)
        slow.start()
        slow.stop()
        _end(slow, PATIENCE_SECONDS)
        return ticked, quick.is_alive(), slow.is_alive()
    finally:
        ticks.over = True
        for thread in (quick, slow):
            _end(thread, LONG_PAUSE_SECONDS)


@judged
def exercise_3(PatientClerk: type[Thread]) -> str:
    """Check that `PatientClerk(inbox, work)` loses no task and no error."""
    _refuse_no_thread_class(PatientClerk, "try: around the loop, or inside it?")
    inbox, work = _Inbox(), _Work()
    clerks = [_made(PatientClerk, inbox, work) for _ in range(2)]
    with collect_thread_errors() as let_out:
        try:
            for clerk in clerks:
                clerk.start()
            _serve(inbox, clerks)
            stuck = any(clerk.is_alive() for clerk in clerks)
        finally:
            work.over = True
            for _ in clerks:
                inbox.put("over")
            for clerk in clerks:
                _end(clerk, PATIENCE_SECONDS)
    _judge_clerks(clerks, let_out, stuck)
    return "Four answers and two errors, and both clerks went home."


def _judge_clerks(
    clerks: list[Thread], let_out: list[BaseException], stuck: bool
) -> None:
    if let_out:
        raise Wrong(
            f"An error ended a clerk: {_told(let_out[0])}",
            "Catch it around the work, inside the loop.",
        )
    if stuck:
        raise Wrong("There was one LAST for each clerk, and one of them works on.")
    answers = [answer for clerk in clerks for answer in clerk.answers]
    errors = [error for clerk in clerks for error in clerk.errors]
    wanted = [measure(city) for city in EARLY + LATE if city in DEGREES]
    lost = len(wanted) - len(answers)
    if lost > 0:
        raise Wrong(
            f"{lost} of {len(wanted)} answers are lost.",
            "An empty inbox is not the end: only LAST is.",
        )
    if sorted(answers, key=repr) != sorted(wanted, key=repr):
        raise Wrong(
            "The answers of both clerks together are not those of the loop.",
            "Do the two share one list? Make it in __init__. Errors go into errors.",
        )
    if len(errors) != len(EARLY + LATE) - len(wanted):
        raise Wrong(f"Two cities do not answer; there are {len(errors)} errors.")


def _serve(inbox: "_Inbox", clerks: list[Thread]) -> None:
    """Hand in tasks whenever all the clerks have found an empty inbox; then close."""
    for tasks in (EARLY, LATE):
        _wait_until(lambda: all(_is_served(clerk, inbox) for clerk in clerks))
        inbox.asking.clear()
        for city in tasks:
            inbox.put(city)
    for _ in clerks:
        inbox.put(LAST)
    for clerk in clerks:
        clerk.join(LIMIT)


def _is_served(clerk: Thread, inbox: "_Inbox") -> bool:
    return not clerk.is_alive() or clerk.ident in inbox.asking


def _refuse_no_thread_class(kind: object, hint: str) -> None:
    if kind is None:
        raise Wrong("There is no class yet.", hint)
    if not isinstance(kind, type) or not issubclass(kind, Thread):
        raise Wrong(
            "That is not a subclass of Thread.",
            "Hand over the class itself, not an object of it.",
        )


def _made(kind: type[Thread], *arguments: Any) -> Thread:
    with patch.object(kind, "start") as start:
        thread = kind(*arguments)
    if start.called:
        raise Wrong(
            "The object starts itself in its __init__.",
            "Leave start() to whoever made it.",
        )
    try:
        # Should it never end, the notebook still can
        thread.daemon = True
    except RuntimeError:
        raise Wrong("Its __init__ does not call super().__init__().") from None
    return thread


def _answer_of(thread: Thread) -> object:
    return getattr(thread, "answer", None)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT
    while not condition() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def _end(thread: Thread, seconds: float) -> None:
    if thread.ident is not None:
        Thread.join(thread, seconds)


class _Inbox(Queue):
    """A queue that knows who has found it empty."""

    def __init__(self) -> None:
        super().__init__()
        self.asking: set[int | None] = set()

    def _qsize(self) -> int:
        # Asked under the lock of the queue, before a get that has to wait or fail
        size = super()._qsize()
        if not size:
            self.asking.add(threading.get_ident())
        return size


class _Work:
    """Measure, but when the check is `over`, end whoever still works."""

    over = False

    def __call__(self, city: str) -> int:
        if self.over:
            raise SystemExit
        return measure(city)


class _Ticks:
    """Count calls, but when the check is `over`, end whoever still ticks."""

    def __init__(self) -> None:
        self.made = 0
        self.over = False

    def tick(self) -> None:
        if self.over:
            raise SystemExit
        self.made += 1
