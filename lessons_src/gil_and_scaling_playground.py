"""Lesson 13, the playground: the planned schedule beside the real one.

a field is changed -> Settings -> plan -> drawn              nothing is run
the button         -> run_for_real(Settings) -> drawn beside the plan

Each field and the button can be reached by Tab; nothing needs a mouse.
"""

from collections.abc import Callable
from functools import cached_property
from multiprocessing import get_context, get_start_method
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any

from lessons_src.tools.machine import cores_allowed, gil_enabled
from lessons_src.tools.playground_plan import (
    ASYNCIO,
    LOOP,
    ONE_OF,
    THREADS,
    TURNS,
    WAITING,
    Settings,
    check,
    computing_at_once,
    computing_spans,
    cores_kept_busy,
    last_stop,
    plan,
    refusal,
)
from lessons_src.tools.playground_run import run_for_real
from lessons_src.tools.timeline import Span, draw, most_at_once, workers

if TYPE_CHECKING:
    import ipywidgets

    from lessons_src.tools.picture import Picture
    from lessons_src.tools.playground_view import View

MOST_WAITS_DRAWN = 8
TINY = 1e-9


class Playground:
    """Tasks that wait and compute, an engine, its plan, and its real run.

    A cell that ends in one shows fields, a button, and a picture. Without them,
    `change`, `run`, `planned`, `real` and `picture` do the same. See `Settings` for
    what can be set.

    Parameters
    ----------
    context
        Where processes come from; the start method in force if not given.

    >>> playground = Playground(tasks=4, seconds=0.5, waiting=0, engine="loop")
    >>> playground.planned_seconds
    2.0
    >>> playground.change(waiting=100, engine="asyncio")
    >>> playground.planned_seconds
    0.5
    """

    def __init__(
        self, *, context: BaseContext | None = None, **settings: float | str
    ) -> None:
        self.context = context
        self.cores, self.gil = cores_allowed(), gil_enabled()
        self.settings, self._real = Settings(), None
        self.change(**settings)

    @property
    def planned(self) -> list[Span]:
        """Who would run when."""
        at_once = computing_at_once(self.settings, self.cores, self.gil)
        return plan(self.settings, at_once)

    @property
    def planned_seconds(self) -> float:
        """How long the plan takes."""
        return last_stop(self.planned)

    @property
    def real(self) -> list[Span]:
        """Who ran when, in the last run of these settings; empty before."""
        return self._real.spans if self._real else []

    @property
    def picture(self) -> "Picture":
        """The plan, and beside it the real run if there was one, on one axis."""
        runs = {"planned": self.planned} | ({"real": self.real} if self.real else {})
        one = ONE_OF[self.settings.engine]
        names, panels = {}, {}
        for name, spans in runs.items():
            crew = workers(spans)
            numbered = len(crew) > 1
            labels = [
                f"{one} {n}" if numbered else one for n in range(1, 1 + len(crew))
            ]
            names |= dict(zip(crew, labels, strict=True))
            panels[f"{name}: {last_stop(spans):.1f} s"] = merge_waits(spans)
        # The same on each machine, whoever was quick enough to get a task
        alt = "\n".join(f"{name}: {self._told}" for name in runs)
        return draw(panels, alt=alt, names=names)

    def change(self, **settings: float | str) -> None:
        """Change some of the `settings`; the plan is new, the real run is gone.

        Raises
        ------
        ValueError
            If they cannot be.
        TypeError
            If one has no such name.
        """
        if unknown := settings.keys() - set(Settings._fields):
            known = ", ".join(Settings._fields)
            raise TypeError(f"no setting {min(unknown)!r}; there are: {known}")
        changed = self.settings._replace(**settings)
        check(changed)
        self.settings, self._real = changed, None

    def run(self) -> None:
        """Run the tasks for real; `real` holds who ran when.

        Raises
        ------
        ValueError
            If that would take too long.
        """
        if why_not := refusal(self.settings, self.planned_seconds):
            raise ValueError(why_not)
        self._real = None
        context = self.context or get_context(get_start_method())
        self._real = run_for_real(self.settings, context)

    @property
    def reason(self) -> str:
        """Why the plan takes as long as it does."""
        return reason(self.settings, self.cores, self.gil)

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """What to compare: a name, as planned, and in the real run."""
        return [
            (name, told(self.planned), told(self.real) if self.real else "")
            for name, told in self._figures.items()
        ]

    @property
    def _figures(self) -> dict[str, Callable[[list[Span]], str]]:
        alone = self.settings.loop_seconds
        return {
            "takes": lambda spans: f"{last_stop(spans):.1f} s",
            "gained against the loop": lambda spans: (
                f"{alone - last_stop(spans):+.1f} s"
            ),
            "computing at once, at most": _most_computing,
            "cores kept busy": lambda spans: (
                f"{cores_kept_busy(spans, self.settings):.1f}"
            ),
        }

    @property
    def remark(self) -> str:
        """What the real run lost or gained against its plan, and its start-up."""
        if not self._real:
            return ""
        lost = last_stop(self.real) - self.planned_seconds
        words = (
            f"Real: {abs(lost):.1f} s {'more' if lost > 0 else 'less'} than planned."
        )
        planned_cores, cores = (
            cores_kept_busy(spans, self.settings) for spans in (self.planned, self.real)
        )
        if cores < 0.8 * planned_cores:
            words += " Other programs may use these cores too."
        if self.settings.engine != LOOP:
            words += f" Start-up, not drawn: {self._real.start_up:.2f} s."
        return words

    @property
    def view(self) -> "ipywidgets.VBox":
        """The fields, the button, the words and the picture, as widgets."""
        return self._view.box

    @cached_property
    def _view(self) -> "View":
        # ipywidgets costs half a second: a playground may be used without
        from lessons_src.tools.playground_view import View

        return View(self)

    @property
    def _told(self) -> str:
        each = self.settings
        crew = f", {each.workers} workers, chunk size {each.chunk}"
        return (
            f"{each.tasks} tasks of {each.seconds:g} s,"
            f" {each.waiting} % waiting; {each.engine}{crew if each.hands_out else ''}"
        )

    def __repr__(self) -> str:
        return f"Playground: {self._told}"

    def _repr_mimebundle_(self, **named: Any) -> tuple[dict, dict]:
        # The text is what is compared; the picture is for a page without a kernel
        picture = self.picture
        still = {"text/plain": repr(self), "image/png": picture.png}
        bundle = self.view._repr_mimebundle_(**named) | still
        return bundle, {"image/png": {"alt": picture.alt}}


