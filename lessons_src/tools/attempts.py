"""Call what may fail, and go on: its error becomes a line to print."""

from collections.abc import Callable
from typing import Any


def attempt(function: Callable[..., object], *arguments: Any) -> str:
    """Call `function(*arguments)` and say what came of it, its error included.

    >>> attempt(int, "6"), attempt(int, "six")
    ('6', "ValueError: invalid literal for int() with base 10: 'six'")
    """
    try:
        return repr(function(*arguments))
    except Exception as error:
        return ": ".join(filter(None, [type(error).__name__, str(error)]))
