"""Lesson 07, Progress bars: the chores, and paper that knows when a bar was drawn.

the notebook                             two workers
chores ------------------------------->  do_chore: marks in a folder, for the timeline
bar: 0 of 5, 1 of 5 ... on Paper  <----  answers
"""

import io
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Barrier, BrokenBarrierError
from typing import Any, NamedTuple

from lessons_src.tools.timeline import Recorder, Span, clock, span

PATIENCE_SECONDS = 20
LINE_UP_SECONDS = 60
POLL_SECONDS = 0.005
PAGE_SECONDS = 0.01
STEPS = 3
FIGURE_SPACE = "\u2007"
COUNT = re.compile(r"(\d+)(?:\.\d+)?/(\d+)")
PIECE = re.compile(r"\x1b\[A|[\r\n]|[^\x1b\r\n]+")


class Chore(NamedTuple):
    """A task that only waits: first until others are done, then some `seconds`."""

    name: str
    seconds: float
    others_first: int = 0


class Version(NamedTuple):
    """One drawing of a bar, and the moment on `clock` when it was drawn."""

    moment: float
    text: str


class Tick(NamedTuple):
    """The moment from which on a bar said that `done` of `total` were done."""

    moment: float
    done: int
    total: int

    @property
    def said(self) -> str:
        """The count, in words."""
        return f"{self.done} of {self.total}"


class Watched(NamedTuple):
    """What the workers did, and what the bar showed meanwhile."""

    work: list[Span]
    bar: list[Span]
    ticks: list[Tick]


class Played(NamedTuple):
    """The `lines` that a terminal shows, and each text with the line it went to."""

    lines: list[str]
    drawn: list[tuple[int, str]]


class Book(NamedTuple):
    """A long task, in steps: some pages to copy."""

    title: str
    pages: int


class Job(NamedTuple):
    """A bar to be filled on line `line` of a screen."""

    name: str
    line: int
    screen: "Screen"


class Paper(io.StringIO):
    r"""A file for a bar to draw on: it notes the moment of each drawing.

    >>> paper = Paper()
    >>> print("\r1/2", end="", file=paper)
    >>> [tick.done for tick in paper.ticks]
    [1]
    """

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[Version] = []

    def write(self, text: str) -> int:
        """Write `text`; what begins with a carriage return is a drawing."""
        if text.startswith("\r") and text.strip():
            self.versions.append(Version(clock(), text.strip()))
        return super().write(text)

    @property
    def ticks(self) -> list[Tick]:
        """The drawings that showed a new count, such as 3/5, with their moments."""
        ticks: list[Tick] = []
        for moment, text in self.versions:
            if found := COUNT.search(text):
                done, total = map(int, found.groups())
                if not ticks or ticks[-1].done != done:
                    ticks.append(Tick(moment, done, total))
        return ticks


class Screen:
    """A terminal that several processes draw on, rigged: they meet before each write.

    Who does not come within `patience` seconds is not waited for again.
    """

    def __init__(self, barrier: Barrier, written: list[str], patience: float) -> None:
        self.barrier = barrier
        self.written = written
        self.patience = patience

    def line_up(self) -> None:
        """Wait until all who draw on this screen have come."""
        self.barrier.wait(LINE_UP_SECONDS)

    def write(self, text: str) -> None:
        """Add `text`, when the others are about to add theirs."""
        if text:
            with suppress(BrokenBarrierError):
                self.barrier.wait(self.patience)
            self.written.append(text)

    def flush(self) -> None:
        """Do nothing: what is written is there."""


def make_chores(seconds: float) -> list[Chore]:
    """Make four quick chores and, second in the list, a slow one that ends last.

    >>> [chore.name for chore in make_chores(0.1)]
    ['quick 0', 'slow 1', 'quick 2', 'quick 3', 'quick 4']
    """
    names = ["quick 0", "slow 1", "quick 2", "quick 3", "quick 4"]
    quick = [Chore(name, seconds) for name in names]
    return [quick[0], Chore(names[1], 10 * seconds, others_first=4), *quick[2:]]


def do_chore(recorder: Recorder, chore: Chore) -> str:
    """Do `chore` on record, after as many others as it wants to see done first."""
    with recorder.span(chore.name):
        give_up = clock() + PATIENCE_SECONDS
        while len(recorder.spans) < chore.others_first and clock() < give_up:
            time.sleep(POLL_SECONDS)
        time.sleep(chore.seconds)
    return chore.name