def reason(settings: Settings, cores: int, gil: bool) -> str:
    """Say why the plan of `settings` takes as long as it does.

    >>> reason(Settings(), cores=2, gil=True)
    'Threads take turns at computing: one GIL. Their waits overlap.'
    """
    if settings.engine == LOOP:
        return "One task after the other: while it waits, nothing else runs."
    if settings.engine == ASYNCIO:
        return "All waits overlap; one thread computes, one task after the other."
    words = f"{settings.engine.capitalize()} {_computing(settings, cores, gil)}"
    if settings.wait_seconds:
        words += " Their waits overlap."
    idle = settings.workers - len(settings.chunks)
    if idle > 0:
        words += f" Too few chunks: {idle} of {settings.workers} workers get none."
    return words


def _computing(settings: Settings, cores: int, gil: bool) -> str:
    if not settings.computing_seconds:
        return "have nothing to compute here: no GIL, no core is in demand."
    if settings.workers == 1:
        return "gain nothing at computing: there is one worker."
    if settings.engine == THREADS and gil:
        return "take turns at computing: one GIL."
    why = "no GIL" if settings.engine == THREADS else "each has its own GIL"
    if settings.workers > cores:
        return f"share {cores} {'core' if cores == 1 else 'cores'}: {why}."
    return f"compute at the same time: {why}."


def _most_computing(spans: list[Span]) -> str:
    computing = computing_spans(spans)
    most = most_at_once(computing)
    in_turns = most > 1 and any(each.kind == TURNS for each in computing)
    return f"{most}, in turns" if in_turns else str(most)


def merge_waits(spans: list[Span]) -> list[Span]:
    """Make one span of all waits of `spans`, if one worker has too many at once.

    >>> waits = [Span(1, 1, str(n), 0.0, 1.0 + n, "waiting") for n in range(40)]
    >>> [(each.task, round(each.stop, 3)) for each in merge_waits(waits)]
    [('all 40 tasks wait', 40.0)]
    """
    waits = [each for each in spans if each.kind == WAITING]
    if len(workers(waits)) != 1 or most_at_once(waits) <= MOST_WAITS_DRAWN:
        return spans
    # A little longer, so that all computing is drawn in one row
    task, stop = f"all {len(waits)} tasks wait", max(each.stop for each in waits) + TINY
    return [waits[0]._replace(task=task, stop=stop), *computing_spans(spans)]
