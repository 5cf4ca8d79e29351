"""The exercise checks of lesson 06: each takes the reader's class and tries it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Queue
from threading import Thread
from typing import Any
from unittest.mock import patch

from lessons_src.thread_subclasses import DEGREES, LAST, LIMIT, measure
from lessons_src.tools.thread_errors import collect_thread_errors
from lessons_src.tools.verdict import Wrong, judged

TEXTS = {"to be or not to be": 6, "hello": 1}
TICKS = 3
# A stopped thread should not sleep on; the difference is the check's margin
LONG_PAUSE_SECONDS = 6.0
PATIENCE_SECONDS = 3.0
LOOK_SECONDS = 0.2
POLL_SECONDS = 0.01
EARLY = ["Oslo", "Cairo", "Rome"]
LATE = ["Lima", "Atlantis", "Oslo"]


@judged
def exercise_1(WordCounter: type[Thread]) -> str:
    """Check that `WordCounter(text)` counts in a thread of its own."""
    _refuse_no_thread_class(WordCounter, "answer = len(text.split()), but where?")
    threads = {text: _made(WordCounter, text) for text in TEXTS}
    if any(
        vars(thread).get("answer") == TEXTS[text] for text, thread in threads.items()
    ):
        raise Wrong(
            "The words were counted before anybody called start().",
            "The counting belongs into run.",
        )
    with _no_error_let_out():
        for thread in threads.values():
            thread.start()
            _end(thread, LIMIT)
    for text, thread in threads.items():
        _judge_counter(thread, text)
    return "It counts when it is told to, and keeps its answer."


def _judge_counter(thread: Thread, text: str) -> None:
    if thread.ident is None:
        raise Wrong("start() started no thread.", "Write run, and leave start alone.")
    if thread.is_alive():
        raise Wrong("The thread does not end.")
    answer = getattr(thread, "answer", None)
    if answer is None:
        raise Wrong(
            "After join() there is no answer.",
            "What run returns is dropped: keep it as self.answer.",
        )
    if answer != TEXTS[text]:
        raise Wrong(f"{text!r} has {TEXTS[text]} words; answer is {answer!r}.")


@judged
def exercise_2(Ticker: type[Thread]) -> str:
    """Check that `Ticker(tick, pause)` ticks, and that `stop()` ends it soon."""
    _refuse_no_thread_class(Ticker, "stop() sets an Event. Who looks at it?")
    if not callable(getattr(Ticker, "stop", None)):
        raise Wrong("Ticker has no method stop().")
    with _no_error_let_out():
        _judge_short_pauses(Ticker)
        _judge_long_pause(Ticker)
    return "It ticks, and it ends in the middle of a pause."


def _judge_short_pauses(Ticker: type[Thread]) -> None:
    with _ticking(Ticker, POLL_SECONDS) as (thread, ticks):
        _wait_until(lambda: ticks.made >= TICKS or not thread.is_alive(), LIMIT)
        ticked = ticks.made >= TICKS
        thread.stop()
        _end(thread, PATIENCE_SECONDS)
        if not ticked:
            raise Wrong(f"It did not tick {TICKS} times.", "run needs a loop.")
        if thread.is_alive():
            raise Wrong(
                "stop() was called, and it ticks on.", "Ask is_set() in the loop."
            )


def _judge_long_pause(Ticker: type[Thread]) -> None:
    with _ticking(Ticker, LONG_PAUSE_SECONDS) as (thread, ticks):
        _wait_until(lambda: ticks.made > 1, LOOK_SECONDS)
        if ticks.made > 1:
            raise Wrong(
                f"A pause of {LONG_PAUSE_SECONDS:g} s, and it ticks on without one.",
                "Wait for pause seconds between two ticks.",
            )
        thread.stop()
        _end(thread, PATIENCE_SECONDS)
        if thread.is_alive():
            raise Wrong(
                "stop() was called, and it sleeps on to the end of its pause.",
                "time.sleep cannot be woken. Event.wait(pause) can.",
            )


@contextmanager
def _ticking(Ticker: type[Thread], pause: float) -> Iterator[tuple[Thread, "_Ticks"]]:
    ticks = _Ticks()
    thread = _made(Ticker, ticks.tick, pause)
    thread.start()
    try:
        yield thread, ticks
    finally:
        ticks.over = True
        _end(thread, LONG_PAUSE_SECONDS)


@judged
def exercise_3(PatientClerk: type[Thread]) -> str:
    """Check that `PatientClerk(inbox, work)` loses no task and no error."""
    _refuse_no_thread_class(PatientClerk, "try: around the loop, or inside it?")
    inbox, work = _Inbox(), _Work()
    clerks = [_made(PatientClerk, inbox, work) for _ in range(2)]
    with _no_error_let_out():
        try:
            for clerk in clerks:
                clerk.start()
            _serve(inbox, clerks, work)
            stuck = any(clerk.is_alive() for clerk in clerks)
        finally:
            work.over = True
            for _ in clerks:
                inbox.put("over")
            for clerk in clerks:
                _end(clerk, PATIENCE_SECONDS)
    if work.got_last:
        raise Wrong("LAST is no task, and it was handed to work.", "Ask for it first.")
    if stuck:
        raise Wrong("There was one LAST for each clerk, and one of them works on.")
    _judge_lists(clerks)
    return "Four answers and two errors, and both clerks went home."


def _serve(inbox: "_Inbox", clerks: list[Thread], work: "_Work") -> None:
    """Hand in tasks whenever all the clerks have found an empty inbox; then close."""
    for tasks in (EARLY, LATE):
        _wait_until(lambda: all(_is_served(clerk, inbox) for clerk in clerks), LIMIT)
        inbox.asking.clear()
        for city in tasks:
            inbox.put(city)
    for _ in clerks:
        inbox.put(LAST)
    _wait_until(lambda: work.got_last or not any(map(Thread.is_alive, clerks)), LIMIT)


def _is_served(clerk: Thread, inbox: "_Inbox") -> bool:
    return not clerk.is_alive() or clerk.ident in inbox.asking


def _judge_lists(clerks: list[Thread]) -> None:
    answers = [answer for clerk in clerks for answer in clerk.answers]
    errors = [error for clerk in clerks for error in clerk.errors]
    wanted = [measure(city) for city in EARLY + LATE if city in DEGREES]
    shared = "Do the two share one list? Make it in __init__."
    lost = len(wanted) - len(answers)
    if lost > 0:
        raise Wrong(
            f"{lost} of {len(wanted)} answers are lost.",
            "Only LAST is the end: no error is, and no empty inbox.",
        )
    if sorted(answers, key=repr) != sorted(wanted, key=repr):
        raise Wrong(
            "The answers of both clerks together are not those of the loop.",
            f"{shared} Errors go into errors.",
        )
    wanted_errors = len(EARLY + LATE) - len(wanted)
    if len(errors) != wanted_errors:
        raise Wrong(
            f"Two cities do not answer; there are {len(errors)} errors.",
            shared if len(errors) > wanted_errors else "Keep each of them in errors.",
        )


def _refuse_no_thread_class(kind: object, hint: str) -> None:
    if kind is None:
        raise Wrong("There is no class yet.", hint)
    if not isinstance(kind, type) or not issubclass(kind, Thread):
        raise Wrong(
            "That is not a subclass of Thread.",
            "Hand over the class itself, not an object of it.",
        )
    if kind.__init__ is Thread.__init__:
        raise Wrong("It has no __init__ of its own, so it takes no such arguments.")


def _made(kind: type[Thread], *arguments: Any) -> Thread:
    with patch.object(kind, "start") as start:
        try:
            thread = kind(*arguments)
        finally:
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
    for name in vars(thread):
        if name.startswith("_") and callable(getattr(Thread, name, None)):
            raise Wrong(f"{name} is a method of Thread: find your field another name.")
    return thread


@contextmanager
def _no_error_let_out() -> Iterator[None]:
    """Name what a thread let out, before anything else that is wrong."""
    with collect_thread_errors() as errors:
        try:
            yield
        finally:
            if errors:
                error = f"{type(errors[0]).__name__}: {errors[0]}"
                raise Wrong(f"run let an error out: {error}")


def _wait_until(condition: Callable[[], bool], limit: float) -> None:
    until = time.monotonic() + limit
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

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if block and timeout is None:
            return super().get()
        # An empty inbox is empty for longer than anybody waits
        try:
            return super().get(block=False)
        except Empty:
            time.sleep(POLL_SECONDS)
            raise


class _Work:
    """Measure; end whoever still works when the check is `over`, or works on LAST."""

    over = False
    got_last = False

    def __call__(self, city: str) -> int:
        self.got_last = self.got_last or city is LAST
        if self.over or city is LAST:
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