def watch(form: Callable[[Callable[[Chore], str], Paper], object]) -> Watched:
    """Let `form(worker, paper)` get all chores done and draw its bar on `paper`."""
    paper = Paper()
    with TemporaryDirectory() as folder, Recorder(folder) as recorder:
        form(partial(do_chore, recorder), paper)
        return Watched(recorder.spans, bar_spans(paper.ticks), paper.ticks)


def bar_spans(ticks: list[Tick]) -> list[Span]:
    """Return, for a timeline, what a bar showed from each of `ticks` to the next.

    >>> [each.task for each in bar_spans([Tick(3, 0, 1), Tick(4, 1, 1)])]
    ['0 of 1']
    """
    return [
        span(tick.said, tick.moment, "showing")._replace(stop=later.moment)
        for tick, later in pairwise(ticks)
    ]


def bar_at_last_end(work: Iterable[Span], ticks: Iterable[Tick]) -> str:
    """Say what the bar showed when the last chore of `work` was being finished.

    >>> bar_at_last_end([Span(7, 1, "slow", 0, 9)], [Tick(1, 0, 2), Tick(8, 1, 2)])
    '1 of 2'
    """
    end = max(each.stop for each in work)
    shown = [tick.said for tick in ticks if tick.moment < end]
    return shown[-1] if shown else "no bar yet"


def play(text: str) -> Played:
    r"""Return what a terminal makes of `text`.

    >>> play("\rone\n\rtwo\x1b[A\rONE").lines
    ['ONE', 'two']
    """
    lines, drawn, row, column = [""], [], 0, 0
    for piece in PIECE.findall(text):
        if piece == "\n":
            row, column = row + 1, 0
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[A":
            row = max(row - 1, 0)
        else:
            lines += [""] * (row + 1 - len(lines))
            before, end = lines[row].ljust(column)[:column], column + len(piece)
            lines[row] = before + piece + lines[row][end:]
            column = end
            drawn.append((row, piece.strip()))
    while lines and not lines[-1].strip():
        lines.pop()
    return Played([line.rstrip() for line in lines], drawn)


def lines_of_bars(text: str) -> dict[str, list[int]]:
    r"""Return on which lines of a terminal each bar, known by its name, was drawn.

    >>> lines_of_bars("\n\rwash: 1/3\x1b[A\n\n\rdry: 1/3")
    {'dry': [2], 'wash': [1]}
    """
    places: dict[str, set[int]] = {}
    for row, piece in play(text).drawn:
        if ": " in piece:
            places.setdefault(piece.partition(": ")[0], set()).add(row)
    return {name: sorted(rows) for name, rows in sorted(places.items())}


def fill_bar(job: Job) -> str:
    """Count to three with a bar of our own, on the line of `job`."""
    from tqdm import tqdm

    job.screen.line_up()
    settings = {"desc": job.name, "position": job.line, "file": job.screen}
    steady = {"bar_format": "{desc}: {n_fmt}/{total_fmt}", "mininterval": 0}
    for _ in tqdm(range(STEPS), leave=False, **settings, **steady):
        pass
    return job.name


def copy_book(queue: Queue, book: Book) -> Span:
    """Copy `book`, put a 1 into `queue` for each page, and tell who copied when."""
    start = clock()
    for _ in range(book.pages):
        time.sleep(PAGE_SECONDS)
        queue.put(1)
    return span(book.title, start)


def widget_state(bar: Any) -> str:
    """Say what the widget of `bar`, a `tqdm.notebook.tqdm`, tells the browser."""
    left, widget, _ = bar.container.children
    words = left.value.replace(FIGURE_SPACE, " ").strip() or "no percentage"
    shown = f"{widget.value:g} of {widget.max:g}"
    return f"n = {bar.n:2}; shown {shown}, {widget.bar_style}, {words}"


def kept_in_file(kind: Callable[..., Iterable[int]]) -> str:
    """Run a bar of `kind` to its end, and say where and what a notebook keeps of it."""
    from IPython.utils.capture import capture_output

    with capture_output() as cell:
        for _ in kind(range(9)):
            pass
    if cell.outputs:
        kept = "display " + cell.outputs[0].data["text/plain"].strip()
    else:
        kept = "stderr " + cell.stderr.rpartition("\r")[2].strip()
    return kept.partition("|")[0]
