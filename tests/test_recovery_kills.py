"""Workers killed from outside: nothing is lost, nothing twice, nobody is left."""

import os
import random
import subprocess
import sys
import threading
import time

import faults
import psutil
import pytest
from faults import Item, items_with, square

from lessons_src.tools import recovery_flight
from lessons_src.tools.recovery import processes, run, stream

KILLS = 20
ITEM_SECONDS = 0.02
STORM_SECONDS, PAUSE_SECONDS = 3, 0.15
FOREVER = 600


def napping(count, folder):
    return [Item(n, folder=str(folder), pause=ITEM_SECONDS) for n in range(count)]


def workers():
    """Return the processes that run chunks, without multiprocessing's helpers."""
    helpers = [
        child
        for child in psutil.Process().children()
        if {"resource_tracker", "forkserver"} & set(words(child))
    ]
    family = psutil.Process().children(recursive=True)
    return [child for child in family if child not in helpers]


def words(process):
    try:
        return " ".join(process.cmdline()).replace(".", " ").split()
    except psutil.Error:
        return []


class Killer(threading.Thread):
    """Kills a random worker at each of `moments`, seconds from the first item."""

    def __init__(self, folder, moments, seed):
        super().__init__()
        self.folder, self.moments, self.random = folder, moments, random.Random(seed)
        self.over = threading.Event()
        self.killed = 0

    def run(self):
        while not any(self.folder.iterdir()) and not self.over.wait(0.001):
            pass
        start = time.monotonic()
        for moment in self.moments:
            if self.over.wait(max(0, start + moment - time.monotonic())):
                return
            family = workers()
            if family:
                try:
                    self.random.choice(family).kill()
                    self.killed += 1
                except psutil.NoSuchProcess:
                    pass

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.join()


@pytest.mark.parametrize("seed", range(KILLS))
def test_one_kill_loses_nothing(seed, tmp_path):
    moment = random.Random(seed).uniform(0, 0.35)
    with Killer(tmp_path, [moment], seed) as killer:
        report = run(
            square,
            napping(40, tmp_path),
            executor=processes(2, "fork" if seed % 2 else None),
            chunk_size=5,
        )
    assert report.results == [n * n for n in range(40)]
    assert report.restarts <= killer.killed <= 1
    runs = faults.runs(tmp_path)
    assert set(runs) == set(range(40))
    assert max(runs.values()) <= killer.killed + 1


def test_one_kill_under_each_start_method(start_method, tmp_path):
    make = processes(2, start_method)
    items = napping(40, tmp_path)
    with stream(square, items, executor=make, chunk_size=5) as results:
        got = [next(results) for _ in range(10)]
        # While the others are under way, not at a moment that a clock chooses
        workers()[0].kill()
        got += results
    assert sorted(got) == [(n, n * n) for n in range(40)]
    assert max(faults.runs(tmp_path).values()) <= 2


def test_a_storm_of_kills_loses_nothing(start_method, tmp_path):
    blows = int(STORM_SECONDS / PAUSE_SECONDS)
    moments = [blow * PAUSE_SECONDS for blow in range(blows)]
    # As many tries as blows: the storm may hit the same item each time
    with Killer(tmp_path, moments, seed=1) as killer:
        results = stream(
            square,
            napping(400, tmp_path),
            executor=processes(2, start_method),
            chunk_size=5,
            tries=blows + 1,
        )
        got = list(results)
    assert killer.killed > 3
    assert sorted(got) == [(n, n * n) for n in range(400)]
    runs = faults.runs(tmp_path)
    assert set(runs) == set(range(400))
    assert max(runs.values()) <= killer.killed + 1


@pytest.mark.parametrize("size", [5, 64, 1024])
@pytest.mark.parametrize("tries", [1, 2, 3])
def test_a_killer_is_found_in_a_chunk_without_a_search(size, tries, tmp_path):
    items = items_with("os._exit", tmp_path, count=2 * size, guilty=size + 3)
    # Its neighbours are slow enough that each is marked
    items = [each._replace(pause=0.0005) for each in items]
    report = run(square, items, executor=processes(2), chunk_size=size, tries=tries)
    assert [each.index for each in report.failures] == [size + 3]
    assert faults.runs(tmp_path)[size + 3] == report.restarts == tries


def test_a_killer_among_cheap_items_is_found_in_its_second_run(tmp_path):
    # Cheap ones are not marked one by one, until they are suspects
    cheap = 20_000
    report = run(
        die_at_the_end,
        [(tmp_path, cheap, number) for number in range(cheap)],
        executor=processes(1),
        chunk_size=1000,
        tries=2,
    )
    assert [each.index for each in report.failures] == [cheap - 1]
    assert report.failures[0].tries == 2
    assert (tmp_path / "runs").read_text() == "xx"
    assert report.results[:-1] == list(range(cheap - 1))


def die_at_the_end(item):
    folder, count, number = item
    if number == count - 1:
        with (folder / "runs").open("ab", buffering=0) as file:
            file.write(b"x")
        faults.FAULTS["os._exit"]()
    return number


def test_items_that_hang_are_ended_one_by_one(tmp_path):
    items = [Item(n, folder=str(tmp_path)) for n in range(10)]
    for guilty in (2, 7):
        items[guilty] = items[guilty]._replace(pause=FOREVER)
    report = run(
        square, items, executor=processes(2), chunk_size=5, timeout=0.4, tries=2
    )
    assert [each.index for each in report.failures] == [2, 7]
    # The end of one may come just before that of the other, which then runs again
    runs = faults.runs(tmp_path)
    assert [each.tries for each in report.failures] == [2, 2]
    assert sorted([runs[2], runs[7]]) in ([2, 2], [2, 3])
    assert report.restarts <= 4


def test_a_slow_item_is_not_taken_for_one_that_hangs(tmp_path):
    # The chunk takes longer than an item may, and so does the whole run
    items = [Item(n, pause=0.1) for n in range(20)]
    report = run(square, items, executor=processes(2), chunk_size=10, timeout=0.8)
    assert report.results == [n * n for n in range(20)]
    assert report.restarts == 0


def fork_and_die(item):
    number, folder = item
    if number == 3:
        child = os.fork()
        if child == 0:
            time.sleep(FOREVER)
            os._exit(0)
        (folder / str(child)).touch()
        psutil.Process().kill()
    return number


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_death_that_a_child_of_the_worker_hides_is_noticed(monkeypatch, tmp_path):
    # The child holds the pipe open by whose end the pool knows a death
    monkeypatch.setattr(recovery_flight, "SILENT_SECONDS", 1)
    items = [(number, tmp_path) for number in range(8)]
    try:
        report = run(fork_and_die, items, executor=processes(2, "fork"), chunk_size=1)
    finally:
        for path in tmp_path.iterdir():
            psutil.Process(int(path.name)).kill()
    (failure,) = report.failures
    assert (failure.index, failure.exit_code, failure.tries) == (3, -9, 2)
    assert report.results[4:] == [4, 5, 6, 7]


def start_a_program(folder):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "pid").write_text(str(child.pid))
    child.wait()


def test_a_time_out_ends_what_the_worker_started_too(tmp_path):
    report = run(start_a_program, [tmp_path], executor=processes(1), timeout=1, tries=1)
    assert report.failures[0].tries == 1
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
