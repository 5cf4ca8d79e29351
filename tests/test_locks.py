import pickle
import threading
from multiprocessing import get_all_start_methods

import pytest

from lessons_src import locks as lesson
from lessons_src.locks import (
    Account,
    Meeting,
    RecordedLock,
    SoldOut,
    bare,
    count_inside,
    count_outside,
    deposit,
    deposit_locked,
    deposit_often,
    elsewhere,
    hold_in_two_processes,
    in_two_processes,
    leaves_locked,
    plus_equals,
    run_together,
    standing,
    try_finally,
    two_deposits,
    watch_three,
    where_they_stand,
    with_block,
)
from lessons_src.tools import machine
from lessons_src.tools.leash import run_code
from lessons_src.tools.machine import free_threaded_python
from lessons_src.tools.programs import program, run_programs
from lessons_src.tools.recorded import RECORDED_LINE, transcript
from lessons_src.tools.timeline import Recorder, blocked_by, most_at_once, workers

LIMIT = 60
LOSES = "some deposits are lost: {}\n"
needs_fork = pytest.mark.skipif(
    "fork" not in get_all_start_methods(), reason="this system has no fork"
)


def test_one_deposit_after_the_other_adds_up():
    account = Account()
    for _ in range(10):
        deposit(account, 5)
    assert account.balance == 50


def test_two_that_read_before_either_writes_lose_one_deposit():
    assert two_deposits(deposit, patience=LIMIT) == (True, 5)


def test_under_the_lock_two_cannot_meet_and_nothing_is_lost():
    assert two_deposits(deposit_locked, patience=0.01) == (False, 10)


def test_a_meeting_ends_when_all_have_come():
    meeting = Meeting(3, patience=LIMIT)
    run_together(meeting, (), (), ())
    assert meeting.happened


@pytest.mark.parametrize(
    ("hold", "left_locked"), [(bare, True), (try_finally, False), (with_block, False)]
)
def test_what_an_error_leaves_of_a_lock(hold, left_locked):
    lock = threading.Lock()
    with pytest.raises(ZeroDivisionError):
        hold(lock, lambda: 1 / 0)
    assert lock.locked() == left_locked


@pytest.mark.parametrize("hold", [bare, try_finally, with_block])
def test_the_work_is_done_under_the_lock_and_the_lock_is_free_after_it(hold):
    lock, seen = threading.Lock(), []
    hold(lock, lambda: seen.append(lock.locked()))
    assert (seen, lock.locked()) == ([True], False)


def test_calls_run_together_each_in_a_thread_of_its_own():
    everyone = threading.Barrier(3)

    def come(number):
        everyone.wait(LIMIT)
        return number, threading.get_ident()

    answers = run_together(come, (1,), (2,), (3,))
    assert [number for number, _ in answers] == [1, 2, 3]
    assert len({thread for _, thread in answers}) == 3


def test_calls_run_together_are_all_ended_when_one_fails():
    ended = []

    def work(number):
        if number == 1:
            raise ValueError("one")
        ended.append(number)

    with pytest.raises(ValueError, match="one"):
        run_together(work, (1,), (2,), (3,))
    assert sorted(ended) == [2, 3]


@pytest.fixture
def no_naps(monkeypatch):
    monkeypatch.setattr(lesson.time, "sleep", lambda seconds: None)


def test_inside_the_lock_one_counts_and_the_others_wait_for_a_holder(no_naps):
    spans = watch_three(count_inside)
    assert most_at_once(spans, "working") == most_at_once(spans, "holding") == 1
    assert len(blocked_by(spans)) == len(set(blocked_by(spans).values())) == 2


def test_outside_the_lock_all_count_at_once_and_one_books(no_naps):
    spans = watch_three(count_outside)
    assert most_at_once(spans, "working") == 3
    assert most_at_once(spans, "holding") == 1


@pytest.mark.parametrize("worker", [count_inside, count_outside])
def test_each_who_counts_is_a_worker_that_works_waits_and_holds(no_naps, worker):
    spans = watch_three(worker)
    assert len(workers(spans)) == 3
    kinds = sorted(span.kind for span in spans)
    assert kinds == ["holding"] * 3 + ["waiting"] * 3 + ["working"] * 3


