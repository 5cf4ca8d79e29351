"""The playground's plan: who would run when, computed from a model, nothing is run.

Settings -> chunks in one queue -> the next free worker takes the next chunk
         -> waits overlap freely; whoever computes shares what the engine allows

Cheap to import: no widget, no picture.
"""

import concurrent.futures
from collections import deque
from typing import NamedTuple

from lessons_src.tools.spans import Span

LOOP, ASYNCIO = "loop", "asyncio"
THREADS, PROCESSES = "threads", "processes"
SUB_INTERPRETERS = "sub-interpreters"
ONE_OF = {
    LOOP: "loop",
    THREADS: "thread",
    PROCESSES: "process",
    SUB_INTERPRETERS: "sub-interpreter",
    ASYNCIO: "event loop",
}
WAITING, WORKING, TURNS = "waiting", "working", "taking turns"
LIMITS = {
    "tasks": (1, 40),
    "seconds": (0.05, 2.0),
    "waiting": (0, 100),
    "workers": (1, 8),
    "chunk": (1, 40),
}
LONGEST_SECONDS = 10
# Computing that takes this many times its seconds was not alone on its core
SLOWED = 1.3
NOTHING = 1e-9


class Settings(NamedTuple):
    """What to run: each task waits first, and then computes.

    Parameters
    ----------
    seconds
        How long one task takes, alone.
    waiting
        Per cent of those seconds in which a task waits.
    workers, chunk
        How many workers there are, and how many tasks one takes at a time. The loop
        and asyncio have one worker, and hand out nothing.

    >>> settings = Settings(tasks=4, seconds=0.5, waiting=80)
    >>> settings.wait_seconds, settings.computing_seconds
    (0.4, 0.1)
    """

    tasks: int = 8
    seconds: float = 0.4
    waiting: int = 50
    workers: int = 2
    engine: str = THREADS
    chunk: int = 1

    @property
    def wait_seconds(self) -> float:
        """How long a task waits."""
        return round(self.seconds * self.waiting / 100, 6)

    @property
    def computing_seconds(self) -> float:
        """How long a task computes, alone on a core."""
        return round(self.seconds - self.wait_seconds, 6)

    @property
    def hands_out(self) -> bool:
        """Whether the engine has workers to whom chunks are handed out."""
        return self.engine not in (LOOP, ASYNCIO)

    @property
    def lanes(self) -> int:
        """How many workers the engine really has."""
        return self.workers if self.hands_out else 1

    @property
    def loop_seconds(self) -> float:
        """How long a plain loop takes."""
        return round(self.tasks * self.seconds, 6)

    @property
    def chunks(self) -> list[range]:
        """The numbers of the tasks that are handed out together.

        >>> Settings(tasks=5, chunk=2).chunks
        [range(1, 3), range(3, 5), range(5, 6)]
        """
        size = self.chunk if self.hands_out else self.tasks
        stop = self.tasks + 1
        return [range(n, min(n + size, stop)) for n in range(1, stop, size)]


def engines() -> list[str]:
    """Return the engines that this Python has."""
    has_them = hasattr(concurrent.futures, "InterpreterPoolExecutor")
    return [each for each in ONE_OF if each != SUB_INTERPRETERS or has_them]


def check(settings: Settings) -> None:
    """Refuse `settings` that are out of range, or ask for an engine there is not.

    >>> check(Settings(tasks=0))
    Traceback (most recent call last):
    ValueError: tasks must be from 1 to 40, not 0
    """
    for name, (least, most) in LIMITS.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            raise ValueError(f"{name} must be from {least} to {most}, not {value}")
    if settings.engine not in ONE_OF:
        raise ValueError(f"engine must be one of {', '.join(ONE_OF)}")
    if settings.engine not in engines():
        raise ValueError(f"{settings.engine} need Python 3.14")


def refusal(settings: Settings, seconds: float) -> str:
    """Say why `settings` whose plan takes `seconds` are not run, or nothing.

    >>> refusal(Settings(), 2.4)
    ''
    >>> refusal(Settings(tasks=40, seconds=1.0), 30.0)
    'The plan takes 30.0 s, the most is 10 s: lower the tasks or the seconds each.'
    """
    if seconds <= LONGEST_SECONDS:
        return ""
    most = f"the most is {LONGEST_SECONDS} s"
    what = "lower the tasks or the seconds each"
    return f"The plan takes {seconds:.1f} s, {most}: {what}."


def computing_at_once(settings: Settings, cores: int, gil: bool) -> int:
    """Say how many workers can compute at the same moment, on `cores`.

    >>> [computing_at_once(Settings(workers=4, engine=engine), cores=2, gil=True)
    ...  for engine in ("loop", "threads", "processes", "asyncio")]
    [1, 1, 2, 1]
    """
    if not settings.hands_out or (settings.engine == THREADS and gil):
        return 1
    return min(settings.workers, cores)


