import asyncio
import hashlib
import json
import pickle
import re
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from authoring.house import find, read
from lessons_src import gil_and_scaling as lesson
from lessons_src import gil_and_scaling_probe as probing
from lessons_src import gil_and_scaling_race as racing
from lessons_src import gil_and_scaling_sharing as sharing
from lessons_src import gil_and_scaling_start as starting
from lessons_src.gil_and_scaling import (
    Task,
    amdahl,
    do,
    gustafson,
    hash_blocks,
    nap_under,
    seconds_a_report,
    seconds_with,
    serial_share,
    sub_interpreters,
    think,
    this_run,
)
from lessons_src.gil_and_scaling_probe import (
    gets_on_during,
    make_calls,
    tick,
    ticking,
    who_gets_on,
    who_lets_go,
)
from lessons_src.gil_and_scaling_race import (
    INTERPRETERS,
    LOOP,
    Race,
    Server,
    do_async,
    make_kinds,
    one_by_one,
    open_engines,
    race,
    with_sub_interpreters,
)
from lessons_src.gil_and_scaling_sharing import (
    WAYS,
    Part,
    count_messages,
    cut,
    draw_trips,
    make_array,
    reads,
    ship,
    weigh,
)
from lessons_src.gil_and_scaling_start import (
    WAYS as START_WAYS,
)
from lessons_src.gil_and_scaling_start import (
    WithoutGil,
    run_start,
    start_up,
    without_gil,
)
from lessons_src.tools.machine import gil_enabled
from lessons_src.tools.recorded import RECORDED_LINE, transcript
from lessons_src.tools.spans import Span
from lessons_src.tools.timeline import most_at_once

LIMIT = 60
needs_gil = pytest.mark.skipif(not gil_enabled(), reason="is about the GIL")
WHERE = re.compile(
    r"CPython 3\.\d+\.\S+(?: free-threaded)?, \d{4}-\d\d-\d\d, cores: \d+"
)


@pytest.fixture
def method():
    """The cheapest start method that every system has, where methods do not differ."""
    return get_context("fork" if "fork" in get_all_start_methods() else "spawn")


# One task


def test_a_task_adds_hashes_and_goes_on_from_its_start():
    block = b"some bytes"
    assert do(Task(adds=5)) == sum(range(5))
    assert do(Task(block=block)) == hashlib.sha256(block).digest()[0]
    assert do(Task(adds=5, block=block, start=100)) == (
        100 + sum(range(5)) + hashlib.sha256(block).digest()[0]
    )


def test_only_a_task_that_waits_sleeps(monkeypatch):
    naps = []
    monkeypatch.setattr(time, "sleep", naps.append)
    do(Task(adds=2)), do(Task(waits=3)), think(Task(waits=4))
    assert naps == [3]


def test_a_coroutine_brings_the_same_answer_and_lets_others_go_on():
    async def two():
        slow = asyncio.create_task(do_async(Task(waits=0.05, start=1)))
        quick = asyncio.create_task(do_async(Task(adds=5)))
        done, _ = await asyncio.wait([slow, quick], return_when="FIRST_COMPLETED")
        return done == {quick}, await slow, await quick

    assert asyncio.run(two()) == (True, 1, 10)


def test_a_task_and_its_worker_travel_to_processes(context):
    tasks = [Task(adds=n, start=n) for n in range(5)]
    with ProcessPoolExecutor(2, context) as pool:
        assert list(pool.map(do, tasks, timeout=LIMIT)) == list(map(do, tasks))


def test_each_block_is_one_span():
    spans = hash_blocks("hash", blocks=3, megabytes=1)
    assert [each.task for each in spans] == ["hash"] * 3
    assert most_at_once(spans) == 1


def test_under_one_lock_one_holds_at_a_time(monkeypatch):
    monkeypatch.setattr(lesson, "NAP_SECONDS", 0.01)
    with ThreadPoolExecutor(4) as pool:
        spans = list(pool.map(partial(nap_under, threading.Lock()), "abcd"))
    assert most_at_once(spans) == 1
    assert {each.kind for each in spans} == {"holding"}


