"""Print what the fault-tolerant runner and its peers lose when an item is faulty.

    python benchmarks/runner_faults.py            # about five minutes
    python benchmarks/runner_faults.py --quick    # two engines, three kills
    python benchmarks/runner_faults.py pebble     # this engine only

Forty items of 20 ms go to two workers; item 17 is guilty in one of eleven ways. Then
nobody is guilty, but a worker is killed from outside at some moment. Each trial is an
interpreter of its own on a leash; one that does not come back in time hangs. Workers
write down what they finish, so that it is known whatever is delivered. Nothing here
depends on a clock but the limit, so several trials run at once.
"""

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rig import faulty, trial
from rig.measure import Goal, at_most, environment, installed, machine_line, print_table

from lessons_src.tools.leash import run_module

RUNNER = "recovery.stream"
AT_ONCE = 4
LIMIT_SECONDS = 20
KILLS = 20
TRIES = 2
# After the first item; all forty take 0.4 s at least
KILL_SECONDS = (0.0, 0.35)
# These end the worker
DEADLY = {"os._exit", "SIGKILL", "segfault", "hang"}


class Trial(NamedTuple):
    """What came of one run: deliveries, and what the workers wrote down."""

    engine: str
    fault: str
    hung: bool
    got: Counter
    blamed: set[int]
    started: Counter
    finished: set[int]
    killed: bool

    @property
    def lost(self) -> set[int]:
        """The innocent items that were not delivered."""
        guilty = {faulty.GUILTY} if self.fault else set()
        return set(range(faulty.ITEMS)) - guilty - set(self.got)

    @property
    def wasted(self) -> set[int]:
        """The lost ones that a worker had finished."""
        return self.lost & self.finished

    @property
    def named(self) -> bool:
        """Whether exactly those were blamed that are guilty."""
        return self.blamed == ({faulty.GUILTY} if self.fault else set())

    @property
    def survived(self) -> bool:
        """Whether nothing is lost, doubled or unnamed, and it came back."""
        doubled = any(times > 1 for times in self.got.values())
        return self.named and not (self.hung or self.lost or doubled)

    @property
    def cell(self) -> str:
        """What the table says of it."""
        if self.survived:
            return "ok"
        words = [f"{len(self.lost)} ({len(self.wasted)})"] if self.lost else []
        words += ["hangs"] if self.hung else []
        words += [] if self.named or self.lost else ["not named"]
        return ", ".join(words) or "twice"

    def reruns(self) -> int:
        """Count how often innocent items ran again."""
        guilty = {faulty.GUILTY} if self.fault else set()
        return sum(n - 1 for item, n in self.started.items() if item not in guilty)


def main() -> None:
    """Run all trials that the command line asks for, and print the tables."""
    parser = argparse.ArgumentParser(description="Count what faults cost.")
    parser.add_argument(
        "engines", nargs="*", help=f"some of {', '.join(trial.ENGINES)}"
    )
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(machine_line())
    few = [RUNNER, "submit + as_completed"] if options.quick else trial.ENGINES
    engines = installed(options.engines or few)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        trials = list(
            pool.map(lambda run: run(), plan(engines, 3 if options.quick else KILLS))
        )
    print_faults(engines, trials)
    print_summary(engines, trials)
    own = [each for each in trials if each.engine == RUNNER]
    if own:
        rows = [goal.cells() for goal in goals(own)]
        print_table("Goals", ["goal", "target", "value", "met"], rows)


def plan(engines: list[str], kills: int) -> Iterator[partial[Trial]]:
    """Give all trials to run: each fault, then kills from outside."""
    moments = random.Random(7)
    delays = [moments.uniform(*KILL_SECONDS) for _ in range(kills)]
    for engine in engines:
        yield from (partial(run, engine, fault) for fault in faulty.FAULTS)
        yield from (partial(run, engine, "", delay) for delay in delays)


