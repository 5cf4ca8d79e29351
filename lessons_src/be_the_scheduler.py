"""Lesson 15, Be the scheduler: small programs, most of them broken on purpose.

make() -> the shared object -> each thread calls its function with it

Each function here is a thread's whole life. `lessons_src.tools.scheduler` decides which
thread does its next line.
"""

from collections.abc import Callable

from lessons_src.tools.scheduler import Condition, Event, Lock, Queue, Semaphore


class Account:
    """A balance, and a lock that nobody takes yet."""

    def __init__(self) -> None:
        self.balance = 0
        self.lock = Lock()


def deposit(account: Account) -> None:
    """Pay 10 in (wrong on purpose)."""
    seen = account.balance
    account.balance = seen + 10


class Cinema:
    """One seat is left, and a lock that nobody takes yet."""

    def __init__(self) -> None:
        self.seats = 1
        self.lock = Lock()


def buy(cinema: Cinema) -> None:
    """Buy a seat if one is left (wrong on purpose)."""
    if cinema.seats > 0:
        cinema.seats = cinema.seats - 1


class Bank:
    """Two balances, with a lock for each."""

    def __init__(self) -> None:
        self.ann = 100
        self.bob = 100
        self.ann_lock = Lock()
        self.bob_lock = Lock()


def ann_pays(bank: Bank) -> None:
    """Move 10 from Ann to Bob under both locks (wrong on purpose)."""
    with bank.ann_lock:
        with bank.bob_lock:
            bank.ann = bank.ann - 10
            bank.bob = bank.bob + 10


def bob_pays(bank: Bank) -> None:
    """Move 10 from Bob to Ann under both locks (wrong on purpose)."""
    with bank.bob_lock:
        with bank.ann_lock:
            bank.bob = bank.bob - 10
            bank.ann = bank.ann + 10


class Table:
    """Three forks for three philosophers, and a waiter whom nobody asks yet."""

    def __init__(self) -> None:
        self.meals = 0
        self.forks = [Lock(), Lock(), Lock()]
        self.waiter = Semaphore(2)


def dine(table: Table, left: int, right: int) -> None:
    """Take two forks and eat (wrong on purpose)."""
    with table.forks[left]:
        with table.forks[right]:
            table.meals = table.meals + 1


class Shop:
    """A shelf, a fridge and a bag, and one condition for all news."""

    def __init__(self) -> None:
        self.shelf: list[str] = []
        self.fridge: list[str] = []
        self.bag: list[str] = []
        self.news = Condition()


def bring_bread(shop: Shop) -> None:
    """Bring bread, and wake who waits for news."""
    with shop.news:
        shop.shelf.append("bread")
        shop.news.notify_all()


def bring_milk(shop: Shop) -> None:
    """Bring milk, and wake who waits for news."""
    with shop.news:
        shop.fridge.append("milk")
        shop.news.notify_all()


def buy_bread(shop: Shop) -> None:
    """Wait for bread and take it home (wrong on purpose)."""
    with shop.news:
        if not shop.shelf:
            shop.news.wait()
        shop.bag.append(shop.shelf.pop())


class App:
    """A configuration that whoever comes first shall load, once."""

    def __init__(self) -> None:
        self.config: dict[str, int] | None = None
        self.lock = Lock()
        self.ports: list[int] = []


def connect(app: App) -> None:
    """Load the configuration once, and use it (wrong on purpose)."""
    if app.config is None:
        with app.lock:
            if app.config is None:
                app.config = {}
                app.config["port"] = 80
    app.ports.append(app.config["port"])


class Office:
    """A queue for letters on their way, and those that have arrived."""

    def __init__(self) -> None:
        self.letters = Queue()
        self.delivered: list[str] = []


def write(office: Office) -> None:
    """Write one letter."""
    office.letters.put("a letter")


def deliver(office: Office) -> None:
    """Deliver letters until there are no more (wrong on purpose)."""
    while not office.letters.empty():
        letter = office.letters.get()
        office.delivered.append(letter)


class Kitchen:
    """What two cooks make, and an event for each: it is done."""

    def __init__(self) -> None:
        self.soup = self.bread = self.meal = "nothing"
        self.soup_done = Event()
        self.bread_done = Event()


def cook(kitchen: Kitchen) -> None:
    """Cook soup, then say so."""
    kitchen.soup = "soup"
    kitchen.soup_done.set()


def bake_bread(kitchen: Kitchen) -> None:
    """Bake bread, then say so."""
    kitchen.bread = "bread"
    kitchen.bread_done.set()


def serve(kitchen: Kitchen) -> None:
    """Wait for both, then serve them."""
    kitchen.soup_done.wait()
    kitchen.bread_done.wait()
    kitchen.meal = f"{kitchen.soup} and {kitchen.bread}"


class Tally:
    """The article's total, what each thread printed, and the lock."""

    def __init__(self) -> None:
        self.total = 0
        self.printed: list[int] = []
        self.lock = Lock()


def update_total(tally: Tally) -> None:
    """Add 5 as the article does: with its lock, and its print after the lock."""
    tally.lock.acquire()
    try:
        seen = tally.total
        tally.total = seen + 5
    finally:
        tally.lock.release()
    tally.printed.append(tally.total)


def update_unlocked(tally: Tally) -> None:
    """Add 5 without the lock (wrong on purpose)."""
    seen = tally.total
    tally.total = seen + 5
    tally.printed.append(tally.total)


class Diary:
    """What was done, and a lock of the `kind` that is tried."""

    def __init__(self, kind: Callable[[], Lock]) -> None:
        self.done: list[str] = []
        self.lock = kind()


def do_something(diary: Diary) -> None:
    """Do something under the lock, as the article does."""
    diary.lock.acquire()
    try:
        diary.done.append("something")
    finally:
        diary.lock.release()


def one_by_one(diary: Diary) -> None:
    """Call it twice, as the article's program does."""
    do_something(diary)
    do_something(diary)


def nested(diary: Diary) -> None:
    """Call it with the lock in hand, as the article's text means it."""
    with diary.lock:
        do_something(diary)
