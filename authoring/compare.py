"""Tell whether two runs of a cell gave the same, as nbval tells it."""

import copy
import re
from collections import defaultdict
from functools import cache

from nbformat import NotebookNode
from nbval.plugin import coalesce_streams, get_sanitize_patterns

from authoring.house import SANITIZE_RULES
from authoring.page import LIVE_WIDGET

# What nbval leaves uncompared too, and then the pictures
NOT_COMPARED = {
    "metadata",
    "traceback",
    "prompt_number",
    "output_type",
    "name",
    "execution_count",
    LIVE_WIDGET,
    "image/png",
    "image/jpeg",
}


@cache
def sanitize_rules() -> tuple[tuple[str, str], ...]:
    """Return the pairs of pattern and replacement of the sanitize file."""
    return tuple(get_sanitize_patterns(SANITIZE_RULES.read_text(encoding="utf-8")))


def sanitized(text: str) -> str:
    """Return `text` without what may move from run to run.

    >>> sanitized("Wall time: 203 ms")
    'Wall time: TIME'
    """
    for pattern, replacement in sanitize_rules():
        text = re.sub(pattern, replacement, text)
    return text


def same(stored: list[NotebookNode], new: list[NotebookNode]) -> bool:
    """Tell whether the outputs `stored` and `new` agree in all that is compared."""
    return _facts(stored) == _facts(new) and kinds(stored) == kinds(new)


def _facts(outputs: list[NotebookNode]) -> dict[str, list]:
    facts = defaultdict(list)
    for output in coalesce_streams(copy.deepcopy(outputs)):
        named = {output.name: output.text} if "text" in output else output
        for key, value in {**named, **named.get("data", {})}.items():
            if key != "data" and key not in NOT_COMPARED:
                facts[key].append(sanitized(value) if isinstance(value, str) else value)
    return facts


def kinds(outputs: list[NotebookNode]) -> list[list[str]]:
    """Return which forms each output has: a picture may have come or gone."""
    return [
        sorted(form for form in output.data if form != LIVE_WIDGET)
        for output in outputs
        if "data" in output
    ]
