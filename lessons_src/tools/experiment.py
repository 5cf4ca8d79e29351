"""Change one thing, measure, look: a sweep or a comparison, as a table and a picture.

measure(1), measure(2), measure(4)  -> seconds of each, in several rounds
    -> the median for each value    -> print(sweep) and sweep.draw()
{"loop": a, "map": b}               -> the same: print(compare(...)) and .draw()
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lessons_src.tools.picture import Picture

UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}


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
    timed = [partial(seconds_taken, measure, value, clock=clock) for value in values]
    medians = [median(runs) for runs in in_turns(timed, repeats, name)]
    return Sweep(name, repeats, _rows(values, medians))


class Compared(NamedTuple):
    """One function, its median seconds, and how many times the first row's they are."""

    name: str
    seconds: float
    ratio: float


class Comparison(NamedTuple):
    """What `compare` measured: the seconds of all `runs` of each function, in order.

    >>> print(Comparison({"loop": [2.0, 9.0, 1.8], "map": [0.4, 0.5, 0.6]}))
    name    median  ratio
    loop     2.0 s   1.00
    map   500.0 ms   0.25
    """

    runs: dict[str, list[float]]

    @property
    def rows(self) -> list[Compared]:
        """The medians and their ratios to the first one."""
        medians = {name: median(runs) for name, runs in self.runs.items()}
        # A coarse clock may not tick at all while little is done
        safe = [max(seconds, 1e-9) for seconds in medians.values()]
        ratios = [seconds / safe[0] for seconds in safe]
        return list(map(Compared, medians, medians.values(), ratios))

    def __str__(self) -> str:
        width = max(map(len, ["name", *self.runs]))
        lines = [f"{'name':{width}}  {'median':>8}  ratio"]
        for name, seconds, ratio in self.rows:
            lines.append(f"{name:{width}}  {_in_unit(seconds):>8}  {ratio:5.2f}")
        return "\n".join(lines)

    def draw(self) -> "Picture":
        """Draw each run as a dot and each median as a line, on an axis from zero."""
        from lessons_src.tools.picture import picture

        repeats = max(map(len, self.runs.values()))
        runs = f"{repeats} runs" if repeats > 1 else "one run"
        alt = f"Seconds of {', '.join(self.runs)} ({runs} each)"
        return picture(_dots(self), alt)


def compare(
    functions: Mapping[str, Callable[[], object]],
    repeats: int = 5,
    clock: Callable[[], float] = perf_counter,
) -> Comparison:
    """Time each of `functions`, by name, `repeats` times and side by side.

    They take turns, as the values of a `sweep` do. What they return is dropped. A
    function that takes less than some microseconds is lost in the time of its own
    call: put a loop into it.

    >>> ticks = iter([0, 4, 4, 6])
    >>> compare({"a": list, "b": dict}, 1, lambda: next(ticks)).rows[1]
    Compared(name='b', seconds=2, ratio=0.5)

    Raises
    ------
    ValueError
        When there is nothing to measure.
    """
    if not functions or repeats < 1:
        raise ValueError("to compare needs at least one function and one run of it")
    timed = [partial(seconds_taken, each, clock=clock) for each in functions.values()]
    taken = in_turns(timed, repeats, "compare")
    return Comparison(dict(zip(functions, taken, strict=True)))


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


def in_turns(
    measures: Sequence[Callable[[], float]], repeats: int, name: str
) -> list[list[float]]:
    """Call each of `measures` in `repeats` rounds; return what each of them returned.

    So a machine which is busy for a while slows them all, and not only one. A bar
    named `name` shows how far it is, and is gone at the end.
    """
    taken: list[list[float]] = [[] for _ in measures]
    with _passing_bar(name, repeats * len(measures)) as advance:
        for _ in range(repeats):
            for runs, measure in zip(taken, measures, strict=True):
                runs.append(measure())
                advance()
    return taken


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
        # Below a low point stand the figures of the axis
        side = (10, 2, "left") if point[1] < max(speed_ups) / 8 else (0, -20, "center")
        where = {"xytext": side[:2], "textcoords": "offset points", "ha": side[2]}
        axes.annotate(_ratio(point[1]), point, fontsize=13, **where)
    axes.margins(y=0.2)
    axes.set_ylim(bottom=0)


def _dots(compared: Comparison) -> "Figure":
    from lessons_src.tools.picture import new_figure

    figure = new_figure(8, 1.2 + 0.5 * len(compared.runs))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    unit = _unit(max(row.seconds for row in compared.rows))
    for place, row in enumerate(compared.rows):
        values = [seconds / UNITS[unit] for seconds in compared.runs[row.name]]
        axes.plot(values, [place] * len(values), "o", color="#0072B2", alpha=0.5)
        middle = row.seconds / UNITS[unit]
        axes.plot([middle] * 2, [place - 0.3, place + 0.3], color="black", linewidth=3)
        beside = {"xytext": (8, 8), "textcoords": "offset points"}
        axes.annotate(f"{row.ratio:.2f}", (middle, place), fontsize=13, **beside)
    axes.set_yticks(range(len(compared.runs)), compared.runs)
    axes.set_ylim(len(compared.runs) - 0.4, -0.6)
    # From zero, and with room for the ratio beside the last median
    axes.set_xlim(0, axes.dataLim.x1 * 1.15 or 1)
    axes.set_xlabel(f"{unit}; line: median, with its ratio to the first", fontsize=13)
    axes.tick_params(labelsize=13)
    return figure


def _unit(seconds: float) -> str:
    return next((unit for unit, size in UNITS.items() if seconds >= size), "ns")


def _in_unit(seconds: float) -> str:
    unit = _unit(seconds)
    return f"{seconds / UNITS[unit]:.1f} {unit}"


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
