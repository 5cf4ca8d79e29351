"""How much faster with more workers, and how much faster this machine can get at all.

run(1), run(2), run(3)                your engine's seconds, in several rounds,
bare processes, 1, 2, 3 of them       in turns with the same work and no engine
    -> one row for each number of workers -> print(scaling) and scaling.draw()
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from statistics import median
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any, NamedTuple

from lessons_src.tools.experiment import in_turns
from lessons_src.tools.spans import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lessons_src.tools.picture import Picture

START_LIMIT_SECONDS = 60
WORK_LIMIT_SECONDS = 600
ENDING_SECONDS = 10
MODELS = ["#009E73", "#CC79A7", "#E69F00", "#56B4E9"]


class Point(NamedTuple):
    """What so many `workers` took, and how often as fast as one bare process that is.

    `limit` is what as many bare processes reached in the same rounds.
    """

    workers: int
    seconds: float
    speed_up: float
    limit: float


class Scaling(NamedTuple):
    """What `measure_scaling` found: a row for each number of workers.

    >>> print(Scaling(3, [Point(1, 2.1, 0.95, 1.0), Point(2, 1.25, 1.6, 1.9)]))
    workers  seconds  speed-up  limit
          1    2.100      0.95   1.00
          2    1.250      1.60   1.90
    """

    repeats: int
    rows: list[Point]

    def __str__(self) -> str:
        lines = ["workers  seconds  speed-up  limit"]
        for row in self.rows:
            lines.append("{:7}  {:7.3f}  {:8.2f}  {:5.2f}".format(*row))
        return "\n".join(lines)

    def draw(
        self, beside: Mapping[str, Callable[[int], float]] | None = None
    ) -> "Picture":
        """Draw the speed-up over the workers, with the machine's limit above it.

        Parameters
        ----------
        beside
            Models by name: each returns its speed-up for a number of workers.
        """
        from lessons_src.tools.picture import picture

        workers = ", ".join(str(row.workers) for row in self.rows)
        runs = f"median of {self.repeats} runs" if self.repeats > 1 else "one run"
        names = ["bare processes", *(beside or {})]
        alt = f"Speed-up over workers: {workers} ({runs} each), beside "
        return picture(_figure(self, beside or {}), alt + ", ".join(names))


def measure_scaling(
    run: Callable[[int], float],
    worker: Callable[[Any], Any],
    items: Sequence[Any],
    workers: Sequence[int] = (1, 2, 3),
    *,
    context: BaseContext,
    initializer: Callable[..., object] | None = None,
    initargs: Sequence[Any] = (),
    repeats: int = 3,
) -> Scaling:
    """Time `run` with each number of `workers`, in turns with as many bare processes.

    The bare processes share `items` as a deal of cards, call `worker` on each and keep
    no answer: no pool gets past them. All speed-ups are against one bare process.

    Parameters
    ----------
    run
        Does all items with so many workers and returns the seconds that it took; so
        it decides whether the start of its pool counts. That of the bare processes
        does not, nor does `initializer(*initargs)` in each of them.
    workers
        Begins with 1.

    Raises
    ------
    ValueError
        When there is nothing to measure, or nothing to measure against.
    RuntimeError
        When a bare process fails; the message says why.
    """
    if not items or repeats < 1 or list(workers[:1]) != [1]:
        raise ValueError("scaling needs an item, a run, and 1 as first of the workers")
    bare = partial(
        bare_seconds, worker, items, context, initializer=initializer, initargs=initargs
    )
    measures = [
        partial(measure, number) for number in workers for measure in (run, bare)
    ]
    # A coarse clock may not tick at all while little is done
    taken = [max(median(runs), 1e-9) for runs in in_turns(measures, repeats, "scaling")]
    ours, limits = taken[::2], taken[1::2]
    rows = [
        Point(number, seconds, limits[0] / seconds, limits[0] / limit)
        for number, seconds, limit in zip(workers, ours, limits, strict=True)
    ]
    return Scaling(repeats, rows)


def bare_seconds(
    worker: Callable[[Any], Any],
    items: Sequence[Any],
    context: BaseContext,
    number: int,
    *,
    initializer: Callable[..., object] | None = None,
    initargs: Sequence[Any] = (),
) -> float:
    """Let `number` bare processes call `worker` on `items`; return the seconds taken.

    They count from the moment at which all are ready to the end of the last.

    Raises
    ------
    RuntimeError
        When one of them fails or ends early; the message says why.
    """
    ready = context.Barrier(number)
    patience = 0
    children, ends = [], []
    try:
        for place in range(number):
            end, far_end = context.Pipe(duplex=False)
            job = (worker, items[place::number], ready, far_end, initializer, initargs)
            child = context.Process(target=_work_alone, args=job)
            child.start()
            # Only the child holds it now: if it dies, our end says so
            far_end.close()
            children.append(child)
            ends.append(end)
        answers = _answers_of(ends, ready)
        patience = ENDING_SECONDS
    finally:
        for child, end in zip(children, ends, strict=True):
            _put_away(child, end, patience)
    if complaints := [answer for answer in answers if isinstance(answer, str)]:
        # Whoever was kept waiting by the failed one has less to say
        complaints.sort(key=lambda text: text.startswith(BrokenBarrierError.__name__))
        raise RuntimeError(f"a bare process failed: {complaints[0]}")
    starts, stops = zip(*answers, strict=True)
    return max(stops) - min(starts)


def _work_alone(
    worker: Callable[[Any], Any],
    items: Sequence[Any],
    ready: Barrier,
    far_end: Connection,
    initializer: Callable[..., object] | None,
    initargs: Sequence[Any],
) -> None:
    try:
        if initializer:
            initializer(*initargs)
        ready.wait(START_LIMIT_SECONDS)
        start = clock()
        for item in items:
            worker(item)
        far_end.send((start, clock()))
    except Exception as error:
        ready.abort()
        far_end.send(f"{type(error).__name__}: {error}")


def _answers_of(
    ends: Sequence[Connection], ready: Barrier
) -> list[tuple[float, float] | str]:
    """Return what the far side of each of `ends` says: two times, or a complaint."""
    answers: dict[Connection, tuple[float, float] | str] = {}
    while len(answers) < len(ends):
        waiting = [end for end in ends if end not in answers]
        heard = wait(waiting, START_LIMIT_SECONDS + WORK_LIMIT_SECONDS)
        for end in heard or waiting:
            answers[end] = _answer_of(end) if heard else "no answer in time"
            if isinstance(answers[end], str):
                # The others need not wait for one that will not come
                ready.abort()
    return [answers[end] for end in ends]


def _answer_of(end: Connection) -> tuple[float, float] | str:
    try:
        return end.recv()
    except EOFError:
        return "it ended without an answer"


def _put_away(child: BaseProcess, end: Connection, patience: float) -> None:
    end.close()
    child.join(patience)
    if child.is_alive():
        child.kill()
        child.join()
    child.close()


def _figure(scaling: Scaling, beside: Mapping[str, Callable[[int], float]]) -> "Figure":
    # matplotlib costs a second, and only who draws should pay
    from lessons_src.tools.picture import new_figure

    figure = new_figure(8, 4.5)
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    workers = [row.workers for row in scaling.rows]
    limits = [row.limit for row in scaling.rows]
    axes.plot(workers, limits, "s--", color="0.4", linewidth=2, label="bare processes")
    for place, (name, model) in enumerate(beside.items()):
        colour = MODELS[place % len(MODELS)]
        speed_ups = [model(number) for number in workers]
        axes.plot(workers, speed_ups, ":", color=colour, linewidth=3, label=name)
    _plot_measured(axes, workers, scaling.rows)
    axes.set_xticks(workers)
    axes.set_xlabel("workers", fontsize=14)
    axes.set_ylabel("times as fast as\none bare process", fontsize=14)
    axes.tick_params(labelsize=13)
    axes.margins(y=0.2)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=13)
    return figure


def _plot_measured(axes: "Axes", workers: list[int], rows: list[Point]) -> None:
    speed_ups = [row.speed_up for row in rows]
    axes.plot(workers, speed_ups, "o-", color="#0072B2", linewidth=3, label="measured")
    for point in zip(workers, speed_ups, strict=True):
        below = {"xytext": (0, -20), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"{point[1]:.2f}", point, fontsize=13, **below)
