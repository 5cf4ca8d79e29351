"""The exercise checks of lesson 10: who was asked, how often, and what came of it."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from math import isclose
from threading import Barrier, BrokenBarrierError, Event
from typing import Any

from tenacity import RetryError

from lessons_src.futures import DEGREES, Line, Reading
from lessons_src.tools.verdict import Wrong, judged

ROW = ["bay", "cape", "atlantis", "exit", "dune"]
MIRRORS = ["slow", "ill", "quick", *(f"spare {number}" for number in range(1, 5))]
TRIES, PAUSES = 5, [0.02, 0.04, 0.08, 0.1]
# Who asks so often would ask for ever
TOO_MANY_TRIES = 50
POOL = "pool of exercise 1"
# How long a rigged station waits for what a right answer does
PATIENCE_SECONDS, HEAD_START_SECONDS = 5, 0.1
NO_ANSWER = "There is no answer yet."


@judged
def exercise_1(map_all: Callable) -> str:
    """Check that `map_all` brings an answer or an error for each task, in order."""
    rig = _Row()
    with ThreadPoolExecutor(2, thread_name_prefix=POOL) as pool:
        found = map_all(pool, rig.ask, list(ROW))
        if isinstance(found, Iterable) and not isinstance(found, dict | str):
            found = list(found)
    if found is None and not rig.callers:
        raise Wrong(NO_ANSWER, "Keep the futures in a list, then ask each of them.")
    if threading.current_thread() in rig.callers:
        raise Wrong("The notebook asked a station itself.", "submit(worker, task)")
    if not all(caller.name.startswith(POOL) for caller in rig.callers):
        raise Wrong("Not all tasks ran in `pool`.", "pool.submit(worker, task)")
    if rig.took_turns:
        raise Wrong("The tasks took turns.", "Submit them all before you ask.")
    if not isinstance(found, list):
        raise Wrong(f"There should be a list. Yours has the type {_kind(found)}.")
    _judge_row(found)
    return "Three answers and two errors, each in the place of its task."


@judged
def exercise_2(first_answer: Callable) -> str:
    """Check that `first_answer` waits for nobody but the first who answers."""
    rig = _Mirrors()
    with ThreadPoolExecutor(2) as pool:
        try:
            found = first_answer(pool, rig.ask, list(MIRRORS))
        finally:
            rig.over.set()
    if found is None and not rig.asked:
        raise Wrong(NO_ANSWER, "as_completed hands over whoever is done.")
    if rig.gave_up:
        raise Wrong(
            "You waited for a station that is slow.",
            "as_completed hands over whoever is done; shutdown, and the end of a"
            " with block, wait for all.",
        )
    if isinstance(found, Future):
        raise Wrong("Your function returned a future.", "Return its result().")
    if found != "QUICK":
        raise Wrong(f"The first answer is 'QUICK', not {found!r}.")
    spare = [station for station in rig.asked if station.startswith("spare")]
    # One may have begun before anybody could cancel it
    if len(spare) > 1:
        raise Wrong(
            f"{len(spare)} stations that you did not need were asked all the same.",
            "cancel() the other futures.",
        )
    return "The first good answer; an error passed over, and the rest cancelled."


@judged
def exercise_3(ask_kindly: Callable) -> str:
    """Check what `ask_kindly` asks again, how often, and with which pauses."""
    found, tries, _ = _asked_kindly(ask_kindly, "bay", busy=0)
    if found is None and not tries:
        raise Wrong(
            NO_ANSWER,
            "Make a tenacity.Retrying(..., sleep=sleep), and call it with line.ask.",
        )
    if found != Reading("bay", DEGREES["bay"], 1):
        raise Wrong("A line that is free should give its reading, after one try.")
    found, tries, _ = _asked_kindly(ask_kindly, "atlantis", busy=0)
    if tries != 1:
        raise Wrong(f"A station that does not exist was asked {tries} times, not 1.")
    if not isinstance(found, ValueError):
        raise Wrong(f"For atlantis came a {_kind(found)}, not the ValueError.")
    found, tries, pauses = _asked_kindly(ask_kindly, "dune", busy=99)
    if tries != TRIES:
        raise Wrong(f"A line that stays busy was asked {tries} times, not {TRIES}.")
    if not isinstance(found, ConnectionError):
        name = _kind(found)
        raise Wrong(f"In the end came a {name}, not the ConnectionError.", "reraise")
    _judge_pauses(pauses)
    found, tries, _ = _asked_kindly(ask_kindly, "cape", busy=2)
    if found != Reading("cape", DEGREES["cape"], 3):
        raise Wrong("The third try brought a reading, and you did not return it.")
    return "Five tries at most, with growing pauses, and no second try in vain."


class _ForEver(BaseException):
    """Ends a retry without a limit: it passes each `except Exception`."""


class _Line(Line):
    """A line that gives up on who asks for ever."""

    def ask(self) -> Reading:
        if self.tries == TOO_MANY_TRIES:
            raise _ForEver
        return super().ask()


class _Row:
    """Five stations; two of them answer together, one fails, one calls sys.exit."""

    def __init__(self) -> None:
        self.callers: set[threading.Thread] = set()
        self.took_turns = False
        self._both = Barrier(2)

    def ask(self, station: str) -> int:
        if station not in ROW:
            raise TypeError(f"the worker wants one task, not {station!r}")
        self.callers.add(threading.current_thread())
        if station == "atlantis":
            raise ValueError("no station 'atlantis'")
        if station == "exit":
            raise SystemExit(3)
        if station in ROW[:2]:
            try:
                self._both.wait(PATIENCE_SECONDS)
            except BrokenBarrierError:
                self.took_turns = True
        return DEGREES[station]


class _Mirrors:
    """Stations of which one is slow, one ill, one quick, and the others are spare."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gave_up = False
        self.over = Event()

    def ask(self, station: str) -> str:
        if station not in MIRRORS:
            raise TypeError(f"the worker wants one task, not {station!r}")
        self.asked.append(station)
        if station == "ill":
            raise ConnectionError("ill is down")
        if station == "quick":
            time.sleep(HEAD_START_SECONDS)
        elif not self.over.wait(PATIENCE_SECONDS):
            self.gave_up = True
        return station.upper()


