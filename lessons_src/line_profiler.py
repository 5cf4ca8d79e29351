"""Lesson 09, Line profiler: a report that is slow in three ways, and its repairs.

guest book -> rank_pairs   every name compared with every other name
           -> rank_counts  counted in a dict, but sorted after each name
           -> rank_sorted  sorted once, but each name tidied anew
           -> rank_tidied  each spelling tidied once
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from itertools import product
from operator import itemgetter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from line_profiler import LineProfiler, LineStats

from lessons_src.tools.experiment import compare
from lessons_src.tools.leash import Outcome, run_code, run_module
from lessons_src.tools.programs import program
from lessons_src.tools.recorded import live_or_recorded

if TYPE_CHECKING:
    from pyinstrument.frame import Frame

FIRST = ["Ada", "Alan", "Anita", "Barbara", "Claude", "Donald", "Edsger", "Frances"]
SECOND = ["Grace", "Hedy", "John", "Katherine"]
FAMILY = ["Allen", "Borg", "Dijkstra", "Hopper"]
PROFILE = "profile_output.lprof"
SETTINGS = """\
[tool.line_profiler.write]
output_prefix = {prefix!r}
timestamped_text = false
"""

Ranking = list[tuple[str, int]]


def guest_book(lines: int) -> list[str]:
    """Return the names of `lines` visits, each name in one of two spellings.

    >>> guest_book(3) == guest_book(5)[:3]
    True
    """
    guests = [" ".join(names) for names in product(FIRST, SECOND, FAMILY)]
    hasty = [f"  {guest.upper().replace(' ', '   ')} " for guest in guests]
    return Random(9).choices(guests + hasty, k=lines)


def tidy(name: str) -> str:
    """Return `name` in small letters, with one blank between its words.

    >>> tidy("  ADA   LOVELACE ")
    'ada lovelace'
    """
    tidied = ""
    for letter in name:
        if letter != " " or not tidied.endswith(" "):
            tidied += letter.lower()
    return tidied.strip()


def rank_pairs(book: Sequence[str]) -> Ranking:
    """Say how often each guest came, by comparing each name with all the others."""
    guests = []
    for name in book:
        guests.append(tidy(name))
    visits = {}
    ranking = []
    for guest in guests:
        times = 0
        for other in guests:
            if other == guest:
                times += 1
        visits[guest] = times
        ranking = sorted(visits.items(), key=itemgetter(1), reverse=True)
    return ranking


def rank_counts(book: Sequence[str]) -> Ranking:
    """Say how often each guest came, by counting in a dict."""
    visits = {}
    ranking = []
    for name in book:
        guest = tidy(name)
        visits[guest] = visits.get(guest, 0) + 1
        ranking = sorted(visits.items(), key=itemgetter(1), reverse=True)
    return ranking


def rank_sorted(book: Sequence[str]) -> Ranking:
    """Say how often each guest came, and sort once."""
    visits = {}
    for name in book:
        guest = tidy(name)
        visits[guest] = visits.get(guest, 0) + 1
    return sorted(visits.items(), key=itemgetter(1), reverse=True)


def rank_tidied(book: Sequence[str]) -> Ranking:
    """Say how often each guest came, and tidy each spelling once."""
    visits = {}
    tidied = {}
    for name in book:
        if name not in tidied:
            tidied[name] = tidy(name)
        guest = tidied[name]
        visits[guest] = visits.get(guest, 0) + 1
    return sorted(visits.items(), key=itemgetter(1), reverse=True)


def count_guests(names: Iterable[str]) -> dict[str, int]:
    """Count the visits of each guest: the part of the report that a pool can do.

    >>> count_guests(["Ada Allen", " ADA ALLEN", "Alan Borg"])
    {'ada allen': 2, 'alan borg': 1}
    """
    visits = {}
    for name in names:
        guest = tidy(name)
        visits[guest] = visits.get(guest, 0) + 1
    return visits


def came_twice(monday: Sequence[str], tuesday: Sequence[str]) -> list[str]:
    """Return the names of `monday` that stand in `tuesday` too, in their order.

    >>> came_twice(["Ada", "Alan", "Anita"], ["Anita", "Ada"])
    ['Ada', 'Anita']
    """
    twice = []
    for name in monday:
        for other in tuesday:
            if other == name:
                twice.append(name)
                break
    return twice


def report(book: Sequence[str]) -> tuple[str, int]:
    """Return the guest who came most often, in a way that hides where time goes."""
    visits = count_guests(book)
    ranking = rank_pairs(book)
    guest, times = ranking[0]
    return guest, max(times, visits[guest])


def speed_up(
    before: Callable, after: Callable, book: Sequence[str], repeats: int = 5
) -> float:
    """Return how many times as fast as `before` the function `after` reads `book`."""
    both = {"before": partial(before, book), "after": partial(after, book)}
    return 1 / compare(both, repeats).rows[1].ratio


def profiled(function: Callable, *arguments: object) -> LineStats:
    """Call `function` under a fresh line profiler, and return what it counted."""
    profiler = LineProfiler()
    profiler(function)(*arguments)
    return profiler.get_stats()


def busiest(function: Callable, *arguments: object) -> str:
    """Name the innermost Python function that was at work in most of the samples."""
    # It times its clock once: on a busy machine it would warn, and nothing is wrong
    os.environ.setdefault("PYINSTRUMENT_IGNORE_OVERHEAD_WARNING", "1")
    from pyinstrument import Profiler

    with Profiler(interval=0.001) as sampler:
        function(*arguments)
    frame = sampler.last_session.root_frame()
    while inside := [each for each in frame.children if _has_most_of(frame, each)]:
        frame = inside[0]
    return frame.function


def _has_most_of(frame: "Frame", inside: "Frame") -> bool:
    in_python = (inside.file_path or "").endswith(".py")
    return in_python and inside.time > frame.time / 2


def sampling_report(book: Sequence[str]) -> str:
    """Say where a sampling profiler finds `report`, and which profiler costs more."""
    part = book[: len(book) // 4]
    runs = {
        "sampled": partial(busiest, rank_pairs, part),
        "profiled": partial(profiled, rank_pairs, part),
    }
    dearer = compare(runs, repeats=3).rows[1].ratio > 2
    return (
        f"the sampler finds the report mostly in: {busiest(report, book)}\n"
        f"the line profiler takes more than twice the sampler's time: {dearer}"
    )


def sampled_or_recorded(book: Sequence[str]) -> str:
    """Return the `sampling_report`, recorded where there is no pyinstrument yet."""
    live = find_spec("pyinstrument") is not None
    run = partial(sampling_report, book)
    return live_or_recorded("line_profiler_sampling", run, live).rstrip()


def run_by_kernprof(name: str, folder: str | Path, limit: float) -> Outcome:
    """Run the program `name` as `kernprof -l` does; its profile goes into `folder`."""
    script, profile = Path(folder, f"{name}.py"), Path(folder, PROFILE)
    script.write_text(program(name), encoding="utf-8")
    return run_module("kernprof", limit, "-l", "-o", profile, script)


def run_with_switch(name: str, folder: str | Path, limit: float) -> Outcome:
    """Run the program `name` with LINE_PROFILE=1; its profile goes into `folder`."""
    settings = Path(folder, "settings.toml")
    prefix = Path(folder, PROFILE).with_suffix("").as_posix()
    settings.write_text(SETTINGS.format(prefix=prefix), encoding="utf-8")
    switch = {"LINE_PROFILE": "1", "LINE_PROFILER_RC": str(settings)}
    return run_code(program(name), limit, env=switch)


def run_alone(name: str, folder: str | Path, limit: float) -> Outcome:
    """Run the program `name` as it is; no profile goes into `folder`."""
    return run_code(program(name), limit)


def four_ways(limit: float) -> str:
    """Say what comes of the two programs with `@profile`, without and with a profiler.

    Parameters
    ----------
    limit
        seconds, for each of the four runs
    """
    ways = {
        "python bare.py": (run_alone, "line_profiler_bare"),
        "kernprof -l bare.py": (run_by_kernprof, "line_profiler_bare"),
        "python import.py": (run_alone, "line_profiler_import"),
        "LINE_PROFILE=1 python import.py": (run_with_switch, "line_profiler_import"),
    }
    # Each is a process of its own, so they need not wait for one another
    with ThreadPoolExecutor(len(ways)) as threads:
        said = threads.map(partial(_said_by, limit=limit), ways.values())
        pairs = zip(ways, said, strict=True)
        return "\n".join(f"{way}\n    {text}" for way, text in pairs)


def _said_by(way: tuple[Callable, str], limit: float) -> str:
    run, name = way
    with TemporaryDirectory() as folder:
        outcome = run(name, folder, limit)
        # Newer Pythons add advice to an error, after a full stop
        error = outcome.last_error_line.partition(". ")[0]
        said = (outcome.output.splitlines() or [error])[0]
        return f"{said}; {_lines_profiled(folder)}"


def _lines_profiled(folder: str | Path) -> str:
    file = Path(folder, PROFILE)
    if not file.exists():
        return "no profile"
    (timings,) = LineStats.from_files(file).timings.values()
    return f"profiled, hits: {', '.join(str(hits) for _, hits, _ in timings)}"
