"""Compute on one engine and on two bare processes in turn, and compare.

    python -m rig.speedup ENGINE TASK ITEMS ROUNDS

Two forked processes without a queue, each with half of the items, are as fast as this
machine gets in the same minute. What the engine reaches of that is its share.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from rig import meter, peers, work

TASKS = {"short": work.short, "long": work.long}


def main() -> None:
    """Print for each round: milliseconds an item, share, and ratio of CPU."""
    engine, task = sys.argv[1:3]
    items, rounds = int(sys.argv[3]), int(sys.argv[4])
    turns = [turn(engine, TASKS[task], items) for _ in range(rounds)]
    print(json.dumps(turns))


def turn(
    engine: str, worker: Callable[[int], Any], items: int
) -> tuple[float, float, float]:
    """Return milliseconds an item, share of the bare speed, ratio of CPU seconds."""
    start = time.perf_counter()
    bare_cpu = bare(worker, items)
    bare_wall = time.perf_counter() - start
    with peers.opened(engine) as results_of:
        cpu, start = meter.tree_seconds(), time.perf_counter()
        results = iter(results_of(worker, range(items), 1))
        meter.take(results, items)
        wall, cpu = time.perf_counter() - start, meter.tree_seconds() - cpu
        meter.refuse_more(results)
    return bare_cpu / items * 1000, bare_wall / wall, cpu / bare_cpu


def bare(worker: Callable[[int], Any], items: int) -> float:
    """Let each of two forked processes compute half; return their CPU seconds."""
    children = []
    for first in range(peers.WORKERS):
        child = os.fork()
        if child == 0:
            for item in range(first, items, peers.WORKERS):
                worker(item)
            os._exit(0)
        children.append(child)
    used = [os.wait4(child, 0)[2] for child in children]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
