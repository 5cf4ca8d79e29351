"""Lesson 10, Futures: weather stations that answer, refuse, or keep us waiting.

the notebook   submit(worker, task) -> future ... future.result() -> answer, or error
the pool       one queue -> worker 1, worker 2: threads, processes, sub-interpreters
"""

import concurrent.futures
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from functools import partial
from itertools import islice
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread, current_thread
from typing import NamedTuple, TypeVar

from lessons_src.tools.naps import Nap
from lessons_src.tools.recorded import live_or_recorded
from lessons_src.tools.timeline import Span, clock, span, workers

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Way = Callable[[Executor, Callable[[str], str], list[str]], Iterable[str]]
Engine = Callable[[], Executor]

DEGREES = {"bay": 15, "cape": 20, "dune": 30, "fell": 5}
ROUND = ["bay", "slow", "cape", "dune"]
LIMIT_SECONDS, PATIENCE_SECONDS, POLL_SECONDS = 60, 1, 0.005
# What hangs here is seen by all who share the memory of this module
BOARD: list[str] = []
SUB_INTERPRETERS = "sub-interpreters"
ONE_OF = {
    "threads": "thread",
    "processes": "process",
    SUB_INTERPRETERS: "sub-interpreter",
}


class Reading(NamedTuple):
    """The degrees of a station, and the try that brought them."""

    station: str
    degrees: int
    tries: int


class EngineRun(NamedTuple):
    """What one engine did: its facts as text, and who ran when."""

    report: str
    spans: list[Span]


def make_calls(stations: Mapping[str, float], unit: float) -> list[Nap]:
    """Make a call to each of `stations`: a nap of so many `unit` seconds.

    >>> make_calls({"bay": 2, "cape": 1}, 0.5)
    [Nap(name='bay', seconds=1.0), Nap(name='cape', seconds=0.5)]
    """
    return [Nap(station, length * unit) for station, length in stations.items()]


def temperature(station: str, unit: str = "C") -> int:
    """Return the degrees at `station`, in Celsius or in Fahrenheit.

    >>> temperature("bay"), temperature("bay", "F")
    (15, 59)
    >>> temperature("atlantis")
    Traceback (most recent call last):
    ValueError: no station 'atlantis'
    """
    if station not in DEGREES:
        raise ValueError(f"no station {station!r}")
    degrees = DEGREES[station]
    return degrees if unit == "C" else degrees * 9 // 5 + 32


class Hold:
    """A task for threads that stays open until `let_go`; it notes that it has `begun`.

    Which `thread` ran it is noted too.

    >>> hold = Hold()
    >>> hold.let_go()
    >>> hold()
    'done'
    """

    def __init__(self) -> None:
        self.begun, self._over = Event(), Event()
        self.thread: Thread | None = None

    def __call__(self, _name: str = "") -> str:
        """Note the beginning, and wait for `let_go`."""
        self.thread = current_thread()
        self.begun.set()
        return "done" if self._over.wait(LIMIT_SECONDS) else "gave up"

    def let_go(self) -> None:
        """Let the task end."""
        self._over.set()


class _Round:
    """Four stations; "slow" answers when the notebook holds what the others said.

    Where it never does, "slow" is silent for `PATIENCE_SECONDS` after the others.
    """

    def __init__(self, nap_seconds: float) -> None:
        self.nap_seconds = nap_seconds
        self.answered: list[Span] = []
        self.received: list[Span] = []
        self.in_hand = 0
        self._others_answered, self._others_received = Event(), Event()

    def ask(self, station: str) -> str:
        start = clock()
        time.sleep(self.nap_seconds)
        if station == "slow":
            self._others_answered.wait(LIMIT_SECONDS)
            self._others_received.wait(PATIENCE_SECONDS)
            self.in_hand = len(self.received)
        self.answered.append(span(station, start))
        if len(self.answered) == len(ROUND) - 1:
            self._others_answered.set()
        return station

    def receive(self, way: Way, pool: Executor) -> None:
        start = clock()
        for station in way(pool, self.ask, ROUND):
            self.received.append(span(station, start, "waiting"))
            if len(self.received) == len(ROUND) - 1:
                self._others_received.set()
            start = clock()


def as_they_come(
    pool: Executor, worker: Callable[[Item], Answer], tasks: Iterable[Item]
) -> Iterator[Answer]:
    """Yield each answer as soon as it is there."""
    futures = [pool.submit(worker, task) for task in tasks]
    return (future.result() for future in as_completed(futures))


def all_at_the_end(
    pool: Executor, worker: Callable[[Item], Answer], tasks: Iterable[Item]
) -> Iterator[Answer]:
    """Yield the answers, in no order, when all of them are there."""
    futures = [pool.submit(worker, task) for task in tasks]
    return (future.result() for future in wait(futures).done)


def ask_rounds(nap_seconds: float) -> dict[str, list[Span]]:
    """Ask a rigged round by `map`, by `as_completed`, by `wait`; say who ran when.

    The titles say how many answers the notebook held when "slow" answered.
    """
    ways = {"map": ThreadPoolExecutor.map, "as_completed": as_they_come}
    runs = {}
    for name, way in (ways | {"wait": all_at_the_end}).items():
        stations = _Round(nap_seconds)
        with ThreadPoolExecutor(2) as pool:
            stations.receive(way, pool)
        title = f"{name}: {stations.in_hand} of 3 in hand when the slow one answers"
        runs[title] = stations.received + stations.answered
    return runs


