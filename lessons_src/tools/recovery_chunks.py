"""Chunks of `recovery`: how large, and what becomes of one whose worker is gone.

items -> Sizes -> Chunk -> no answers -> judge -> innocent, suspect or guilty
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lessons_src.tools.recovery_marks import BETWEEN_ITEMS, Mark

GOAL_SECONDS = 0.1
LARGEST_CHUNK = 1000
# Marking an item costs some 40 ns, which nobody notices from here on
CHEAP_SECONDS = 2e-6


@dataclass(eq=False, slots=True)
class Chunk:
    """Neighbouring items on their way; `start` is the number of the first."""

    start: int
    items: Sequence[Any]
    # Nothing else may run beside it, so that a death is its own
    alone: bool = False
    # How often its worker died of it; a chunk hands this on to its guilty item
    deaths: int = 0
    # While it flies: its place in the file of marks, what stood there, since when
    slot: int = 0
    mark: Mark = Mark()  # noqa: RUF009 (a tuple never changes)
    since: float = 0.0
    overdue: bool = False

    def part(self, begin: int, end: int, alone: bool = False) -> "Chunk":
        """Return the items from `begin` up to `end` as a chunk of their own."""
        return Chunk(self.start + begin, self.items[begin:end], alone)

    @property
    def name(self) -> str:
        """What a timeline calls it.

        >>> Chunk(5, ["a", "b"]).name, Chunk(7, ["c"]).name
        ('items 5 to 6', 'item 7')
        """
        last = self.start + len(self.items) - 1
        if last == self.start:
            return f"item {self.start}"
        return f"items {self.start} to {last}"


class Sizes:
    """How many items a chunk takes: as told, or found while it runs.

    >>> sizes = Sizes(None, workers=2, total=None)
    >>> sizes.next(drawn=0)
    1
    >>> sizes.learn(items=1, seconds=0.000_001)
    >>> sizes.next(drawn=1)
    4
    """

    def __init__(self, fixed: int | None, workers: int, total: int | None) -> None:
        self._fixed, self._workers, self._total = fixed, workers, total
        self._size = 1
        # Whether the items so far were so cheap that marking each would be felt
        self.cheap = False

    def next(self, drawn: int) -> int:
        """Return the size of the next chunk, after `drawn` items."""
        if self._fixed:
            return self._fixed
        if self._total is None:
            return self._size
        # Small ones at the end, so that all workers end together
        share = (self._total - drawn) // (2 * self._workers)
        return max(1, min(self._size, share))

    def learn(self, items: int, seconds: float) -> None:
        """Aim at chunks of `GOAL_SECONDS`, in steps of at most four times."""
        self.cheap = seconds < CHEAP_SECONDS * items
        if items >= self._size:
            goal = int(GOAL_SECONDS * items / max(seconds, 1e-9))
            self._size = max(1, min(goal, 4 * self._size, LARGEST_CHUNK))


class Verdict(NamedTuple):
    """What becomes of a chunk: what goes again, in order, and whom to blame."""

    again: list[Chunk]
    guilty: Chunk | None
    # Items that begin once more though they are innocent
    reruns: int


def judge(chunk: Chunk, dead: set[int], sees_workers: bool) -> Verdict:
    """Say what becomes of `chunk`, whose worker or whose pool is gone.

    ======================  ===========================  =============================
    its mark                and                          then
    ======================  ===========================  =============================
    nobody has begun                                     it goes again
    begun by one worker     another worker died          it goes again, innocent
    at an item              its worker died              that item is guilty
    at an item              nobody knows who died        that item goes again, alone
    between items           it was not alone             it goes again, alone
    between items           it was alone                 its halves go again, alone
    ======================  ===========================  =============================

    Alone, there is no doubt: a death is its own. And a chunk that goes alone has each
    of its items marked, which one of cheap items had not.

    Parameters
    ----------
    dead
        The processes that died by themselves; empty if nobody knows.
    sees_workers
        Whether the marks of this engine's workers can be trusted.

    Its mark is at position 1 of three items, and process 7 ran it:

    >>> chunk = Chunk(10, ["a", "b", "c"], mark=Mark(process=7, position=1))
    >>> innocent = judge(chunk, dead={8}, sees_workers=True)
    >>> [each.name for each in innocent.again], innocent.reruns
    (['items 10 to 12'], 2)
    >>> guilty = judge(chunk, dead={7}, sees_workers=True)
    >>> [each.name for each in guilty.again], guilty.guilty.name
    (['item 10', 'item 12'], 'item 11')
    """
    process, position = chunk.mark.process, chunk.mark.position
    count = len(chunk.items)
    if sees_workers and not process:
        return Verdict([chunk], None, 0)
    if dead and process not in dead:
        return Verdict([chunk], None, count if position < 0 else position + 1)
    its_own_death = bool(dead) or chunk.alone
    if count == 1:
        suspect, around, reruns = chunk, [], 0
    elif process and position != BETWEEN_ITEMS:
        suspect, reruns = chunk.part(position, position + 1), position
        suspect.deaths = chunk.deaths
        parts = chunk.part(0, position), chunk.part(position + 1, count)
        around = [each for each in parts if each.items]
    elif chunk.alone:
        half = count // 2
        halves = [chunk.part(0, half, True), chunk.part(half, count, True)]
        return Verdict(halves, None, count)
    else:
        chunk.alone = True
        chunk.deaths += its_own_death
        return Verdict([chunk], None, count)
    suspect.alone = True
    if its_own_death:
        return Verdict(around, suspect, reruns)
    return Verdict([suspect, *around], None, reruns)