# The GIL


@needs_gil
def test_calls_on_python_objects_hold_the_gil_and_others_let_go():
    found = who_lets_go(make_calls()).split("\n")
    held = [line.split("(")[0] for line in found if line.endswith("holds the GIL")]
    free = [line.split("(")[0] for line in found if line.endswith("lets others run")]
    assert held == ["sum", "sorted", "pickle.dumps"]
    assert free == ["sha256", "zlib.compress", "np.sort", "time.sleep"]


def test_the_patience_of_threads_is_what_it_was_afterwards():
    usual = sys.getswitchinterval()
    # Not the usual one, which a test before this may have lost
    sys.setswitchinterval(0.25)
    try:
        gets_on_during(lambda: None, lambda: 1, tries=1)
        assert sys.getswitchinterval() == 0.25
        with pytest.raises(ZeroDivisionError):
            gets_on_during(lambda: 1 / 0, lambda: 1)
        assert sys.getswitchinterval() == 0.25
    finally:
        sys.setswitchinterval(usual)


def test_a_counter_gets_on_during_a_wait_and_stops_afterwards():
    with ThreadPoolExecutor(1) as pool, ticking(pool) as ticks:
        assert ticks() > 0
        assert gets_on_during(partial(time.sleep, 0.01), ticks)


def test_a_counter_that_cannot_begin_is_told(monkeypatch):
    monkeypatch.setattr(probing, "tick", lambda path: None)
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(TimeoutError, match="did not begin"),
        ticking(pool),
    ):
        pass


def test_a_counter_that_is_forgotten_gives_up(monkeypatch, tmp_path):
    monkeypatch.setattr(probing, "LIMIT_SECONDS", 0.01)
    board = tmp_path / "board"
    board.write_bytes(bytes(16))
    tick(str(board))
    assert int.from_bytes(board.read_bytes()[:8]) > 0


@needs_gil
def test_a_process_and_a_sub_interpreter_have_a_gil_of_their_own(context):
    lines = who_gets_on(context).replace(RECORDED_LINE, "").split("\n")
    assert [re.split("  +", line)[-1] for line in lines[:2]] == [
        "stands still",
        "gets on",
    ]
    assert lines[2] == "a sub-interpreter gets on"
    assert (sub_interpreters() is None) == (sys.version_info < (3, 14))


@pytest.mark.parametrize(
    "name", ["calls", "thread", "process", "sub_interpreter", "race", "free"]
)
def test_what_a_system_may_lack_is_recorded(name):
    assert transcript(f"gil_and_scaling_{name}").strip()


def test_without_a_gil_the_recorded_facts_are_shown(monkeypatch):
    monkeypatch.setattr(probing, "gil_enabled", lambda: False)
    found = who_lets_go({}).removeprefix(RECORDED_LINE)
    assert found.count("holds the GIL") == 3
    assert "a thread          stands still" in who_gets_on(None)


# The laws


def test_the_laws_agree_where_all_or_nothing_is_shared():
    for workers in (1, 2, 50):
        assert amdahl(0, workers) == gustafson(0, workers) == workers
        assert amdahl(1, workers) == gustafson(1, workers) == 1


def test_amdahl_never_passes_one_over_the_share():
    assert 19.99 < amdahl(0.05, 10**6) < 20


@pytest.mark.parametrize("share", [0, 0.05, 0.2, 1])
@pytest.mark.parametrize("workers", [2, 3, 64])
def test_the_share_is_found_again_from_the_speed_up(share, workers):
    assert serial_share(amdahl(share, workers), workers) == pytest.approx(share)


def test_one_worker_tells_nothing_of_the_share():
    with pytest.raises(ValueError, match="two workers"):
        serial_share(1.0, 1)


