"""The exercise checks of lesson 07: what a bar counted, and when it said so."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from lessons_src.progress_bars import (
    PAGE_SECONDS,
    Paper,
    Tick,
    Watched,
    make_chores,
)
from lessons_src.tools.timeline import Span, clock, finish_order, span, workers
from lessons_src.tools.verdict import Wrong, judged

SIZES = (30, 80, 20, 50, 20)
CHORES = [chore.name for chore in make_chores(1)]
SLOW = next(chore.name for chore in make_chores(1) if chore.others_first)
PAGES = {"Emma": 30, "Dracula": 20}


@judged
def exercise_1(bar: Any, paper: Paper) -> str:
    """Check that `bar` counted megabytes, a step for each file, on `paper`."""
    if bar is None:
        raise Wrong("There is no bar yet.", "tqdm(total=...) makes one by hand.")
    whole = sum(SIZES)
    if bar.total != whole:
        raise Wrong(
            f"The bar's total is {bar.total}.", "How many megabytes are there in all?"
        )
    if bar.n > whole:
        raise Wrong(f"The bar counted {bar.n} of {whole}.", "update takes the step.")
    if bar.n < whole:
        raise Wrong(
            f"The bar stands at {bar.n} of {whole}.", "A file is a step of its size."
        )
    ticks = _ticks_on(paper)
    steps = [after.done - before.done for before, after in pairwise(ticks)]
    if sorted(steps) != sorted(SIZES):
        raise Wrong(
            "The bar did not tick once for each file.",
            "One update a file, with **EXACT, on a fresh Paper().",
        )
    return f"{whole} of {whole} megabytes, in {len(SIZES)} steps."


@judged
def exercise_2(watched: Watched) -> str:
    """Check that the bar told the truth while the slow chore was busy."""
    work, _, ticks = watched
    if sorted({each.task for each in work}) != sorted(CHORES):
        raise Wrong(
            "Not all five chores were done.",
            "Hand in all of chores, and loop over the bar inside the with block.",
        )
    if not ticks:
        raise Wrong("The bar showed no count such as 3/5.", "file=paper, and total=5.")
    if ticks[-1].total != len(CHORES):
        raise Wrong(f"The bar's total is {ticks[-1].total}.", "There are five chores.")
    if len(workers(work)) < 2:
        raise Wrong("One worker did it all.", "A pool of two, processes or threads.")
    if finish_order(work)[-1] != SLOW:
        raise Wrong("The slow chore was not the last to end.", "One chore in a chunk.")
    end = max(each.stop for each in work)
    _judge_count([tick.done for tick in ticks if tick.moment < end])
    # Not always 5: a form of tqdm may close its bar before its last tick
    return f"4 of 5 while the slow chore was busy, and {ticks[-1].said} at the end."


@judged
def exercise_3(copied: Iterable[Span], paper: Paper) -> str:
    """Check that the bar on `paper` counted the pages while they were `copied`."""
    if copied is None:
        raise Wrong(
            "There is no answer yet.",
            "A manager's Queue can be given to workers, and map_async does not wait.",
        )
    if hasattr(copied, "get"):
        raise Wrong("copied is a ticket.", "Ask it for the answers: ticket.get(LIMIT).")
    spans = list(copied)
    names = sorted(str(getattr(each, "task", "")) for each in spans)
    if names != sorted(PAGES):
        raise Wrong("copied should hold the answers for Emma and for Dracula.")
    if span("this", clock()).worker in workers(spans):
        raise Wrong("The notebook copied a book itself.", "Hand the books to a pool.")
    ticks, whole = _ticks_on(paper), sum(PAGES.values())
    last = ticks[-1]
    if (last.done, last.total) != (whole, whole):
        raise Wrong(
            f"The bar ends at {last.done} of {last.total}, not {whole} of {whole}.",
            "A tick for each 1 that comes out of the queue.",
        )
    # A page takes PAGE_SECONDS or more; 0.8 is for clocks that tick coarsely
    busy = [each.start + 0.8 * PAGE_SECONDS * PAGES[each.task] for each in spans]
    if last.moment < max(busy):
        raise Wrong(
            "The bar was full before the books were copied.",
            "Take a 1 out of the queue before each tick.",
        )
    end = max(each.stop for each in spans)
    early = sum(tick.done > 0 and tick.moment < end for tick in ticks)
    if early < 2:
        raise Wrong(
            "The bar hardly moved before all was copied.",
            "map waits. Read the queue while the workers are busy.",
        )
    return f"{whole} pages, counted while they were copied."


def _ticks_on(paper: Paper) -> list[Tick]:
    if not isinstance(paper, Paper):
        raise Wrong("paper should be a Paper.", "paper = Paper()")
    if not paper.ticks:
        raise Wrong("No bar was drawn on paper.", "file=paper")
    return paper.ticks


def _judge_count(shown: list[int]) -> None:
    said = shown[-1] if shown else 0
    busy = f"While the slow chore was busy, the bar said {said} of 5."
    if said == len(CHORES):
        raise Wrong(busy, "It counts what is handed in. Hang it on the answers.")
    if not said:
        raise Wrong(busy, "map hands over at the end. Which form does not wait?")
    if said == 1:
        raise Wrong(busy, "It keeps the order of the chores. Which form does not?")
    if said < len(CHORES) - 1:
        raise Wrong(busy, "Give it **EXACT, or it skips ticks.")