def run(engine: str, fault: str, kill_after: float | None = None) -> Trial:
    """Run one trial in an interpreter of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        journal = Path(folder, "journal")
        journal.touch()
        killer = Killer(journal, kill_after)
        # What an engine that is ended leaves behind goes with the folder
        own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)
        own |= {faulty.JOURNAL: str(journal), faulty.FAULT: fault}
        outcome = run_module("rig.trial", LIMIT_SECONDS, engine, env=environment(**own))
        killer.stop()
        notes = read(journal)
    said = [line.split() for line in outcome.output.splitlines()]
    return Trial(
        engine,
        fault,
        outcome.hung,
        Counter(int(word[1]) for word in said if word[0] == "got"),
        {int(word[1]) for word in said if word[0] == "blamed"},
        Counter(item for event, item, _ in notes if event == "start"),
        {item for event, item, _ in notes if event == "done"},
        killer.killed,
    )


def read(journal: Path) -> list[tuple[str, int, int]]:
    """Return the whole lines of `journal`: event, item, process."""
    words = [line.split() for line in journal.read_text().splitlines(keepends=True)]
    return [(each[0], int(each[1]), int(each[2])) for each in words if len(each) == 3]


class Killer:
    """Kill a worker `delay` seconds after the first item began; None: nobody."""

    def __init__(self, journal: Path, delay: float | None) -> None:
        self.killed = False
        self._journal, self._delay = journal, delay
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._kill)
        self._thread.start()

    def stop(self) -> None:
        """Wait until it is over."""
        self._stop.set()
        self._thread.join()

    def _kill(self) -> None:
        while self._delay is not None and not self._stop.wait(0.005):
            workers = sorted({process for _, _, process in read(self._journal)})
            if workers:
                time.sleep(self._delay)
                self._end(workers)
                return

    def _end(self, workers: list[int]) -> None:
        victim = random.Random(self._delay).choice(workers)
        try:
            os.kill(victim, getattr(signal, "SIGKILL", signal.SIGTERM))
        except OSError:
            return
        self.killed = True


def print_faults(engines: list[str], trials: list[Trial]) -> None:
    """Print a row for each fault and a column for each engine."""
    cells = {(each.engine, each.fault): each.cell for each in trials if each.fault}
    rows = [
        [fault, *[cells[engine, fault] for engine in engines]]
        for fault in faulty.FAULTS
    ]
    print_table("Item 17 of 40 is guilty", ["fault", *engines], rows)
    print(
        "\nok: the 39 innocent items are delivered, once, and the guilty one is named."
        "\n29 (2): 29 innocent ones are lost, of which workers had finished 2."
    )


def print_summary(engines: list[str], trials: list[Trial]) -> None:
    """Print a row for each engine."""
    rows = []
    for engine in engines:
        own = [each for each in trials if each.engine == engine]
        faults = [each for each in own if each.fault]
        killed = [each for each in own if each.killed]
        survived = sum(each.survived for each in faults)
        rows.append(
            [engine, f"{survived} of {len(faults)}", *totals(faults), *totals(killed)]
        )
    sums = ["innocents lost", "hangs"]
    kills = max(sum(each.killed for each in trials) // len(engines), 1)
    header = [
        "engine",
        "faults survived",
        *sums,
        *(f"{kills} kills: {n}" for n in sums),
    ]
    print_table("All faults; then kills from outside", header, rows)


def totals(trials: list[Trial]) -> list[str]:
    """Return the cells: innocents lost, those a worker had finished, and hangs."""
    lost = sum(len(each.lost) for each in trials)
    wasted = sum(len(each.wasted) for each in trials)
    return [f"{lost} ({wasted})", f"{sum(each.hung for each in trials)}"]


def goals(own: list[Trial]) -> list[Goal]:
    """Judge the runner."""
    faults = [each for each in own if each.fault]
    killed = [each for each in own if each.killed]
    mild = [each for each in faults if each.fault not in DEADLY]
    reruns = max(each.reruns() for each in mild)
    runs = max(each.started[faulty.GUILTY] for each in faults)
    return [
        all_survived("R1 kills from outside survived, nothing lost or doubled", killed),
        all_survived("R3 faults survived, the guilty item named", faults),
        at_most("R5 reruns of innocents by faults that do not kill", 0, reruns),
        at_most("R9 runs of the guilty item", TRIES, runs),
    ]


def all_survived(goal: str, trials: list[Trial]) -> Goal:
    """Return the row of a goal for which every one of `trials` counts."""
    survived = sum(each.survived for each in trials)
    return Goal(goal, f"{len(trials)}", f"{survived}", survived == len(trials))


if __name__ == "__main__":
    main()
