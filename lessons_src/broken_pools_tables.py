"""Tables of lesson 11, Broken pools: what each cause does, tried on a leash.

    the notebook --- a cause, a program ---> child interpreter: pool, worker, *dies*
                 <-- JSON, stderr ---------- Fate -> a row of a table

This is the side of the parent; what the pools run is in `broken_pools`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_all_start_methods

from lessons_src.broken_pools import (
    CAUSES,
    END_OF_EXECUTOR,
    POSIX_CAUSES,
    Fate,
    last_error,
)
from lessons_src.tools.leash import Outcome, run_cell, run_code
from lessons_src.tools.programs import program, run_programs
from lessons_src.tools.recorded import RECORDED_LINE, live_or_recorded, transcript

LEASH_SECONDS = 60
AT_ONCE = 4
PROGRAMS = [
    f"broken_pools_{name}"
    for name in ("guard", "no_guard", "below_guard", "import", "dash_c")
]
CELL = "broken_pools_cell"


def try_causes(method: str) -> dict[str, Fate]:
    """Let each cause spoil an executor and a Pool of the start method `method`.

    Each does so on a leash of its own. Where a system lacks the signals, the fates of
    a run on Linux stand for them.
    """
    if "fork" in get_all_start_methods():
        return fates_of([*CAUSES, *POSIX_CAUSES], method)
    lines = transcript("broken_pools_fates").splitlines()
    recorded = [Fate(*json.loads(line))._replace(recorded=True) for line in lines]
    return fates_of(CAUSES, method) | {fate.name: fate for fate in recorded}


def fates_of(names: Iterable[str], method: str) -> dict[str, Fate]:
    """Try the causes of `names`, some at a time."""
    names = list(names)
    fates = {}
    for name, run in zip(names, leashed("cause", method, names), strict=True):
        # What the Pool's workers say, and are cut off in, is another story
        stderr = last_error(run.errors.partition(END_OF_EXECUTOR)[0])
        fates[name] = Fate(*json.loads(run.output))._replace(stderr=stderr)
    return fates


def leashed(program_name: str, method: str, names: Iterable[str]) -> list[Outcome]:
    """Run one of our programs for each of `names`, some at a time, on leashes.

    What a worker says when C code ends it is said by `faulthandler`.

    Raises
    ------
    RuntimeError
        If the program itself fails, or is not done in `LEASH_SECONDS`.
    """
    text = program(f"broken_pools_{program_name}")
    loud = {"PYTHONFAULTHANDLER": "1"}

    def run(name: str) -> Outcome:
        done = run_code(text, LEASH_SECONDS, method, name, env=loud)
        if done.exit_code != 0:
            raise RuntimeError(f"{program_name}, {name}: {done.ended}\n{done.errors}")
        return done

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(run, names))


def executor_table(fates: Iterable[Fate]) -> str:
    """Say what an executor makes of each of `fates`."""
    rows = {
        fate: (
            fate.careful and f"caught {fate.careful}",
            fate.task,
            "broken" if fate.after == BrokenProcessPool.__name__ else "works",
        )
        for fate in fates
    }
    return table(("try/except", "result() raised", "the pool then"), rows)


def pool_table(fates: Iterable[Fate]) -> str:
    """Say what a `multiprocessing.Pool` makes of each of `fates`."""
    rows = {fate: (fate.pool_task, fate.pool_after) for fate in fates}
    return table(("get() of the task", "get() of the next task"), rows)


def clue_table(fates: Iterable[Fate]) -> str:
    """Say which clues each of `fates` leaves behind that breaks the executor."""
    rows = {fate: clues(fate) for fate in fates if fate.exit_code is not None}
    return table(("__cause__", "exit code", "signal", "stderr"), rows)


def clues(fate: Fate) -> tuple[str, str, str, str]:
    """Return what a broken executor leaves behind to read.

    >>> clues(Fate("?", "", "", "", "", "", -9, "SIGKILL", "", ""))
    ('-', '-9', 'SIGKILL', '-')
    """
    found = (fate.why, str(fate.exit_code), fate.signal, fate.stderr)
    return tuple(clue or "-" for clue in found)


def table(header: Sequence[str], rows: Mapping[Fate, Sequence[str]]) -> str:
    """Lay out the cells of each fate; what is recorded comes last, below a note."""
    cells = [("cause", *header), *((fate.name, *rows[fate]) for fate in rows)]
    lines = lay_out(cells).splitlines()
    recorded = [fate.recorded for fate in rows]
    if True in recorded:
        lines.insert(recorded.index(True) + 1, RECORDED_LINE.rstrip())
    return "\n".join(lines)


def lay_out(rows: Sequence[Sequence[str]]) -> str:
    """Put `rows` below each other, in columns.

    >>> print(lay_out([("cause", "result"), ("an error", "-")]))
    cause     result
    an error  -
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def start_table() -> str:
    """Run six programs by `spawn`, on leashes: what result() and stderr say of each."""
    runs = run_programs(*PROGRAMS, limit=LEASH_SECONDS)
    runs |= run_programs(CELL, limit=LEASH_SECONDS, run=run_cell)
    rows = [("program", "result() raised", "stderr")]
    for name, run in runs.items():
        title = program(name).partition("\n")[0].removeprefix("# ")
        raised = sorted(set(run.output.split()) - {"NoneType"})
        rows.append((title, " ".join(raised) or "-", last_error(run.errors) or "-"))
    return lay_out(rows)


def run_bugs(method: str) -> dict[str, dict[str, str]]:
    """Run the article's function on rigged tasks, on leashes: what came of each."""
    groups = ["start", "tasks", "lost", "said"]
    runs = leashed("bugs", method, groups)
    bugs = {
        name: json.loads(run.output) for name, run in zip(groups, runs, strict=True)
    }
    return bugs | {"cost": {"one task, cpu_n = 20, by fork": workers_for_one_task()}}


def workers_for_one_task() -> str:
    """Let the article start a pool of 20 by fork for one task, on a leash."""

    def run() -> str:
        return leashed("bugs", "fork", ["cost"])[0].output

    live = "fork" in get_all_start_methods()
    return live_or_recorded("broken_pools_workers", run, live).strip()


def told(bugs: Mapping[str, str]) -> str:
    """Say what came of each of `bugs`.

    >>> print(told({"no worker": "NameError"}))
    no worker
        NameError
    """
    return "\n".join(f"{name}\n    {outcome}" for name, outcome in bugs.items())
