"""Measure engines in children of their own, in pairs, and print Markdown tables."""

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from lessons_src.tools.leash import run_module
from lessons_src.tools.machine import this_machine
from rig import peers

FOLDER = Path(__file__).resolve().parent.parent
INSTALL = "pip install -r benchmarks/requirements.txt"


class Ratio(NamedTuple):
    """Ratios of pairs: their median, and between what the middle half lies."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> "Ratio":
        """Sum up `ratios`, of which there may be a single one."""
        low, middle, high = quantiles([*ratios] * 2, n=4, method="inclusive")
        return cls(middle, low, high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


class Goal(NamedTuple):
    """One row of the table of goals."""

    goal: str
    target: str
    value: str
    met: bool | None

    def cells(self) -> tuple[str, ...]:
        """Return the row as it is printed."""
        met = {True: "yes", False: "**no**", None: "not measured"}[self.met]
        return self.goal, self.target, self.value, met


def at_most(goal: str, limit: float, value: float | Ratio | None) -> Goal:
    """Return the row of a goal whose value must not exceed `limit`."""
    if value is None:
        return Goal(goal, f"<= {limit:,}", "-", None)
    number = value.median if isinstance(value, Ratio) else value
    return Goal(goal, f"<= {limit:,}", shown(value), number <= limit)


def at_least(goal: str, limit: float, value: Ratio | None) -> Goal:
    """Return the row of a goal whose ratio must not fall below `limit`."""
    if value is None:
        return Goal(goal, f">= {limit:,}", "-", None)
    return Goal(goal, f">= {limit:,}", shown(value), value.median >= limit)


def shown(value: float | Ratio) -> str:
    """Return `value` as tables show it."""
    if isinstance(value, Ratio):
        return str(value)
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def machine_line() -> str:
    """Say what this was measured on."""
    cores = this_machine().cores_allowed
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.system()}, {cores} cores, {python}, load {load()}"


def load() -> str:
    """Return how many processes wanted a core, on average over the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"


def installed(names: Iterable[str]) -> list[str]:
    """Return the engines that are there; say which are not, and how to get them."""
    names = list(names)
    absent = [name for name in names if peers.missing(name)]
    if absent:
        print(f"\nleft out, not installed: {', '.join(absent)}  ({INSTALL})")
    return [name for name in names if name not in absent]


def environment(**variables: str) -> dict[str, str]:
    """Return `variables` and the search path by which a child finds this package."""
    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore", **variables}


def in_child(module: str, *arguments: object, limit: float = 120) -> Any:
    """Run `module` in an interpreter of its own, and return the facts it prints.

    Whatever it started is ended with it.

    Raises
    ------
    RuntimeError
        If it fails, or does not come back within `limit` seconds.
    """
    outcome = run_module(module, limit, *arguments, env=environment())
    if outcome.exit_code != 0:
        words = " ".join(map(str, [module, *arguments]))
        raise RuntimeError(f"{words} {outcome.ended}:\n{outcome.errors}")
    return json.loads(outcome.output.splitlines()[-1])


def paired(
    measure: Callable[[Any], float], name: Any, reference: Any, rounds: int
) -> tuple[float, Ratio]:
    """Measure `reference` and `name` in turn; return median value and ratio.

    What else runs on the machine changes slowly against one pair, and falls out of
    the ratio.
    """
    values, ratios = [], []
    for _ in range(rounds):
        below = measure(reference)
        values.append(measure(name))
        ratios.append(values[-1] / below)
    return median(values), Ratio.of(ratios)


def print_table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Print a table in Markdown, each row as soon as it is there."""
    print(f"\n**{title}**\n", flush=True)
    for row in _with_rule(header, rows):
        print("| " + " | ".join(row) + " |", flush=True)


def _with_rule(
    header: Sequence[str], rows: Iterable[Sequence[str]]
) -> Iterator[Sequence[str]]:
    yield header
    yield ["---", *["---:"] * (len(header) - 1)]
    yield from rows
