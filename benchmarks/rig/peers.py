"""One way in for every engine under test: recovery, its peers and a bare window.

    with opened("pebble") as results_of:
        for result in results_of(worker, items, chunk_size): ...

Each is opened with two workers that run already, so that no start is measured.
`chunk_size` None means: found by the engine, if it can.
"""

import contextlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from functools import partial
from itertools import count
from queue import SimpleQueue
from typing import Any

from rig.work import cut, each, nap

WORKERS = 2
# As many chunks in flight as recovery has, so that only the book-keeping differs
CHUNKS_PER_WORKER = 4

Results = Callable[[Callable[[Any], Any], Iterable[Any], int | None], Iterable[Any]]
Opened = Iterator[Results]


def opened(name: str) -> contextlib.AbstractContextManager[Results]:
    """Open the engine `name`; its workers end with the block."""
    return contextlib.contextmanager(ENGINES[name][1])()


def missing(name: str) -> bool:
    """Tell whether the engine `name` is not installed."""
    try:
        return importlib.util.find_spec(ENGINES[name][0]) is None
    except ModuleNotFoundError:
        return True


def warm(results_of: Results) -> Results:
    """Return `results_of` when its workers have run something."""
    for _ in results_of(nap, range(2 * WORKERS), 1):
        pass
    return results_of


def recovery(**options: Any) -> Opened:
    """Run `recovery.stream`; `options` are handed to it."""
    # That of the bar, as all imports, comes before the clock
    import tqdm.auto  # noqa: F401

    from lessons_src.tools.recovery import stream

    with ProcessPoolExecutor(WORKERS) as pool:
        warm(partial(window, pool))
        yield lambda worker, items, size: stream(
            worker, items, executor=lambda: pool, chunk_size=size, **options
        )


def bare() -> Opened:
    """Run `window` over the pool that recovery gets too."""
    with ProcessPoolExecutor(WORKERS) as pool:
        yield warm(partial(window, pool))


def window(
    pool: Executor, worker: Callable[[Any], Any], items: Iterable[Any], size: int
) -> Iterator[tuple[int, Any]]:
    """Give index and result of each item, and survive nothing.

    This is what recovery would be without a thought for faults: the same number of
    chunks in flight, the same pairs.
    """
    chunks = zip(count(0, size), cut(items, size), strict=False)
    done = SimpleQueue()
    starts = {}

    def send() -> None:
        for start, chunk in chunks:
            future = pool.submit(each, worker, chunk)
            starts[future] = start
            future.add_done_callback(done.put)
            return

    for _ in range(CHUNKS_PER_WORKER * WORKERS):
        send()
    while starts:
        future = done.get()
        start = starts.pop(future)
        send()
        yield from enumerate(future.result(), start)


def multiprocessing_pool() -> Opened:
    """Run `Pool.imap_unordered`."""
    from multiprocessing import Pool

    with Pool(WORKERS) as pool:
        yield warm(pool.imap_unordered)


def submit() -> Opened:
    """Run `ProcessPoolExecutor`: submit everything, then `as_completed`."""
    with ProcessPoolExecutor(WORKERS) as pool:
        yield warm(partial(submitted, pool))


def submitted(
    pool: Executor, worker: Callable[[Any], Any], items: Iterable[Any], size: int
) -> Iterator[Any]:
    """Submit all chunks to `pool`, and give the results as they come."""
    if size == 1:
        for future in as_completed([pool.submit(worker, item) for item in items]):
            yield future.result()
    else:
        chunks = cut(items, size)
        for future in as_completed(
            [pool.submit(each, worker, part) for part in chunks]
        ):
            yield from future.result()


def joblib() -> Opened:
    """Run joblib with its own processes; it finds the size of a batch if not told."""
    from joblib import Parallel, delayed

    with Parallel(WORKERS, return_as="generator_unordered") as parallel:

        def results_of(
            worker: Callable[[Any], Any], items: Iterable[Any], size: int | None
        ) -> Iterator[Any]:
            parallel.batch_size = size or "auto"
            return parallel(delayed(worker)(item) for item in items)

        yield warm(results_of)


def loky() -> Opened:
    """Run loky: submit everything, then `as_completed`."""
    from loky import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as pool:
        yield warm(partial(submitted, pool))


def mpire() -> Opened:
    """Run mpire's `imap_unordered`, told how many items there will be if they know."""
    from mpire import WorkerPool

    with WorkerPool(WORKERS, keep_alive=True) as pool:
        yield warm(
            lambda worker, items, size: pool.imap_unordered(
                worker, items, chunk_size=size
            )
        )


def pebble() -> Opened:
    """Run pebble's `map`."""
    from pebble import ProcessPool

    with ProcessPool(WORKERS) as pool:
        yield warm(
            lambda worker, items, size: pool.map(worker, items, chunksize=size).result()
        )


def deadpool() -> Opened:
    """Run deadpool: submit everything, then `as_completed`."""
    from deadpool import Deadpool

    with Deadpool(max_workers=WORKERS) as pool:
        yield warm(partial(submitted, pool))


# What must be installed, and what opens it
ENGINES: dict[str, tuple[str, Callable[[], Opened]]] = {
    "recovery.stream": ("lessons_src.tools.recovery", recovery),
    "recovery.stream with a bar": (
        "lessons_src.tools.recovery",
        partial(recovery, progress=True),
    ),
    "bare window": ("concurrent.futures", bare),
    "Pool.imap_unordered": ("multiprocessing", multiprocessing_pool),
    "submit + as_completed": ("concurrent.futures", submit),
    "joblib": ("joblib", joblib),
    "loky": ("loky", loky),
    "mpire": ("mpire", mpire),
    "pebble": ("pebble", pebble),
    "deadpool": ("deadpool", deadpool),
}
PEERS = [name for name in ENGINES if not name.startswith(("recovery", "bare"))]
