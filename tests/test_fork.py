import os
import pickle
from multiprocessing import active_children
from multiprocessing.shared_memory import SharedMemory

import pytest

from lessons_src import fork as lesson
from lessons_src.fork import (
    MEMORY_MAP,
    START_METHODS,
    StartUp,
    add_one_late,
    add_primes,
    can_run,
    compare,
    count_primes,
    fill_slot,
    join,
    leave,
    mark_primes,
    note_primes,
    own_megabytes,
    own_methods,
    report_home,
    run_processes,
    run_program,
    shared_bytes,
    start_children,
    table,
    watch,
)
from lessons_src.tools.leash import Outcome, run_code
from lessons_src.tools.recorded import RECORDED_LINE, transcript
from lessons_src.tools.timeline import Span, clock, most_at_once, workers

HALVES = [(0, 50), (50, 100)]
WHOLE = count_primes(0, 100)
LIMIT = 60
# As in the lesson: how long the child is watched that waits for ever
HANG_SECONDS = 3
PROGRAMS = [
    ["fork_article"],
    ["fork_article_repaired"],
    ["fork_buffer"],
    *(["fork_child_sees", method] for method in START_METHODS),
    ["fork_endings"],
    ["fork_exit_code"],
    ["fork_file"],
    ["fork_in_kernel"],
    ["fork_memory"],
    ["fork_memory_of_floats"],
    ["fork_puzzle_a"],
    ["fork_puzzle_b"],
    ["fork_puzzle_c"],
    ["fork_shared"],
    ["fork_ten_nine_ten"],
    ["fork_two_returns"],
    ["fork_warning"],
    ["fork_zombie"],
]
WORKERS = [
    add_one_late,
    add_primes,
    fill_slot,
    leave,
    mark_primes,
    note_primes,
    report_home,
]
needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no fork"
)


def start_up(first, following, megabytes):
    starting = [Span(1, 1, "start", 0, first), Span(2, 1, "start", 0, following)]
    return StartUp(starting, starting, [megabytes * 2**20] * 2)


@pytest.fixture
def without_fork(monkeypatch):
    monkeypatch.delattr(os, "fork", raising=False)
    monkeypatch.setattr(lesson, "get_all_start_methods", lambda: ["spawn"])


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_can_travel_to_a_spawned_child(worker):
    assert pickle.loads(pickle.dumps(worker)) is worker


def test_a_record_can_travel():
    record = start_up(1, 2, 3)
    assert pickle.loads(pickle.dumps(record)) == record


def test_a_value_with_its_lock_counts_what_the_loop_counts(context):
    counter = context.Value("i", 0)
    run_processes(context, add_primes, [(counter, *half) for half in HALVES])
    assert counter.value == WHOLE


def test_two_that_read_before_either_writes_add_one(context):
    counter, meet = context.Value("i", 0), context.Barrier(2)
    run_processes(context, add_one_late, [(counter, meet)] * 2)
    assert counter.value == 1


def test_slots_of_an_array_sum_up_to_what_the_loop_counts(context):
    counts = context.Array("i", 2)
    slots = [(counts, slot, *half) for slot, half in enumerate(HALVES)]
    run_processes(context, fill_slot, slots)
    assert counts[:] == [count_primes(*half) for half in HALVES]
    assert sum(counts) == WHOLE


def test_shared_bytes_hold_the_marks_of_all_workers_and_are_removed(context):
    with shared_bytes(100) as block:
        parts = [(block.name, *half) for half in HALVES]
        run_processes(context, mark_primes, parts)
        marks = bytes(block.buf[:100])
    assert [number for number in range(10) if marks[number]] == [2, 3, 5, 7]
    assert sum(marks) == WHOLE
    with pytest.raises(FileNotFoundError):
        SharedMemory(block.name)


def test_nobody_complains_about_shared_bytes_when_the_program_ends(start_method):
    outcome = run_code(
        f"""
        from multiprocessing import get_context
        from lessons_src.fork import mark_primes, run_processes, shared_bytes

        if __name__ == "__main__":
            with shared_bytes(100) as block:
                parts = [(block.name, 0, 50), (block.name, 50, 100)]
                context = get_context({start_method!r})
                print(run_processes(context, mark_primes, parts))
        """,
        LIMIT,
    )
    assert (outcome.output, outcome.errors) == ("[0, 0]\n", "")


def test_shared_bytes_are_removed_when_the_work_fails():
    with pytest.raises(ZeroDivisionError), shared_bytes(1) as block:
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError):
        SharedMemory(block.name)


def test_a_managers_dict_has_the_notes_of_all_workers(context):
    with context.Manager() as manager:
        notes = manager.dict()
        run_processes(context, note_primes, [(notes, *half) for half in HALVES])
        found = dict(notes)
    assert found == {"0 to 49": count_primes(0, 50), "50 to 99": count_primes(50, 100)}