def gather(futures: Mapping[Future, Item]) -> tuple[dict, dict]:
    """Wait for `futures`; return the answers and the errors by task, in two dicts."""
    answers, errors = {}, {}
    for future in as_completed(futures):
        task, error = futures[future], future.exception()
        if error:
            errors[task] = error
        else:
            answers[task] = future.result()
    return answers, errors


def counted(items: Iterable[Item], drawn: list[Item]) -> Iterator[Item]:
    """Hand on `items`, and note in `drawn` which have been asked for."""
    for item in items:
        drawn.append(item)
        yield item


def map_in_window(
    pool: Executor, worker: Callable[[Item], Answer], tasks: Iterable[Item], size: int
) -> Iterator[Answer]:
    """Yield the answers in order; at most `size` tasks are ahead of them."""
    tasks = iter(tasks)
    window = deque(pool.submit(worker, task) for task in islice(tasks, size))
    while window:
        window.extend(pool.submit(worker, task) for task in islice(tasks, 1))
        yield window.popleft().result()


def map_ahead(
    pool: Executor, worker: Callable[[Item], Answer], tasks: Iterable[Item], size: int
) -> Iterator[Answer]:
    """Do as `map_in_window` does, by Python's own means where it has them."""
    if sys.version_info >= (3, 14):
        return pool.map(worker, tasks, buffersize=size)
    return map_in_window(pool, worker, tasks, size)


class Line:
    """A line to `station` that is busy for the first `busy` tries."""

    def __init__(self, station: str, busy: int = 0) -> None:
        self.station, self.busy, self.tries = station, busy, 0

    def ask(self) -> Reading:
        """Return a reading, or raise an error that says which try this was.

        Raises
        ------
        ConnectionError
            If the line is busy: another try may help.
        ValueError
            If there is no such station: no other try will help.
        """
        self.tries += 1
        if self.tries <= self.busy:
            raise ConnectionError(f"try {self.tries}: {self.station} is busy")
        if self.station not in DEGREES:
            raise ValueError(f"try {self.tries}: no station {self.station!r}")
        return Reading(self.station, DEGREES[self.station], self.tries)


def make_lines() -> list[Line]:
    """Make four lines: one free, one busy twice, one to nowhere, one busy for ever."""
    busy = {"bay": 0, "cape": 2, "atlantis": 0, "dune": 99}
    return [Line(station, tries) for station, tries in busy.items()]


class Meeting(NamedTuple):
    """Where `size` workers of any engine wait for each other, by files in `folder`."""

    folder: str
    size: int

    def attend(self, name: str) -> None:
        """Come in as `name`, and wait until `size` have come."""
        room = Path(self.folder)
        room.joinpath(name).touch()
        give_up = clock() + LIMIT_SECONDS
        while len(list(room.iterdir())) < self.size and clock() < give_up:
            time.sleep(POLL_SECONDS)


def ask_in_company(meeting: Meeting, call: Nap) -> Span:
    """Make `call` while another worker makes one too, and note it on the board."""
    start = clock()
    BOARD.append(call.name)
    meeting.attend(call.name)
    time.sleep(call.seconds)
    return span(call.name, start)


def work_through(
    pool: Executor, worker: Callable[[Nap], Span], calls: Iterable[Nap]
) -> list[Span]:
    """Run `worker` on all `calls`, whatever the engine of `pool`."""
    futures = [pool.submit(worker, call) for call in calls]
    return [future.result(LIMIT_SECONDS) for future in futures]


def make_engines(context: BaseContext) -> dict[str, Engine]:
    """Give what opens two workers of each engine that every Python has."""
    return {
        "threads": partial(ThreadPoolExecutor, 2),
        "processes": partial(ProcessPoolExecutor, 2, context),
    }


def run_engine(name: str, engine: Engine, calls: list[Nap]) -> EngineRun:
    """Work through `calls` with two workers of `engine`, and say where they live."""
    BOARD.clear()
    start = clock()
    with TemporaryDirectory() as folder, engine() as pool:
        spans = work_through(pool, partial(ask_in_company, Meeting(folder, 2)), calls)
        waited = span("all", start, "waiting")
    here = {each.process for each in spans} == {os.getpid()}
    report = (
        f"{name:17}{len(workers(spans))} workers in"
        f" {'our process' if here else 'other processes'}, with"
        f" {'our' if BOARD else 'their own'} memory"
    )
    return EngineRun(report, [waited, *spans])


def has_sub_interpreters() -> bool:
    """Whether this Python has an executor of sub-interpreters."""
    return hasattr(concurrent.futures, "InterpreterPoolExecutor")


def run_sub_interpreters(calls: list[Nap]) -> EngineRun:
    """Run `calls` in two sub-interpreters; before Python 3.14, show a recorded run."""

    def run() -> str:
        from concurrent.futures import InterpreterPoolExecutor

        engine = partial(InterpreterPoolExecutor, 2)
        report, spans = run_engine(SUB_INTERPRETERS, engine, calls)
        return f"{report}\n{json.dumps(spans)}"

    text = live_or_recorded("futures_sub_interpreters", run, has_sub_interpreters())
    report, _, spans = text.rstrip().rpartition("\n")
    return EngineRun(report, [Span(*fields) for fields in json.loads(spans)])


def lane_names(runs: Mapping[str, EngineRun]) -> dict[tuple[int, int], str]:
    """Name the workers of `runs` after their engine, and who waits "notebook"."""
    names = {}
    for engine, run in runs.items():
        at_work = workers(each for each in run.spans if each.kind == "working")
        one = ONE_OF[engine]
        names |= {worker: f"{one} {n}" for n, worker in enumerate(at_work, 1)}
        names[run.spans[0].worker] = "notebook"
    return names
