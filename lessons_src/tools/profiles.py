"""Line profiles from the workers of a pool, put together in one table.

pool.map(ProfiledWorker(work, callee), tasks) -> Profiled(answer, stats, span), ...
merge_stats(all of them) -> one LineStats -> line_hits, hit_table, time_share

`line_profiler` counts in the process that does the work, and nowhere else. So each
call is profiled where it runs, and its counts travel home with its answer.
"""

import linecache
from collections.abc import Callable, Collection, Iterable
from inspect import unwrap
from typing import Any, NamedTuple

from line_profiler import LineProfiler, LineStats

from lessons_src.tools.spans import Span, clock, span

NANOSECOND = 1e-9


class Profiled(NamedTuple):
    """What a call returned, what its lines cost, and who ran it when."""

    answer: Any
    stats: LineStats
    span: Span


class LineHits(NamedTuple):
    """How often a line ran, and the line."""

    hits: int
    line: str


class ProfiledWorker:
    """Call `worker` under a line profiler of its own, and return a `Profiled`.

    It can be pickled if `worker` and the `callees` can, so it serves the processes
    of any pool, under any start method. A call that raises raises: its counts are
    lost with its answer. Give it to processes, not to several threads of one: from
    Python 3.12 on, two line profilers at work in one process lose hits.

    >>> run = ProfiledWorker(merge_stats)([])
    >>> run.answer.timings, line_hits(run.stats, merge_stats)[0].hits
    ({}, 1)

    Parameters
    ----------
    callees
        Functions that `worker` calls and whose lines are to be counted too.
    """

    def __init__(
        self, worker: Callable[..., Any], *callees: Callable[..., Any]
    ) -> None:
        self.worker = worker
        self.callees = callees

    def __call__(self, *arguments: Any) -> Profiled:
        """Call the worker with `arguments`."""
        profiler = LineProfiler()
        for function in (self.worker, *self.callees):
            profiler.add_callable(function)
        start = clock()
        with profiler:
            answer = self.worker(*arguments)
        name = getattr(self.worker, "__name__", "worker")
        return Profiled(answer, profiler.get_stats(), span(name, start))


def merge_stats(runs: Iterable[Profiled]) -> LineStats:
    """Add up the hits and times of all `runs`, line by line.

    >>> runs = [ProfiledWorker(merge_stats)([]) for _ in range(3)]
    >>> line_hits(merge_stats(runs), merge_stats)[0].hits
    3
    """
    parts = [run.stats for run in runs]
    if not parts:
        return LineStats({}, NANOSECOND)
    return LineStats.from_stats_objects(*parts)


def line_hits(stats: LineStats, function: Callable[..., Any]) -> list[LineHits]:
    """Return the lines of `function` that ran, and how often each did.

    Raises
    ------
    LookupError
        When `function` was not profiled.
    """
    file, timings = _timings(stats, function)
    return [
        LineHits(hits, linecache.getline(file, number).rstrip())
        for number, hits, _ in timings
    ]


def hit_table(stats: LineStats, function: Callable[..., Any], hottest: int = 0) -> str:
    """Return the `line_hits` of `function` as a table without times.

    Parameters
    ----------
    hottest
        how many lines get a star: those that took the most time
    """
    _, timings = _timings(stats, function)
    times = [time for _, _, time in timings]
    hot = sorted(range(len(times)), key=times.__getitem__, reverse=True)[:hottest]
    return table(line_hits(stats, function), hot)


def table(rows: Iterable[LineHits], starred: Collection[int] = ()) -> str:
    """Return `rows` as text, under a head; those at the places `starred` get a star.

    >>> rows = [LineHits(1, "total = 0"), LineHits(1000, "total += number")]
    >>> print(table(rows, starred=[1]))
         Hits  Line
            1  total = 0
        1,000 *total += number
    """
    lines = [
        f"{hits:>9,} {'*' if place in starred else ' '}{line}"
        for place, (hits, line) in enumerate(rows)
    ]
    return "\n".join(["     Hits  Line", *lines])


def time_share(stats: LineStats, function: Callable[..., Any], *texts: str) -> float:
    """Return which part of the time of `function` its lines with `texts` took.

    Raises
    ------
    LookupError
        When `function` was not profiled, or a text stands in no line that ran.
    """
    _, timings = _timings(stats, function)
    lines = [line for _, line in line_hits(stats, function)]
    for text in texts:
        if not any(text in line for line in lines):
            raise LookupError(f"no line that ran has {text!r} in it")
    times = [time for _, _, time in timings]
    wanted = [any(text in line for text in texts) for line in lines]
    return sum(t for t, take in zip(times, wanted, strict=True) if take) / sum(times)


def _timings(
    stats: LineStats, function: Callable[..., Any]
) -> tuple[str, list[tuple[int, int, int]]]:
    code = unwrap(function).__code__
    for (file, first_line, _), timings in stats.timings.items():
        if (file, first_line) == (code.co_filename, code.co_firstlineno):
            return file, timings
    raise LookupError(f"{function.__name__} was not profiled")
