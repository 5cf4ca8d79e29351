"""Say what spans show, as facts without numbers of seconds or processes.

A task is known by its name: give each its own.
"""

from collections.abc import Iterable

from lessons_src.tools.spans import Span

Worker = tuple[int, int]


def workers(spans: Iterable[Span]) -> list[Worker]:
    """Return who ran, in the order of their first start."""
    return list(dict.fromkeys(each.worker for each in _by_start(spans)))


def lanes(spans: Iterable[Span]) -> list[list[Span]]:
    """Return the spans of each of the `workers`, each list by start."""
    found: dict[Worker, list[Span]] = {}
    for each in _by_start(spans):
        found.setdefault(each.worker, []).append(each)
    return list(found.values())


def most_at_once(spans: Iterable[Span], kind: str | None = None) -> int:
    """Return the largest number of `spans`, of that `kind` if given, at one moment.

    A stop equal to a start is no overlap. A span inside another one of the same
    worker counts too: ask for one kind if the kinds nest.

    >>> most_at_once([Span(1, 1, "a", 0, 2), Span(1, 2, "b", 1, 3)])
    2
    >>> most_at_once([Span(1, 1, "a", 0, 1), Span(1, 2, "b", 1, 2)])
    1
    """
    stops, moments, starts = 0, 1, 2
    events: list[tuple[float, int]] = []
    for each in spans:
        if kind not in (None, each.kind):
            continue
        if each.start == each.stop:
            events.append((each.start, moments))
        else:
            events += [(each.start, starts), (each.stop, stops)]
    most = now = 0
    for _, event in sorted(events):
        now += event - 1
        most = max(most, now + (event == moments))
    return most


def order(spans: Iterable[Span]) -> list[str]:
    """Return the tasks in the order in which they started."""
    return list(dict.fromkeys(each.task for each in _by_start(spans)))


def finish_order(spans: Iterable[Span]) -> list[str]:
    """Return the tasks in the order in which they finished, by their last stop."""
    last_first = sorted(spans, key=lambda each: (each.stop, each.task), reverse=True)
    return list(dict.fromkeys(each.task for each in last_first))[::-1]


def idle_share(spans: Iterable[Span]) -> float:
    """Return which part of all lanes, from first start to last stop, holds no span.

    A waiting span is not idle: its worker can do nothing else.

    >>> idle_share([Span(1, 1, "long", 0, 4), Span(1, 2, "short", 0, 1)])
    0.375
    """
    rows = lanes(spans)
    first = min((each.start for lane in rows for each in lane), default=0.0)
    last = max((each.stop for lane in rows for each in lane), default=0.0)
    if first == last:
        return 0.0
    return sum(_idle(lane, first, last) for lane in rows) / (last - first) / len(rows)


def queued_behind(spans: Iterable[Span]) -> dict[str, str]:
    """Return, for each task, the task that its worker ran just before it.

    The first task of a worker waited for none. Waiting spans count: a task that
    waits keeps its worker from the next one.

    >>> queued_behind([Span(1, 1, "a", 0, 1), Span(1, 1, "b", 1, 2)])
    {'b': 'a'}
    """
    behind: dict[str, str] = {}
    seen: set[str] = set()
    so_far: dict[Worker, list[Span]] = {}
    for each in _by_start(spans):
        lane = so_far.setdefault(each.worker, [])
        ended = (other.task for other in reversed(lane) if other.stop <= each.start)
        before = None if each.task in seen else next(ended, None)
        if before is not None:
            behind[each.task] = before
        seen.add(each.task)
        lane.append(each)
    return behind


def blocked_by(spans: Iterable[Span]) -> dict[str, str]:
    """Return, for each waiting task, the task whose holding kept it waiting.

    That is the holding span of another worker that overlaps the wait and ended
    last before the wait did; if none ended (the wait gave up), the one that began
    last. A task that waited more than once is told by its last wait. Close the
    holding span before the lock is released, or it seems to outlast the wait.
    """
    ordered = _by_start(spans)
    blockers: dict[str, str] = {}
    for wait in (each for each in ordered if each.kind == "waiting"):
        holds = [
            each
            for each in ordered
            if each.kind == "holding"
            and each.worker != wait.worker
            and each.start < wait.stop
            and wait.start < each.stop
        ]
        ended = [hold for hold in holds if hold.stop <= wait.stop]
        if ended:
            blockers[wait.task] = max(ended, key=lambda each: each.stop).task
        elif holds:
            blockers[wait.task] = holds[-1].task
    return blockers


def _idle(lane: list[Span], first: float, last: float) -> float:
    """Return the seconds from `first` to `last` in which `lane` holds no span."""
    seconds, busy_until = 0.0, first
    for each in lane:
        seconds += max(0.0, each.start - busy_until)
        busy_until = max(busy_until, each.stop)
    return seconds + last - busy_until


def _by_start(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda each: (each.start, each.task, each.stop))
