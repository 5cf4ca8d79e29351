"""What a timeline says and where its bars go, before anything is drawn."""

import os
import threading
from collections import Counter
from collections.abc import Mapping, Sized
from types import MappingProxyType
from typing import NamedTuple

from lessons_src.tools.span_facts import Worker, lanes, most_at_once, order, workers
from lessons_src.tools.spans import Span, this_thread


class Lane(NamedTuple):
    """A worker's label, and its spans in as many rows as overlap."""

    label: str
    rows: list[list[Span]]


class Panel(NamedTuple):
    """The lanes of one run, whose spans begin at second 0, and its seconds."""

    lanes: list[Lane]
    seconds: float

    @property
    def rows(self) -> list[list[Span]]:
        """The rows of all lanes, from top to bottom."""
        return [row for lane in self.lanes for row in lane.rows]


def panel(
    spans: list[Span], names: Mapping[Worker, str] = MappingProxyType({})
) -> Panel:
    """Lay `spans` out, counted from their first start; `names` go before `labels`.

    >>> panel([Span(7, 1, "a", 3.0, 3.5), Span(8, 1, "b", 3.25, 4.0)]).seconds
    1.0
    """
    zero = min((each.start for each in spans), default=0.0)
    moved = [
        each._replace(start=each.start - zero, stop=each.stop - zero) for each in spans
    ]
    rows = [stack(lane) for lane in lanes(moved)]
    called = zip(workers(moved), labels(moved), strict=True)
    words = [names.get(worker, label) for worker, label in called]
    labelled = [Lane(*lane) for lane in zip(words, rows, strict=True)]
    return Panel(labelled, max((each.stop for each in moved), default=0.0))


def stack(lane: list[Span]) -> list[list[Span]]:
    """Spread `lane` over rows in which no two spans overlap, outer spans on top.

    >>> work, wait = Span(1, 1, "a", 0, 9), Span(1, 1, "a", 2, 3, "waiting")
    >>> [[each.kind for each in row] for row in stack([wait, work])]
    [['working'], ['waiting']]
    """
    rows: list[list[Span]] = []
    # A span of no length is over before one of the same start begins
    outer_first = sorted(lane, key=lambda each: (each.start, -each.stop, each.task))
    for each in sorted(outer_first, key=lambda each: (each.start, each.seconds > 0)):
        row = next((row for row in rows if row[-1].stop <= each.start), None)
        if row is None:
            rows.append([each])
        else:
            row.append(each)
    return rows


def labels(spans: list[Span]) -> list[str]:
    """Return what to call the `workers` of `spans`, with no number of the system.

    The main thread of the process that draws is "main" and its other threads are
    "thread 1", "thread 2" ...; other processes are "process 1", "process 2" ...,
    with their threads if they have several.

    >>> labels([Span(7, 3, "a", 0, 1), Span(8, 3, "b", 1, 2), Span(8, 4, "c", 2, 3)])
    ['process 1', 'process 2, thread 1', 'process 2, thread 2']
    """
    found, here = workers(spans), os.getpid()
    at_main = threading.current_thread() is threading.main_thread()
    main = (here, this_thread()) if at_main else None
    sizes = Counter(process for process, _ in found)
    others = list(dict.fromkeys(process for process in sizes if process != here))
    threads: Counter[int] = Counter()
    names = []
    for process, thread in found:
        threads[process] += (process, thread) != main
        name = f"thread {threads[process]}"
        if (process, thread) == main:
            name = "main"
        elif process != here and sizes[process] == 1:
            name = f"process {others.index(process) + 1}"
        elif process != here and len(sizes) > 1:
            name = f"process {others.index(process) + 1}, {name}"
        names.append(name)
    return names


def describe(runs: dict[str, list[Span]]) -> str:
    """Return the facts of `runs` that can be read off their timelines, a line each.

    How many wait at once is left out where something else was done too: which of
    two tasks comes first to an open lock is a race.

    >>> describe({"pool": [Span(1, 1, "a", 0, 1), Span(1, 1, "b", 1, 2)]})
    'pool: 2 tasks on 1 worker, at most 1 at once'
    """
    return "\n".join(f"{run or 'Timeline'}: {_facts(runs[run])}" for run in runs)


def _facts(spans: list[Span]) -> str:
    if not spans:
        return "no tasks"
    kinds = sorted({each.kind for each in spans})
    if len(kinds) == 1:
        most = str(most_at_once(spans))
    else:
        told = [kind for kind in kinds if kind != "waiting"]
        most = _listed([f"{most_at_once(spans, kind)} {kind}" for kind in told])
    tasks, who = _count(order(spans), "task"), _count(workers(spans), "worker")
    return f"{tasks} on {who}, at most {most} at once"


def _listed(words: list[str]) -> str:
    return " and ".join([*filter(None, [", ".join(words[:-1])]), words[-1]])


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