def test_the_report_is_done_here_and_in_a_pool_whose_start_does_not_count(
    method, monkeypatch
):
    here, log, ticks = [], [], iter([10.0, 12.5])
    monkeypatch.setattr(lesson, "do", here.append)
    monkeypatch.setattr(lesson, "clock", lambda: log.append("clock") or next(ticks))

    class Pool:
        def __enter__(self):
            log.append("open")
            return self

        def __exit__(self, *error):
            log.append("closed")

        def map_async(self, worker, tasks, chunksize):
            log.append((worker, tasks, chunksize))
            return self

        def get(self, limit):
            log.append("answers")

    pools = "lessons_src.tools.pools.warm_pool"
    monkeypatch.setattr(pools, lambda context, workers: Pool())
    alone, shared = [Task(adds=1)], [Task(adds=2), Task(adds=3)]
    assert seconds_with(method, alone, shared, 2) == 2.5
    assert here == alone
    sent = (lesson.do, shared, 1)
    assert log == ["open", "clock", sent, "answers", "clock", "closed"]


def test_a_report_that_grows_is_counted_as_so_many_reports(method, monkeypatch):
    sent = []
    monkeypatch.setattr(lesson, "seconds_with", lambda *given: sent.append(given) or 6)
    alone, shared = [Task(adds=1)], [Task(adds=2)] * 4
    # One and twelve tasks of equal length are 13 / 5 reports
    seconds = seconds_a_report(method, alone, shared, 3)
    assert seconds == pytest.approx(6 / (13 / 5))
    assert sent == [(method, alone, shared * 3, 3)]
    assert pytest.approx(gustafson(1 / 5, 3)) == 13 / 5


def test_a_report_comes_home_from_a_real_pool(context):
    assert seconds_with(context, [], [Task(adds=2)] * 3, 2) > 0


# The race


def test_each_engine_brings_the_answers_of_the_loop(context):
    kinds = make_kinds(scale=0.01)
    found = race(context, 2, kinds, repeats=1)
    assert found.equal
    assert list(found.shares) == list(kinds)
    engines = {LOOP, "threads", "asyncio", "processes"}
    engines |= {INTERPRETERS} if sub_interpreters() else set()
    assert all(set(row) == engines for row in found.shares.values())
    assert all(row[LOOP] == 1 for row in found.shares.values())
    assert WHERE.fullmatch(found.where)


def test_another_answer_of_one_engine_is_noticed(method, monkeypatch):
    monkeypatch.setattr(racing, "in_asyncio", lambda tasks: [7] * len(tasks))
    tasks = {"sums": racing.at_once([Task(adds=3)] * 2)}
    assert not race(method, 2, tasks, repeats=1).equal


def test_a_chain_hands_over_one_task_with_the_answer_before_it():
    seen = []

    def run(tasks):
        seen.extend(tasks)
        return racing.in_loop(tasks)

    assert one_by_one([Task(adds=3)] * 3)(run) == [3, 6, 9]
    assert [task.start for task in seen] == [0, 3, 6]


def test_the_workers_of_all_engines_are_up_before_the_race(method):
    with open_engines(method, 2) as runs:
        for run in runs.values():
            assert run([Task(adds=3), Task(adds=5)]) == [3, 10]


def test_asyncio_works_where_a_loop_runs_already():
    async def inside():
        return racing.in_asyncio([Task(adds=3)])

    assert asyncio.run(inside()) == [3]


@pytest.mark.parametrize(
    ("row", "winners"),
    [
        ({LOOP: 1, "threads": 26}, [LOOP]),
        ({LOOP: 1, "threads": 0.13, "asyncio": 0.15}, ["threads", "asyncio"]),
        ({LOOP: 1, "threads": 0.95, "asyncio": 1.2}, []),
        ({LOOP: 1, "threads": 0.5, "asyncio": 0.9}, ["threads"]),
    ],
)
def test_who_comes_close_to_the_best_wins_unless_the_loop_does(row, winners):
    assert Race({"work": row}, True, "").winners("work") == winners


@pytest.mark.skipif(sub_interpreters() is not None, reason="has sub-interpreters")
def test_the_column_of_sub_interpreters_is_filled_from_the_stored_run():
    kinds = list(make_kinds(0.01))
    found = with_sub_interpreters(Race({kind: {LOOP: 1} for kind in kinds}, True, ""))
    stored = json.loads(transcript("gil_and_scaling_race"))
    assert {kind: found.shares[kind][INTERPRETERS] for kind in kinds} == stored[
        "shares"
    ]
    assert found.stored == stored["where"]
    assert WHERE.fullmatch(found.stored)


