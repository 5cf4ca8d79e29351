"""Lesson 14, Many machines: the same workers behind an address, and what they lose.

the notebook   client --- tasks ----> scheduler ---> worker 1, worker 2: any machine
               client <-- answers, once you ask ---- who computed them
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from importlib.util import find_spec
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lessons_src.tools.chunks import split_list
from lessons_src.tools.cluster_spans import ClusterRun
from lessons_src.tools.recorded import transcript
from lessons_src.tools.spans import Span

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Answer = TypeVar("Answer")

LIMIT_SECONDS, POLL_SECONDS, PARTS = 60, 0.01, 8
# What Dask says of a nanny, which starts its worker again, unless that left
ALIVE = {"init", "starting", "running"}
VOLCANO, BEGUN, GO = "volcano", "begun", "go"
# What a worker runs first, so that no interrupt reaches it
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
# Signs that a progress bar is drawn with, and no seconds, which change
BAR = {"ascii": " #", "bar_format": "{n_fmt}/{total_fmt} |{bar:20}|"}


@contextmanager
def local_cluster(workers: int, context: BaseContext) -> Iterator["Client"]:
    """Start `workers` on this machine, as `context` starts processes."""
    import dask
    from distributed import Client, LocalCluster

    method = context.get_start_method()
    # A fork would copy this process with all its threads (lesson 03)
    method = "spawn" if method == "fork" else method
    settings = {
        "distributed.worker.multiprocessing-method": method,
        # Of many tasks, a worker gets the next when it is done with the last
        "distributed.scheduler.worker-saturation": 1.0,
        # Jupyter's stop button interrupts all processes, and workers would end
        "distributed.worker.preload": [DEAF],
    }
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any free port
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.get_task_stream()  # the first call begins to record
        yield client
        wait_until(lambda: all_are_back(client))


def all_are_back(client: "Client") -> bool:
    """Tell whether each worker that died has been started again, or all is closed."""
    if client.status != "running":
        return True
    nannies = client.cluster.workers.values()
    wanted = [nanny for nanny in nannies if nanny.status.name in ALIVE]
    return len(client.nthreads()) >= len(wanted)


def dashboard_title(client: "Client") -> str:
    """Fetch the dashboard of `client`, and return its status and its title."""
    port = client.scheduler_info()["services"]["dashboard"]
    # An `HTTPConnection` asks no proxy, which could not find this machine
    line = HTTPConnection("127.0.0.1", port, timeout=LIMIT_SECONDS)
    with closing(line):
        line.request("GET", "/status")
        reply = line.getresponse()
        text = reply.read().decode()
    title = text.partition("<title>")[2].partition("</title>")[0]
    return f"{reply.status} {title.strip()}"


class Notes(NamedTuple):
    """A `folder` in which tasks leave a note, so that others can count them.

    >>> with TemporaryDirectory() as folder:
    ...     notes = Notes(folder)
    ...     notes.add("bay"), notes.add("bay"), notes.count("cape")
    (1, 2, 0)
    """

    folder: str

    def add(self, name: str) -> int:
        """Add a note on `name`; return its number, which no other note has."""
        number = self.count(name) + 1
        while True:
            try:
                Path(self.folder, f"{name}.{number}").touch(exist_ok=False)
            except FileExistsError:
                number += 1
            else:
                return number

    def count(self, name: str) -> int:
        """Count the notes on `name`."""
        return len(list(Path(self.folder).glob(f"{name}.*")))

    def wait_for(self, name: str) -> bool:
        """Wait until there is a note on `name`; tell whether it came."""
        return wait_until(lambda: self.count(name) > 0)


def new_notes(folder: str) -> Notes:
    """Make notes of their own inside `folder`."""
    return Notes(mkdtemp(dir=folder))


def wait_until(true: Callable[[], bool]) -> bool:
    """Ask `true` again and again; return what it says in the end."""
    give_up = time.monotonic() + LIMIT_SECONDS
    while not true() and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)
    return true()


def ask_busy(notes: Notes, station: str, busy: int) -> int:
    """Ask `station`, which is busy for the first `busy` tries; return the try."""
    tries = notes.add(station)
    if tries <= busy:
        raise ConnectionError(f"try {tries}: {station} is busy")
    return tries


def visit(notes: Notes, station: str) -> str:
    """Visit `station`, and leave a note; at the volcano the process ends."""
    notes.add(station)
    if station == VOLCANO:
        os._exit(1)
    return station.upper()


def visit_and_wait(notes: Notes, station: str) -> str:
    """Visit `station` when there is a note that says "go"."""
    notes.add(BEGUN)
    notes.wait_for(GO)
    return visit(notes, station)


def do_all(worker: Callable[[Item], Answer], tasks: Iterable[Item]) -> list[Answer]:
    """Do all `tasks`, one after the other: a whole batch as one task.

    >>> do_all(abs, [-1, 2])
    [1, 2]
    """
    return [worker(task) for task in tasks]


class Atlas:
    """A big table of degrees by station, which counts how often it is unpacked.

    >>> Atlas({"bay": 15}).degrees("bay")
    15
    """

    unpacked = 0

    def __init__(self, table: dict[str, int]) -> None:
        self.table = table

    def degrees(self, station: str) -> int:
        """Look `station` up."""
        return self.table[station]

    def __setstate__(self, state: dict[str, Any]) -> None:
        Atlas.unpacked += 1
        self.__dict__ = state


def look_up(atlas: Atlas, station: str) -> int:
    """Look `station` up in `atlas`."""
    return atlas.degrees(station)


def look_up_each(
    client: "Client", atlas: Atlas, stations: Iterable[str], scatter: bool
) -> tuple[list[int], int]:
    """Return the degrees, and how often workers unpacked `atlas` for them."""
    before = count_unpacked(client)
    sent = client.scatter(atlas, broadcast=True) if scatter else atlas
    futures = [client.submit(look_up, sent, name, pure=False) for name in stations]
    return client.gather(futures), count_unpacked(client) - before


def times_unpacked() -> int:
    """How often this process has unpacked an atlas."""
    return Atlas.unpacked


def count_unpacked(client: "Client") -> int:
    """Ask all workers of `client` how often they have unpacked an atlas."""
    return sum(client.run(times_unpacked).values())


def forgive(client: "Client", deaths: int) -> None:
    """Let a task of `client` lose its worker so many times: Dask's allowed-failures."""

    def tell(dask_scheduler: Any) -> None:
        dask_scheduler.allowed_failures = deaths

    client.run_on_scheduler(tell)


