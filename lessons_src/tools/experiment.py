"""Change one number, measure, look: a sweep as a table and as a curve.

measure(1), measure(2), measure(4)  -> seconds of each, in several rounds
    -> the median for each value    -> print(sweep) and sweep.draw()
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lessons_src.tools.picture import Picture


class Row(NamedTuple):
    """One value of a sweep, its median seconds, and its speed against the first row."""

    value: Any
    seconds: float
    speed_up: float


class Sweep(NamedTuple):
    """What `sweep` measured: one row for each value, in the order given.

    >>> print(Sweep("workers", 3, [Row(1, 2.0, 1.0), Row(2, 1.25, 1.6)]))
    workers  seconds  speed-up
          1    2.000       1.0
          2    1.250       1.6
    """

    name: str
    repeats: int
    rows: list[Row]

    def __str__(self) -> str:
        cells = [self.name, *(str(row.value) for row in self.rows)]
        width = max(map(len, cells))
        lines = [f"{self.name:>{width}}  seconds  speed-up"]
        for value, seconds, speed_up in self.rows:
            lines.append(f"{value!s:>{width}}  {seconds:7.3f}  {_ratio(speed_up):>8}")
        return "\n".join(lines)

    def draw(self, ideal: bool = True) -> "Picture":
        """Draw the speed-up as a curve, with the `ideal` line unless it is unwanted.

        On the ideal line, twice the value is twice the speed. Without it, and for
        values that are not numbers, the points stand at even distances.
        """
        from lessons_src.tools.picture import picture

        values = ", ".join(str(row.value) for row in self.rows)
        runs = f"median of {self.repeats} runs" if self.repeats > 1 else "one run"
        alt = f"Speed-up over {self.name}: {values} ({runs} each)"
        return picture(_figure(self, ideal), alt)


def sweep(
    measure: Callable[[Any], object],
    values: Sequence[Any],
    name: str = "workers",
    repeats: int = 3,
    clock: Callable[[], float] = perf_counter,
) -> Sweep:
    """Time `measure(value)` for each of `values` and take the median of `repeats`.

    The values take turns, so that a machine which is busy for a while slows them all
    and not only one. What `measure` returns is dropped.

    >>> ticks = iter([0, 4, 4, 6])
    >>> swept = sweep(str, [1, 2], repeats=1, clock=lambda: next(ticks))
    >>> swept.rows
    [Row(value=1, seconds=4, speed_up=1.0), Row(value=2, seconds=2, speed_up=2.0)]

    Parameters
    ----------
    clock
        Returns seconds; only differences count.

    Raises
    ------
    ValueError
        When there is nothing to measure.
    """
    if not values or repeats < 1:
        raise ValueError("a sweep needs at least one value and one run of it")
    turns = [place for _ in range(repeats) for place in range(len(values))]
    taken: list[list[float]] = [[] for _ in values]
    with _passing_bar(name, len(turns)) as advance:
        for place in turns:
            seconds = seconds_taken(measure, values[place], clock=clock)
            taken[place].append(seconds)
            advance()
    medians = [median(runs) for runs in taken]
    return Sweep(name, repeats, _rows(values, medians))


def seconds_taken(
    function: Callable[..., object],
    *arguments: Any,
    clock: Callable[[], float] = perf_counter,
) -> float:
    """Return the seconds on the wall that `function(*arguments)` takes.

    >>> ticks = iter([10.0, 12.5])
    >>> seconds_taken(sorted, [3, 1, 2], clock=lambda: next(ticks))
    2.5
    """
    start = clock()
    function(*arguments)
    return clock() - start


def _rows(values: Sequence[Any], medians: list[float]) -> list[Row]:
    # A coarse clock may not tick at all while little is done
    safe = [max(seconds, 1e-9) for seconds in medians]
    speed_ups = [safe[0] / seconds for seconds in safe]
    return list(map(Row, values, medians, speed_ups))


def _figure(swept: Sweep, ideal: bool) -> "Figure":
    # matplotlib costs a second, and only who draws should pay
    from lessons_src.tools.picture import new_figure

    figure = new_figure(8, 4.5)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    values = [row.value for row in swept.rows]
    numbers = all(isinstance(value, int | float) for value in values)
    places: Sequence[float] = values if ideal and numbers else range(len(values))
    if places is values:
        line = [value / values[0] for value in values]
        axes.plot(places, line, "--", color="0.4", linewidth=2, label="ideal")
    _plot_measured(axes, places, swept.rows, "o-" if numbers else "o")
    axes.set_xticks(places, [str(value) for value in values])
    axes.set_xlabel(swept.name, fontsize=14)
    axes.set_ylabel(f"times as fast as with {values[0]}", fontsize=14)
    axes.tick_params(labelsize=13)
    axes.legend(fontsize=13)
    return figure


def _plot_measured(
    axes: "Axes", places: Sequence[float], rows: list[Row], marks: str
) -> None:
    speed_ups = [row.speed_up for row in rows]
    axes.plot(places, speed_ups, marks, color="#0072B2", linewidth=3, label="measured")
    for point in zip(places, speed_ups, strict=True):
        below = {"xytext": (0, -20), "textcoords": "offset points", "ha": "center"}
        axes.annotate(_ratio(point[1]), point, fontsize=13, **below)
    axes.margins(y=0.2)
    axes.set_ylim(bottom=0)


def _ratio(speed_up: float) -> str:
    return f"{speed_up:.1f}" if speed_up >= 1 else f"{speed_up:.2f}"


@contextmanager
def _passing_bar(name: str, total: int) -> Iterator[Callable[[], object]]:
    """Show a progress bar that is gone at the end, from a notebook's file too.

    Yields the function that moves it one step on.
    """
    from tqdm import tqdm

    if not _in_notebook():
        with tqdm(desc=name, total=total, leave=False, disable=None) as bar:
            yield bar.update
        return
    from IPython.display import display

    start, steps = perf_counter(), count()
    # What stays in the file is this display, and in the end it is empty again
    slot = display({}, raw=True, display_id=True)

    def advance() -> None:
        seconds = perf_counter() - start
        meter = tqdm.format_meter(next(steps), total, seconds, ncols=79, prefix=name)
        slot.update({"text/plain": meter}, raw=True)

    advance()
    try:
        yield advance
    finally:
        slot.update({}, raw=True)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")
