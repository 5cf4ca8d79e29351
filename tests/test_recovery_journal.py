"""What is done outlives the process; a journal that does not fit is refused."""

import os
import pickle
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import faults
import psutil
import pytest
from faults import Item, square

from lessons_src.tools.leash import run_code
from lessons_src.tools.recovery import JournalError, processes, run, stream
from lessons_src.tools.recovery_journal import Journal

WINDOW = 4 * 2  # chunks in flight, of two workers


def items_in(folder, count=40):
    return [Item(number, folder=str(folder)) for number in range(count)]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run.journal"


def work(items, journal, worker=square, **options):
    return run(worker, items, executor=processes(2), journal=journal, **options)


def test_the_same_call_again_runs_nothing(folder, journal):
    first = work(items_in(folder), journal, chunk_size=7)
    again = work(items_in(folder), journal, chunk_size=3)
    assert first.results == again.results == [n * n for n in range(40)]
    assert again.resumed == 40
    assert set(faults.runs(folder).values()) == {1}


def test_a_range_and_a_list_of_the_same_numbers_are_the_same_items(journal):
    for items, resumed in ((range(1, 9), 0), (list(range(1, 9)), 8), (range(1, 11), 8)):
        report = work(items, journal, worker=str, chunk_size=3)
        assert report.results == list(map(str, items))
        assert report.resumed == resumed


def test_a_longer_list_runs_only_what_is_new(folder, journal):
    work(items_in(folder, 10), journal)
    report = work(items_in(folder, 15), journal)
    assert report.results == [n * n for n in range(15)]
    assert report.resumed == 10
    assert set(faults.runs(folder).values()) == {1}


def test_what_failed_runs_again_and_nothing_else(folder, journal):
    items = faults.items_with("raise", folder)
    first = work(items, journal, chunk_size=5)
    assert [each.index for each in first.failures] == [17]
    again = work(items, journal, chunk_size=5)
    assert again.resumed == 39
    runs = faults.runs(folder)
    assert runs.pop(17) == 2
    assert set(runs.values()) == {1}
    assert [each.index for each in again.failures] == [17]


def test_a_stream_goes_on_in_order(folder, journal):
    with stream(
        square, items_in(folder), executor=processes(2), journal=journal, chunk_size=5
    ) as results:
        for _ in range(12):
            next(results)
    rest = list(
        stream(
            square,
            iter(items_in(folder)),
            executor=processes(2),
            journal=journal,
            chunk_size=5,
            ordered=True,
        )
    )
    assert rest == [(n, n * n) for n in range(40)]
    assert sum(faults.runs(folder).values()) <= 40 + WINDOW * 5


def test_threads_can_keep_a_journal_too(folder, journal):
    threads = partial(ThreadPoolExecutor, 2)
    for resumed in (0, 40):
        report = run(
            square, items_in(folder), executor=threads, journal=journal, tries=1
        )
        assert report.resumed == resumed
        assert report.results == [n * n for n in range(40)]


