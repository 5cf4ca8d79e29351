"""The exercise checks of lesson 05: the reader's function, in every order there is."""

import re
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

from lessons_src.tools.scheduler import (
    DEADLOCK,
    ENDLESS,
    Exploration,
    Lock,
    Program,
    Uncontrolled,
    explore,
)
from lessons_src.tools.verdict import Wrong, judged

# As the scheduler tells errors: "SoldOut in B; KeyError in C: 'seat'"
ERROR = re.compile(r"(\w+) in [A-Z]\b")
LIMIT_SECONDS = 8
BEFORE, AFTER = (100, 100), (80, 120)


class Office:
    """A ticket office with some seats, and a lock."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.lock = Lock()


class Account:
    """An account with a number, a balance of 100, and a lock."""

    def __init__(self) -> None:
        self.number = 0
        self.balance = 100
        self.lock = Lock()


class Bank:
    """Two accounts, and what somebody sees who looks at them."""

    def __init__(self) -> None:
        # An answer may order by `id`, too: let Ada come first in every run
        self.ada, self.ben = sorted([Account(), Account()], key=id)
        self.ada.lock, self.ben.lock = sorted([Lock(), Lock()], key=id)
        self.ada.number, self.ben.number = 1, 2
        self.seen = sum(BEFORE)
        self.moved = ""


@judged
def exercise_1(sell: Callable[[Any], object]) -> str:
    """Check that `sell` never sells a seat twice, and never keeps the lock."""
    _refuse_no_answer(sell)
    # Two buyers show a race best; a third one waits if a refused one kept the lock
    for buyers in (2, 3):
        rush = _every_order(lambda: Office(1), *[sell] * buyers)
        refused = [_refused(outcome) for outcome in rush.outcomes]
        if not any(refused):
            raise Wrong("Whoever comes too late never gets SoldOut.", "Raise it.")
        if buyers in refused:
            raise Wrong("There was one seat, and nobody got it.")
        for count, ending in zip(refused, rush.outcomes.values(), strict=True):
            if count < buyers - 1:
                raise Wrong(
                    f"One seat was sold twice, in {ending.count:,} of {rush.total:,} "
                    f"orders, such as {ending.schedule}.",
                    "Which lines must nobody part: the look, the sale, or both?",
                )
    for left in _every_order(lambda: Office(2), sell, sell).outcomes:
        if left != "seats=0":
            raise Wrong(f"Two buyers, two seats: 0 should be left, not {left}.")
    return f"One seat, one buyer, in {_all(rush)} orders of three buyers."


@judged
def exercise_2(transfer: Callable[[Any, Any, int], object]) -> str:
    """Check that `transfer` never deadlocks, and never shows money in the air."""
    _refuse_no_answer(transfer)

    def ada_pays(bank: Bank) -> None:
        transfer(bank.ada, bank.ben, 30)

    def ben_pays(bank: Bank) -> None:
        transfer(bank.ben, bank.ada, 10)

    def ada_pays_herself(bank: Bank) -> None:
        transfer(bank.ada, bank.ada, 5)

    both = _every_order(Bank, ada_pays, ben_pays, world=transfer)
    for outcome in both.outcomes:
        _refuse_standstill(
            outcome,
            f"Deadlock in {both.count(DEADLOCK):,} of {both.total:,} orders.",
            "All threads should take the same account first. The numbers can decide.",
        )
        _refuse_balances(outcome, AFTER)
    for see in (look, partial(watch, "ada"), partial(watch, "ben")):
        for outcome in _every_order(Bank, ada_pays, see, world=transfer).outcomes:
            _refuse_standstill(outcome, "A lock is never released.")
            _refuse_balances(outcome, (70, 130))
    for outcome in _every_order(Bank, ada_pays_herself, world=transfer).outcomes:
        _refuse_standstill(
            outcome,
            "Who pays themselves waits for ever.",
            "Can source and target be one account?",
        )
        _refuse_balances(outcome, BEFORE)
    return f"In {_all(both)} orders both have paid, and nobody waits for ever."


def look(bank: Bank) -> None:
    """Count the money of `bank`, if both locks are to be had."""
    if bank.ada.lock.acquire(blocking=False):
        if bank.ben.lock.acquire(blocking=False):
            bank.seen = bank.ada.balance + bank.ben.balance
            bank.ben.lock.release()
        bank.ada.lock.release()


def watch(name: str, bank: Bank) -> None:
    """Tell `bank` if the balance of `name` moves while we hold that lock."""
    account = getattr(bank, name)
    if account.lock.acquire(blocking=False):
        before = account.balance
        if account.balance != before:
            bank.moved = name
        account.lock.release()


def _every_order(
    make: Callable[[], Any],
    *functions: Callable[[Any], object],
    world: Callable[..., object] | None = None,
) -> Exploration:
    """Explore `functions`, and step through what stands where `world` stands."""
    outcome = _state_of_bank if make is Bank else None
    program = Program(make, *functions, outcome=outcome)
    if isinstance(world, FunctionType):
        program.worlds.add(id(world.__globals__))
    try:
        # Of all orders, those of one who asks again and again are endlessly many
        soon = explore(program, most_switches=1, limit=LIMIT_SECONDS)
        if ENDLESS in soon.outcomes:
            return soon
        return explore(program, limit=LIMIT_SECONDS)
    except Uncontrolled as error:
        raise Wrong(str(error), "Take the locks that come with the objects.") from None


def _state_of_bank(bank: Bank) -> tuple[tuple[int, int], int, str, bool]:
    free = not (bank.ada.lock.locked() or bank.ben.lock.locked())
    return (bank.ada.balance, bank.ben.balance), bank.seen, bank.moved, free


def _all(found: Exploration) -> str:
    return f"{'all' if found.complete else 'the first'} {found.total:,}"


def _refuse_no_answer(answer: object) -> None:
    if not callable(answer):
        raise Wrong("There is no answer yet.", "Write a function.")


def _refused(outcome: object) -> int:
    """Count the buyers that were told `SoldOut`; refuse a standstill."""
    _refuse_standstill(
        outcome,
        "Somebody waits for the lock for ever.",
        "Is it free after SoldOut, too? Is it asked for twice?",
    )
    return ERROR.findall(str(outcome)).count("SoldOut")


def _refuse_standstill(outcome: object, why: str, hint: str = "") -> None:
    """Refuse an `outcome` that is a deadlock, an endless run or an error."""
    text = str(outcome)
    if DEADLOCK in text:
        raise Wrong(why, hint)
    if text == ENDLESS:
        raise Wrong(
            "The threads may ask again and again, and never get on.",
            "A plain `with` waits until the lock is free.",
        )
    if odd := set(ERROR.findall(text)) - {"SoldOut"}:
        raise Wrong(f"Your function raised {odd.pop()} ({text}).")


def _refuse_balances(outcome: object, wanted: tuple[int, int]) -> None:
    balances, seen, moved, free = outcome
    if balances != wanted:
        raise Wrong(f"The balances should be {wanted}, and they are {balances}.")
    if seen != sum(BEFORE):
        raise Wrong(
            f"Somebody who holds both locks can see {seen} in all, and not 200.",
            "Hold both locks until all the money has moved.",
        )
    if moved:
        raise Wrong(
            f"{moved.capitalize()}'s balance moved while somebody else held that lock.",
            "Hold both locks until all the money has moved.",
        )
    if not free:
        raise Wrong("A lock is still held at the end.")
