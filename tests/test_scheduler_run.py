import multiprocessing
import queue
import threading
import time
from functools import partial

import pytest

from lessons_src.tools import scheduler_run
from lessons_src.tools.leash import run_cell
from lessons_src.tools.scheduler import Lock, Program, Uncontrolled, explore, replay
from lessons_src.tools.scheduler_run import Run

GLOBAL_LOCK = threading.Lock()
total = 0


class Shared:
    def __init__(self):
        self.a = 0
        self.lock = Lock()

    def add(self, number):
        seen = self.a
        self.a = seen + number


def deposit(shared):
    seen = shared.a
    shared.a = seen + 10


def by_method(shared):
    shared.add(10)


def through_a_helper(shared):
    deposit(shared)


def test_a_thread_does_one_statement_a_step():
    with Run(Program(Shared, deposit, deposit)) as run:
        assert run.ready == "AB"
        run.step("A")
        run.step("B")
        run.step("B")
        assert (run.shared.a, run.ready) == (10, "A")
        assert not run.is_over
        run.step("A")
        assert run.is_over
        assert run.shared.a == 10


@pytest.mark.parametrize("function", [by_method, through_a_helper])
def test_functions_and_methods_of_the_same_module_are_stepped_through(function):
    assert explore(Program(Shared, function, function)).count("a=10") > 0


def test_the_thread_is_a_real_one_with_the_name_of_its_letter():
    names = {}

    def note(shared):
        names[threading.get_ident()] = threading.current_thread().name

    explore(Program(Shared, note))
    assert list(names.values()) == ["A"]
    assert threading.get_ident() not in names


def test_arguments_can_be_bound():
    add = partial(Shared.add, number=5)
    assert set(explore(Program(Shared, add, add)).outcomes) == {"a=5", "a=10"}


def plain_lock_in_global(shared):
    with GLOBAL_LOCK:
        shared.a += 1


FOREIGN = [
    (threading.Lock, "threading.Lock: .* Take Lock from"),
    (threading.RLock, "threading.RLock: .* Take RLock from"),
    (threading.Semaphore, "threading.Semaphore: .* Take Semaphore from"),
    (threading.Event, "threading.Event: .* Take Event from"),
    (threading.Condition, "threading.Condition: .* Take Condition from"),
    (partial(threading.Barrier, 2), "threading.Barrier"),
    (queue.Queue, "queue.Queue: .* Take Queue from"),
    (queue.LifoQueue, "queue.Queue"),
    (queue.SimpleQueue, "queue.SimpleQueue"),
    (multiprocessing.Lock, "lock of multiprocessing"),
]


@pytest.mark.parametrize(("make", "message"), FOREIGN)
@pytest.mark.parametrize(
    "place", [lambda it: it, lambda it: [it], lambda it: {"x": it}]
)
def test_what_cannot_be_seen_is_refused_before_it_runs(make, message, place):
    started = []

    def shared():
        fresh = Shared()
        fresh.guard = place(make())
        return fresh

    def note(shared):
        started.append(1)

    with pytest.raises(Uncontrolled, match=rf"^guard.* is a {message}"):
        explore(Program(shared, note))
    assert started == []


def test_a_plain_lock_among_the_globals_is_refused():
    with pytest.raises(
        Uncontrolled, match=r"the outer GLOBAL_LOCK is a threading\.Lock"
    ):
        explore(Program(Shared, plain_lock_in_global))


def test_an_attribute_is_not_taken_for_a_global_of_the_same_name():
    def add(shared):
        shared.GLOBAL_LOCK = shared.a

    assert explore(Program(Shared, add)).total == 1


def test_a_plain_lock_in_a_closure_is_refused():
    lock = threading.Lock()

    def locked(shared):
        with lock:
            shared.a += 1

    with pytest.raises(Uncontrolled, match=r"the outer lock is a threading\.Lock"):
        explore(Program(Shared, locked))


