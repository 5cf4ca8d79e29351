import linecache
import threading
from contextlib import ExitStack

import pytest

from authoring.house import find, read
from lessons_src.checks import locks as check
from lessons_src.locks import SoldOut
from lessons_src.tools import scheduler

OWN_LOCK = threading.Lock()


def refused(verdict, why):
    return not verdict.right and why in repr(verdict)


def sell_unlocked(office):
    if office.seats == 0:
        raise SoldOut
    office.seats -= 1


def sell_with(office):
    with office.lock:
        sell_unlocked(office)


def sell_try_finally(office):
    office.lock.acquire()
    try:
        if not office.seats:
            raise SoldOut("no seat is left")
        office.seats = office.seats - 1
    finally:
        office.lock.release()


def sell_and_raise_outside(office):
    with office.lock:
        left = office.seats
        if left:
            office.seats = left - 1
    if not left:
        raise SoldOut


def sell_under_a_lock_of_its_own(office):
    with OWN_LOCK:
        sell_unlocked(office)


def sell_then_look(office):
    with office.lock:
        office.seats -= 1
        if office.seats < 0:
            office.seats += 1
            raise SoldOut


def sell_released_on_each_way(office):
    office.lock.acquire()
    if office.seats == 0:
        office.lock.release()
        raise SoldOut
    office.seats -= 1
    office.lock.release()


@pytest.mark.parametrize(
    "sell",
    [
        sell_with,
        sell_try_finally,
        sell_and_raise_outside,
        sell_then_look,
        sell_released_on_each_way,
    ],
)
def test_exercise_1_accepts(sell):
    assert check.exercise_1(sell).right


def sell_look_unlocked(office):
    if office.seats == 0:
        raise SoldOut
    with office.lock:
        office.seats -= 1


def sell_under_a_new_lock(office):
    with threading.Lock():
        sell_unlocked(office)


def sell_in_two_blocks(office):
    with office.lock:
        left = office.seats
    if not left:
        raise SoldOut
    with office.lock:
        office.seats = left - 1


def sell_and_keep_the_lock(office):
    office.lock.acquire()
    sell_unlocked(office)
    office.lock.release()


def sell_and_never_release(office):
    office.lock.acquire()
    sell_unlocked(office)


def sell_locked_twice(office):
    with office.lock:
        sell_with(office)


def sell_in_silence(office):
    with office.lock:
        if office.seats:
            office.seats -= 1


def sell_nothing(office):
    raise SoldOut


def sell_two(office):
    with office.lock:
        if not office.seats:
            raise SoldOut
        office.seats -= 2


def sell_asking_again(office):
    while not office.lock.acquire(blocking=False):
        pass
    try:
        sell_unlocked(office)
    finally:
        office.lock.release()


def sell_with_a_slip(office):
    with office.lock:
        office.places -= 1


@pytest.mark.parametrize(
    ("sell", "why"),
    [
        (None, "no answer yet"),
        (..., "no answer yet"),
        (sell_unlocked, "sold twice"),
        (sell_look_unlocked, "sold twice"),
        (sell_under_a_new_lock, "sold twice"),
        (sell_in_two_blocks, "sold twice"),
        (sell_in_silence, "never gets SoldOut"),
        (sell_under_a_lock_of_its_own, "Take the locks that come with"),
        (sell_and_keep_the_lock, "Somebody waits for the lock for ever"),
        (sell_and_never_release, "Somebody waits for the lock for ever"),
        (sell_locked_twice, "Somebody waits for the lock for ever"),
        (sell_asking_again, "again and again"),
        (sell_nothing, "nobody got it"),
        (sell_two, "never gets SoldOut"),
        (sell_with_a_slip, "AttributeError in A"),
        (lambda: None, "TypeError"),
    ],
)
def test_exercise_1_refuses(sell, why):
    assert refused(check.exercise_1(sell), why)


def move(source, target, amount):
    source.balance -= amount
    target.balance += amount


def transfer_by_number(source, target, amount):
    if source is target:
        return
    first, second = sorted([source, target], key=lambda account: account.number)
    with first.lock, second.lock:
        move(source, target, amount)


def transfer_by_number_try_finally(source, target, amount):
    first, second = source, target
    if first.number > second.number:
        first, second = second, first
    first.lock.acquire()
    try:
        if first is second:
            return
        second.lock.acquire()
        try:
            move(source, target, amount)
        finally:
            second.lock.release()
    finally:
        first.lock.release()


def transfer_greater_number_first(source, target, amount):
    if source.number == target.number:
        with source.lock:
            move(source, target, amount)
    else:
        one, two = sorted([target, source], key=lambda account: -account.number)
        with one.lock, two.lock:
            move(source, target, amount)


def transfer_by_id(source, target, amount):
    if source is not target:
        one, two = (source, target) if id(source) < id(target) else (target, source)
        with one.lock, two.lock:
            move(source, target, amount)


