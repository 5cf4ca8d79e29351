import linecache
import threading
from functools import partial
from itertools import count
from typing import ClassVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lessons_src.tools import scheduler_explore, scheduler_run
from lessons_src.tools.scheduler import (
    DEADLOCK,
    ENDLESS,
    Condition,
    Event,
    Lock,
    Program,
    Queue,
    RLock,
    Uncontrolled,
    explore,
    replay,
    switches,
)

FILES = count()


class Shared:
    def __init__(self):
        self.a, self.b = 0, 0
        self.items, self.seen = [1], []
        self.one, self.two = Lock(), Lock()
        self.again = RLock()
        self.ready = Event()
        self.called = Condition()
        self.queue = Queue()

    @property
    def slow_b(self):
        value = self.b
        return value


def deposit(shared):
    seen = shared.a
    shared.a = seen + 10


def deposit_locked(shared):
    with shared.one:
        seen = shared.a
        shared.a = seen + 10


def one_two(shared):
    with shared.one:  # noqa: SIM117
        with shared.two:
            shared.a += 1


def two_one(shared):
    with shared.two:  # noqa: SIM117
        with shared.one:
            shared.a += 1


class Table:
    def __init__(self):
        self.forks = [Lock() for _ in range(3)]
        self.eaten = 0


def dine(seat, table):
    with table.forks[seat]:  # noqa: SIM117
        with table.forks[(seat + 1) % 3]:
            table.eaten += 1


def endings(found):
    return {outcome: ending.count for outcome, ending in found.outcomes.items()}


def program(*functions, outcome=lambda shared: shared.a):
    return Program(Shared, *functions, outcome=outcome)


@pytest.mark.parametrize(
    ("functions", "counts"),
    [
        ([deposit], {10: 1}),
        ([deposit] * 2, {10: 4, 20: 2}),
        ([deposit] * 3, {10: 48, 20: 36, 30: 6}),
        ([deposit_locked] * 2, {20: 8}),
        ([one_two] * 2, {2: 10}),
        ([one_two, two_one], {2: 18, DEADLOCK: 4}),
    ],
)
def test_every_schedule_is_counted(functions, counts):
    found = explore(program(*functions))
    assert endings(found) == counts
    assert found.total == sum(counts.values())
    assert found.complete


def test_three_philosophers_deadlock_in_some_orders_only():
    seats = [partial(dine, seat) for seat in range(3)]
    found = explore(Program(Table, *seats, outcome=lambda table: table.eaten))
    assert endings(found) == {3: 6522, DEADLOCK: 48}


# Each of them keeps something that no variable shows while another thread runs


def read(shared):
    value = shared.b
    return value


def operand(shared):
    shared.seen.append(shared.a + read(shared))


def by_property(shared):
    shared.seen = [shared.a + shared.slow_b]


def in_place(shared):
    shared.a += read(shared)


def copied(shared):
    for item in list(shared.items):
        shared.seen.append(item)


def counted(shared):
    for _ in range(shared.a):
        shared.seen.append("x")


def under_lock(shared):
    with shared.one:
        return shared.a


def result_under_lock(shared):
    shared.b = under_lock(shared)


def numbers(shared):
    start = shared.a
    yield 0
    yield start


def generated(shared):
    for number in numbers(shared):
        shared.seen.append(number)


def listed(shared):
    shared.seen += [number + shared.a for number in range(2)]


def spread(shared):
    shared.seen.append(
        shared.a + shared.b,
    )


def tried(shared):
    try:
        if shared.a:
            raise ValueError("too late")
    except ValueError as error:
        shared.seen.append(str(error))
    finally:
        shared.b += 1


def change(shared):
    shared.a = 1
    shared.b = 2
    shared.items.append(3)
    shared.a = 0


def waiting(shared):
    with shared.called:
        while not shared.a:
            shared.called.wait()
        shared.a -= 1


def calling(shared):
    with shared.called:
        shared.a += 1
        shared.called.notify()


def in_time(shared):
    shared.seen.append(shared.ready.wait(timeout=1))


def setting(shared):
    shared.b += 1
    shared.ready.set()


def putting(shared):
    for item in (1, 2):
        shared.queue.put(item)


def getting(shared):
    shared.seen.append(shared.a + shared.queue.get())
    shared.a = shared.queue.get()


def twice(shared):
    with shared.again, shared.again:
        shared.a += 1
    shared.a += 1


def both(shared):
    with shared.one, shared.two:
        shared.a += 1


def both_crossed(shared):
    with shared.two, shared.one:
        shared.a += 1


def take_and_leave(shared):
    with shared.one:
        pass