def test_a_plain_lock_out_of_sight_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr(scheduler_run, "STEP_SECONDS", 0.5)

    def locked(shared):
        with world()["GLOBAL_LOCK"]:
            shared.a += 1

    with pytest.raises(Uncontrolled, match=r"thread B did not come back from line \d+"):
        explore(Program(Shared, locked, locked))
    assert not GLOBAL_LOCK.locked()


def world():
    return globals()


def test_a_step_that_does_not_end_is_named(monkeypatch):
    monkeypatch.setattr(scheduler_run, "STEP_SECONDS", 0.2)

    def sleep(shared):
        time.sleep(1)

    with pytest.raises(Uncontrolled, match=r"thread A .* of sleep within 0.2 s"):
        explore(Program(Shared, sleep))


def set_global(shared):
    global total
    total = 1


def set_through_helper(shared):
    set_global(shared)


def test_a_value_that_outlives_the_run_is_refused():
    count = 0

    def set_outer(shared):
        nonlocal count
        count += 1

    for function in (set_global, set_through_helper):
        with pytest.raises(Uncontrolled, match="set_global sets total, which is not"):
            explore(Program(Shared, function))
    with pytest.raises(Uncontrolled, match="set_outer sets count, which is not part"):
        explore(Program(Shared, set_outer))
    assert (total, count) == (0, 0)


def hidden_store(shared):
    shared.function(shared)


def test_a_value_set_by_a_function_that_was_passed_is_refused_too():
    def make():
        shared = Shared()
        shared.function = set_global
        return shared

    with pytest.raises(Uncontrolled, match="set_global sets total"):
        explore(Program(make, hidden_store))
    assert total == 0


def test_a_function_without_source_is_refused():
    world = {}
    # 3.13 keeps the text of `python -c`, under the name that exec gives to a text
    code = compile("def nowhere(shared):\n    shared.a = 1\n", "<nowhere>", "exec")
    exec(code, world)
    with pytest.raises(Uncontrolled, match="source of nowhere is not to be had: write"):
        explore(Program(Shared, world["nowhere"]))


@pytest.mark.parametrize(
    ("functions", "error"),
    [
        ((), ValueError),
        ((len,), TypeError),
        ((3,), TypeError),
        ((deposit,) * 27, ValueError),
    ],
)
def test_a_program_of_no_python_functions_is_refused(functions, error):
    with pytest.raises(error):
        Program(Shared, *functions)


def catch_all(shared):
    for _ in range(3):
        try:
            shared.a += 1
            shared.a += 1
        except BaseException:
            shared.a = 0


def test_a_thread_that_catches_everything_is_ended_all_the_same():
    before = threading.active_count()
    replay(Program(Shared, catch_all), "AA")
    assert threading.active_count() == before


def test_a_thread_that_catches_everything_for_ever_is_named(monkeypatch):
    monkeypatch.setattr(scheduler_run, "ENDING_SECONDS", 0.3)

    def go_on(shared):
        while not shared.stop:
            try:
                while not shared.stop:
                    shared.a += 1
            except BaseException:
                shared.a = 0

    made = []

    def make():
        shared = Shared()
        shared.stop = False
        made.append(shared)
        return shared

    with pytest.raises(Uncontrolled, match=r"thread A cannot be ended: it .* `Ended`"):
        replay(Program(make, go_on), "AA")
    made[0].stop = True


CELL = """
from lessons_src.tools.scheduler import Lock, Program, explore

class Account:
    def __init__(self):
        self.balance = 0
        self.lock = Lock()

def deposit(account):
    seen = account.balance
    account.balance = seen + 10

def safely(account):
    with account.lock:
        deposit(account)

for function in (deposit, safely):
    print(explore(Program(Account, function, function)))
"""


def test_functions_of_a_notebook_cell_are_stepped_through():
    outcome = run_cell(CELL, 60)
    assert outcome.errors == ""
    assert "balance=10          4  ABBA" in outcome.output
    assert "balance=10" not in outcome.output.partition("safely")[2]
