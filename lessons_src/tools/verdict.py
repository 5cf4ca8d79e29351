"""What the checks of the exercises are made of: right, or not yet and why."""

import inspect
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from types import FrameType
from typing import ParamSpec

Parameters = ParamSpec("Parameters")


class Wrong(Exception):
    """Tell from inside a check that the answer is not right, and `why`."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check found; it is true if the answer is right.

    >>> Verdict(False, "One task is missing.", hint="Count them.")
    Not yet. One task is missing.
    Hint: Count them.
    """

    right: bool
    why: str
    hint: str = ""

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        text = ("Right. " if self.right else "Not yet. ") + self.why
        if self.hint and not self.right:
            text += f"\nHint: {self.hint}"
        return text.strip()


def judged(check: Callable[Parameters, str | None]) -> Callable[..., Verdict]:
    """Make `check` return a `Verdict` and never raise an error.

    What `check` returns is the praise; a `Wrong` out of it is the reason why not.
    Any other error comes from the reader's code, and is named to the reader.

    >>> @judged
    ... def exercise_1(answer):
    ...     if answer is None:
    ...         raise Wrong("There is no answer yet.")
    ...     return f"{10 / answer:g} is what we wanted."
    >>> exercise_1(None)
    Not yet. There is no answer yet.
    >>> exercise_1(2)
    Right. 5 is what we wanted.
    >>> exercise_1(0)
    Not yet. The check cannot use your answer. ZeroDivisionError: division by zero
    """

    @wraps(check)
    def judge(*arguments: Parameters.args, **named: Parameters.kwargs) -> Verdict:
        signature = inspect.signature(check)
        try:
            signature.bind(*arguments, **named)
        except TypeError:
            call = f"{check.__name__}({', '.join(signature.parameters)})"
            return Verdict(False, f"The check is called like this: {call}")
        try:
            return Verdict(True, check(*arguments, **named) or "")
        except Wrong as wrong:
            return Verdict(False, wrong.why, wrong.hint)
        # SystemExit is no Exception, and sys.exit in a worker arrives here too
        except (Exception, SystemExit) as error:
            return Verdict(False, _blame(error, check.__module__))

    return judge


def _blame(error: BaseException, check_module: str) -> str:
    places = _places(error)
    for frame, number in reversed(places):
        line = linecache.getline(frame.f_code.co_filename, number, frame.f_globals)
        if _module(frame) == "__main__" and line.strip():
            return f"Your code raised {_name(error)}\nIn your line: {line.strip()}"
    if _module(places[-1][0]).startswith((check_module, "lessons_src.tools.")):
        return f"The check cannot use your answer. {_name(error)}"
    return f"Your code raised {_name(error)}"


def _places(error: BaseException) -> list[tuple[FrameType, int]]:
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return places


def _module(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "")


def _name(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:
        message = ""
    name = type(error).__name__
    return f"{name}: {message}" if message else name
