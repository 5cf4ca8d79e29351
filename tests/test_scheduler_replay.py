import threading

import pytest

from lessons_src.tools.scheduler import DEADLOCK, Lock, Program, explore, replay
from lessons_src.tools.timeline import blocked_by, most_at_once, order


class Account:
    def __init__(self):
        self.balance = 0
        self.lock = Lock()
        self.other = Lock()


def deposit(account):
    seen = account.balance
    account.balance = seen + 10


def locked(account):
    with account.lock:
        account.balance += 10


def lock_other(account):
    with account.lock:
        account.other.acquire()


def other_lock(account):
    with account.other:
        account.lock.acquire()


def fail(account):
    raise ValueError("no money")


UNLOCKED = Program(Account, deposit, deposit, outcome=lambda account: account.balance)
LOCKED = Program(Account, locked, locked)
CROSSED = Program(Account, lock_other, other_lock)


def test_the_table_shows_each_step_in_the_column_of_its_thread():
    text = repr(replay(UNLOCKED, "ABBA"))
    rows = [line.split("  ") for line in text.splitlines()]
    assert text.splitlines()[-1] == "--> 10"
    assert [row[0] for row in rows[1:-1]] == ["0", "1", "2", "3", "4"]
    third = text.splitlines()[4]
    assert third.index("account.balance = seen + 10") == text.index("B: deposit")
    assert third.split()[-3:] == ["10", "free", "free"]


def test_a_thread_that_waits_says_for_what_and_who_has_it():
    run = replay(LOCKED, "AB")
    assert run.steps[1].waits_for == "lock (held by A)"
    assert run.stands["B"].state == "waiting"
    assert run.ready == "A"
    assert "with account.lock:  ... waits" in repr(run)
    assert repr(run).endswith("--> not at its end: A can go on")


def test_the_end_of_a_with_block_is_told_from_its_beginning():
    texts = [step.text for step in replay(LOCKED, "AAABBB").steps[:3]]
    assert texts == [
        "with account.lock:",
        "account.balance += 10",
        "end of with account.lock:",
    ]


def test_a_deadlock_says_who_waits_for_whom():
    run = replay(CROSSED, "ABBA")
    assert run.outcome == DEADLOCK
    assert repr(run).splitlines()[-3:] == [
        "--> deadlock",
        "    A waits for other (held by B)",
        "    B waits for lock (held by A)",
    ]


def test_an_error_ends_its_thread_only():
    run = replay(Program(Account, fail, deposit), "ABB")
    assert run.steps[0].error == "ValueError: no money"
    assert run.outcome == "ValueError in A: no money"
    assert run.stands["A"].state == "failed"
    assert "raise ValueError" in repr(run)
    assert "!! ValueError: no money" in repr(run)


@pytest.mark.parametrize("schedule", ["ABBA", "a b b a", "AB BA"])
def test_blanks_and_case_do_not_matter(schedule):
    assert replay(UNLOCKED, schedule).schedule == "ABBA"


@pytest.mark.parametrize(
    ("program", "schedule", "message"),
    [
        (UNLOCKED, "AC", "there is no thread 'C', only A or B"),
        (UNLOCKED, "AAA", "step 3: thread A cannot go on, it has ended"),
        (
            LOCKED,
            "ABB",
            r"step 3: thread B cannot go on, it waits for lock \(held by A\)",
        ),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(program, schedule, message):
    before = threading.active_count()
    with pytest.raises(ValueError, match=message):
        replay(program, schedule)
    assert threading.active_count() == before


def test_each_schedule_of_each_outcome_can_be_replayed():
    for program in (UNLOCKED, LOCKED, CROSSED):
        for outcome, ending in explore(program).outcomes.items():
            assert replay(program, ending.schedule).outcome == outcome


def test_the_spans_tell_who_worked_and_who_waited():
    spans = replay(LOCKED, "ABAABBB").spans
    assert most_at_once(spans, "working") == 1
    waits = [span for span in spans if span.kind == "waiting"]
    assert [(wait.thread, wait.start, wait.stop) for wait in waits] == [(2, 2, 4)]
    assert order(spans)[0] == "with account.lock:"
    assert blocked_by(spans) == {}


def test_a_wait_that_does_not_end_lasts_longer_than_the_run():
    spans = replay(CROSSED, "ABBA").spans
    waits = [span for span in spans if span.kind == "waiting"]
    assert [(wait.thread, wait.start, wait.stop) for wait in waits] == [
        (2, 3, 5),
        (1, 4, 5),
    ]


def test_the_picture_names_schedule_and_threads():
    drawn = replay(UNLOCKED, "ABBA").draw()
    assert repr(drawn) == "Timeline: ABBA of A: deposit, B: deposit"
    assert drawn.png.startswith(b"\x89PNG")
