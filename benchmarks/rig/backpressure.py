"""Count what an engine draws from its source while nobody reads the results.

python -m rig.backpressure ENGINE ITEMS CHUNK
"""

import json
import sys
import time
from collections.abc import Iterator

from rig import peers
from rig.work import increment

PAUSE_SECONDS = 1


class Source:
    """Items that count how many of them were drawn."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.drawn = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.items):
            self.drawn += 1
            yield number


def main() -> None:
    """Read one result, look at the source, wait, and look again."""
    engine, items, chunk = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    source = Source(items)
    with peers.opened(engine) as results_of:
        results = iter(results_of(increment, source, chunk))
        next(results)
        at_first = source.drawn
        time.sleep(PAUSE_SECONDS)
        print(json.dumps({"first": at_first, "later": source.drawn}), flush=True)
        for _ in results:
            pass


if __name__ == "__main__":
    main()