def line_up(
    client: "Client", notes: Notes, stations: Iterable[str]
) -> dict[str, "Future"]:
    """Let one worker begin the first of `stations`, the others wait in line; "go"."""
    client.wait_for_workers(1, LIMIT_SECONDS)
    one = list(client.nthreads())[:1]
    send = partial(client.submit, visit_and_wait, notes, workers=one, pure=False)
    first, *others = stations
    futures = {first: send(first)}
    notes.wait_for(BEGUN)
    futures |= {station: send(station) for station in others}
    keys = {future.key for future in futures.values()}
    wait_until(lambda: keys <= set(*map(client.processing().get, one)))
    notes.add(GO)
    return futures


def wait_until_forgotten(client: "Client", key: str) -> bool:
    """Wait until no worker of `client` keeps the answer of `key` any more."""
    return wait_until(lambda: not client.who_has([key]).get(key))


def watched(futures: list["Future"]) -> Iterable["Future"]:
    """Hand on each of `futures` as soon as it is done, and draw a bar."""
    from distributed import as_completed
    from tqdm import tqdm

    return tqdm(as_completed(futures), total=len(futures), file=sys.stdout, **BAR)


def ways_to_do(
    client: "Client", pool: Executor, worker: Callable, tasks: Sequence
) -> dict[str, Callable[[], list]]:
    """Give three ways to do `tasks`: in `pool`, by `client`, and by it in parts."""
    batch, parts = partial(do_all, worker), split_list(tasks, PARTS)
    ask = partial(client.map, pure=False)
    return {
        "local pool": lambda: list(pool.map(worker, tasks)),
        "Dask": lambda: client.gather(ask(worker, tasks)),
        f"Dask, {PARTS} parts": lambda: client.gather(ask(batch, parts)),
    }


def count_importers(client: "Client", module: str) -> int:
    """Count the workers of `client` that can import `module`."""
    return sum(map(bool, client.run(find_spec, module).values()))


def recorded_cut() -> ClusterRun:
    """Return a run on two hosts, one of which was cut off, as a test recorded it."""
    spans, names = json.loads(transcript("many_machines_hosts"))
    lanes = {tuple(lane): name for lane, name in names}
    return ClusterRun([Span(*fields) for fields in spans], lanes)


def tasks_by_lane(run: ClusterRun) -> dict[str, list[str]]:
    """Return the tasks that ended on each lane of `run`, in order.

    >>> tasks_by_lane(ClusterRun([Span(1, 1, "bay", 0, 1)], {(1, 1): "a"}))
    {'a': ['bay']}
    """
    return {
        name: [each.task for each in run.spans if each.worker == lane]
        for lane, name in run.names.items()
    }


def write_module(folder: str, name: str) -> str:
    """Write a module with a function `tens` into `folder`, and return its path."""
    path = Path(folder, f"{name}.py")
    path.write_text("def tens(n): return round(n, -1)", encoding="utf-8")
    return str(path)


@contextmanager
def importable(folder: str) -> Iterator[None]:
    """Let this process, and no other, import what is in `folder`."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
