"""Print what the fault-tolerant runner costs, beside its peers.

    python benchmarks/runner_cost.py            # all goals, about six minutes
    python benchmarks/runner_cost.py P1 P5      # these only
    python benchmarks/runner_cost.py --quick    # few items, one pair: does it run?

Every figure comes from a fresh interpreter whose two workers run already. A ratio is
the median over pairs: the reference, then the engine, directly one after the other.
CPU is that of the whole process tree; it hardly moves when the machine is busy, while
seconds on the wall do. `pip install -r benchmarks/requirements.txt` gets the peers.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import NamedTuple

from rig.measure import (
    Goal,
    Ratio,
    at_least,
    at_most,
    in_child,
    installed,
    load,
    machine_line,
    paired,
    print_table,
    shown,
)
from rig.meter import peak_can_be_measured
from rig.peers import CHUNKS_PER_WORKER, PEERS, WORKERS

RUNNER = "recovery.stream"
WITH_BAR = "recovery.stream with a bar"
POOL = "Pool.imap_unordered"
SUBMIT = "submit + as_completed"
MILLION = 1_000_000
# In flight, and the one whose first result was read
WINDOW_CHUNKS = CHUNKS_PER_WORKER * WORKERS + 1
KIBIBYTES = 1024


class Plan(NamedTuple):
    """How much to measure, and which engines: all at least once, few everywhere."""

    everyone: list[str]
    names: list[str]
    rounds: int = 7
    rounds_of_peers: int = 2
    shrink: int = 1

    def rounds_of(self, name: str) -> int:
        """Return how many pairs to run: more where a goal depends on it."""
        return self.rounds if name == RUNNER else self.rounds_of_peers

    def peers(self, *left_out: str) -> list[str]:
        """Return the engines but for those `left_out`."""
        return [name for name in self.names if name not in left_out]


def main() -> None:
    """Measure what the command line names, and print its tables."""
    parser = argparse.ArgumentParser(description="Measure what the runner costs.")
    parser.add_argument("goals", nargs="*", help=f"some of {', '.join(GOALS)}")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(machine_line())
    names = installed([RUNNER, *PEERS])
    plan = Plan(names, names)
    if options.quick:
        few = [name for name in names if name in (RUNNER, POOL)]
        plan = Plan(names, few, rounds=1, rounds_of_peers=1, shrink=50)
        print("\nquick: too few items and pairs, the figures mean nothing")
    goals = [GOALS[name] for name in options.goals or GOALS]
    rows = [row.cells() for goal in goals for row in goal(plan)]
    print_table("Goals", ["goal", "target", "value", "met"], rows)
    print(f"\nload at the end {load()}; in brackets, the middle half of the pairs")


def cpu(name: str, items: int, chunk: int) -> float:
    """Return the CPU seconds of the tree for trivial items in chunks."""
    return in_child("rig.throughput", name, items, chunk)["cpu"]


def ratios(
    plan: Plan, items: int, chunk: int, reference: str, peers: list[str]
) -> Iterator[tuple[str, float, Ratio]]:
    """Give name, microseconds of CPU an item and ratio for each of `peers`."""
    items //= plan.shrink
    measure = partial(cpu, items=items, chunk=chunk)
    for name in peers:
        seconds, ratio = paired(measure, name, reference, plan.rounds_of(name))
        yield name, seconds / items * 1e6, ratio


def compare(
    title: str, plan: Plan, items: int, chunk: int, reference: str, peers: list[str]
) -> dict[str, Ratio]:
    """Print the costs of `peers` against `reference`; return their ratios."""
    found: dict[str, Ratio] = {}
    if not peers:
        return found

    def rows() -> Iterator[list[str]]:
        for name, microseconds, ratio in ratios(plan, items, chunk, reference, peers):
            found[name] = ratio
            yield [name, f"{microseconds:.2f}", shown(ratio)]

    print_table(title, ["engine", "CPU, µs an item", f"x {reference}"], rows())
    return found


def chunked(plan: Plan) -> list[Goal]:
    """P1: trivial items in chunks of 500."""
    items, chunk, title = 200_000, 500, "P1: 200,000 trivial items in chunks of 500"
    others = [name for name in plan.everyone if name != POOL]
    pool = compare(title, plan, items, chunk, POOL, others)
    own = plan.peers(*PEERS)
    submit = compare("P1, the other reference", plan, items, chunk, SUBMIT, own)
    return [
        at_most(f"P1 CPU in chunks, x {POOL}", 1.5, pool.get(RUNNER)),
        at_most(f"P1 CPU in chunks, x {SUBMIT}", 1.0, submit.get(RUNNER)),
    ]


def single(plan: Plan) -> list[Goal]:
    """P2: single items, and chunks whose size the engine finds."""
    title = "P2: 10,000 trivial items one by one"
    one = compare(title, plan, 10_000, 1, SUBMIT, plan.peers(SUBMIT))
    title = "P2: 200,000 trivial items, chunks found by the engine"
    found = compare(title, plan, 200_000, 0, "joblib", plan.peers(*PEERS))
    return [
        at_most(f"P2 CPU one by one, x {SUBMIT}", 1.15, one.get(RUNNER)),
        at_most("P2 CPU in chunks that it finds, x joblib's", 1.2, found.get(RUNNER)),
    ]


def memory(plan: Plan) -> list[Goal]:
    """P3: growth of the parent; P4: the first result."""
    many, few = MILLION // plan.shrink, 10_000 // plan.shrink
    found = {}

    def rows() -> Iterator[list[str]]:
        for name in plan.names:
            measure = partial(in_child, "rig.throughput", name)
            growth = measure(many, 1000)["growth"] / KIBIBYTES
            seconds, ratio = paired(
                lambda items, measure=measure: measure(items, 1000)["first"],
                many,
                few,
                plan.rounds if name == RUNNER else 1,
            )
            found[name] = growth, ratio
            text = f"{growth:.1f}" if peak_can_be_measured() else "not measurable"
            yield [name, text, f"{seconds * 1000:.1f}", shown(ratio)]

    header = ["engine", "growth, MB", "first result, ms", "x that of 10,000 items"]
    print_table("P3, P4: 1,000,000 items in chunks of 1000, not kept", header, rows())
    growth, ratio = found.get(RUNNER, (None, None))
    if not peak_can_be_measured():
        growth = None
    return [
        at_most("P3 growth of the parent at 10^6 items, MB", 2, growth),
        at_most("P4 first result at 10^6 items, x at 10^4", 2, ratio),
    ]


def back_pressure(plan: Plan) -> list[Goal]:
    """P5: what is drawn from the source while nobody reads."""
    items, chunk = 200_000, 100
    found = {}

    def rows() -> Iterator[list[str]]:
        for name in plan.names:
            drawn = in_child("rig.backpressure", name, items, chunk)
            found[name] = drawn["later"]
            yield [name, f"{drawn['first']:,}", f"{drawn['later']:,}"]

    title = (
        f"P5: {items:,} items in chunks of {chunk}; one result is read, then a pause"
    )
    print_table(
        title, ["engine", "drawn at the first result", "a second later"], rows()
    )
    most = WINDOW_CHUNKS * chunk
    goal = f"P5 drawn when nobody reads (chunks of {chunk})"
    return [at_most(goal, most, found.get(RUNNER))]


def speed(plan: Plan) -> list[Goal]:
    """P6: real work, as share of what two bare processes reach."""
    if not hasattr(os, "fork"):
        print("\nP6 left out: it compares with bare processes, which need os.fork")
        return []
    return [
        goal
        for task, items, least in (("short", 200, 0.85), ("long", 10, 0.95))
        for goal in share(plan, task, items // (4 if plan.shrink > 1 else 1), least)
    ]


def share(plan: Plan, task: str, items: int, least: float) -> list[Goal]:
    """Compare each engine with bare processes in turn, on `task`."""
    found = {}

    def rows() -> Iterator[list[str]]:
        for name in plan.names:
            turns = in_child("rig.speedup", name, task, items, plan.rounds_of(name))
            milliseconds, reached, cpu_ratio = zip(*turns, strict=True)
            found[name] = Ratio.of(reached), Ratio.of(cpu_ratio)
            yield [name, f"{median(milliseconds):.0f}", *map(shown, found[name])]

    title = f"P6: edges in pictures with numpy, {items} {task} items one by one"
    header = ["engine", "CPU, ms an item", "share of two bare processes", "x their CPU"]
    print_table(title, header, rows())
    reached, cpu_ratio = found.get(RUNNER, (None, None))
    return [
        at_least(f"P6 share of bare speed, {task} items", least, reached),
        at_most(f"P6 CPU, x bare processes, {task} items", 1.1, cpu_ratio),
    ]


def bar(plan: Plan) -> list[Goal]:
    """P9: a progress bar, drawn into a pipe."""
    names = [WITH_BAR] if RUNNER in plan.names else []
    title = "P9: a bar over 1,000,000 items in chunks of 1000"
    plan = plan._replace(rounds_of_peers=plan.rounds)
    found = compare(title, plan, MILLION, 1000, RUNNER, names)
    return [at_most("P9 CPU with a progress bar", 1.05, found.get(WITH_BAR))]


def book_keeping(plan: Plan) -> list[Goal]:
    """P10: the same window without a thought for faults."""
    own = plan.peers(*PEERS)
    goals = []
    for items, chunk in ((MILLION, 1000), (10_000, 1)):
        title = f"P10: {items:,} items in chunks of {chunk}, nothing fails"
        found = compare(title, plan, items, chunk, "bare window", own)
        goals.append(
            at_most(
                f"P10 CPU, x a bare window, chunks of {chunk}", 1.1, found.get(RUNNER)
            )
        )
    return goals


GOALS: dict[str, Callable[[Plan], list[Goal]]] = {
    "P1": chunked,
    "P2": single,
    "P3": memory,
    "P5": back_pressure,
    "P6": speed,
    "P9": bar,
    "P10": book_keeping,
}


if __name__ == "__main__":
    main()