def two_items(shared):
    shared.a = shared.queue.get() + 10 * shared.queue.get()


OUTCOME = staticmethod(lambda shared: (shared.a, shared.b, tuple(shared.seen)))


def without_merging(monkeypatch, program):
    """Explore as a plain search does: each schedule is a run of its own."""
    with monkeypatch.context() as patch:
        patch.setattr(scheduler_run.Run, "key", lambda self: None)
        return explore(program, limit=120)


@pytest.mark.parametrize(
    "functions",
    [
        (operand, change),
        (by_property, change),
        (in_place, change),
        (copied, change),
        (counted, change),
        (result_under_lock, change),
        (generated, change),
        (listed, change),
        (spread, change),
        (tried, change),
        (waiting, calling),
        (in_time, setting),
        (take_and_leave, both),
        (putting, getting),
        (twice, twice),
        (both, both_crossed),
        (two_items, putting),
        (one_two, two_one),
    ],
    ids=lambda functions: functions[0].__name__,
)
def test_counts_are_those_of_a_search_that_merges_nothing(monkeypatch, functions):
    tried = program(*functions, outcome=OUTCOME)
    assert explore(tried).outcomes == without_merging(monkeypatch, tried).outcomes


def test_a_search_that_forgets_what_is_hidden_counts_wrong(monkeypatch):
    tried = program(operand, change, outcome=OUTCOME)
    right = explore(tried).outcomes
    monkeypatch.setattr(scheduler_run.Run, "keep_what_hides", lambda *_, **__: None)
    assert explore(tried).outcomes != right


SIMPLE = ["s.a = s.b + 1", "seen = s.a", "s.b = seen", "s.b += s.a", "s.b += helper(s)"]
HEADS = ["with s.one:", "with s.two:", "if s.a:", "for _ in range(2):"]
HELPER = "def helper(s):\n    value = s.a\n    return value\n"


def indented(head_and_body):
    head, body = head_and_body
    return [head, *(f"    {line}" for line in body)]


def joined(blocks):
    return [line for block in blocks for line in block]


simple = st.sampled_from(SIMPLE).map(lambda line: [line])
bodies = st.lists(simple, min_size=1, max_size=2).map(joined)
blocks = st.one_of(simple, st.tuples(st.sampled_from(HEADS), bodies).map(indented))
functions = st.lists(blocks, min_size=1, max_size=2).map(joined)


def compiled(*bodies):
    text = HELPER
    for number, body in enumerate(bodies):
        lines = [
            f"def f{number}(s):",
            "    seen = 7",
            *(f"    {line}" for line in body),
        ]
        text += "\n".join([*lines, ""])
    name = f"generated_{next(FILES)}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    world = {}
    exec(compile(text, name, "exec"), world)
    return [world[f"f{number}"] for number in range(len(bodies))]


@settings(deadline=None, max_examples=25)
@given(functions, functions)
def test_any_program_is_counted_as_without_merging(first, second):
    tried = program(*compiled(first, second), outcome=lambda s: (s.a, s.b))
    found = explore(tried)
    assume(found.total <= 300)
    with pytest.MonkeyPatch.context() as patch:
        assert found.outcomes == without_merging(patch, tried).outcomes


def test_two_locks_of_one_with_are_taken_in_two_steps():
    tried = program(both, both_crossed)
    assert explore(tried).count(DEADLOCK) > 0
    assert replay(tried, "ABBA").outcome == DEADLOCK


@pytest.mark.parametrize("functions", [[deposit] * 3, [one_two, two_one]])
def test_the_schedule_of_an_outcome_leads_to_it(functions):
    tried = program(*functions)
    for outcome, ending in explore(tried).outcomes.items():
        assert replay(tried, ending.schedule).outcome == outcome
        assert switches(ending.schedule) == ending.switches


@pytest.mark.parametrize("most", range(5))
def test_a_bound_leaves_out_just_the_schedules_with_more_switches(most):
    tried = program(deposit, deposit, deposit)
    all_of_them = []
    found = explore(tried, most_switches=most)
    for order in orders("AABBCC"):
        if switches(order) <= most:
            all_of_them.append(replay(tried, order).outcome)
    assert endings(found) == {
        each: all_of_them.count(each) for each in set(all_of_them)
    }
    assert f"with at most {most} switches" in repr(found)


def orders(letters):
    if not letters:
        return {""}
    return {
        letter + rest
        for letter in set(letters)
        for rest in orders(letters.replace(letter, "", 1))
    }


def fail(shared):
    raise ValueError("no money")


def leave(shared):
    raise SystemExit(3)


