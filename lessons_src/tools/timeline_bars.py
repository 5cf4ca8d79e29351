"""The bars of a timeline and the tasks written on them, row by row."""

from itertools import cycle
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.text import Text

from lessons_src.tools.spans import Span

# Part of the height of a row
BAR = 0.8
# Pixels
THIN = 2
MARGIN = 4
FEWEST_LETTERS = 4
MOST_LETTERS = 80


class Look(NamedTuple):
    """How a kind is drawn: hatch and outline tell it where colour does not."""

    face: str
    hatch: str = ""
    outline: float = 0.8
    edge: str = "0.2"


# The colours of Okabe and Ito, which colour-blind readers tell apart
LOOKS = {
    "working": Look("#56B4E9"),
    "waiting": Look("white", "///", edge="0.5"),
    "holding": Look("#D55E00", outline=3),
}
MORE_LOOKS = [
    Look("#009E73", "..."),
    Look("#CC79A7", "xx"),
    Look("#F0E442", "||"),
    Look("#E69F00", "--"),
]


def choose_looks(kinds: set[str]) -> dict[str, Look]:
    """Return the look of each of `kinds`, the known ones first."""
    known = {kind: look for kind, look in LOOKS.items() if kind in kinds}
    others = zip(sorted(kinds - LOOKS.keys()), cycle(MORE_LOOKS), strict=False)
    return known | dict(others)


def draw_bars(axes: Axes, number: int, row: list[Span], looks: dict[str, Look]) -> None:
    """Draw the bars of `row`, kind by kind; none is too thin to be seen."""
    pixels = _pixels_a_second(axes)
    for kind, look in looks.items():
        spans = [each for each in row if each.kind == kind]
        widths = [each.seconds * pixels for each in spans]
        # A thin bar is all outline: white and hatch would not show
        thin = look.edge if look.hatch else look.face
        axes.broken_barh(
            [(each.start, max(each.seconds, THIN / pixels)) for each in spans],
            (number - BAR / 2, BAR),
            facecolors=[look.face if each > THIN else thin for each in widths],
            edgecolors=look.edge,
            linewidths=[min(look.outline, each / 8) for each in widths],
            hatch=look.hatch,
        )


def write_tasks(
    axes: Axes, number: int, row: list[Span], looks: dict[str, Look], points: float
) -> None:
    """Write each task of `row` into its bar, beside it, or shortened into it."""
    pixels = _pixels_a_second(axes)
    ends = [each.start for each in row[1:]] + [axes.get_xlim()[1]]
    for each, end in zip(row, ends, strict=True):
        inside = each.seconds * pixels - 2 * MARGIN
        beside = (end - each.stop) * pixels - 2 * MARGIN
        if max(inside, beside) < points:
            continue
        words = axes.text(each.start, number, _line(each.task), va="center_baseline")
        plain(words, points)
        if inside < _width(words) <= beside:
            words.set_x(each.stop + MARGIN / pixels)
        elif _shortened(words, inside):
            words.set(x=each.start + each.seconds / 2, ha="center")
            words.set_path_effects(_halo(looks[each.kind]))
        else:
            words.remove()


def _line(task: str) -> str:
    """Return `task` as one line, no longer than any bar can be."""
    line = " ".join(task.split())
    return line if len(line) <= MOST_LETTERS else line[:MOST_LETTERS] + "…"


def _halo(look: Look) -> list[AbstractPathEffect]:
    """Keep the hatch of `look` off the letters."""
    return [withStroke(linewidth=4, foreground=look.face)] if look.hatch else []


def _shortened(words: Text, pixels: float) -> bool:
    """Cut letters off `words` until it fits into `pixels`; say if enough are left."""
    task = words.get_text()
    letters = len(task)
    while (width := _width(words)) > pixels:
        letters = min(letters - 1, int(letters * pixels / width))
        if letters < FEWEST_LETTERS:
            return False
        words.set_text(task[:letters] + "…")
    return True


def _width(words: Text) -> float:
    return words.get_window_extent().width


def _pixels_a_second(axes: Axes) -> float:
    first, last = axes.get_xlim()
    return axes.bbox.width / (last - first)


def plain(words: Text, points: float) -> None:
    """Set the size of `words`, and take a dollar for a dollar, not for a formula."""
    words.set(fontsize=points, parse_math=False)
