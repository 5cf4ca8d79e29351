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
from lessons_src.tools.profiles import Profiled, line_hits, merge_stats
from lessons_src.tools.verdict import Wrong, judged

PAGE = guest_book(500)
NAMES = 400
# N log N is fine, N * N is not
MOST_FOR_EACH_NAME = 40
BODY = "guest = tidy(name)"


class CountedName(str):
    """A name that counts how often any such name is compared, or put into a set."""

    compared = 0
    hashed = 0

    def __hash__(self) -> int:
        CountedName.hashed += 1
        return str.__hash__(self)

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
    if not isinstance(stats, LineStats):
        raise Wrong(
            f"stats is of type {type(stats).__name__}, and not a profile.",
            "profiler.get_stats() brings one.",
        )
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
    if _hits(stats, rank_tidied, "visits = {}") > 1:
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
        if not isinstance(found, list):
            kind = type(found).__name__
            raise Wrong(f"Your function returns a {kind}, and came_twice a list.")
        if found != came_twice(monday, tuesday):
            raise Wrong(
                f"For {monday} and {tuesday} it returns {found}.",
                "Names of monday, in their order, and as often as they stand there.",
            )
    monday = [CountedName(f"guest {number}") for number in range(NAMES)]
    tuesday = [CountedName(f"visitor {number}") for number in range(NAMES)]
    CountedName.compared = CountedName.hashed = 0
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
    if CountedName.hashed > most:
        raise Wrong(
            f"Few hits, but names were put into sets {CountedName.hashed:,} times.",
            "Is the set made anew for each name? Once, before the loop, will do.",
        )
    return f"{NAMES} names a day. Most hits of a line: {hits}, and none hides a loop."


@judged
def exercise_3(runs: Sequence[Profiled], stats: LineStats) -> str:
    """Check what the pool brought as `runs`, and the one table `stats` of them all."""
    if runs is None or stats is None:
        raise Wrong(
            "There is no answer yet.",
            "The pool maps ProfiledWorker(count_guests) over parts of page.",
        )
    if isinstance(runs, LineStats):
        raise Wrong("runs comes first, then stats.")
    runs = list(runs)
    if not runs or not all(isinstance(run, Profiled) for run in runs):
        raise Wrong(
            "runs should be what the pool brought, a list of Profiled.",
            "Wrap the worker in ProfiledWorker, and make a list of what comes back.",
        )
    if any(run.span.process == os.getpid() for run in runs):
        raise Wrong("The notebook did the work itself.", "Let a pool call map.")
    if len(runs) < 2:
        raise Wrong("The page went out as one part.", "split_list makes more.")
    if not isinstance(stats, LineStats):
        raise Wrong("stats should be one LineStats.", "merge_stats(runs) makes it.")
    if not _ran(stats, count_guests):
        raise Wrong(
            "Not a line of count_guests was counted.", "Is it the worker you wrapped?"
        )
    sent = _hits(merge_stats(runs), count_guests, BODY)
    if sent != len(PAGE):
        raise Wrong(
            f"The parts have {sent} names, and page has {len(PAGE)}.",
            "Each part is a list of names: split_list(page, 3) makes three.",
        )
    hits = _hits(stats, count_guests, BODY)
    if hits != len(PAGE):
        raise Wrong(
            f"stats counts {hits} names, and the runs {sent}.",
            "Merge all the runs, and each of them once.",
        )
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
