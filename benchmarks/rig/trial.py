"""Run the faulty items on one engine, and print each delivery as it comes.

    python -m rig.trial ENGINE

A line is `got NUMBER` or `blamed NUMBER`: the item that a caller can tell to have
failed, -1 if the engine does not say which. Each engine is used with single items, the
way in which it loses least, and with its own time-out if it has one; recovery has its
items in chunks of five.
"""

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import partial
from typing import Any

from rig import faulty, peers

CHUNK_ITEMS = 5
TIMEOUT_SECONDS = 2
NOBODY = -1
# Errors in a row after which a stream has nothing more to give
ENOUGH = 3 * faulty.ITEMS


def main() -> None:
    """Run the engine that the command line names."""
    fault = os.environ.get(faulty.FAULT, "")
    limit = TIMEOUT_SECONDS if fault == "hang" else None
    ENGINES[sys.argv[1]](faulty.items(fault), limit)
    print("end")


def deliver(number: Any) -> None:
    """Print what arrived, if it is an answer."""
    if isinstance(number, int):
        print("got", number)


def blame(item: Any = NOBODY) -> None:
    """Print which item has failed, as far as a caller can know."""
    print("blamed", int(item))


def drain(results: Iterable[Any]) -> None:
    """Take all from a stream; after an error go on, as far as it lets us."""
    stream = iter(results)
    for _ in range(ENOUGH):
        try:
            deliver(next(stream))
        except StopIteration:
            return
        except Exception:
            blame()


def collect(submit: Callable[[Any], Future], items: list[Any]) -> None:
    """Submit each item, and ask each future, as the handbooks do it."""
    waiting = {}
    for item in items:
        try:
            waiting[submit(item)] = item
        except Exception:
            blame(item)
    for future in as_completed(waiting):
        try:
            deliver(future.result())
        except Exception:
            blame(waiting[future])


def recovery(items: list[Any], limit: float | None) -> None:
    """Run `recovery.stream` in chunks."""
    from lessons_src.tools.recovery import Failure, processes, stream

    for index, result in stream(
        faulty.compute,
        items,
        executor=processes(peers.WORKERS),
        chunk_size=CHUNK_ITEMS,
        timeout=limit,
    ):
        if isinstance(result, Failure):
            blame(index)
        else:
            deliver(result)


def multiprocessing_pool(items: list[Any], limit: float | None) -> None:
    """Run `Pool.imap_unordered`, which has no time-out that ends a worker."""
    from multiprocessing import Pool

    with Pool(peers.WORKERS) as pool:
        drain(pool.imap_unordered(faulty.compute, items))


def submit(items: list[Any], limit: float | None) -> None:
    """Run `ProcessPoolExecutor`, which has no time-out that ends a worker."""
    with ProcessPoolExecutor(peers.WORKERS) as pool:
        collect(partial(pool.submit, faulty.compute), items)


def joblib(items: list[Any], limit: float | None) -> None:
    """Run joblib, whose time-out ends the run."""
    from joblib import Parallel, delayed

    parallel = Parallel(
        peers.WORKERS, batch_size=1, timeout=limit, return_as="generator_unordered"
    )
    drain(parallel(delayed(faulty.compute)(item) for item in items))


def loky(items: list[Any], limit: float | None) -> None:
    """Run loky, which has no time-out that ends a worker."""
    from loky import ProcessPoolExecutor

    with ProcessPoolExecutor(peers.WORKERS) as pool:
        collect(partial(pool.submit, faulty.compute), items)


def mpire(items: list[Any], limit: float | None) -> None:
    """Run mpire, item by item."""
    from mpire import WorkerPool

    with WorkerPool(peers.WORKERS) as pool:
        waiting = [
            (item, pool.apply_async(faulty.compute, (item,), task_timeout=limit))
            for item in items
        ]
        for item, result in waiting:
            try:
                deliver(result.get())
            except Exception:
                blame(item)


def pebble(items: list[Any], limit: float | None) -> None:
    """Run pebble, item by item."""
    from pebble import ProcessPool

    with ProcessPool(peers.WORKERS) as pool:
        collect(
            lambda item: pool.schedule(faulty.compute, args=(item,), timeout=limit),
            items,
        )


def deadpool(items: list[Any], limit: float | None) -> None:
    """Run deadpool, item by item."""
    from deadpool import Deadpool

    with Deadpool(max_workers=peers.WORKERS) as pool:
        collect(
            lambda item: pool.submit(faulty.compute, item, deadpool_timeout=limit),
            items,
        )


ENGINES: dict[str, Callable[[list[Any], float | None], None]] = {
    "recovery.stream": recovery,
    "Pool.imap_unordered": multiprocessing_pool,
    "submit + as_completed": submit,
    "joblib": joblib,
    "loky": loky,
    "mpire": mpire,
    "pebble": pebble,
    "deadpool": deadpool,
}


if __name__ == "__main__":
    main()