def _judge_row(found: list) -> None:
    if any(isinstance(each, Future) for each in found):
        raise Wrong("There are futures in your list.", "Ask each of them.")
    if len(found) != len(ROW):
        raise Wrong(
            f"{len(ROW)} tasks should give {len(ROW)} entries, not {len(found)}."
        )
    for station, entry in zip(ROW, found, strict=True):
        if station in DEGREES:
            right = entry == DEGREES[station]
        else:
            right = isinstance(entry, SystemExit if station == "exit" else ValueError)
        if not right:
            raise Wrong(
                f"In the place of {station!r} stands {entry!r}.",
                "The answer, or the error itself: future.exception() hands it over.",
            )


def _asked_kindly(
    ask_kindly: Callable, station: str, busy: int
) -> tuple[Any, int, list[float]]:
    line, pauses = _Line(station, busy), []
    try:
        found = ask_kindly(line, pauses.append)
    except (ConnectionError, ValueError, RetryError) as error:
        found = error
    except _ForEver:
        name = f"{station}, which {'is busy' if busy else 'does not exist'},"
        raise Wrong(f"{name} was asked for ever.", "Set a limit: stop=...") from None
    return found, line.tries, pauses


def _judge_pauses(pauses: list[float]) -> None:
    if not pauses:
        raise Wrong(
            "No pause went through `sleep`.", "tenacity.Retrying(..., sleep=sleep)"
        )
    shown = ", ".join(f"{pause:g}" for pause in pauses)
    if len(pauses) != len(PAUSES):
        raise Wrong(
            f"{TRIES} tries have {len(PAUSES)} pauses between them, not {shown}."
        )
    if not all(map(isclose, pauses, PAUSES)):
        wanted = ", ".join(f"{pause:g}" for pause in PAUSES)
        raise Wrong(f"Your pauses are {shown}; they should be {wanted}.")


def _kind(found: Any) -> str:
    return type(found).__name__
