"""Lesson 13: 100 MB on their way to the workers, and what one shared number costs.

pickle           the notebook posts each worker its part
initializer      the whole array, once to each worker (a forked one has it)
shared memory    a name: all see the same bytes
memory map       a path: all read the same file
"""

import pickle
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.managers import SyncManager
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from lessons_src.tools.experiment import Comparison, compare
from lessons_src.tools.spans import clock

if TYPE_CHECKING:
    import numpy as np

    from lessons_src.tools.picture import Picture

NUMBER, NUMBER_BYTES = "int64", 8
PARTS = 4
LIMIT_SECONDS = 60
PROTOCOL = 5
# What the initializer leaves in its worker
KEPT: dict[str, Any] = {}


class Part(NamedTuple):
    """The numbers from `start` up to `stop` of an array."""

    start: int
    stop: int


class Trip(NamedTuple):
    """What came of one way: the sum, the bytes posted for a task, and the seconds."""

    total: int
    bytes_a_task: int
    seconds: float

    @property
    def posted(self) -> str:
        """Say what was posted for a task: exactly, where it is much.

        >>> Trip(0, 25_000_195, 1.0).posted, Trip(0, 143, 1.0).posted
        ('25 MB', 'under 1 KB')
        """
        if self.bytes_a_task < 1000:
            return "under 1 KB"
        return f"{self.bytes_a_task / 1_000_000:.0f} MB"


class Plan(NamedTuple):
    """How an array reaches its workers: what goes by post, and what comes before.

    Parameters
    ----------
    worker
        The function that the workers run, on one of `tasks` at a time.
    initializer, initargs
        What each worker runs first.
    """

    worker: Callable[[Any], int]
    tasks: list[Any]
    initializer: Callable[..., None] | None = None
    initargs: tuple[Any, ...] = ()

    @property
    def bytes_a_task(self) -> int:
        """The bytes that are posted for one task: its pickle, and its worker's."""
        return weigh((self.worker, self.tasks[0]))


