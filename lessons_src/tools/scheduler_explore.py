"""Run a small program in every possible order, and count how it ends.

from the start: run -> a point seen before? -> go back to the last open choice
                    -> the end? -> note the outcome

Two orders that lead to the same point, with the same values everywhere, go on in the
same way. So each point is followed once, and the orders are counted on the map of
points: millions of orders often have only a few hundred points.
"""

import time
from collections import Counter
from collections.abc import Hashable, Iterator
from itertools import pairwise
from typing import NamedTuple

from lessons_src.tools.scheduler_program import Program, Uncontrolled
from lessons_src.tools.scheduler_run import Run

DEADLOCK = "deadlock"
ENDLESS = "endless"
MOST_STEPS = 200
LIMIT_SECONDS = 20


class Ending(NamedTuple):
    """How often an outcome came, and its schedule with the fewest switches."""

    count: int
    schedule: str
    switches: int


class Exploration:
    """What `explore` found: `print` shows a table.

    Parameters
    ----------
    outcomes
        From each outcome, a value or a text, to its `Ending`, the most frequent
        first.
    complete
        Whether all schedules (with at most `most_switches`) are counted.
    unseen
        Why points could not be compared, so that schedules were run one by one; ""
        if they could.
    """

    def __init__(
        self,
        program: Program,
        outcomes: dict[Hashable, Ending],
        complete: bool = True,
        most_switches: int | None = None,
        unseen: str = "",
    ) -> None:
        self.unseen = unseen
        self.program = program
        self.outcomes = outcomes
        self.complete = complete
        self.most_switches = most_switches

    @property
    def total(self) -> int:
        """The number of schedules."""
        return sum(ending.count for ending in self.outcomes.values())

    def count(self, outcome: Hashable) -> int:
        """Return how many schedules end with `outcome`, 0 if none does."""
        return self.outcomes[outcome].count if outcome in self.outcomes else 0

    def __repr__(self) -> str:
        rows = [("outcome", "schedules", "fewest switches")]
        for outcome, ending in self.outcomes.items():
            rows.append((str(outcome), f"{ending.count:,}", ending.schedule))
        left, middle = (max(len(row[column]) for row in rows) for column in (0, 1))
        lines = [f"{a:<{left}}  {b:>{middle}}  {c}" for a, b, c in rows]
        note = [f"(slow, for {self.unseen})"] if self.unseen else []
        return "\n".join([self._headline(), *note, *lines])

    def _headline(self) -> str:
        bound = self.most_switches
        bounded = "" if bound is None else f" with at most {bound} switches"
        if self.complete:
            total = f"{self.total:,} schedules{bounded}"
        else:
            total = f"stopped early: more than {self.total:,} schedules{bounded}"
        if self.complete and not self.total:
            least = len(self.program.names) - 1
            return f"{total} of {self.program}: it needs at least {least} switches"
        return f"{total} of {self.program}"


def explore(
    program: Program,
    most_switches: int | None = None,
    limit: float = LIMIT_SECONDS,
) -> Exploration:
    """Run `program` in every order of its threads' steps and count the outcomes.

    A step is one statement. The outcome is what `Program.outcome` says, or
    `DEADLOCK` when threads are left and none can go on, or the errors that no thread
    caught, or `ENDLESS` when a run is not over after 200 steps.

    >>> class Account:
    ...     balance = 0
    >>> def deposit(account):
    ...     seen = account.balance
    ...     account.balance = seen + 10
    >>> explore(Program(Account, deposit, deposit))
    6 schedules of A: deposit, B: deposit
    outcome     schedules  fewest switches
    balance=10          4  ABBA
    balance=20          2  AABB

    Parameters
    ----------
    most_switches
        Leave out the schedules in which the turn goes to another thread more often
        than that: for programs that have too many.
    limit
        Seconds after which it stops; the result then says that it is not complete.

    Raises
    ------
    Uncontrolled
        When the program waits for something that is none of our locks, events and
        queues, or does not begin in the same way each time.
    """
    graph = _Graph(program, most_switches, limit)
    graph.fill()
    counts, fewest = graph.count(), graph.fewest()
    by_count = sorted(counts, key=lambda each: (-counts[each], str(each)))
    endings = {each: Ending(counts[each], *fewest[each]) for each in by_count}
    parts = endings, graph.complete, most_switches, graph.unseen
    return Exploration(program, *parts)


def switches(schedule: str) -> int:
    """Count how often the turn goes to another thread in `schedule`.

    >>> switches("AABBA")
    2
    """
    return sum(this != next_ for this, next_ in pairwise(schedule))


