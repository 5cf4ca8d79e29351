"""The exercise checks of lesson 14: how often it ran, what travelled, who waited."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lessons_src.many_machines import Atlas, Notes, count_unpacked
from lessons_src.tools.verdict import Wrong, judged

if TYPE_CHECKING:
    from distributed import Client

ROLLS = 6
TABLE = {"bay": 15, "cape": 20, "dune": 30, "fell": 5}
STATIONS = ["fell", "cape", "bay", "dune", "cape", "fell", "dune", "bay"]
SIZE, TASKS = 2, [f"task {number}" for number in range(8)]
# How long the first task waits for what a right answer does meanwhile
PATIENCE_SECONDS, POLL_SECONDS = 10, 0.01
NO_ANSWER = "There is no answer yet."


@judged
def exercise_1(client: "Client", roll_all: Callable) -> str:
    """Check that `roll_all` really rolls each time, on the workers of `client`."""
    with TemporaryDirectory() as folder:
        notes = Notes(folder)
        found = _listed(roll_all(client, partial(roll, notes, os.getpid()), ROLLS))
        here, there = notes.count("here"), notes.count("there")
    if found is None and not here + there:
        raise Wrong(NO_ANSWER, "client.submit(roll) gives a future.")
    if here:
        raise Wrong("The notebook rolled itself.", "client.submit(roll), without ()")
    if there != ROLLS:
        raise Wrong(
            f"The die was rolled {_times(there)}, not {ROLLS} times.",
            "Dask takes equal calls for one call, unless you say pure=False.",
        )
    _refuse_futures(found)
    if not isinstance(found, list) or sorted(found) != list(range(1, ROLLS + 1)):
        raise Wrong(
            f"Each roll has a number; there should be a list of all {ROLLS}.",
            f"Yours is {found!r}.",
        )
    return f"{ROLLS} rolls, {ROLLS} answers."


def roll(notes: Notes, home: int) -> int:
    """Roll a rigged die: it gives 1, 2, 3 ...; note where, `home` being no worker."""
    return notes.add("here" if os.getpid() == home else "there")


@judged
def exercise_2(client: "Client", look_up_all: Callable) -> str:
    """Check that `look_up_all` brings the atlas to each worker at most once."""
    before = count_unpacked(client)
    with TemporaryDirectory() as folder:
        notes = Notes(folder)
        look = partial(look_up_noted, notes, os.getpid())
        # Equal data has one key, and Dask may still be forgetting the last answer's
        atlas = Atlas(TABLE | {folder: 0})
        found = _listed(look_up_all(client, look, atlas, list(STATIONS)))
        here, there = notes.count("here"), notes.count("there")
    sent = count_unpacked(client) - before
    workers = len(client.nthreads())
    if found is None and not here + there:
        raise Wrong(NO_ANSWER, "Scatter the atlas first, then client.map.")
    if here:
        raise Wrong("The notebook looked it up itself.", "client.submit(look, ...)")
    _refuse_futures(found)
    wanted = [TABLE[station] for station in STATIONS]
    if found != wanted:
        raise Wrong(f"The degrees should be {wanted}, in a list.", f"Yours: {found!r}.")
    if sent > workers:
        raise Wrong(
            f"The atlas was unpacked {_times(sent)}, and there are {workers} workers.",
            "client.scatter(atlas) gives a future: hand that in.",
        )
    return "Each worker got the atlas at most once."


def look_up_noted(notes: Notes, home: int, atlas: Atlas, station: str) -> int:
    """Look `station` up in `atlas`, and note where, `home` being no worker."""
    notes.add("here" if os.getpid() == home else "there")
    return atlas.degrees(station)


@judged
def exercise_3(client: "Client", run_in_window: Callable) -> str:
    """Check that `run_in_window` keeps `SIZE` tasks on their way, and no more."""
    if (workers := len(client.nthreads())) < SIZE:
        raise Wrong(f"This needs {SIZE} workers; yours: {workers}.", "See Set-up.")
    with TemporaryDirectory() as folder:
        rig = _Window(Notes(folder), os.getpid())
        found = run_in_window(client, rig.worker, rig.tasks(), SIZE)
        if isinstance(found, Iterator):
            found = list(found)
        notes = rig.notes
        here, begun = notes.count("here"), notes.count("begun")
        gave_up = notes.count("gave up")
    if found is None and not begun:
        raise Wrong(NO_ANSWER, "as_completed has a method add.")
    if here:
        raise Wrong("The notebook did tasks itself.", "client.submit(worker, task)")
    if rig.most > SIZE:
        raise Wrong(
            f"{rig.most} tasks were on their way at once; {SIZE} are allowed.",
            "Draw a task when another one is done: itertools.islice takes the first.",
        )
    if gave_up:
        raise Wrong(
            "One task is slow, and meanwhile you handed in nothing.",
            "as_completed brings whoever is done; then add(...) the next.",
        )
    _refuse_futures(list(found) if isinstance(found, Iterable) else found)
    wanted = sorted(task.upper() for task in TASKS)
    if not isinstance(found, Iterable) or sorted(map(str, found)) != wanted:
        raise Wrong(f"There should be a list of {len(TASKS)} answers: {wanted}.")
    return f"All answers, and never more than {SIZE} tasks on their way."


class _Window:
    """Tasks that are counted as they are drawn; the first waits for the others."""

    def __init__(self, notes: Notes, home: int) -> None:
        self.notes, self.home, self.most = notes, home, 0

    @property
    def worker(self) -> Callable[[str], str]:
        """What the reader's code is to run."""
        return partial(shout, self.notes, self.home, PATIENCE_SECONDS)

    def tasks(self) -> Iterator[str]:
        """Hand out the tasks, and note how many are on their way."""
        for drawn, task in enumerate(TASKS, 1):
            self.most = max(self.most, drawn - self.notes.count("done"))
            yield task


def shout(notes: Notes, home: int, patience: float, task: str) -> str:
    """Give `task` in capitals; the first one waits until all others are done."""
    notes.add("begun")
    if os.getpid() == home:
        notes.add("here")
    elif task == TASKS[0]:
        give_up = time.monotonic() + patience
        while notes.count("done") < len(TASKS) - 1:
            if time.monotonic() > give_up:
                notes.add("gave up")
                break
            time.sleep(POLL_SECONDS)
    notes.add("done")
    return task.upper()


def _listed(found: Any) -> Any:
    many = isinstance(found, Iterable) and not isinstance(found, dict | str)
    return list(found) if many else found


def _refuse_futures(found: Any) -> None:
    kinds = Counter(
        type(each).__name__ for each in (found if isinstance(found, list) else [found])
    )
    if kinds["Future"]:
        raise Wrong("You return a future.", "client.gather(futures) brings answers.")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