def make_array(megabytes: int) -> "np.ndarray":
    """Make an array of so many `megabytes`: 0, 1, 2 and so on."""
    import numpy as np

    return np.arange(megabytes * 1_000_000 // NUMBER_BYTES, dtype=NUMBER)


def weigh(thing: Any) -> int:
    """Count the bytes of `thing` in an envelope, which is its pickle.

    >>> weigh(range(1_000_000))
    46
    """
    return len(pickle.dumps(thing, PROTOCOL))


def sum_nothing(_part: Part) -> int:
    """Import NumPy, and add up no numbers: what is left when none have to travel."""
    import numpy as np

    return int(np.zeros(1, NUMBER).sum())


def sum_numbers(numbers: "np.ndarray") -> int:
    """Add up `numbers`, which came by post."""
    return int(numbers.sum())


def keep(numbers: "np.ndarray") -> None:
    """Keep `numbers` in this worker: an initializer."""
    KEPT["numbers"] = numbers


def sum_kept(part: Part) -> int:
    """Add up a `part` of the numbers that the initializer kept."""
    return int(KEPT["numbers"][part.start : part.stop].sum())


def sum_shared(name: str, part: Part) -> int:
    """Add up a `part` of the numbers in the block of shared memory `name`."""
    import numpy as np

    memory = SharedMemory(name)
    try:
        count = part.stop - part.start
        numbers = np.ndarray(count, NUMBER, memory.buf, part.start * NUMBER_BYTES)
        total = int(numbers.sum())
        # To look into a closed block would crash Python
        del numbers
        return total
    finally:
        memory.close()


def sum_mapped(path: str, part: Part) -> int:
    """Add up a `part` of the numbers in the file `path`, read as memory."""
    import numpy as np

    # The map is closed when the last array that looks into it is gone
    return int(np.load(path, mmap_mode="r")[part.start : part.stop].sum())


def cut(length: int, parts: int) -> list[Part]:
    """Cut `length` numbers into so many neighbouring `parts`.

    >>> cut(5, 2)
    [Part(start=0, stop=2), Part(start=2, stop=5)]
    """
    edges = [length * number // parts for number in range(parts + 1)]
    return [Part(start, stop) for start, stop in pairwise(edges)]


@contextmanager
def by_nothing(array: "np.ndarray", parts: int) -> Iterator[Plan]:
    """Plan to open a pool, and to send no numbers."""
    yield Plan(sum_nothing, cut(len(array), parts))


@contextmanager
def by_pickle(array: "np.ndarray", parts: int) -> Iterator[Plan]:
    """Plan to post each part of `array`."""
    yield Plan(sum_numbers, [array[slice(*part)] for part in cut(len(array), parts)])


@contextmanager
def by_initializer(array: "np.ndarray", parts: int) -> Iterator[Plan]:
    """Plan to hand `array` to each worker when it starts."""
    yield Plan(sum_kept, cut(len(array), parts), keep, (array,))


@contextmanager
def by_shared_memory(array: "np.ndarray", parts: int) -> Iterator[Plan]:
    """Copy `array` into a block that all can open, and give the block back after."""
    import numpy as np

    memory = SharedMemory(create=True, size=array.nbytes)
    try:
        block = np.ndarray(array.shape, array.dtype, memory.buf)
        block[:] = array
        del block
        yield Plan(partial(sum_shared, memory.name), cut(len(array), parts))
    finally:
        memory.close()
        memory.unlink()


@contextmanager
def by_memory_map(array: "np.ndarray", parts: int) -> Iterator[Plan]:
    """Write `array` to a file that all can map, and delete it after."""
    import numpy as np

    with TemporaryDirectory() as folder:
        path = str(Path(folder, "numbers.npy"))
        np.save(path, array)
        yield Plan(partial(sum_mapped, path), cut(len(array), parts))


Way = Callable[["np.ndarray", int], AbstractContextManager[Plan]]
WAYS: dict[str, Way] = {
    "pickle": by_pickle,
    "initializer": by_initializer,
    "shared memory": by_shared_memory,
    "memory map": by_memory_map,
}


def ship(way: Way, array: "np.ndarray", context: BaseContext, workers: int) -> Trip:
    """Let `workers` add up `array`, which reaches them by `way`; say what it took."""
    start = clock()
    with (
        way(array, PARTS) as plan,
        ProcessPoolExecutor(
            workers, context, initializer=plan.initializer, initargs=plan.initargs
        ) as pool,
    ):
        answers = pool.map(plan.worker, plan.tasks, timeout=LIMIT_SECONDS)
        total = sum(answers)
    return Trip(total, plan.bytes_a_task, clock() - start)


def draw_trips(
    trips: Mapping[str, Trip], context: BaseContext, workers: int
) -> "Picture":
    """Draw the seconds of `trips`, beside those of a pool that gets no numbers."""
    alone = ship(by_nothing, make_array(0), context, workers)
    runs = {
        name: [trip.seconds] for name, trip in {"pool alone": alone, **trips}.items()
    }
    return Comparison(runs).draw()


def count_messages(action: Callable[[], object]) -> tuple[int, int]:
    """Count the messages that this process sends and receives during `action`.

    >>> count_messages(lambda: None)
    (0, 0)
    """
    # Of a pipe on Windows too: both kinds inherit these two
    base = Connection.__mro__[1]
    counts = {"send": 0, "recv": 0}
    originals = {name: getattr(base, name) for name in counts}

    def counted(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            counts[name] += 1
            return originals[name](*arguments)

        return call

    for name in counts:
        setattr(base, name, counted(name))
    try:
        action()
    finally:
        for name, original in originals.items():
            setattr(base, name, original)
    return counts["send"], counts["recv"]


class Reads(NamedTuple):
    """What it cost to read one number often, from wherever it is kept.

    `messages` counts those sent and received by this process.
    """

    messages: dict[str, tuple[int, int]]
    seconds: Comparison

    def __str__(self) -> str:
        return "\n".join(
            f"{name:8} {sent:4} messages sent, {received:4} received"
            for name, (sent, received) in self.messages.items()
        )

    def draw(self) -> "Picture":
        """Draw the seconds."""
        return self.seconds.draw()


def reads(
    context: BaseContext, manager: SyncManager, times: int = 200, repeats: int = 5
) -> Reads:
    """Read one number `times` times: from a list, a Value, an Array, a Manager."""
    numbers, value = [1], context.Value("i", 1)
    array, far = context.Array("i", numbers), manager.list(numbers)
    looks = {
        "list": lambda: numbers[0],
        "Value": lambda: value.value,
        "Array": lambda: array[0],
        "Manager": lambda: far[0],
    }
    # The first look at a Manager opens a line to it
    looks["Manager"]()
    often = {name: partial(repeat, look, times) for name, look in looks.items()}
    messages = {name: count_messages(action) for name, action in often.items()}
    return Reads(messages, compare(often, repeats))


def repeat(action: Callable[[], object], times: int) -> None:
    """Do `action` so many `times`."""
    for _ in range(times):
        action()