KILLED = """
import os, signal, sys, time
sys.path.insert(0, {tests!r})
from faults import Item, square
from lessons_src.tools.recovery import processes, stream

if __name__ == "__main__":
    items = [Item(n, folder={folder!r}, pause=0.01) for n in range(200)]
    make = processes(2, {method!r}, time.sleep, ({wait},))
    results = stream(square, items, executor=make, chunk_size=5, journal={journal!r})
    for number, _ in enumerate(results):
        if number == {stop}:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="ends itself by SIGKILL")
@pytest.mark.parametrize("stop", [0, 37, 150])
def test_a_killed_parent_loses_only_what_was_under_way(
    stop, start_method, folder, journal
):
    tests = str(Path(faults.__file__).parent)
    code = KILLED.format(
        tests=tests,
        folder=str(folder),
        journal=str(journal),
        method=start_method,
        stop=stop,
        wait=0,
    )
    assert run_code(code, 60).signal == "SIGKILL"
    begun = faults.runs(folder)
    assert set(begun.values()) == {1}
    items = [Item(n, folder=str(folder), pause=0.01) for n in range(200)]
    report = work(items, journal, chunk_size=5)
    assert report.results == [n * n for n in range(200)]
    assert report.resumed >= stop
    runs = faults.runs(folder)
    assert set(runs) == set(range(200))
    assert sum(runs.values()) - 200 <= WINDOW * 5


def marked_with(mark):
    """Return the processes that have `mark` in their environment."""
    found = []
    for pid in psutil.pids():
        try:
            process = psutil.Process(pid)
            if mark in process.environ() and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            pass
    return found


def until(true):
    deadline = time.monotonic() + 30
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


@pytest.fixture
def room():
    # Not below tmp_path: the address of a socket holds some hundred letters
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.skipif(os.name != "posix", reason="ends the parent by SIGKILL")
@pytest.mark.parametrize("early", [False, True])
def test_the_workers_of_a_killed_parent_end_and_tidy_up(
    early, start_method, folder, journal, room
):
    code = KILLED.format(
        tests=str(Path(faults.__file__).parent),
        folder=str(folder),
        journal=str(journal),
        method=start_method,
        stop=37,
        wait=5 if early else 0,
    )
    script = folder.parent / "killed.py"
    script.write_text(code)
    mark = f"KILLED_{os.urandom(8).hex().upper()}"
    path = os.pathsep.join(sys.path)
    env = os.environ | {"TMPDIR": str(room), "PYTHONPATH": path, mark: "1"}
    child = psutil.Popen([sys.executable, str(script)], env=env)
    if early:
        # Its workers are there, and not yet ready
        assert until(lambda: len(marked_with(mark)) > 2)
        child.kill()
    assert child.wait(60) == -9
    assert until(lambda: not marked_with(mark)), marked_with(mark)
    # Before a worker has begun, nobody but the parent knows of the file
    assert early or not list(room.glob("marks-*"))


def test_other_items_are_refused_and_the_journal_stays(folder, journal):
    work(items_in(folder), journal, chunk_size=5)
    before = journal.read_bytes()
    changed = items_in(folder)
    changed[23] = changed[23]._replace(number=5)
    with pytest.raises(JournalError, match="of other items: number 23 was Item"):
        work(changed, journal, chunk_size=5)
    with pytest.raises(JournalError, match="knows 40 items, and this run has only 39"):
        work(items_in(folder, 39), journal)
    with pytest.raises(JournalError, match="knows 40 items, and this run has only 12"):
        work(iter(items_in(folder, 12)), journal)
    assert journal.read_bytes() == before
    assert set(faults.runs(folder).values()) == {1}


def test_equal_items_with_other_bytes_are_the_same_items(journal):
    first, second = [{"a", "b", "c"}, 1.0], [{"c", "b", "a"}, 1]
    dumps = pickle.dumps
    with Journal(journal, str, dumps) as kept:
        kept.write(0, first, dumps(["x", "y"]))
    with Journal(journal, str, dumps) as kept:
        assert kept.read(0, second) == ["x", "y"]


def test_another_worker_is_refused(folder, journal):
    work(items_in(folder), journal)
    with pytest.raises(JournalError, match=r"of the worker faults.square, not of"):
        work(items_in(folder), journal, worker=str)
    with pytest.raises(JournalError, match="choose another journal, or remove"):
        work(items_in(folder), journal, worker=partial(square))


def test_the_same_partial_is_the_same_worker(tmp_path):
    for size, resumed in ((2, 0), (2, 3)):
        worker = partial(pow, exp=size)
        report = work([1, 2, 3], tmp_path / "pow", worker=worker)
        assert (report.results, report.resumed) == ([1, 4, 9], resumed)
    with pytest.raises(JournalError, match=r"builtins\.pow with .*exp.*2.*exp.*3"):
        work([1, 2, 3], tmp_path / "pow", worker=partial(pow, exp=3))


class Equal:
    """Its bytes differ with `spelling`, but it is equal: as a path is."""

    def __init__(self, spelling):
        self.spelling = spelling

    def __eq__(self, other):
        return isinstance(other, Equal)

    __hash__ = None


def test_an_equal_partial_with_other_bytes_is_the_same_worker(tmp_path):
    for spelling, resumed in (("a/b", 0), ("a//b", 2)):
        worker = partial(getattr, Equal(spelling))
        with Journal(tmp_path / "kept", worker, pickle.dumps) as kept:
            assert len(kept.counts) == resumed // 2
            if not resumed:
                kept.write(0, ["x", "y"], pickle.dumps([1, 2]))


def test_a_damaged_file_is_refused_and_stays(folder, journal):
    work(items_in(folder), journal)
    for damage in (b"no database at all" * 100, journal.read_bytes()[:5000]):
        journal.write_bytes(damage)
        with pytest.raises(JournalError, match="damaged"):
            work(items_in(folder), journal)
        assert journal.read_bytes() == damage


def test_a_file_of_another_program_is_refused_and_stays(journal):
    with sqlite3.connect(journal) as base:
        base.execute("create table bookmarks (url text)")
    base.close()
    before = journal.read_bytes()
    with pytest.raises(JournalError, match="another program"):
        work([1], journal, worker=abs)
    assert journal.read_bytes() == before


def test_a_journal_in_use_is_refused(folder, journal):
    results = stream(square, items_in(folder), executor=processes(2), journal=journal)
    next(results)
    with pytest.raises(JournalError, match="Another run uses this journal"):
        work(items_in(folder), journal)
    results.close()
    assert work(items_in(folder), journal).results == [n * n for n in range(40)]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(JournalError, match="folder that exists"):
        work([1], tmp_path / "nowhere" / "run.journal", worker=abs)


FULL = """
import resource, signal
from lessons_src.tools.recovery import JournalError, processes, run

if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
    try:
        report = run(bytes, [5000] * 400, executor=processes(2), chunk_size=5,
                     journal={journal!r})
        print(report)
    except JournalError as error:
        print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_is_named_and_loses_nothing(journal):
    outcome = run_code(FULL.format(room=500_000, journal=str(journal)), 60)
    assert "Make room on the disk" in outcome.output, outcome
    report = run(
        bytes, [5000] * 400, executor=processes(2), chunk_size=5, journal=journal
    )
    assert report.results == [bytes(5000)] * 400
    assert 0 < report.resumed < 400
