"""The exercise checks of lesson 04: whose answers came home, from which threads."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Any

from lessons_src.threads import collect_thread_errors
from lessons_src.tools.timeline import Span, most_at_once, workers
from lessons_src.tools.verdict import Wrong, judged

HOSTS = ["oslo", "rome", "lima"]
ROW = ["a", "b", "c", "d", "e", "f", "g"]
MIDDLE = len(ROW) // 2
# How long a rigged call waits for what a right answer does
PATIENCE_SECONDS, HEAD_START_SECONDS = 5, 0.5
LIMIT_SECONDS = 0.5
NO_ANSWER = "There is no answer yet."


@judged
def exercise_1(answers: Mapping[str, Span]) -> str:
    """Check that three calls were made at the same time, and all `answers` kept."""
    if answers is None:
        raise Wrong(NO_ANSWER, "put_answer puts an answer into a dict.")
    if not isinstance(answers, Mapping):
        raise Wrong(f"answers is a {type(answers).__name__}, not a dict.")
    if missing := [host for host in HOSTS if host not in answers]:
        raise Wrong(f"There is no answer of {missing[0]}.", "The keys are the hosts.")
    spans = [answers[host] for host in HOSTS]
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
    with _guest_threads(rig.returned) as errors:
        answers = call_in_halves(rig.answer, list(ROW))
        answers = None if answers is None else list(answers)
    if answers is None and not rig.callers:
        raise Wrong(NO_ANSWER, "Two threads, each with a slice of the tasks.")
    _refuse_lost(errors)
    _judge_halves(rig, answers)
    return "Two threads, seven answers, in order: nobody was left behind."


@judged
def exercise_3(collect: Callable) -> str:
    """Check that `collect` keeps answers, errors and latecomers apart."""
    released, calls = Event(), []

    def call(host: str) -> str:
        calls.append(host)
        if host == "lima":
            raise ConnectionError("lima is down")
        if host == "cairo" and not released.wait(PATIENCE_SECONDS):
            return "waited for"
        return host.upper()

    with _guest_threads(released) as errors:
        found = collect(call, ["cairo", "oslo", "lima", "rome"], LIMIT_SECONDS)
        found = found if found is None else _three(found)
    if found is None and not calls:
        raise Wrong(NO_ANSWER, "keep_outcome sorts answers from errors.")
    _refuse_lost(errors)
    if found is None:
        raise Wrong("Your function returned None.", "return answers, errors, late")
    _judge_collected(*found)
    return "Two answers, one error, one that is late: each host accounted for."


class _Halves:
    """A worker whose first task can only end after the other thread has worked."""

    def __init__(self) -> None:
        self.returned = Event()
        self.took_turns = False
        self.callers: dict[str, Thread] = {}
        self._others_worked = Event()
        self._lock = Lock()

    def answer(self, task: str) -> str:
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
    if missing := [each for each in wanted if each not in answers]:
        raise Wrong(
            f"{len(missing)} answers are missing, such as {missing[0]}.",
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
    if {"oslo", "rome"} & set(late):
        raise Wrong(
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
def _guest_threads(over: Event) -> Iterator[list[BaseException]]:
    """Collect the errors of the reader's threads; at the end, set `over` and wait."""
    known = set(threading.enumerate())
    with collect_thread_errors() as errors:
        try:
            yield errors
        finally:
            over.set()
            for thread in set(threading.enumerate()) - known:
                thread.join(PATIENCE_SECONDS)


def _refuse_lost(errors: list[BaseException]) -> None:
    if errors:
        name = type(errors[0]).__name__
        raise Wrong(f"A thread of yours ended with a {name}: {errors[0]}")


def _three(found: Any) -> tuple[dict, dict, list]:
    try:
        answers, errors, late = found
        return dict(answers), dict(errors), list(late)
    except (TypeError, ValueError):
        raise Wrong(
            "Your function should return three things.", "return answers, errors, late"
        ) from None
