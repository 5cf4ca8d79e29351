"""Lesson 01, Process pools: the workers, and what is rigged to fail or to count.

the notebook              the pool
tasks -> letters -> [first come, first served] -> worker: nap, nap, ...
answers <---------------------------------------- worker: nap, ...
"""

import itertools
import operator
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import Pool
from typing import Any, NamedTuple

from lessons_src.tools.naps import Nap, take_nap
from lessons_src.tools.timeline import Recorder, Span, clock, lanes, span, workers

SLICES = 12
QUARREL_SECONDS = 60
TRIES = 5
HEADLINES = [
    "Storm floods harbour",
    "Mayor wins the vote",
    "New bridge opens",
    "River floods old town",
    "",
    "Storm delays the vote",
    "Circus in town",
]


class Delivery(NamedTuple):
    """The `answers` in the order in which they came, and the wait for each."""

    answers: list[Span]
    waits: list[Span]


class Findings(NamedTuple):
    """The event types in each headline, and the headlines that say nothing."""

    events: dict[str, list[str]]
    blank: list[str]


class StepTable(NamedTuple):
    """The number of steps of each start, and the process that counted them."""

    process: int
    steps: dict[int, int]


class Opened(NamedTuple):
    """An item, and the letter in which it came to its worker."""

    process: int
    letter: int
    item: int


def make_tasks(lengths: Iterable[float], unit: float) -> list[Nap]:
    """Make a nap of each of `lengths`, counted in `unit` seconds.

    >>> make_tasks([1, 2], 0.5)
    [Nap(name='task 0', seconds=0.5), Nap(name='task 1', seconds=1.0)]
    """
    lengths = enumerate(lengths)
    return [Nap(f"task {number}", length * unit) for number, length in lengths]


def share_cake(guests: int) -> int:
    """Return the slices that each of `guests` gets of a cake of twelve.

    >>> share_cake(3)
    4
    >>> share_cake(0)
    Traceback (most recent call last):
    ValueError: a cake for 0 guests
    """
    if guests < 1:
        raise ValueError(f"a cake for {guests} guests")
    return SLICES // guests


def find_events(headlines: Iterable[str], event_types: Iterable[str]) -> Findings:
    """Say which of `event_types` each of `headlines` mentions.

    It stands for a slow call, such as one to a language model.

    >>> find_events(["Storm floods harbour", ""], ["flood", "vote"])
    Findings(events={'Storm floods harbour': ['flood']}, blank=[''])
    """
    events, blank = {}, []
    for headline in headlines:
        if headline:
            found = [kind for kind in event_types if kind in headline.lower()]
            events[headline] = found
        else:
            blank.append(headline)
    return Findings(events, blank)


def collatz_steps(start: int) -> int:
    """Count the steps from `start` to 1: half of an even number, else 3 n + 1.

    >>> collatz_steps(6)
    8
    """
    steps = 0
    while start != 1:
        start = 3 * start + 1 if start % 2 else start // 2
        steps += 1
    return steps


def share_on_record(recorder: Recorder, guests: int) -> int:
    """Share a cake and leave a mark in `recorder`, whatever comes of it."""
    with recorder.span(f"{guests} guests"):
        return share_cake(guests)


def share_in_peace(guests: int) -> int:
    """Share a cake, but wrong on purpose: thirteen guests quarrel for a minute."""
    if guests == 13:
        time.sleep(QUARREL_SECONDS)
    return share_cake(guests)


def tabulate_steps(starts: Iterable[int], most: int) -> StepTable:
    """Count the Collatz steps of each of `starts`, and leave out those above `most`.

    >>> tabulate_steps([5, 6, 7], 10).steps
    {5: 5, 6: 8}
    """
    counted = ((start, collatz_steps(start)) for start in starts)
    steps = {start: steps for start, steps in counted if steps <= most}
    return StepTable(os.getpid(), steps)


