"""The checks of lesson 15: a repair is right when no schedule breaks it.

whole lines      no schedule may end badly, or leave a lock taken
other values     a constant, or a thread that does nothing, is no repair
slow motion      no schedule may end badly either when each reading and each
                 writing is a step of its own
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from lessons_src.be_the_scheduler import (
    Account,
    App,
    Bank,
    Cinema,
    Office,
    Shop,
    Table,
    bring_bread,
    bring_milk,
)
from lessons_src.tools.scheduler import (
    DEADLOCK,
    ENDLESS,
    Ending,
    Exploration,
    Lock,
    Program,
    Queue,
    explore,
)
from lessons_src.tools.scheduler_locks import name_here
from lessons_src.tools.scheduler_state import find
from lessons_src.tools.verdict import Wrong, judged

# What is wrong shows early; only what seems right is worth a longer search
LIMITS_SECONDS = (15, 60)
SEATS = "ABC"


def parted(name: str) -> property:
    """Make an attribute whose reading and writing are steps of their own."""

    def read(owner: Any) -> Any:
        return vars(owner)[name]

    def write(owner: Any, value: Any) -> None:
        vars(owner)[name] = value

    return property(read, write)


class SlowAccount(Account):
    """An account with 7 in it, in slow motion."""

    balance = parted("balance")

    def __init__(self) -> None:
        super().__init__()
        self.balance = 7


class SlowCinema(Cinema):
    """A cinema in slow motion."""

    seats = parted("seats")


class SlowBank(Bank):
    """A bank in slow motion."""

    ann = parted("ann")
    bob = parted("bob")


class TidyProgram(Program):
    """A program whose outcome also tells which locks are never given back."""

    def outcome(self, shared: Any) -> Hashable:
        """Tell how a run ended that left `shared` behind."""
        taken = find(shared, lambda each: isinstance(each, Lock) and each.locked())
        end = super().outcome(shared)
        names = " and ".join(name for name, _ in taken)
        return f"{end}, but nobody gives back {names}" if taken else end


class WatchedTable(Table):
    """A table that notes with how many of the forks beside them people eat."""

    def __init__(self) -> None:
        self.held: list[int] = []
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "meals" and value:
            at = SEATS.index(name_here())
            beside = self.forks[at], self.forks[(at + 1) % 3]
            self.held.append([fork.owner for fork in beside].count(name_here()))
        super().__setattr__(name, value)


class WatchedApp(App):
    """An app that counts how often it got another configuration."""

    def __init__(self) -> None:
        self.loads = 0
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "config" and value is not vars(self).get("config"):
            super().__setattr__("loads", self.loads + 1)
        super().__setattr__(name, value)


class SlowApp(WatchedApp):
    """An app in slow motion that counts, too."""

    config = parted("config")


class WatchedQueue(Queue):
    """A queue that notes what was taken out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Any] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the first item, when there is one."""
        item = super().get(block, timeout)
        self.taken.append(item)
        return item


@judged
def puzzle_1(deposit: Callable) -> str:
    """Check that no schedule of two calls of `deposit` loses one."""
    _refuse_nothing(deposit)
    hint = "The account has a lock. Which lines belong together?"
    total = _prove(TidyProgram(Account, deposit, deposit), "balance=20", hint=hint)
    _prove_slow(SlowAccount, [deposit] * 2, "balance=27", hint)
    return _praise(total)


@judged
def puzzle_2(buy: Callable) -> str:
    """Check that no schedule of two calls of `buy` sells one seat twice."""
    _refuse_nothing(buy)
    hint = "The check and the sale belong together."
    total = _prove(TidyProgram(Cinema, buy, buy), "seats=0", hint=hint)
    lead = "With five seats, "
    _prove(TidyProgram(partial(_five_seats, Cinema), buy, buy), "seats=3", lead)
    _prove_slow(SlowCinema, [buy] * 2, "seats=0", hint)
    _prove_slow(partial(_five_seats, SlowCinema), [buy] * 2, "seats=3", hint)
    return _praise(total)


@judged
def puzzle_3(ann_pays: Callable, bob_pays: Callable) -> str:
    """Check that `ann_pays` and `bob_pays` always end, and that no money is lost."""
    _refuse_nothing(ann_pays, bob_pays)
    hint = "Both threads should ask for the same lock first."
    both = [ann_pays, bob_pays]
    total = _prove(TidyProgram(Bank, *both), "ann=100, bob=100", hint=hint)
    _prove(TidyProgram(Bank, ann_pays), "ann=90, bob=110", "When only Ann pays, ")
    _prove(TidyProgram(Bank, bob_pays), "ann=110, bob=90", "When only Bob pays, ")
    _prove_slow(SlowBank, both, "ann=100, bob=100", hint)
    return _praise(total)


@judged
def puzzle_7(write: Callable, deliver: Callable) -> str:
    """Check that two calls of `deliver` deliver all that `write` puts, and end."""
    _refuse_nothing(write, deliver)
    hint = "Let the writer say that nothing more comes, to each of the two."
    threads = [write, deliver, deliver]
    program = TidyProgram(_watched_office, *threads, outcome=_delivered)
    return _praise(_prove(program, "a letter", hint=hint))


@judged
def exercise_1(dine: Callable) -> str:
    """Check that three philosophers who `dine` always end, with two forks each."""
    _refuse_nothing(dine)
    hint = "Must all three begin with the fork on their left? Or sit down at once?"
    program = TidyProgram(WatchedTable, *_seated(dine), outcome=_eaten)
    total = _prove(program, "3 meals", hint=hint)
    return _praise(total)


@judged
def exercise_2(buy_bread: Callable) -> str:
    """Check that `buy_bread` brings bread home, whatever news comes first."""
    _refuse_nothing(buy_bread)
    hint = "Who wakes up must look again, for it may be other news."
    threads = [buy_bread, bring_milk, bring_bread]
    total = _prove(TidyProgram(Shop, *threads, outcome=_bought), "bread", hint=hint)
    other = TidyProgram(Shop, buy_bread, _bring_milk_twice, _bring_rye, outcome=_bought)
    _prove(other, "rye", "With milk, milk and rye, ", hint)
    return _praise(total)


@judged
def exercise_3(connect: Callable) -> str:
    """Check that two calls of `connect` load one whole configuration."""
    _refuse_nothing(connect)
    hint = "When may others see the configuration: before it is whole, or after?"
    good = "config={'port': 80}, ports=[80, 80]"
    total = _prove(TidyProgram(App, connect, connect), good, hint=hint)
    twice = [connect] * 2
    loads = TidyProgram(WatchedApp, *twice, outcome=_loads)
    _prove(loads, "loaded once", "It should be loaded once, but ", hint="Look twice.")
    _prove_slow(SlowApp, twice, "loaded once", hint, outcome=_loads)
    return _praise(total)


def _five_seats(kind: type[Cinema]) -> Cinema:
    cinema = kind()
    cinema.seats = 5
    return cinema


def _watched_office() -> Office:
    office = Office()
    office.letters = WatchedQueue()
    return office


def _delivered(office: Office) -> str:
    letters = ", ".join(map(str, office.delivered)) or "nothing delivered"
    past = set(office.delivered) - set(office.letters.taken)
    return f"{letters}, but past the queue" if past else letters


def _seated(dine: Callable) -> list[Callable]:
    return [partial(dine, left=at, right=(at + 1) % 3) for at in range(3)]


def _eaten(table: WatchedTable) -> str:
    meals = f"{table.meals} meals"
    return (
        f"{meals}, one with too few forks" if min(table.held, default=2) < 2 else meals
    )


def _bought(shop: Shop) -> str:
    return ", ".join(shop.bag) or "an empty bag"


def _bring_rye(shop: Shop) -> None:
    with shop.news:
        shop.shelf.append("rye")
        shop.news.notify_all()


def _bring_milk_twice(shop: Shop) -> None:
    bring_milk(shop)
    bring_milk(shop)


def _loads(app: WatchedApp) -> str:
    if app.loads != 1:
        return f"loaded {app.loads} times"
    whole = app.config == {"port": 80} and app.ports == [80, 80]
    return "loaded once" if whole else f"config={app.config}, ports={app.ports}"


def _refuse_nothing(*functions: Callable | None) -> None:
    if None in functions:
        raise Wrong("There is no answer yet.")


def _prove_slow(
    make: Callable,
    threads: list[Callable],
    good: Hashable,
    hint: str,
    outcome: Callable | None = None,
) -> None:
    """Refuse `threads` that only stay whole as long as their lines do."""
    program = TidyProgram(make, *threads, outcome=outcome)
    # Reading and writing are functions here: let them be stepped through
    program.worlds.add(id(globals()))
    lead = (
        "With whole lines it is right. But Python may also switch inside a line, "
        "between reading and writing, and then "
    )
    _prove(program, good, lead, hint)


def _prove(
    program: Program,
    good: Hashable,
    lead: str = "",
    hint: str = "",
) -> int:
    """Refuse `program` unless each of its schedules ends with `good`; count them."""
    for limit in LIMITS_SECONDS:
        found = explore(program, limit=limit)
        bad = {end: each for end, each in found.outcomes.items() if end != good}
        if bad or found.complete:
            break
    if bad:
        raise Wrong(_told(found, bad, lead), hint)
    if not found.complete:
        why = f", for {found.unseen}" if found.unseen else ""
        raise Wrong(f"{lead}there are too many schedules to try them all{why}.", hint)
    return found.total


def _told(found: Exploration, bad: dict[Hashable, Ending], lead: str) -> str:
    some = f"{sum(each.count for each in bad.values()):,} of {found.total:,}"
    if set(bad) == {ENDLESS}:
        loop = "a loop can go round for ever, instead of waiting"
        return f"{lead}{some} schedules do not end: {loop}."
    worst = next(end for end in [DEADLOCK, *bad] if end in bad and end != ENDLESS)
    # In slow motion a line is several steps, and nobody could replay them
    how = f": {worst}" if lead else f".\nFor one, {bad[worst].schedule}: {worst}"
    return f"{lead}{some} schedules end badly{how}."


def _praise(total: int) -> str:
    return f"All {total:,} schedules end well."
