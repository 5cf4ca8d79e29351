"""Lesson 00: what its exercises are checked by."""

import os
from collections.abc import Iterable

from lessons_src.tools.timeline import Span, most_at_once
from lessons_src.tools.verdict import Wrong, judged

EIGHT = [f"task {number}" for number in range(8)]


@judged
def exercise_1(answer: int | None) -> str:
    """Check how many of five naps have to wait for one of three workers."""
    if answer is None:
        raise Wrong(
            "There is no answer yet.",
            "Write a number in place of None, and run the cell again.",
        )
    if not isinstance(answer, int | float):
        raise Wrong(f"The answer is a number, not a {type(answer).__name__}.")
    if answer == 3:
        raise Wrong("Three naps begin at once.", "And how many are then left?")
    if answer != 2:
        raise Wrong(
            f"It is not {answer!r}.",
            "Each of the three workers takes one nap at once. How many are left?",
        )
    return "Each worker takes one nap at once, and what is left has to wait."


@judged
def exercise_2(spans: Iterable[Span] | None) -> str:
    """Check that eight naps were taken all at once, in threads of this process."""
    if spans is None:
        raise Wrong("There are no spans yet.", "Look at how the five were done.")
    spans = list(spans)
    if sorted(span.task for span in spans) != EIGHT:
        raise Wrong(
            f"These are {len(spans)} naps, not task 0 to task 7 once each.",
            "make_naps(8, 0.4) makes them.",
        )
    if {span.process for span in spans} != {os.getpid()}:
        raise Wrong("These ran in other processes.", "Threads come from a ThreadPool.")
    most = most_at_once(spans)
    if most < len(EIGHT):
        raise Wrong(
            f"At most {most} of them ran at once.",
            "A pool runs as many tasks at once as it has workers.",
        )
    return "Eight naps at once, in eight threads of one process."