def hold_and_fail(shared):
    shared.one.acquire()
    raise ValueError("no money")


def test_an_error_that_no_thread_catches_is_an_outcome():
    assert endings(explore(program(fail))) == {"ValueError in A: no money": 1}
    assert endings(explore(program(deposit, leave))) == {"SystemExit in B: 3": 3}
    found = explore(program(hold_and_fail, deposit_locked))
    stuck = "deadlock after ValueError in A: no money"
    assert set(found.outcomes) == {stuck, "ValueError in A: no money"}


def spin(shared):
    while not shared.a:
        shared.b += 1


def test_a_run_that_does_not_end_is_endless(monkeypatch):
    monkeypatch.setattr(scheduler_explore, "MOST_STEPS", 12)
    found = explore(program(spin, deposit))
    assert found.count(ENDLESS) > 0
    assert found.count(10) > 0
    assert found.complete


def wait_busily(shared):
    while not shared.a:
        pass


def wait_in_one_line(shared):
    # fmt: off
    while not shared.a: pass  # noqa: E701
    # fmt: on


@pytest.mark.parametrize("waiting", [wait_busily, wait_in_one_line])
def test_a_thread_that_spins_is_followed_round_by_round(monkeypatch, waiting):
    monkeypatch.setattr(scheduler_explore, "MOST_STEPS", 12)
    found = explore(program(waiting, deposit))
    assert set(found.outcomes) == {10, ENDLESS}


def test_a_lock_taken_for_nothing_is_left_in_a_step_of_its_own():
    found = explore(program(take_and_leave, take_and_leave))
    assert replay(program(take_and_leave), "AA").outcome == 0
    assert found.total == 4


def test_values_that_cannot_be_compared_are_told():
    found = explore(program(generated, deposit))
    assert "(slow, for a generator keeps values that cannot be seen)" in repr(found)
    assert explore(program(deposit)).unseen == ""


def test_a_bound_that_no_schedule_keeps_says_so():
    found = explore(program(deposit, deposit, deposit), most_switches=1)
    assert repr(found).splitlines()[0] == (
        "0 schedules with at most 1 switches of A: deposit, B: deposit, C: deposit: "
        "it needs at least 2 switches"
    )


def test_a_search_that_takes_too_long_says_so():
    found = explore(program(*[deposit] * 4), limit=0)
    assert not found.complete
    assert repr(found).startswith("stopped early: more than 0 schedules")


def test_an_outcome_that_did_not_come_has_count_0():
    assert explore(program(deposit)).count(99) == 0


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (None, "a=10, b=0, items=[1], seen=[]"),
        (lambda shared: [shared.a], "[10]"),
        (lambda shared: None, "None"),
        (lambda shared: shared.a == 10, "True"),
    ],
)
def test_outcomes_of_any_kind_are_counted(outcome, told):
    found = explore(program(deposit, outcome=outcome))
    assert found.total == 1
    assert [str(each) for each in found.outcomes] == [told]


def test_the_table_says_what_was_found():
    assert repr(explore(program(deposit, deposit))).splitlines() == [
        "6 schedules of A: deposit, B: deposit",
        "outcome  schedules  fewest switches",
        "10               4  ABBA",
        "20               2  AABB",
    ]


@pytest.mark.parametrize("functions", [[one_two, two_one], [fail, deposit], [spin]])
def test_no_thread_is_left(monkeypatch, functions):
    monkeypatch.setattr(scheduler_explore, "MOST_STEPS", 12)
    before = threading.active_count()
    explore(program(*functions))
    assert threading.active_count() == before


def test_an_interrupt_ends_all_threads(monkeypatch):
    def interrupted(run):
        raise KeyboardInterrupt

    before = threading.active_count()
    monkeypatch.setattr(scheduler_run.Run, "key", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explore(program(one_two, two_one))
    assert threading.active_count() == before


class Kept:
    log: ClassVar = []


def write_log(shared):
    shared.log.append(1)


def test_what_is_not_made_anew_is_refused():
    with pytest.raises(Uncontrolled, match="does not begin as the first one did"):
        explore(Program(Kept, write_log, write_log))


def test_a_program_that_depends_on_more_than_its_steps_is_refused():
    runs = count()

    def make():
        shared = Shared()
        shared.hidden = iter([next(runs)])
        return shared

    with pytest.raises(Uncontrolled, match="depends on more than the order"):
        explore(Program(make, moody, moody, outcome=lambda shared: shared.a))


def moody(shared):
    if next(shared.hidden, 1) % 2:
        shared.one.acquire()
    shared.a += 1
    shared.one.acquire()
    shared.a += 1
