"""The exercise checks of lesson 01: what a pool brought home, and when."""

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise

from lessons_src.process_pool import StepTable, share_cake, tabulate_steps
from lessons_src.tools.timeline import Span
from lessons_src.tools.verdict import Wrong, judged

TASKS = 5
# Two that end together may arrive either way round
SLACK_SECONDS = 0.1
STARTS = range(1, 1025)
MOST = 10
PARTIES = (4, 0, 13, 6, 3, 2)
QUARREL = 13


@judged
def exercise_1(received: Sequence[tuple[Span, float]]) -> str:
    """Check that each answer was `received` when its task was done."""
    if received is None:
        raise Wrong("There is no answer yet.", "Which method hands over early?")
    answers, moments = _pairs(received)
    tasks = [answer.task for answer in answers]
    if len(set(tasks)) != TASKS or len(tasks) != TASKS:
        raise Wrong(f"There should be one pair for each of the {TASKS} tasks.")
    if any(answer.process == os.getpid() for answer in answers):
        raise Wrong("The notebook took these naps itself.", "Hand them to a pool.")
    if min(moments) > max(answer.stop for answer in answers):
        raise Wrong(
            "The first answer reached you when all the tasks were done.",
            "map waits for all of them. Note each answer inside the loop, too.",
        )
    if any(moment < answer.stop for answer, moment in received):
        raise Wrong(
            "An answer is noted before its task was done.",
            "Look at the clock inside the loop, anew for each answer.",
        )
    heard = [answer for answer, _ in sorted(received, key=lambda pair: pair[1])]
    if any(next_.stop + SLACK_SECONDS < this.stop for this, next_ in pairwise(heard)):
        raise Wrong(
            "One task was done, and its answer had to wait for another one's.",
            "imap keeps the order of the tasks. Which method does not?",
        )
    first, *_, last = (answer.task for answer in heard)
    return f"You heard of {first} first and of {last} last, as they were done."


@judged
def exercise_2(tables: Sequence[StepTable], merged: Mapping[int, int]) -> str:
    """Check the `tables` out of the pool, and the one dict `merged` from them."""
    if tables is None or merged is None:
        raise Wrong(
            "There is no answer yet.",
            "Each call needs two arguments: a part of the numbers, and 10.",
        )
    tables = list(tables)
    _refuse_tables(tables)
    if not isinstance(merged, Mapping):
        raise Wrong(
            f"merged is a {type(merged).__name__}, not one dict.",
            "merge_dicts wants the steps of each table.",
        )
    wanted = tabulate_steps(STARTS, MOST).steps
    if missing := wanted.keys() - merged.keys():
        raise Wrong(
            f"{len(missing)} numbers are missing; {min(missing)} is one of them.",
            "range(1, 1024) ends at 1023. Are all the tables merged?",
        )
    if dict(merged) != wanted:
        raise Wrong("merged is not the loop's answer.", "At most 10 steps.")
    return f"{len(merged)} numbers out of {len(tables)} tables, as in a loop."


@judged
def exercise_3(answers: Mapping[int, int], errors: Mapping[int, object]) -> str:
    """Check that all good `answers` came home, and the `errors` of the others."""
    if answers is None or errors is None:
        raise Wrong("There is no answer yet.", "One ticket for each party.")
    wanted = {
        guests: share_cake(guests) for guests in PARTIES if guests not in (0, QUARREL)
    }
    if lost := wanted.keys() - answers.keys():
        raise Wrong(
            f"The good answer for {min(lost)} guests is lost.",
            "Ask each ticket in a try of its own, inside the with block. "
            "A cold pool may take longer to start than you wait.",
        )
    if dict(answers) != wanted:
        raise Wrong("Some answers are wrong, or belong to the errors.")
    if set(errors) != {0, QUARREL}:
        raise Wrong("There should be two errors, for 0 and for 13 guests.")
    for guests, name in ((0, "ValueError"), (QUARREL, "TimeoutError")):
        if name not in _told(errors[guests]):
            raise Wrong(
                f"The error for {guests} guests should be a {name}.",
                "What get raises is what to keep.",
            )
    return "Four answers and two errors; nobody waited for the quarrel to end."


def _pairs(received: Sequence[tuple[Span, float]]) -> tuple[list[Span], list[float]]:
    for pair in received:
        if isinstance(pair, Span) or len(pair) != 2 or not isinstance(pair[0], Span):
            raise Wrong("Each entry should be a pair.", "(answer, clock())")
    return [answer for answer, _ in received], [moment for _, moment in received]


def _refuse_tables(tables: list[StepTable]) -> None:
    if not all(isinstance(table, StepTable) for table in tables):
        raise Wrong("tables should be what starmap brings back, a list of StepTable.")
    if len(tables) < 2:
        raise Wrong("The numbers went out as one part.", "split_list makes more.")
    if any(table.process == os.getpid() for table in tables):
        raise Wrong("The notebook did the work itself.", "Let a pool call starmap.")


def _told(error: object) -> str:
    # An error, its class, or a text: any of them may have been kept
    return f"{type(error).__name__} {error}"