def test_a_race_is_drawn_also_where_an_engine_is_missing():
    drawn = Race({"naps": {LOOP: 1, "threads": 0.1}}, True, "here", "there").draw()
    assert repr(drawn) == "Each of 1 kinds of work on five engines"
    assert drawn.png.startswith(b"\x89PNG")


def test_a_thousand_waits_take_a_thread_each_or_one_for_all():
    size = 50
    server = Server(size)
    with ThreadPoolExecutor(size) as pool:
        list(pool.map(server.call, range(size), timeout=LIMIT))
    assert len(server.threads) == size
    server = Server(size)

    async def call_all():
        await asyncio.gather(*map(server.call_async, range(size)))

    asyncio.run(call_all())
    assert server.threads == {threading.get_ident()}


# 100 MB, and one number


def test_an_array_is_added_up_whichever_way_it_goes(context):
    array = make_array(1)
    trips = {name: ship(way, array, context, 2) for name, way in WAYS.items()}
    assert {trip.total for trip in trips.values()} == {int(array.sum())}
    assert [trip.posted for trip in trips.values()] == ["0 MB", *["under 1 KB"] * 3]


def test_only_a_pickled_array_weighs_as_much_as_its_numbers():
    array = make_array(2)
    for name, way in WAYS.items():
        with way(array, 4) as plan:
            assert len(plan.tasks) == 4
            heavy = plan.bytes_a_task > array.nbytes / 4
            assert heavy == (name == "pickle"), name


def test_a_block_of_shared_memory_is_given_back():
    with sharing.by_shared_memory(make_array(1), 2) as plan:
        (name,) = plan.worker.args
        SharedMemory(name).close()
    with pytest.raises(FileNotFoundError):
        SharedMemory(name)


def test_a_mapped_file_is_deleted():
    with sharing.by_memory_map(make_array(1), 2) as plan:
        (path,) = plan.worker.args
        assert sum(map(plan.worker, plan.tasks)) == int(make_array(1).sum())
    assert not Path(path).exists()


@pytest.mark.parametrize(("length", "parts"), [(0, 3), (7, 1), (7, 3), (2, 5)])
def test_parts_lie_side_by_side_and_leave_nothing_out(length, parts):
    pieces = cut(length, parts)
    assert len(pieces) == parts
    covered = [number for piece in pieces for number in range(*piece)]
    assert covered == list(range(length))


def test_an_envelope_weighs_what_pickle_says():
    assert weigh(Part(1, 2)) == len(pickle.dumps(Part(1, 2), 5))


def test_trips_are_drawn_beside_a_pool_without_numbers(method):
    trips = {"pickle": ship(WAYS["pickle"], make_array(1), method, 1)}
    drawn = draw_trips(trips, method, 1)
    assert repr(drawn) == "Seconds of pool alone, pickle (one run each)"


def test_only_a_manager_is_asked_by_messages(method):
    with method.Manager() as manager:
        found = reads(method, manager, times=7, repeats=1)
    none = (0, 0)
    assert found.messages == {
        "list": none,
        "Value": none,
        "Array": none,
        "Manager": (7, 7),
    }
    assert "Manager     7 messages sent,    7 received" in str(found)
    assert "Manager" in repr(found.draw())


def test_messages_are_no_longer_counted_after_an_error(method):
    ours, theirs = method.Pipe()
    before = type(ours).send, type(ours).recv
    with ours, theirs:
        assert count_messages(lambda: (ours.send(1), theirs.recv())) == (1, 1)
        with pytest.raises(ZeroDivisionError):
            count_messages(lambda: 1 / 0)
    assert (type(ours).send, type(ours).recv) == before


# Starts, and a Python without a GIL

IMPORTS = {
    "fork": 1,
    "spawn": 5,
    "forkserver": 5,
    "forkserver, preload": 2,
    "sub-interpreter": 5,
}