def transfer_by_id_of_the_locks(source, target, amount):
    with ExitStack() as held:
        for lock in sorted({source.lock, target.lock}, key=id):
            held.enter_context(lock)
        move(source, target, amount)


def transfer_turned_round(source, target, amount):
    if source.number > target.number:
        transfer_turned_round(target, source, -amount)
    elif source.number < target.number:
        with source.lock, target.lock:
            move(source, target, amount)


@pytest.mark.parametrize(
    "transfer",
    [
        transfer_by_number,
        transfer_by_number_try_finally,
        transfer_greater_number_first,
        transfer_by_id,
        transfer_by_id_of_the_locks,
        transfer_turned_round,
    ],
)
def test_exercise_2_accepts(transfer):
    assert check.exercise_2(transfer).right


def transfer_nested(source, target, amount):
    with source.lock, target.lock:
        move(source, target, amount)


def transfer_nested_without_with(source, target, amount):
    source.lock.acquire()
    target.lock.acquire()
    move(source, target, amount)
    target.lock.release()
    source.lock.release()


def transfer_one_after_the_other(source, target, amount):
    with source.lock:
        source.balance -= amount
    with target.lock:
        target.balance += amount


def transfer_under_the_lock_of_the_source(source, target, amount):
    with source.lock:
        move(source, target, amount)


def transfer_under_the_lock_of_the_target(source, target, amount):
    with target.lock:
        move(source, target, amount)


def transfer_under_one_lock(source, target, amount):
    with OWN_LOCK:
        move(source, target, amount)


def transfer_not_to_oneself(source, target, amount):
    first, second = sorted([source, target], key=lambda account: account.number)
    with first.lock, second.lock:
        move(source, target, amount)


def transfer_and_keep_a_lock(source, target, amount):
    transfer_by_number(source, target, amount)
    if source is target:
        source.lock.acquire()


def transfer_asking_for_ever(source, target, amount):
    with source.lock:
        while not target.lock.acquire(blocking=False):
            pass
        move(source, target, amount)
        target.lock.release()


def transfer_and_step_back(source, target, amount):
    while source is not target:
        with source.lock:
            if target.lock.acquire(timeout=0.001 * source.number):
                move(source, target, amount)
                target.lock.release()
                return


def transfer_nothing(source, target, amount):
    pass


def transfer_too_much_to_oneself(source, target, amount):
    transfer_by_number(source, target, amount)
    if source is target:
        source.balance += amount


@pytest.mark.parametrize(
    ("transfer", "why"),
    [
        (None, "no answer yet"),
        (transfer_nested, "Deadlock"),
        (transfer_nested_without_with, "Deadlock"),
        (transfer_one_after_the_other, "can see 170 in all"),
        (move, "can see 170 in all"),
        (transfer_under_the_lock_of_the_source, "Ben's balance moved"),
        (transfer_under_the_lock_of_the_target, "Ada's balance moved"),
        (transfer_under_one_lock, "Take the locks that come with"),
        (transfer_not_to_oneself, "Can source and target be one account"),
        (transfer_and_keep_a_lock, "still held"),
        (transfer_asking_for_ever, "again and again"),
        (transfer_and_step_back, "again and again"),
        (transfer_nothing, "should be (80, 120)"),
        (transfer_too_much_to_oneself, "should be (100, 100)"),
        (lambda source, target: None, "TypeError"),
    ],
)
def test_exercise_2_refuses(transfer, why):
    assert refused(check.exercise_2(transfer), why)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (check.exercise_1, sell_asking_again),
        (check.exercise_2, transfer_asking_for_ever),
        (check.exercise_2, transfer_and_step_back),
    ],
)
def test_who_asks_again_and_again_is_refused_before_all_orders_are_tried(
    exercise, answer, monkeypatch
):
    tried = []

    def explore(program, most_switches=None, limit=None):
        tried.append(most_switches)
        return scheduler.explore(program, most_switches, limit)

    monkeypatch.setattr(check, "explore", explore)
    assert refused(exercise(answer), "again and again")
    assert tried == [1]


def test_the_stubs_of_the_lesson_are_not_right_and_its_solutions_are():
    cells = [cell for cell in read(find("05")).cells if cell.cell_type == "code"]
    for number, tag in enumerate(["exercise", "solution"]):
        sources = [c.source for c in cells if tag in c.metadata.get("tags", [])]
        for source in sources:
            verdict = eval_last_line(source)
            assert verdict.right == bool(number)


def eval_last_line(source):
    *body, last = source.strip().splitlines()
    text, names = "\n".join(body), {"check": check, "SoldOut": SoldOut}
    # As IPython does: the scheduler steps through lines, so it has to find them
    file = f"<cell {hash(text)}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    exec(compile(text, file, "exec"), names)
    return eval(last, names)