def test_exit_codes_come_home_in_order(context):
    assert run_processes(context, leave, [(0,), (3,), (255,)]) == [0, 3, 255]


def test_a_process_that_does_not_end_is_ended(context, monkeypatch):
    monkeypatch.setattr(lesson, "WAIT_SECONDS", 0.1)
    nobody_comes = context.Barrier(2)
    process = context.Process(target=nobody_comes.wait, args=(LIMIT,))
    process.start()
    # SIGKILL, and what Python reports of a terminated process on Windows
    assert join(process) in (-9, -15)
    assert active_children() == []


def test_a_child_reports_its_start_and_then_its_work(context):
    ours, theirs = context.Pipe()
    ordered = clock()
    process = context.Process(target=report_home, args=(theirs, 4, ordered))
    process.start()
    assert ours.poll(LIMIT)
    started, worked, own_bytes = ours.recv()
    assert join(process) == 0
    assert (started.task, started.kind, started.start) == (
        "start 4",
        "waiting",
        ordered,
    )
    assert worked.task == "work 4"
    assert started.stop <= worked.start
    assert workers([started, worked]) == [(process.pid, started.thread)]
    assert own_bytes > 0


@pytest.mark.parametrize("method", own_methods())
def test_children_start_one_after_the_other(method):
    run = start_children(method)
    assert [start.task for start in run.starting] == [f"start {n}" for n in range(1, 5)]
    assert most_at_once(run.starting + run.working) == 1
    assert len(workers(run.starting)) == len(run.own_bytes) == 4


def test_a_start_method_that_does_not_exist_is_an_error_with_its_reason():
    with pytest.raises(ChildProcessError, match="cannot find context for 'teleport'"):
        start_children("teleport")


@needs_fork
@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_a_recorded_program_says_the_same_live(words):
    if not can_run(*words):
        pytest.skip("only Linux can run it")
    live = run_program(*words)
    assert live == transcript("_".join(words))
    assert RECORDED_LINE not in live


@needs_fork
def test_the_child_waits_for_ever_for_the_lock_that_was_held():
    live = run_program("fork_lock", limit=HANG_SECONDS)
    assert live == transcript("fork_lock")
    assert live.endswith("hung: stopped after 3 s")


@needs_fork
def test_what_is_claimed_of_the_start_methods_holds_here():
    runs = {method: start_children(method) for method in START_METHODS}
    assert compare(runs) == transcript("fork_compare")


def test_what_is_claimed_of_the_start_methods_can_be_untrue():
    same = start_up(1, 1, 1)
    claims = compare(dict.fromkeys(START_METHODS, same))
    assert [line.rpartition(" ")[2] for line in claims.splitlines()] == ["False"] * 3


def test_a_missing_start_method_brings_the_recorded_claims():
    claims = compare({"spawn": start_up(1, 1, 1)})
    assert claims == RECORDED_LINE + transcript("fork_compare")


def test_the_table_has_a_row_for_each_method_there_is():
    rows = table({"spawn": start_up(0.5, 0.25, 12)}).splitlines()
    assert len(rows) == 2
    assert rows[1].split() == ["spawn", "500.0", "ms", "250.0", "ms", "12.0", "MB"]
    assert len(rows[0]) == len(rows[1])


@pytest.mark.parametrize("words", [["fork_two_returns"], ["fork_memory"]])
def test_without_fork_there_is_a_recording_that_says_so(without_fork, words):
    text = run_program(*words)
    assert text == RECORDED_LINE + transcript("_".join(words))


def test_without_fork_spawn_still_runs_live(without_fork):
    assert own_methods() == ["spawn"]
    assert can_run("fork_child_sees", "spawn")
    assert not can_run("fork_child_sees", "fork")


def test_every_program_of_the_lesson_has_its_transcript():
    from importlib import resources

    folder = resources.files("lessons_src") / "listings"
    programs = {entry.name.removesuffix(".py") for entry in folder.iterdir()}
    forking = {name for name in programs if name.startswith("fork_")}
    tried = {words[0] for words in PROGRAMS} | {"fork_lock", "fork_start_up"}
    assert tried == forking


def test_a_program_that_fails_says_how_it_ended():
    failed = Outcome(3, None, "so far\n", "", hung=False, limit=5)
    assert lesson.transcript_of(failed) == "so far\n--> ended with exit code 3"


@needs_fork
def test_a_readers_setting_does_not_take_the_buffer_away(monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    assert watch("fork_buffer").output.count("start") == 2


@pytest.mark.skipif(not MEMORY_MAP.exists(), reason="only Linux tells")
def test_own_memory_grows_by_what_is_written():
    before = own_megabytes()
    block = bytearray(b"x") * (40 * 2**20)
    assert 30 <= own_megabytes() - before <= 50
    assert len(block) == 40 * 2**20