@pytest.mark.parametrize("way", START_WAYS)
def test_each_way_to_start_imports_as_often_as_it_must(monkeypatch, way):
    monkeypatch.setattr(starting, "LIBRARY_SECONDS", {"heavy": 0})
    method, preload = START_WAYS[way]
    has_it = method in get_all_start_methods()
    if not (has_it or (method == "sub-interpreter" and sub_interpreters())):
        pytest.skip(f"this system has no {method}")
    imports, seconds, exits = json.loads(run_start(method, preload))["heavy"]
    assert imports == IMPORTS[way]
    assert exits == [0, 0]
    assert seconds > 0


def test_ways_that_a_system_lacks_are_told_from_a_stored_run(monkeypatch):
    monkeypatch.setattr(starting, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr(starting, "sub_interpreters", lambda: None)
    answer = json.dumps({"light": [5, 0.1, [0, 0]], "heavy": [5, 0.3, [0, 0]]})
    monkeypatch.setattr(starting, "run_start", lambda method, preload: answer)
    found = start_up()
    assert found.imports == IMPORTS
    assert found.stored == [way for way in IMPORTS if way != "spawn"]
    lines = [
        "fork                imported once",
        "spawn               imported 5 times",
        "forkserver          imported 5 times",
        "forkserver, preload imported twice",
        "sub-interpreter     imported 5 times",
    ]
    told = [line if "spawn" in line else RECORDED_LINE + line for line in lines]
    assert str(found) == "\n".join(told)
    assert str(found._replace(stored=[])) == "\n".join(lines)
    assert len(found.seconds) == 10
    alt = "Seconds to start two workers, each way, light and heavy"
    assert repr(found.draw()) == alt


def test_the_stored_run_without_a_gil_says_where_it_is_from(monkeypatch):
    monkeypatch.setattr(starting, "free_threaded_python", lambda: None)
    found = without_gil()
    assert found.report == "GIL on: at most 1 at once\nGIL off: at most 2 at once"
    assert WHERE.fullmatch(found.where.removesuffix(" (stored run)"))
    assert found.where.endswith("(stored run)")
    assert "free-threaded" in found.where
    assert found.ratios["GIL off"] < 0.75 < found.ratios["GIL on"]
    assert repr(found.draw()) == "Two threads compute, GIL on and GIL off"


def test_a_free_threaded_python_is_asked_with_its_gil_on_and_off(monkeypatch):
    asked = []
    line = json.dumps(
        {"where": this_run(), "ratio": 0.5, "spans": [Span(1, 1, "sum", 0, 1)]}
    )

    def output(name, *, python, env):
        asked.append((python, env["PYTHON_GIL"]))
        return line

    monkeypatch.setattr(starting, "_output", output)
    monkeypatch.setattr(starting, "free_threaded_python", lambda: "python3.14t")
    monkeypatch.setattr(starting, "cores_allowed", lambda: 2)
    found = without_gil()
    assert asked == [("python3.14t", "1"), ("python3.14t", "0")]
    assert found == WithoutGil(
        this_run(),
        {"GIL on": 0.5, "GIL off": 0.5},
        {name: [Span(1, 1, "sum", 0, 1)] for name in ("GIL on", "GIL off")},
    )


def test_a_program_that_fails_is_told():
    with pytest.raises(ChildProcessError, match="no such method"):
        run_start("no such method", "")


# The notebook


def test_each_row_of_the_decision_table_points_at_a_section_with_a_cell():
    cells = read(find("13")).cells
    head = "## The decision table"
    (text,) = [each.source for each in cells if head in each.source]
    table = text.partition(head)[2].partition("## From")[0]
    rows = [line for line in table.split("\n") if line.startswith("|")][2:]
    assert len(rows) >= 10
    backed = set()
    title = None
    for cell in cells:
        if cell.cell_type == "markdown":
            titles = re.findall(r"^##+ (.+)$", cell.source, re.MULTILINE)
            title = titles[-1] if titles else title
        elif title:
            backed.add(title.replace(" ", "-"))
    for row in rows:
        anchors = re.findall(r"\]\(#([^)]+)\)", row)
        assert anchors, row
        assert set(anchors) <= backed, row
