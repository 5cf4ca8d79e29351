"""Show who ran when: spans from any thread or process, their facts, their picture.

    start = clock() -> work -> span("task 3", start)          one span, to return
    spans -> order, most_at_once, queued_behind ...           facts, without numbers
    spans -> draw                                             one lane a worker

This is the front door; the rooms are `spans`, `recorder`, `span_facts` and
`timeline_picture`.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lessons_src.tools.recorder import Recorder
from lessons_src.tools.span_facts import (
    Worker,
    blocked_by,
    finish_order,
    idle_share,
    lanes,
    most_at_once,
    order,
    queued_behind,
    workers,
)
from lessons_src.tools.spans import Span, clock, span

if TYPE_CHECKING:
    from lessons_src.tools.picture import Picture

__all__ = [
    "Recorder",
    "Span",
    "blocked_by",
    "clock",
    "draw",
    "finish_order",
    "idle_share",
    "lanes",
    "most_at_once",
    "order",
    "queued_behind",
    "span",
    "workers",
]


def draw(
    spans: Iterable[Span] | Mapping[str, Iterable[Span]],
    title: str = "",
    alt: str | None = None,
    names: Mapping[Worker, str] | None = None,
    unit: str = "seconds",
) -> "Picture":
    """Draw `spans` as a timeline: one lane a worker, seconds from the first start.

    A mapping of panel titles to spans gives panels on one axis, each from its own
    zero. The picture's text is `alt`, or the facts that can be read off it; give
    `alt` when those facts may differ from run to run.

    Parameters
    ----------
    names
        What to call some of the workers; the others are numbered.
    unit
        What the axis counts, where that is not seconds.
    """
    # matplotlib costs a second: workers import this module and never draw
    from lessons_src.tools.timeline_picture import draw_panels

    runs = spans if isinstance(spans, Mapping) else {"": spans}
    listed = {name: list(run) for name, run in runs.items()}
    return draw_panels(listed or {"": []}, title, alt, names or {}, unit)