def plan(settings: Settings, at_once: int) -> list[Span]:
    """Return who would run when, if `at_once` workers can compute at the same moment.

    If more want to compute they share: with two workers and one GIL, each computes at
    half speed. asyncio does not share: a task that computes keeps the others out.

    >>> one_gil = plan(Settings(tasks=2, seconds=1.0, waiting=0), at_once=1)
    >>> [(each.task, each.start, each.stop, each.kind) for each in one_gil]
    [('1', 0.0, 2.0, 'taking turns'), ('2', 0.0, 2.0, 'taking turns')]
    >>> two_cores = plan(Settings(tasks=2, seconds=1.0, waiting=0), at_once=2)
    >>> [(each.task, each.start, each.stop, each.kind) for each in two_cores]
    [('1', 0.0, 1.0, 'working'), ('2', 0.0, 1.0, 'working')]
    """
    if settings.engine == ASYNCIO:
        return _plan_asyncio(settings)
    queue = deque(settings.chunks)
    crew = [_Worker(number) for number in range(1, settings.lanes + 1)]
    spans: list[Span] = []
    now = 0.0
    while True:
        for worker in crew:
            if not worker.steps and queue:
                worker.take(queue.popleft(), settings, now)
        busy = [worker for worker in crew if worker.steps]
        if not busy:
            return sorted(spans, key=lambda each: (each.start, each.process))
        computing = sum(worker.kind == WORKING for worker in busy)
        speeds = {WAITING: 1.0, WORKING: min(1.0, at_once / max(computing, 1))}
        passed = min(worker.left / speeds[worker.kind] for worker in busy)
        now += passed
        for worker in busy:
            worker.left -= passed * speeds[worker.kind]
            if worker.left < NOTHING:
                spans.append(worker.finish(now, settings))


def computed_kind(seconds: float, alone: float) -> str:
    """Name computing that took `seconds`, and would have taken `alone` on a free core.

    >>> computed_kind(1.0, 1.0), computed_kind(2.0, 1.0)
    ('working', 'taking turns')
    """
    return TURNS if seconds > SLOWED * alone else WORKING


def last_stop(spans: list[Span]) -> float:
    """Return the seconds from the first start of `spans` to the last stop."""
    first = min((each.start for each in spans), default=0.0)
    return max((each.stop for each in spans), default=0.0) - first


def computing_spans(spans: list[Span]) -> list[Span]:
    """Return those of `spans` in which a task computed, alone or in turns."""
    return [each for each in spans if each.kind != WAITING]


def cores_kept_busy(spans: list[Span], settings: Settings) -> float:
    """Return how many cores computed, on average, while any task computed.

    >>> settings = Settings(tasks=2, seconds=1.0, waiting=0)
    >>> [cores_kept_busy(plan(settings, at_once), settings) for at_once in (1, 2)]
    [1.0, 2.0]
    """
    seconds = until = 0.0
    for each in sorted(computing_spans(spans), key=lambda each: each.start):
        seconds += max(0.0, each.stop - max(each.start, until))
        until = max(until, each.stop)
    return settings.tasks * settings.computing_seconds / seconds if seconds else 0.0


class _Worker:
    """A worker of the plan, and the steps of the chunk that it has taken."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps: deque[tuple[str, str, float]] = deque()
        self.began = self.left = 0.0

    @property
    def kind(self) -> str:
        return self.steps[0][1]

    def take(self, chunk: range, settings: Settings, now: float) -> None:
        for task in map(str, chunk):
            parts = {
                WAITING: settings.wait_seconds,
                WORKING: settings.computing_seconds,
            }
            self.steps += [(task, kind, left) for kind, left in parts.items() if left]
        self._begin(now)

    def finish(self, now: float, settings: Settings) -> Span:
        task, kind, _ = self.steps.popleft()
        if kind == WORKING:
            kind = computed_kind(now - self.began, settings.computing_seconds)
        done = Span(self.number, 1, task, _exact(self.began), _exact(now), kind)
        if self.steps:
            self._begin(now)
        return done

    def _begin(self, now: float) -> None:
        self.began, self.left = now, self.steps[0][2]


def _plan_asyncio(settings: Settings) -> list[Span]:
    """Let all waits begin at once; each lasts until the loop has time for its task."""
    waits, computes = settings.wait_seconds, settings.computing_seconds
    spans = []
    for number in range(settings.tasks):
        start = _exact(waits + number * computes)
        stop = _exact(start + computes)
        task = str(number + 1)
        if waits:
            spans.append(Span(1, 1, task, 0.0, start, WAITING))
        if computes:
            spans.append(Span(1, 1, task, start, stop, WORKING))
    return sorted(spans, key=lambda each: each.start)


def _exact(seconds: float) -> float:
    """Round off what adding floating-point numbers left behind."""
    return round(seconds, 6)
