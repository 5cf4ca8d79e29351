"""Put trivial items through one engine, and print what it cost.

    python -m rig.throughput ENGINE ITEMS CHUNK

CHUNK 0 means: found by the engine.
"""

import json
import sys
import time
from typing import Any

from rig import meter, peers
from rig.work import increment


def main() -> None:
    """Measure what the command line says."""
    engine, items, chunk = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(cost(engine, items, chunk or None)))


def cost(engine: str, items: int, chunk: int | None) -> dict[str, Any]:
    """Return CPU seconds of the tree, seconds to the first result, kB of growth.

    The clock stops at the last result: the end of a pool does not count.
    """
    with peers.opened(engine) as results_of:
        memory, cpu, start = (
            meter.reset_peak(),
            meter.tree_seconds(),
            time.perf_counter(),
        )
        results = iter(results_of(increment, range(items), chunk))
        next(results)
        first = time.perf_counter() - start
        meter.take(results, items - 1)
        wall = time.perf_counter() - start
        facts = {"cpu": meter.tree_seconds() - cpu, "first": first, "wall": wall}
        facts["growth"] = meter.peak() - memory
        meter.refuse_more(results)
    return facts


if __name__ == "__main__":
    main()
