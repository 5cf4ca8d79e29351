"""Print what it costs to record one span, in microseconds.

    python benchmarks/timeline_cost.py

The price must be small against the shortest task worth a look: the course promises
under 5 microseconds. On a busy machine the median counts the neighbours in, so the
best is printed too.
"""

from collections.abc import Callable
from statistics import median
from tempfile import TemporaryDirectory
from timeit import repeat

from lessons_src.tools.timeline import Recorder, clock, span

REPEATS = 2_000
# So few that most runs end before the system lets another process in
SPANS = 100
MICROSECONDS = 1e6


def main() -> None:
    """Measure each way to record, and print one line for each."""
    start = clock()
    memory = Recorder()
    print(f"{'microseconds a span':24}  median    best")
    report("span()", lambda: span("task 12", start))
    report("Recorder().span", lambda: record(memory))
    with TemporaryDirectory() as folder, Recorder(folder) as files:
        report("Recorder(folder).span", lambda: record(files))


def record(recorder: Recorder) -> None:
    """Record one span."""
    with recorder.span("task 12"):
        pass


def report(name: str, record_one: Callable[[], object]) -> None:
    """Print the median and the best of `REPEATS` runs of `SPANS` spans each."""
    runs = repeat(record_one, number=SPANS, repeat=REPEATS)
    costs = [run / SPANS * MICROSECONDS for run in runs]
    print(f"{name:24}  {median(costs):6.2f}  {min(costs):6.2f}")


if __name__ == "__main__":
    main()