def ending_of(run: Run, steps: int) -> Hashable | None:
    """Return the outcome of `run` after `steps`; None while it goes on."""
    if run.is_over:
        return run.errors() or run.program.outcome(run.shared)
    if not run.ready:
        errors = run.errors()
        return f"{DEADLOCK} after {errors}" if errors else DEADLOCK
    return ENDLESS if steps >= MOST_STEPS else None


class _Point:
    """A point that runs come to: its outcome, or where each thread leads to."""

    def __init__(self, schedule: str, ready: str, outcome: Hashable | None) -> None:
        self.schedule = schedule
        self.outcome = outcome
        self.open = list(ready)[::-1]
        self.next: dict[str, _Point] = {}


class _Graph:
    """The map of all points."""

    def __init__(self, program: Program, most: int | None, limit: float) -> None:
        self.program = program
        self.most = most
        self.until = time.monotonic() + limit
        self.points: dict[Hashable, _Point] = {}
        self.first_key: Hashable | None = None
        self.complete = True
        self.unseen = ""

    def fill(self) -> None:
        """Follow each choice of each point once."""
        with Run(self.program) as run:
            self.first_key = run.key()
            self.root = self._point(run, "")
        waiting = [self.root]
        while waiting and self.complete:
            if not waiting[-1].open:
                waiting.pop()
            elif time.monotonic() > self.until:
                self.complete = False
            else:
                waiting += self._follow_all(waiting[-1])

    def _follow_all(self, point: _Point) -> list[_Point]:
        """Run to `point`, on by one of its open choices, and on to a known point."""
        found = []
        with Run(self.program) as run:
            self._check_start(run)
            for name in point.schedule:
                self._step(run, name)
            while point.open:
                name = point.open.pop()
                self._step(run, name)
                known = len(self.points)
                point.next[name] = self._point(run, point.schedule + name)
                if len(self.points) == known:
                    break
                point = point.next[name]
                found.append(point)
        return found

    def _check_start(self, run: Run) -> None:
        if run.key() != self.first_key:
            raise Uncontrolled(
                "a second run does not begin as the first one did: something that "
                "the threads change is not made anew. Let `make` return all of it."
            )

    def _step(self, run: Run, name: str) -> None:
        if name not in run.ready:
            raise Uncontrolled(
                f"thread {name} could go on in one run and not in another one: the "
                "program depends on more than the order of its steps, such as a clock "
                "or an `id`."
            )
        run.step(name)

    def _point(self, run: Run, schedule: str) -> _Point:
        key = run.key()
        if key is None:
            key, self.unseen = schedule, run.unseen
        if self.most is not None:
            key = key, schedule[-1:], switches(schedule)
        if key not in self.points:
            outcome = ending_of(run, len(schedule))
            ready = "" if outcome is not None else run.ready
            allowed = [each for each in ready if self._allows(schedule + each)]
            self.points[key] = _Point(schedule, "".join(allowed), outcome)
        return self.points[key]

    def _allows(self, schedule: str) -> bool:
        return self.most is None or switches(schedule) <= self.most

    def count(self) -> Counter[Hashable]:
        """Count the ways from the start to each outcome."""
        counted: dict[_Point, Counter[Hashable]] = {}
        for point in self._last_first():
            ways: Counter[Hashable] = Counter()
            if point.outcome is not None:
                ways[point.outcome] = 1
            for next_ in point.next.values():
                ways.update(counted[next_])
            counted[point] = ways
        return counted[self.root]

    def fewest(self) -> dict[Hashable, tuple[str, int]]:
        """Find the schedule with the fewest switches to each outcome."""
        best: dict[tuple[_Point, str], dict[Hashable, tuple[int, str]]] = {}
        for point in self._last_first():
            for last in ["", *self.program.names]:
                ways: dict[Hashable, tuple[int, str]] = {}
                if point.outcome is not None:
                    ways[point.outcome] = 0, ""
                for name, next_ in point.next.items():
                    for outcome, (turns, rest) in best[next_, name].items():
                        way = turns + (last not in ("", name)), name + rest
                        ways[outcome] = min(way, ways.get(outcome, way))
                best[point, last] = ways
        found = best[self.root, ""]
        return {outcome: (rest, turns) for outcome, (turns, rest) in found.items()}

    def _last_first(self) -> Iterator[_Point]:
        """Go through the points so that each comes after all it leads to."""
        seen, path = {self.root}, [(self.root, iter(self.root.next.values()))]
        while path:
            following = path[-1][1]
            next_ = next((each for each in following if each not in seen), None)
            if next_ is None:
                yield path.pop()[0]
            else:
                seen.add(next_)
                path.append((next_, iter(next_.next.values())))
