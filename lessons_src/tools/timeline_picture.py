"""Draw timelines with matplotlib; `timeline.draw` is the way in."""

from collections.abc import Mapping
from math import ceil
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lessons_src.tools.picture import Picture, new_figure, picture, quiet_matplotlib
from lessons_src.tools.span_facts import Worker
from lessons_src.tools.spans import Span
from lessons_src.tools.timeline_bars import (
    Look,
    choose_looks,
    draw_bars,
    plain,
    write_tasks,
)
from lessons_src.tools.timeline_layout import Panel, describe, panel

WIDTH_INCHES = 9
ROW_INCHES = 0.45
SMALLEST_ROW_INCHES = 0.13
ALL_ROWS_INCHES = 5.4
LINE_INCHES = 0.35
TEXT_POINTS = 13
TITLE_POINTS = 15
TITLE_LETTERS = 70
LEGEND_COLUMNS = 4
MOST_TICKS = 8


def draw_panels(
    runs: dict[str, list[Span]],
    title: str,
    alt: str | None,
    names: Mapping[Worker, str],
    unit: str,
) -> Picture:
    """Draw each of `runs` under its name, on one axis that counts `unit`."""
    looks = choose_looks({each.kind for spans in runs.values() for each in spans})
    panels = {name: panel(spans, names) for name, spans in runs.items()}
    with quiet_matplotlib():
        figure, points = _paper(panels, title, looks, unit)
        for axes, shown in zip(figure.axes, panels.values(), strict=True):
            for number, row in enumerate(shown.rows):
                draw_bars(axes, number, row, looks)
                write_tasks(axes, number, row, looks, points)
    return picture(figure, describe(runs) if alt is None else alt)


def _paper(
    panels: dict[str, Panel], title: str, looks: dict[str, Look], unit: str
) -> tuple[Figure, float]:
    """Return the figure, all in its final place but the bars, and its letter size."""
    rows = [len(each.rows) or 1 for each in panels.values()]
    inches = max(SMALLEST_ROW_INCHES, min(ROW_INCHES, ALL_ROWS_INCHES / sum(rows)))
    points = min(TEXT_POINTS, 72 * inches * 0.65)
    to_explain = looks if looks.keys() - {"working"} else {}
    legend_lines = ceil(len(to_explain) / LEGEND_COLUMNS)
    lines = 2 + legend_lines + len([name for name in [title, *panels] if name])
    figure = new_figure(WIDTH_INCHES, inches * sum(rows) + LINE_INCHES * lines)
    figure.set_layout_engine("constrained")
    shape = {"squeeze": False, "sharex": True, "height_ratios": rows}
    all_axes = figure.subplots(len(rows), **shape)[:, 0]
    for axes, (name, shown) in zip(all_axes, panels.items(), strict=True):
        _rule(axes, shown, points)
        plain(axes.set_title(fill(name, TITLE_LETTERS), loc="left"), TEXT_POINTS)
    _measure(axes, max(each.seconds for each in panels.values()), unit)
    if title:
        words = figure.suptitle(fill(title, TITLE_LETTERS), x=0.01, ha="left")
        plain(words, TITLE_POINTS)
    if legend_lines:
        _explain(figure, looks)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure, points


def _rule(axes: Axes, shown: Panel, points: float) -> None:
    """Give each lane of `shown` a band and a label."""
    top, middles = 0, []
    for place, lane in enumerate(shown.lanes):
        bottom = top + len(lane.rows)
        middles.append((top + bottom - 1) / 2)
        shade = ("0.95", "white")[place % 2]
        axes.axhspan(top - 0.5, bottom - 0.5, color=shade, zorder=0)
        top = bottom
    axes.set_ylim(max(top, 1) - 0.5, -0.5)
    axes.set_yticks(middles, [lane.label for lane in shown.lanes], fontsize=points)
    axes.tick_params("y", length=0)
    axes.tick_params("x", labelsize=TEXT_POINTS)
    axes.grid(axis="x", color="0.8")
    axes.set_axisbelow(True)
    if not shown.lanes:
        middle = {"ha": "center", "va": "center", "transform": axes.transAxes}
        axes.text(0.5, 0.5, "no tasks: nothing ran", fontsize=points, **middle)


def _measure(axes: Axes, seconds: float, unit: str) -> None:
    """Mark the `unit`, with room for the outlines of the first and last bars."""
    seconds = seconds or 1
    axes.set_xlim(-0.005 * seconds, 1.005 * seconds)
    axes.set_xlabel(unit, fontsize=TEXT_POINTS)
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    axes.locator_params(axis="x", nbins=MOST_TICKS)


def _explain(figure: Figure, looks: dict[str, Look]) -> None:
    """Put the legend of the kinds at the foot."""
    patches = [
        Patch(fc=look.face, ec=look.edge, hatch=look.hatch, lw=look.outline, label=kind)
        for kind, look in looks.items()
    ]
    place = {"loc": "outside lower right", "ncols": LEGEND_COLUMNS, "frameon": False}
    figure.legend(handles=patches, fontsize=TEXT_POINTS, **place)
