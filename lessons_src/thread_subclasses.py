"""Lesson 06, Thread subclasses: threads with fields, errors, a stop and an inbox.

you                                   the thread object
thread = ResultThread(measure, city)  fields: function, arguments
thread.start()                ----->  run(): fields answer, error
thread.join(), thread.answer  <-----
"""

import io
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import Queue
from threading import Barrier, Condition, Event, Thread, current_thread
from typing import Any, TextIO

from lessons_src.tools.naps import Nap
from lessons_src.tools.timeline import Span, clock, span

LIMIT = 20
DEGREES = {"Oslo": 4, "Rome": 18, "Lima": 22}
# What a clerk finds in its inbox when nothing more will come
LAST = object()


def measure(city: str) -> int:
    """Return the temperature in `city`; it stands for a call over the network.

    >>> measure("Oslo")
    4
    >>> measure("Cairo")
    Traceback (most recent call last):
    ConnectionError: Cairo does not answer
    """
    if city not in DEGREES:
        raise ConnectionError(f"{city} does not answer")
    return DEGREES[city]


class AnswerThread(Thread):
    """A thread that keeps what `function(*arguments)` returns.

    >>> thread = AnswerThread(measure, "Oslo")
    >>> thread.start()
    >>> thread.join()
    >>> thread.answer
    4
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        super().__init__()
        self.function = function
        self.arguments = arguments
        self.answer: Any = None

    def run(self) -> None:
        """Do the work, in whatever thread this is called."""
        self.answer = self.function(*self.arguments)


class ResultThread(AnswerThread):
    """An `AnswerThread` that keeps an error too, for each `join` to raise.

    >>> thread = ResultThread(measure, "Cairo")
    >>> thread.start()
    >>> thread.join()
    Traceback (most recent call last):
    ConnectionError: Cairo does not answer
    """

    error: BaseException | None = None

    def run(self) -> None:
        """Do the work, and let no error out of it."""
        try:
            super().run()
        except BaseException as error:
            self.error = error

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end, at most `timeout` seconds; raise what the thread raised."""
        super().join(timeout)
        if self.error is not None:
            raise self.error


class Station(Thread):
    """A thread that measures in `city` every `pause` seconds until it is stopped."""

    def __init__(self, city: str, pause: float) -> None:
        super().__init__(name=f"station {city}")
        self.city = city
        self.pause = pause
        self.readings: list[int] = []
        self.has_measured = Event()
        self.stopping = Event()

    def run(self) -> None:
        """Measure, pause, measure, pause ..."""
        while not self.stopping.is_set():
            self.readings.append(measure(self.city))
            self.has_measured.set()
            self.stopping.wait(self.pause)

    def stop(self) -> None:
        """Ask the thread to end; `join` waits until it has."""
        self.stopping.set()


class Clerk(Thread):
    """A thread that works off its `inbox`, up to what is there when it is closed."""

    def __init__(self, inbox: Queue, work: Callable[[Any], Any]) -> None:
        super().__init__()
        self.inbox = inbox
        self.work = work
        self.answers: list[Any] = []

    def run(self) -> None:
        """Take task after task, until the LAST."""
        while (task := self.inbox.get()) is not LAST:
            self.answers.append(self.work(task))

    def close(self) -> None:
        """Let one of the clerks at this inbox end, after all that is in it now."""
        self.inbox.put(LAST)


class HastyClerk(Clerk):
    """A clerk that is closed by an `Event`: wrong on purpose, it drops the rest."""

    def __init__(self, inbox: Queue, work: Callable[[Any], Any]) -> None:
        super().__init__(inbox, work)
        self.stopping = Event()

    def run(self) -> None:
        """Take task after task, until somebody calls `close`."""
        while not self.stopping.is_set():
            self.answers.append(self.work(self.inbox.get()))

    def close(self) -> None:
        """Let this clerk end after the task in its hand."""
        self.stopping.set()