def test_a_recorded_lock_is_free_after_an_error_and_the_holding_is_noted():
    lock = RecordedLock(Recorder())
    with pytest.raises(SoldOut), lock.held_by("Ada"):
        raise SoldOut
    with lock.held_by("Ben"):
        pass
    held = [span.task for span in lock.recorder.spans if span.kind == "holding"]
    assert held == ["Ada", "Ben"]


def test_whoever_asks_has_begun_to_wait_and_does_not_hold_yet():
    recorder, kinds = Recorder(), []
    lock = RecordedLock(recorder)
    with lock.held_by("Ada", ask=lambda: kinds.extend(recorder.spans)):
        pass
    assert kinds == []
    assert [span.kind for span in recorder.spans] == ["waiting", "holding"]


def test_a_worker_can_travel_to_a_spawned_child():
    assert pickle.loads(pickle.dumps(deposit_often)) is deposit_often


def test_a_lock_of_processes_loses_no_deposit(context):
    assert in_two_processes(context, times=100) == 200


def test_with_a_gil_plus_equals_loses_nothing():
    assert plus_equals(gil=True) == LOSES.format(False)


@pytest.mark.skipif(free_threaded_python() is None, reason="there is a GIL here")
def test_without_a_gil_plus_equals_loses_deposits():
    assert plus_equals(gil=False) == LOSES.format(True)


def test_where_there_is_only_the_gil_a_recorded_run_is_shown(monkeypatch):
    monkeypatch.setattr(machine, "free_threaded_python", lambda: None)
    assert plus_equals(gil=False) == RECORDED_LINE + LOSES.format(True)


def test_two_orders_end_in_a_deadlock_whose_stacks_are_told():
    assert where_they_stand("locks_two_orders").splitlines() == [
        "ended with exit code 1",
        "ada_pays_ben stands at: with ben:",
        "ben_pays_ada stands at: with ada:",
    ]


@pytest.mark.parametrize("name", ["", " [Thread-1 (go)]"])
def test_stacks_are_read_with_and_without_the_names_of_threads(name):
    stacks = (
        f"Timeout (0:00:02)!\nThread 0x00007f{name} (most recent call first):\n"
        '  File "listing.py", line 2 in go\n'
        '  File "/lib/threading.py", line 9 in run\n\n'
        "Thread 0x00008f (most recent call first):\n"
        '  File "/lib/threading.py", line 1590 in _shutdown\n'
    )
    assert standing(stacks, "def go():\n    wait()\n") == ["go stands at: wait()"]


def test_a_holder_that_asks_again_hangs_with_a_lock_and_not_with_an_rlock():
    text = program("locks_nested")
    assert run_code(text, 2, "Lock").hung
    assert run_code(text, LIMIT, "RLock").output == "balance 10\n"


def test_with_and_try_finally_print_the_same():
    names = "locks_article", "locks_article_with"
    first, second = run_programs(*names, limit=LIMIT).values()
    assert first.output == second.output
    assert first.output.count("has the lock") == 2
    assert "with " not in program(names[0])
    assert program(names[1]).count("with lock:") == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("semaphore", "pages at once, at most: 2"),
        ("event", "both were told: [3, 3]"),
        ("condition", "left: 10"),
        ("barrier", "each of them says: [6, 6, 6]"),
        ("queue", "sold, each loaf once: [0, 1, 2, 3, 4, 5]"),
        ("total", str([50] * 10)),
        ("total_repaired", str(list(range(5, 55, 5)))),
    ],
)
def test_a_program_says_what_the_lesson_shows(name, says):
    run = run_code(program(f"locks_{name}"), LIMIT)
    assert (run.output, run.errors) == (f"{says}\n", "")


@needs_fork
def test_the_recorded_run_of_two_processes_is_what_comes_live():
    assert hold_in_two_processes() == transcript("locks_two_processes")


def test_where_there_is_no_fork_the_recorded_run_is_shown(monkeypatch):
    monkeypatch.setattr(lesson, "get_all_start_methods", lambda: ["spawn"])
    recorded = RECORDED_LINE + transcript("locks_two_processes")
    assert hold_in_two_processes() == recorded


def test_only_a_way_that_releases_on_errors_leaves_the_lock_free():
    ways = bare, try_finally, with_block
    assert list(map(leaves_locked, ways)) == [True, False, False]


def test_elsewhere_is_another_thread():
    assert elsewhere(threading.get_ident) != threading.get_ident()
