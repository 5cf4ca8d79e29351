"""Print how the cost of `explore` grows with lines, threads and switches.

    python benchmarks/scheduler_cost.py

Each program is explored `REPEATS` times; the seconds are the median. The schedules are
counted exactly, and are the same on every machine; the seconds are not. At the end
stands what stays under a second here.
"""

from statistics import median
from time import perf_counter
from typing import Any

from lessons_src.tools.scheduler import Lock, Program, explore

REPEATS = 3
# No more of a kind after one that takes longer than this
ENOUGH_SECONDS = 2.0


class Shared:
    """A counter for each thread's use, and a lock."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = Lock()


def two(shared: Shared) -> None:
    """Change the counter in two lines."""
    shared.count += 1
    shared.count *= 2


def four(shared: Shared) -> None:
    """Change the counter in four lines."""
    shared.count += 1
    shared.count *= 2
    shared.count += 1
    shared.count *= 2


def eight(shared: Shared) -> None:
    """Change the counter in eight lines."""
    shared.count += 1
    shared.count *= 2
    shared.count += 1
    shared.count *= 2
    shared.count += 1
    shared.count *= 2
    shared.count += 1
    shared.count *= 2


def locked(shared: Shared) -> None:
    """Change the counter in two lines under the lock."""
    with shared.lock:
        shared.count += 1
        shared.count *= 2


LINES = {2: two, 4: four, 8: eight}


def main() -> None:
    """Measure each kind of growth, and print one line for each program."""
    print(f"{'program':34}  {'schedules':>15}  {'seconds':>7}")
    quick = []
    for kind, programs in growths().items():
        print(kind)
        for name, functions, bound in programs:
            total, seconds = measure(functions, bound)
            print(f"  {name:32}  {total:15,}  {seconds:7.3f}")
            if seconds < 1:
                quick.append(name)
            if seconds > ENOUGH_SECONDS:
                break
    print("under a second here:", "; ".join(quick))


def growths() -> dict[str, list[tuple[str, list[Any], int | None]]]:
    """Return the programs of each kind: name, functions, bound on switches."""
    threads = [1, 2, 3, 4]
    return {
        "lines (2 threads)": [
            (f"{lines} lines x 2", [work] * 2, None) for lines, work in LINES.items()
        ],
        "threads (2 lines)": [(f"2 lines x {n}", [two] * n, None) for n in threads],
        "threads (2 lines, lock)": [
            (f"lock x {n}", [locked] * n, None) for n in threads
        ],
        "switches (8 lines, 2 threads)": [
            (f"8 lines x 2, at most {most} switches", [eight] * 2, most)
            for most in (1, 2, 4, 8)
        ],
    }


def measure(functions: list[Any], bound: int | None) -> tuple[int, float]:
    """Return the number of schedules, and the median seconds that it took."""
    taken = []
    for _ in range(REPEATS):
        start = perf_counter()
        found = explore(Program(Shared, *functions), bound, limit=60)
        taken.append(perf_counter() - start)
    return found.total, median(taken)


if __name__ == "__main__":
    main()
