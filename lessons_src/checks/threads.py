"""The exercise checks of lesson 04: whose answers came home, from which threads."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Any

from lessons_src.tools.naps import Nap
from lessons_src.tools.thread_errors import collect_thread_errors
from lessons_src.tools.timeline import Span, clock, most_at_once, workers
from lessons_src.tools.verdict import Wrong, judged

HOSTS = ["oslo", "rome", "lima"]
ROW = ["a", "b", "c", "d", "e", "f", "g"]
MIDDLE = len(ROW) // 2
# How long a rigged call waits for what a right answer does
PATIENCE_SECONDS, HEAD_START_SECONDS = 5, 0.3
# The limit given to the reader's function, and how many times as long on a busy machine
LIMIT_SECONDS, BUSY = 0.3, 8
NO_ANSWER = "There is no answer yet."


@judged
def exercise_1(answers: Mapping[str, Span]) -> str:
    """Check that three calls were made at the same time, and all `answers` kept."""
    if answers is None:
        raise Wrong(NO_ANSWER, "put_answer, or in_threads, brings answers home.")
    if not isinstance(answers, Mapping):
        kind = type(answers).__name__
        raise Wrong(f"answers should be a dict. Yours has the type {kind}.")
    if any(isinstance(key, Nap) for key in answers):
        raise Wrong("Your keys are the calls, not the hosts.", "The host is call.name.")
    if missing := [host for host in HOSTS if host not in answers]:
        raise Wrong(f"There is no answer of {missing[0]}.", "Did you join them all?")
    spans = [answers[host] for host in HOSTS]
    if not all(isinstance(span, Span) for span in spans):
        raise Wrong("The answers should be what take_nap returns.")
    if len(answers) != len(HOSTS) or [span.task for span in spans] != HOSTS:
        raise Wrong("There should be one answer for each host, its own.")
    if any(span.process != os.getpid() for span in spans):
        raise Wrong("These calls were made by other processes.", "Take a Thread.")
    if len(workers(spans)) < len(HOSTS):
        raise Wrong("Not every call had a thread of its own.", "Three calls, three.")
    if most_at_once(spans) < len(HOSTS):
        raise Wrong("The calls took turns.", "Start them all before you join any.")
    return "Three calls at once, and three answers home."


@judged
def exercise_2(call_in_halves: Callable) -> str:
    """Check that `call_in_halves` waits for both of its threads, and loses nothing."""
    rig = _Halves()
    with _guest_threads(rig.returned):
        answers = call_in_halves(rig.answer, list(ROW))
        if isinstance(answers, Mapping):
            raise Wrong("Your function returned a dict.", "It returns a list.")
        answers = None if answers is None else list(answers)
    if answers is None and not rig.callers:
        raise Wrong(NO_ANSWER, "Two threads, each with a slice of the tasks.")
    _judge_halves(rig, answers)
    return "Two threads, seven answers, in order: nobody was left behind."


@judged
def exercise_3(collect: Callable) -> str:
    """Check that `collect` keeps answers, errors and latecomers apart."""
    # A machine that is busy may hold up right threads for longer than a short limit
    with suppress(_TooLate):
        return _try_collect(collect, LIMIT_SECONDS)
    return _try_collect(collect, LIMIT_SECONDS * BUSY)


def _try_collect(collect: Callable, limit: float) -> str:
    released, calls = Event(), {}

    def call(host: str) -> str:
        calls[host] = clock()
        if host == "lima":
            raise ConnectionError("lima is down")
        if host == "cairo" and not released.wait(PATIENCE_SECONDS):
            return "waited for"
        return host.upper()

    with _guest_threads(released):
        found = collect(call, ["cairo", "oslo", "lima", "rome"], limit)
        found = found if found is None else _three(found)
    if found is None and not calls:
        raise Wrong(NO_ANSWER, "keep_outcome sorts answers from errors.")
    if found is None:
        raise Wrong("Your function returned None.", "return answers, errors, late")
    _judge_collected(*found)
    if max(calls.values()) - min(calls.values()) > limit / 2:
        raise _TooLate("The threads took turns.", "Start them all before you join any.")
    return "Two answers, one error, one that is late: each host accounted for."


class _TooLate(Wrong):
    """What looks wrong, and may come of a busy machine."""


class _Halves:
    """A worker whose first task can only end after the other thread has worked."""

    def __init__(self) -> None:
        self.returned = Event()
        self.took_turns = False
        self.callers: dict[str, Thread] = {}
        self._others_worked = Event()
        self._lock = Lock()

    def answer(self, task: str) -> str:
        if not isinstance(task, str):
            raise TypeError(f"the worker wants one task, not {task}")
        with self._lock:
            self.callers[task] = threading.current_thread()
            first = self.callers.get(ROW[0])
            others = [each for each in self.callers.values() if each is not first]
            if first and len(others) >= MIDDLE:
                self._others_worked.set()
        if task == ROW[0]:
            self.took_turns = not self._others_worked.wait(PATIENCE_SECONDS)
            # Who does not wait for this thread has returned by now
            self.returned.wait(HEAD_START_SECONDS)
        return task.upper()

    @property
    def shares(self) -> list[int]:
        return sorted(Counter(self.callers.values()).values())


def _judge_halves(rig: _Halves, answers: list[str] | None) -> None:
    wanted = [task.upper() for task in ROW]
    if rig.took_turns:
        raise Wrong(
            "One half had to wait for the other.", "Start both threads, then join both."
        )
    if threading.current_thread() in rig.callers.values():
        raise Wrong("The notebook made some of the calls itself.")
    if answers is None:
        raise Wrong("Your function returned None.", "It returns a list.")
    if any(isinstance(each, list | tuple) for each in answers):
        raise Wrong("There are lists in your list.", "merge_lists makes one of them.")
    if missing := [each for each in wanted if each not in answers]:
        raise Wrong(
            f"Of {len(wanted)} answers you lost {len(missing)}, such as {missing[0]}.",
            "Which thread did you not wait for? Is the task in the middle there?",
        )
    if answers != wanted:
        raise Wrong("The answers are not in the order of the tasks.")
    if rig.shares != [MIDDLE, len(ROW) - MIDDLE]:
        shares = " and ".join(map(str, rig.shares))
        raise Wrong(f"Your threads had {shares} tasks.", "Two threads, 3 and 4 tasks.")


def _judge_collected(answers: dict, failed: dict, late: list) -> None:
    if "waited for" in answers.values():
        raise Wrong("You waited for cairo to the end.", "join takes a timeout.")
    if any(isinstance(each, Thread) for each in late):
        raise Wrong("late should be a list of tasks. In yours are threads.")
    if {"oslo", "rome"} & set(late):
        raise _TooLate(
            "oslo and rome answered in time, and you call them late.",
            "join returns None either way. Who knows whether the thread is alive?",
        )
    if answers != {"oslo": "OSLO", "rome": "ROME"}:
        raise Wrong("The answers should be those of oslo and of rome.")
    if set(failed) != {"lima"}:
        raise Wrong("The errors should be that of lima, and no other.")
    if list(late) != ["cairo"]:
        raise Wrong("The late ones should be cairo, and nobody else.")


@contextmanager
def _guest_threads(over: Event) -> Iterator[None]:
    """Refuse what a reader's thread lets out; at the end, set `over` and wait.

    An error of the notebook's own thread may come of it, and then is not the first.
    """
    known = set(threading.enumerate())
    with collect_thread_errors() as errors:
        try:
            yield
        finally:
            over.set()
            for thread in set(threading.enumerate()) - known:
                thread.join(PATIENCE_SECONDS)
            if errors:
                error = f"{type(errors[0]).__name__}: {errors[0]}"
                raise Wrong(f"A thread of yours ended with an error. {error}")


def _three(found: Any) -> tuple[dict, dict, list]:
    try:
        answers, errors, late = found
        return dict(answers), dict(errors), list(late)
    except (TypeError, ValueError):
        raise Wrong(
            "Your function should return three things.", "return answers, errors, late"
        ) from None
