import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib import util
from multiprocessing import current_process, get_all_start_methods, get_context
from types import SimpleNamespace

import pytest
from distributed import wait

from lessons_src.futures import gather, run_engine, temperature
from lessons_src.many_machines import (
    GO,
    VOLCANO,
    Atlas,
    Notes,
    all_are_back,
    ask_busy,
    count_importers,
    count_unpacked,
    dashboard_title,
    do_all,
    forgive,
    importable,
    line_up,
    local_cluster,
    look_up,
    look_up_each,
    new_notes,
    visit,
    visit_and_wait,
    wait_until,
    wait_until_forgotten,
    watched,
    ways_to_do,
    write_module,
)
from lessons_src.tools.chunks import merge_lists
from lessons_src.tools.cluster_spans import cluster_run
from lessons_src.tools.naps import Nap, take_nap
from lessons_src.tools.programs import run_programs
from lessons_src.tools.recovery import WorkerDied, run

LIMIT = 60
TABLE = {"bay": 15, "cape": 20}


# A fork would copy a process full of threads: "fork" means spawn here
METHODS = [method for method in get_all_start_methods() if method != "fork"]


@pytest.fixture(scope="module", params=METHODS)
def client(request):
    with local_cluster(2, get_context(request.param)) as client:
        client.start_method = request.param
        yield client


@pytest.fixture
def mortal():
    """Return the client of a cluster whose workers may die.

    Each test has its own: who is started again during a test would be left behind.
    """
    with local_cluster(2, get_context("spawn")) as client:
        yield client


@pytest.fixture
def notes(tmp_path):
    return new_notes(str(tmp_path))


def how_i_was_started():
    return multiprocessing.get_start_method(), type(current_process()).__name__


def test_workers_are_as_many_as_asked_for_and_started_as_asked_for(client):
    assert list(client.nthreads().values()) == [1, 1]
    names = {name for _, name in client.run(how_i_was_started).values()}
    wanted = {"spawn": "SpawnProcess", "forkserver": "ForkServerProcess"}
    assert names == {wanted[client.start_method]}


@pytest.mark.skipif("fork" not in get_all_start_methods(), reason="nobody can fork")
def test_a_worker_is_never_forked():
    with local_cluster(1, get_context("fork")) as client:
        names = {name for _, name in client.run(how_i_was_started).values()}
        client.close()
    assert names == {"SpawnProcess"}


def test_a_stack_that_is_lost_closes_its_cluster():
    lesson = ExitStack()
    client = lesson.enter_context(local_cluster(0, get_context("spawn")))
    lesson = ExitStack()
    assert client.status == client.cluster.status.name == "closed"


def test_a_cluster_is_not_closed_before_all_are_back(monkeypatch):
    waited, answers = [], [False, False, True, True]

    def back(client):
        waited.append(client.status)
        return answers[len(waited) - 1]

    monkeypatch.setattr("lessons_src.many_machines.all_are_back", back)
    with local_cluster(0, get_context("spawn")):
        assert not waited
    assert waited == ["running"] * 4


@pytest.mark.parametrize(
    ("status", "nannies", "workers", "back"),
    [
        ("running", ["running", "running"], 2, True),
        ("running", ["running", "starting"], 1, False),
        ("running", ["running", "init"], 1, False),
        ("running", ["running", "failed"], 1, True),
        ("running", ["closed", "closed"], 0, True),
        ("closed", ["running", "running"], 0, True),
    ],
)
def test_who_left_is_not_waited_for(status, nannies, workers, back):
    states = [SimpleNamespace(status=SimpleNamespace(name=name)) for name in nannies]
    client = SimpleNamespace(
        status=status,
        cluster=SimpleNamespace(workers=dict(enumerate(states))),
        nthreads=lambda: dict.fromkeys(range(workers), 1),
    )
    assert all_are_back(client) is back


