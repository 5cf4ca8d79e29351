"""The exercise checks of lesson 09: what was counted, and where."""

import os
from collections.abc import Callable, Sequence

from line_profiler import LineProfiler, LineStats

from lessons_src.line_profiler import (
    came_twice,
    count_guests,
    guest_book,
    rank_sorted,
    rank_tidied,
    tidy,
)
from lessons_src.tools.profiles import Profiled, line_hits
from lessons_src.tools.verdict import Wrong, judged

PAGE = guest_book(500)
NAMES = 400
# N log N is fine, N * N is not
MOST_FOR_EACH_NAME = 40
BODY = "guest = tidy(name)"


class CountedName(str):
    """A name that counts how often any such name is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__ne__(self, other)

    def __lt__(self, other: str) -> bool:
        CountedName.compared += 1
        return str.__lt__(self, other)


@judged
def exercise_1(stats: LineStats) -> str:
    """Check that `stats` count the lines of `rank_tidied` and those of `tidy`."""
    if stats is None:
        raise Wrong("There is no answer yet.", "profiler.get_stats() brings them.")
    if isinstance(stats, LineProfiler):
        raise Wrong("This is the profiler itself.", "Hand over its get_stats().")
    if _ran(stats, rank_sorted) and not _ran(stats, rank_tidied):
        raise Wrong("You profiled rank_sorted.", "The last repair is rank_tidied.")
    if not _ran(stats, rank_tidied):
        raise Wrong(
            "Not a line of rank_tidied was counted.",
            "Call the wrapper that profiler(rank_tidied) returns.",
        )
    if not _ran(stats, tidy):
        raise Wrong(
            "The lines inside tidy were not counted.",
            "Name it to the profiler as well, by add_function, before the run.",
        )
    turns = _hits(stats, rank_tidied, "if name not in")
    if turns and turns % len(PAGE) == 0 and turns > len(PAGE):
        raise Wrong("These are the hits of several runs.", "Take a fresh profiler.")
    if turns != len(PAGE):
        raise Wrong(f"{turns} names were read, not {len(PAGE)}.", "rank_tidied(page)")
    calls = _hits(stats, tidy, "return")
    if calls != len(set(PAGE)):
        raise Wrong("tidy was called by others too.", "Profile one call only.")
    return f"{turns} names were read, and tidy was called {calls} times."


@judged
def exercise_2(function: Callable[[Sequence[str], Sequence[str]], list[str]]) -> str:
    """Check that `function` finds the same names, without comparing all pairs."""
    if function is None:
        raise Wrong("There is no answer yet.", "What could a set of tuesday tell you?")
    for monday, tuesday in _small_books():
        found = function(list(monday), list(tuesday))
        if found is None:
            raise Wrong("Your function returns None.", "Is there a return?")
        if list(found) != came_twice(monday, tuesday):
            raise Wrong(
                f"For {monday} and {tuesday} it returns {found}.",
                "Names of monday, in their order, and as often as they stand there.",
            )
    monday = [CountedName(f"guest {number}") for number in range(NAMES)]
    tuesday = [CountedName(f"visitor {number}") for number in range(NAMES)]
    CountedName.compared = 0
    profiler = LineProfiler()
    profiler(function)(monday, tuesday)
    compared, most = CountedName.compared, MOST_FOR_EACH_NAME * NAMES
    hits = max(_all_hits(profiler.get_stats()), default=0)
    if hits > most:
        raise Wrong(f"For {NAMES} names a day, one of your lines has {hits:,} hits.")
    if compared > most:
        raise Wrong(
            f"Few hits, but {compared:,} names were compared inside a line.",
            "`name in tuesday` walks through a list. Through a set it does not.",
        )
    return f"{NAMES} names a day, and no line with more than {hits:,} hits."


@judged
def exercise_3(runs: Sequence[Profiled], stats: LineStats) -> str:
    """Check what the pool brought as `runs`, and the one table `stats` of them all."""
    if runs is None or stats is None:
        raise Wrong(
            "There is no answer yet.",
            "The pool maps ProfiledWorker(count_guests) over parts of page.",
        )
    runs = list(runs)
    if not runs or not all(isinstance(run, Profiled) for run in runs):
        raise Wrong(
            "runs should be what the pool brought, a list of Profiled.",
            "Wrap the worker before you hand it to the pool.",
        )
    if any(run.span.process == os.getpid() for run in runs):
        raise Wrong("The notebook did the work itself.", "Let a pool call map.")
    if len(runs) < 2:
        raise Wrong("The page went out as one part.", "split_list makes more.")
    if not isinstance(stats, LineStats):
        raise Wrong("stats should be one LineStats.", "merge_stats(runs) makes it.")
    if not _ran(stats, count_guests):
        raise Wrong("Not a line of count_guests was counted.")
    hits = _hits(stats, count_guests, BODY)
    if hits < len(PAGE):
        raise Wrong(
            f"{hits} names were counted, not {len(PAGE)}.",
            "Are the tables of all runs merged?",
        )
    if hits > len(PAGE):
        raise Wrong(f"{hits} names were counted, not {len(PAGE)}.", "Merge once.")
    return f"{hits} names, counted in {len(runs)} parts, in one table."


def _small_books() -> list[tuple[list[str], list[str]]]:
    return [
        (["Ada", "Alan", "Anita"], ["Anita", "Ada"]),
        (["Alan", "Ada", "Alan"], ["Alan", "Alan", "Borg"]),
        (["Ada"], []),
        ([], ["Ada"]),
    ]


def _ran(stats: LineStats, function: Callable) -> bool:
    try:
        return bool(line_hits(stats, function))
    except LookupError:
        return False


def _hits(stats: LineStats, function: Callable, text: str) -> int:
    return sum(hits for hits, line in line_hits(stats, function) if text in line)


def _all_hits(stats: LineStats) -> list[int]:
    return [hits for timings in stats.timings.values() for _, hits, _ in timings]