def map_in_time(pool: Pool, size: int, tasks: Sequence[Nap]) -> list[Span]:
    """Let `pool`, of `size` workers, nap; again if a busy machine was late.

    The tasks go out one by one. A run is good when no worker was late by a quarter
    of the shortest nap; after `TRIES` runs the last one counts.
    """
    allowed = min(task.seconds for task in tasks) / 4
    for _ in range(TRIES):
        spans = pool.map(take_nap, tasks, chunksize=1)
        all_came = len(workers(spans)) == min(size, len(tasks))
        if all_came and worst_delay(spans, tasks) <= allowed:
            break
    return spans


def worst_delay(spans: Sequence[Span], tasks: Iterable[Nap]) -> float:
    """Return the most seconds that a worker overslept or took its next nap late.

    >>> spans = [Span(1, 1, "a", 0, 2), Span(1, 1, "b", 2.25, 3.25)]
    >>> worst_delay(spans, [Nap("a", 2), Nap("b", 1)])
    0.25
    """
    seconds = {task.name: task.seconds for task in tasks}
    begin = min(span.start for span in spans)
    delays = [span.seconds - seconds[span.task] for span in spans]
    for lane in lanes(spans):
        free = [begin, *(span.stop for span in lane)]
        delays += map(operator.sub, (span.start for span in lane), free)
    return max(delays)


def receive(method: Callable, worker: Callable, tasks: Sequence[Nap]) -> Delivery:
    """Call `method(worker, tasks)` and note when each answer reaches this process."""
    answers, waits = [], []
    start = clock()
    for answer in method(worker, tasks):
        waits.append(span(answer.task, start, "waiting"))
        answers.append(answer)
        start = clock()
    return Delivery(answers, waits)


def in_hand_before(delivery: Delivery, task: str) -> int:
    """Count the answers that had arrived when the worker of `task` was done.

    >>> slow, quick = Span(2, 2, "slow", 0, 9), Span(3, 3, "quick", 0, 1)
    >>> waits = [Span(1, 1, "quick", 0, 1.5), Span(1, 1, "slow", 1.5, 9.5)]
    >>> in_hand_before(Delivery([quick, slow], waits), "slow")
    1
    """
    done = next(answer.stop for answer in delivery.answers if answer.task == task)
    return sum(wait.stop < done for wait in delivery.waits)


@contextmanager
def pretend_cores(count: int) -> Iterator[None]:
    """Make Python believe for a while that this machine has `count` cores.

    >>> with pretend_cores(8):
    ...     os.cpu_count()
    8
    """
    from unittest.mock import patch

    newer = patch("os.process_cpu_count", lambda: count, create=True)
    with patch("os.cpu_count", lambda: count), newer:
        yield


def article_split_list(alist: Sequence[Any], wanted_parts: int = 1) -> list[Any]:
    """Cut `alist` as the article does.

    >>> article_split_list("abcdefg", 3)
    ['ab', 'cd', 'efg']
    """
    length = len(alist)
    # wrong on purpose: without any part, all the data is gone, and nobody hears of it
    return [
        alist[i * length // wanted_parts : (i + 1) * length // wanted_parts]
        for i in range(wanted_parts)
    ]


class Letter:
    """A stowaway that counts: each time it is unpickled it gets the next number.

    Whatever is pickled together is opened together, and so has one number.
    """

    opened = itertools.count(1)

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Callable[[], "Letter"], tuple[()]]:
        return open_letter, ()


def open_letter() -> Letter:
    """Open a letter: the next one of this process."""
    return Letter(next(Letter.opened))


def read_letter(letter: Letter, item: int) -> Opened:
    """Say in which `letter` the `item` came to this process."""
    return Opened(os.getpid(), letter.number, item)


def letter_sizes(opened: Iterable[Opened]) -> list[int]:
    """Count the items of each letter, in the order in which they were posted.

    >>> letter_sizes([Opened(7, 1, 10), Opened(7, 1, 11), Opened(8, 1, 12)])
    [2, 1]
    """
    letters = itertools.groupby(opened, key=lambda item: (item.process, item.letter))
    return [len(list(items)) for _, items in letters]