def test_the_dashboard_is_up_whatever_the_proxy(client, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert dashboard_title(client).startswith("200 Dask")


@pytest.mark.skipif(os.name != "posix", reason="Windows interrupts no other process")
def test_an_interrupt_ends_no_worker(client):
    workers = client.run(os.getpid)
    for process in workers.values():
        os.kill(process, signal.SIGINT)
    assert client.submit(abs, -1, pure=False).result(LIMIT) == 1
    assert client.run(signal.getsignal, signal.SIGINT) == dict.fromkeys(
        workers, signal.SIG_IGN
    )
    assert client.run(os.getpid) == workers


def test_the_body_of_lesson_10_runs_on_it_unchanged(client):
    with client.get_executor(pure=False) as pool:
        asked = {pool.submit(temperature, name): name for name in (*TABLE, "atlantis")}
        answers, errors = gather(asked)
    assert answers == TABLE
    assert [repr(error) for error in errors.values()] == [
        "ValueError(\"no station 'atlantis'\")"
    ]
    report = run_engine("Dask", client.get_executor, [Nap("a", 0), Nap("b", 0)]).report
    assert "2 workers in other processes" in report


def test_a_lambda_travels_under_every_start_method(client):
    assert client.submit(lambda n: n + 1, 1).result(LIMIT) == 2


def test_spans_of_a_cluster_are_those_of_its_tasks(client):
    naps = [Nap(f"nap {n}", 0.05) for n in range(4)]
    keys = [nap.name for nap in naps]
    futures = client.map(take_nap, naps, key=keys, pure=False)
    mine = client.gather(futures)
    found = cluster_run(client.get_task_stream(), keys)
    assert sorted(each.task for each in found.spans) == keys
    assert {each.kind for each in found.spans} == {"working"}
    assert set(found.names) == {each.worker for each in found.spans}
    assert all(each.seconds >= 0.04 for each in found.spans)
    assert len({span.process for span in mine}) == len(found.names)


def test_notes_are_counted_by_all_processes(client, notes):
    client.gather([client.submit(notes.add, "bay", pure=False) for _ in range(3)])
    assert notes.count("bay") == 3
    assert pickle.loads(pickle.dumps(notes)) == notes


def test_two_who_count_at_the_same_moment_get_two_numbers(notes, monkeypatch):
    monkeypatch.setattr(Notes, "count", lambda self, name: 0)
    assert [notes.add("bay"), notes.add("bay"), notes.add("cape")] == [1, 2, 1]


def test_who_waits_for_a_note_goes_on_with_it(client, notes):
    future = client.submit(visit_and_wait, notes, "bay")
    assert notes.count("bay") == 0
    notes.add(GO)
    assert future.result(LIMIT) == "BAY"
    assert notes.count("bay") == 1


def test_to_wait_has_an_end(monkeypatch):
    monkeypatch.setattr("lessons_src.many_machines.LIMIT_SECONDS", 0.02)
    assert wait_until(lambda: False) is False
    assert wait_until(lambda: True) is True


@pytest.mark.parametrize(("retries", "status"), [(2, "finished"), (1, "error")])
def test_a_busy_station_is_tried_as_often_as_is_said(client, notes, retries, status):
    future = client.submit(ask_busy, notes, "dune", 2, retries=retries)
    wait(future, LIMIT)
    assert future.status == status
    assert notes.count("dune") == retries + 1


def test_equal_calls_run_once_and_impure_ones_each_time(client, notes):
    pure = [client.submit(visit, notes, "bay") for _ in range(3)]
    assert client.gather(pure) == ["BAY"] * 3
    assert notes.count("bay") == 1
    impure = [client.submit(visit, notes, "bay", pure=False) for _ in range(3)]
    assert client.gather(impure) == ["BAY"] * 3
    assert notes.count("bay") == 4


def test_an_atlas_travels_with_each_task_or_once_to_each_worker(client):
    names = [*TABLE] * 3
    wanted = [TABLE[name] for name in names]
    before = count_unpacked(client)
    assert look_up_each(client, Atlas(TABLE), names, False) == (wanted, 6)
    assert look_up_each(client, Atlas(TABLE), names, True) == (wanted, 2)
    assert count_unpacked(client) == before + 8
    assert look_up(Atlas(TABLE), "bay") == 15


def test_an_answer_is_forgotten_with_its_future(client):
    future = client.submit(bytes, 10, pure=False)
    wait(future, LIMIT)
    key = future.key
    assert client.who_has(future)[key]
    del future
    assert wait_until_forgotten(client, key)


def test_a_bar_hands_on_every_future(client, capsys):
    futures = client.map(abs, [-1, -2, -3], pure=False)
    assert sorted(future.result() for future in watched(futures)) == [1, 2, 3]
    assert capsys.readouterr().out.rstrip().endswith("3/3 |####################|")


def test_a_module_reaches_the_workers_by_upload(client, tmp_path):
    name = f"rounding_{client.id.replace('-', '_').lower()}"
    path = write_module(str(tmp_path), name)
    assert util.find_spec(name) is None
    with importable(str(tmp_path)):
        module = __import__(name)
    assert count_importers(client, name) == 0
    client.upload_file(path)
    assert count_importers(client, name) == 2
    assert client.submit(module.tens, 17).result(LIMIT) == 20


def test_each_way_gives_what_a_loop_gives(client):
    tasks = list(range(-20, 0))
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        ways = ways_to_do(client, pool, abs, tasks)
        single = [list(ways[name]()) for name in ("local pool", "Dask")]
        parts = ways["Dask, 8 parts"]()
    assert single == [list(map(abs, tasks))] * 2
    assert merge_lists(parts) == do_all(abs, tasks)


def test_deaths_are_forgiven_as_often_as_is_said_and_answers_made_again(mortal, notes):
    forgive(mortal, 2)
    islands = [f"island {n}" for n in range(8)]
    visits = mortal.map(partial(visit, notes), islands, pure=False)
    wait(visits, LIMIT)
    error = mortal.submit(visit, notes, VOLCANO, key="trip").exception(LIMIT)
    assert type(error).__name__ == "KilledWorker"
    assert error.task == "trip"
    assert notes.count(VOLCANO) == 3
    assert mortal.gather(visits) == [name.upper() for name in islands]
    assert all(notes.count(name) > 1 for name in islands)
    assert wait_until(lambda: all_are_back(mortal))
    assert len(mortal.nthreads()) == 2


def test_who_stands_in_line_is_blamed_too(mortal, notes):
    forgive(mortal, 0)
    futures = line_up(mortal, notes, [VOLCANO, "bay"])
    names = {type(each.exception(LIMIT)).__name__ for each in futures.values()}
    assert names == {"KilledWorker"}
    assert (notes.count(VOLCANO), notes.count("bay")) == (1, 0)


class SlowToHear:
    """A client whose scheduler hears of the second task when asked the third time."""

    def __init__(self, notes):
        self.notes, self.asked, self.sent = notes, 0, []

    def wait_for_workers(self, workers, timeout):
        assert workers == 1

    def nthreads(self):
        return {"one": 1, "other": 1}

    def submit(self, worker, notes, station, workers, pure):
        assert workers == ["one"]
        notes.add("begun")
        self.sent.append(station)
        return SimpleNamespace(key=station)

    def processing(self):
        assert self.notes.count(GO) == 0
        self.asked += 1
        return {"one": self.sent[: 1 if self.asked < 3 else 2], "other": []}


def test_nobody_goes_before_all_stand_in_line(notes):
    client = SlowToHear(notes)
    assert list(line_up(client, notes, [VOLCANO, "bay"])) == [VOLCANO, "bay"]
    assert client.asked >= 3
    assert notes.count(GO) == 1


def test_recovery_names_the_guilty_item_only(mortal, notes):
    forgive(mortal, 0)
    places = ["bay", VOLCANO, *(f"island {n}" for n in range(5))]
    worker, engine = partial(visit, notes), mortal.get_executor
    report = run(worker, places, executor=engine, tries=1)
    assert [(each.index, type(each.error)) for each in report.failures] == [
        (1, WorkerDied)
    ]
    assert report.results[:1] + report.results[2:] == [
        place.upper() for place in places if place != VOLCANO
    ]


def test_a_module_that_workers_lack_costs_the_cluster_its_workers():
    ran = run_programs("many_machines_lacking", limit=LIMIT)["many_machines_lacking"]
    assert ran.exit_code == 0
    assert ran.output.strip() == "workers left: 0 - the answer: pending"


def test_the_module_is_cheap_to_import():
    code = (
        "import sys, lessons_src.many_machines, lessons_src.checks.many_machines\n"
        "print(sorted({'dask', 'distributed', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT
    )
    assert done.stdout.strip() == "[]"