class MyThread(Thread):
    """The article's class: wrong on purpose, it starts itself, and prints."""

    def __init__(self, num: int) -> None:
        super().__init__()
        self.num = num
        self.start()

    def run(self) -> None:
        """Print the number."""
        print(self.num)


def nap_together(everyone: Barrier, nap: Nap) -> Span:
    """Take `nap` once `everyone` has begun, even where threads start slowly."""
    start = clock()
    everyone.wait(LIMIT)
    time.sleep(nap.seconds)
    return span(nap.name, start)


def start_and_join(threads: Iterable[Thread]) -> None:
    """Start all `threads`, then wait for each of them."""
    threads = list(threads)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)


def work_off(tasks: Iterable[Any], work: Callable[[Any], Any], size: int) -> list[Any]:
    """Let a crew of clerks do all `tasks`; return the answers, clerk by clerk."""
    inbox = Queue()
    crew = [Clerk(inbox, work) for _ in range(size)]
    for task in tasks:
        inbox.put(task)
    for clerk in crew:
        clerk.close()
    start_and_join(crew)
    return [answer for clerk in crew for answer in clerk.answers]


def closed_at_work(kind: type[Clerk], tasks: Iterable[Any]) -> Clerk:
    """Make a clerk, close it while the first of `tasks` is in its hand; return it."""
    inbox, begun, go_on = Queue(), Event(), Event()

    def work(task: Any) -> Any:
        begun.set()
        go_on.wait(LIMIT)
        return task

    for task in tasks:
        inbox.put(task)
    clerk = kind(inbox, work)
    clerk.start()
    begun.wait(LIMIT)
    clerk.close()
    go_on.set()
    clerk.join(LIMIT)
    return clerk


def closed_at_rest(kind: type[Clerk], tasks: Iterable[Any]) -> Clerk:
    """Make a clerk, close it while it waits for `tasks`, hand them in; return it."""
    inbox = _AskedQueue()
    clerk = kind(inbox, str)
    clerk.start()
    inbox.asked.wait(LIMIT)
    clerk.close()
    for task in tasks:
        inbox.put(task)
    clerk.join(LIMIT)
    return clerk


class _AskedQueue(Queue):
    """A queue that says when it was first asked for a task."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Event()

    def get(self) -> Any:
        self.asked.set()
        return super().get()


def system_writes(
    write: Callable[[TextIO], object], *, unbuffered: bool
) -> list[bytes]:
    r"""Let `write` write to a stream; return the pieces that reach the system.

    Not `unbuffered`, the stream keeps a line until its end, as in a terminal.

    >>> system_writes(lambda stream: print(45, file=stream), unbuffered=False)
    [b'45\n']
    """
    system = _System()
    stream = io.TextIOWrapper(
        system if unbuffered else io.BufferedWriter(system),
        newline="\n",
        line_buffering=not unbuffered,
        write_through=unbuffered,
    )
    write(stream)
    return list(system.pieces)


class _System(io.RawIOBase):
    """Where the pieces end up that a stream writes."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)


class StreamInTurns(io.TextIOBase):
    """A stream on which `turns` say whose write is next: the `num` of its thread.

    Each write takes `seconds`, so that a timeline shows it.
    """

    def __init__(self, turns: Iterable[int], seconds: float = 0.0) -> None:
        self.turns = deque(turns)
        self.seconds = seconds
        self.text = ""
        self.spans: list[Span] = []
        self._changed = Condition()

    def write(self, text: str) -> int:
        """Wait for the turn of this thread, then write."""
        num = current_thread().num
        name = f"{num}: {repr(text)[1:-1]}"
        start = clock()
        with self._changed:
            if not self._changed.wait_for(lambda: num in list(self.turns)[:1], LIMIT):
                raise TimeoutError(f"no turn for {num} to write {text!r}")
            self.spans.append(span(name, start, "waiting"))
            start = clock()
            time.sleep(self.seconds)
            self.text += text
            self.turns.popleft()
            self.spans.append(span(name, start))
            self._changed.notify_all()
        return len(text)
