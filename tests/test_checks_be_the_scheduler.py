import importlib
import itertools
import re
import sys
from pathlib import Path

import nbformat
import pytest

from lessons_src import be_the_scheduler as lesson
from lessons_src.checks import be_the_scheduler as check
from lessons_src.tools.scheduler import Program, replay

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "15_be_the_scheduler.ipynb"
FOLDED = re.compile(r"<summary>Our repair</summary>\s+```python\n(.+?)```", re.DOTALL)
IN_SLOW_MOTION = "may also switch inside a line"
NUMBERS = itertools.count(1)


def written(source, folder):
    """Return what the text `source` defines, as if it stood in a cell."""
    name = f"repair_{next(NUMBERS)}"
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        importlib.invalidate_caches()
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(name, None)


def verdict_on(source, folder, judge, *names):
    module = written(source, folder)
    return judge(*(getattr(module, each, getattr(lesson, each)) for each in names))


def refused(verdict, why):
    return not verdict.right and why in verdict.why


CHECKS = {
    "puzzle_1": ["deposit"],
    "puzzle_2": ["buy"],
    "puzzle_3": ["ann_pays", "bob_pays"],
    "puzzle_7": ["write", "deliver"],
    "exercise_1": ["dine"],
    "exercise_2": ["buy_bread"],
    "exercise_3": ["connect"],
}

RIGHT = [
    (
        "puzzle_1",
        """
def deposit(account):
    account.lock.acquire()
    try:
        account.balance += 10
    finally:
        account.lock.release()
""",
    ),
    (
        "puzzle_1",
        """
def deposit(account):
    with account.lock:
        pay(account)

def pay(account):
    seen = account.balance
    account.balance = seen + 10
""",
    ),
    (
        "puzzle_2",
        """
def buy(cinema):
    if cinema.seats > 0:
        with cinema.lock:
            if cinema.seats > 0:
                cinema.seats -= 1
""",
    ),
    (
        "puzzle_3",
        """
def bob_pays(bank):
    with bank.ann_lock, bank.bob_lock:
        bank.bob -= 10
        bank.ann += 10
""",
    ),
    (
        "puzzle_3",
        """
def ann_pays(bank):
    with bank.bob_lock:
        with bank.ann_lock:
            bank.bob += 10
            bank.ann -= 10
""",
    ),
    (
        "puzzle_3",
        """
def ann_pays(bank):
    with bank.bob_lock:
        bank.ann -= 10
        bank.bob += 10

def bob_pays(bank):
    with bank.bob_lock:
        bank.bob -= 10
        bank.ann += 10
""",
    ),
    (
        "puzzle_7",
        """
def deliver(office):
    letter = office.letters.get()
    if letter != "the end":
        office.delivered.append(letter)
    office.letters.put("the end")
""",
    ),
    (
        "puzzle_7",
        """
def write(office):
    for letter in ["a letter", None, None]:
        office.letters.put(letter)

def deliver(office):
    for letter in iter(office.letters.get, None):
        office.delivered.append(letter)
""",
    ),
    (
        "exercise_1",
        """
def dine(table, left, right):
    with table.waiter:
        with table.forks[left], table.forks[right]:
            table.meals = table.meals + 1
""",
    ),
    (
        "exercise_1",
        """
def dine(table, left, right):
    if left == 2:
        left, right = right, left
    table.forks[left].acquire()
    table.forks[right].acquire()
    table.meals += 1
    table.forks[left].release()
    table.forks[right].release()
""",
    ),
    (
        "exercise_1",
        """
def dine(table, left, right):
    with table.forks[max(left, right)], table.forks[min(left, right)]:
        table.meals += 1
""",
    ),
    (
        "exercise_2",
        """
def buy_bread(shop):
    with shop.news:
        shop.news.wait_for(lambda: shop.shelf)
        shop.bag.append(shop.shelf.pop())
""",
    ),
    (
        "exercise_2",
        """
def buy_bread(shop):
    shop.news.acquire()
    while len(shop.shelf) == 0:
        shop.news.wait()
    bread = shop.shelf.pop()
    shop.news.release()
    shop.bag.append(bread)
""",
    ),
    (
        "exercise_3",
        """
def connect(app):
    with app.lock:
        if app.config is None:
            app.config = {}
            app.config["port"] = 80
    app.ports.append(app.config["port"])
""",
    ),
    (
        "exercise_3",
        """
def connect(app):
    if not app.config:
        with app.lock:
            app.config = app.config or {"port": 80}
    app.ports.append(app.config["port"])
""",
    ),
]

WRONG = [
    ("puzzle_1", "", "4 of 6 schedules end badly.\nFor one, ABBA: balance=10"),
    ("puzzle_1", "def deposit(account):\n    account.balance += 10", IN_SLOW_MOTION),
    ("puzzle_1", "def deposit(account):\n    account.balance = 20", "balance=20"),
    ("puzzle_1", "def deposit(account):\n    pass", "1 of 1 schedules"),
    ("puzzle_1", "deposit = None", "no answer yet"),
    ("puzzle_1", "deposit = 20", "cannot use your answer"),
    ("puzzle_1", "def deposit():\n    pass", "TypeError in A"),
    (
        "puzzle_1",
        """
import threading

lock = threading.Lock()

def deposit(account):
    with lock:
        account.balance += 10
""",
        "Take Lock from",
    ),
    (
        "puzzle_1",
        """
def deposit(account):
    with account.lock:
        seen = account.balance
    account.balance = seen + 10
""",
        "balance=10",
    ),
    (
        "puzzle_1",
        """
def deposit(account):
    account.lock.acquire()
    account.balance += 10
""",
        "deadlock",
    ),
    (
        "puzzle_1",
        """
def deposit(account):
    while not account.lock.acquire(blocking=False):
        pass
    account.balance += 10
    account.lock.release()
""",
        "do not end: a loop can go round for ever",
    ),
    ("puzzle_2", "", "4 of 6 schedules end badly.\nFor one, ABBA: seats=-1"),
    ("puzzle_2", "def buy(cinema):\n    cinema.seats = 0", "With five seats"),
    (
        "puzzle_2",
        "def buy(cinema):\n    cinema.seats = max(0, cinema.seats - 1)",
        IN_SLOW_MOTION,
    ),
    (
        "puzzle_2",
        """
def buy(cinema):
    if cinema.seats > 0:
        with cinema.lock:
            cinema.seats = cinema.seats - 1
""",
        "seats=-1",
    ),
    (
        "puzzle_2",
        """
def buy(cinema):
    cinema.lock.acquire()
    if cinema.seats == 0:
        return
    cinema.seats -= 1
    cinema.lock.release()
""",
        "seats=0, but nobody gives back lock",
    ),
    ("puzzle_3", "", "4 of 28 schedules end badly.\nFor one, ABBA: deadlock"),
    (
        "puzzle_3",
        """
def ann_pays(bank):
    with bank.ann_lock, bank.bob_lock:
        bank.ann -= 10
        bank.bob += 10

def bob_pays(bank):
    with bank.bob_lock, bank.ann_lock:
        bank.bob -= 10
        bank.ann += 10
""",
        "deadlock",
    ),
    (
        "puzzle_3",
        """
def ann_pays(bank):
    bank.ann -= 10
    bank.bob += 10

def bob_pays(bank):
    bank.bob -= 10
    bank.ann += 10
""",
        IN_SLOW_MOTION,
    ),
    (
        "puzzle_3",
        "def ann_pays(bank):\n    pass\n\ndef bob_pays(bank):\n    pass",
        "When only Ann pays",
    ),
    ("puzzle_3", "bob_pays = None", "no answer yet"),
    ("puzzle_7", "", "14 of 22 schedules end badly.\nFor one, ABCCCCB: deadlock"),
    (
        "puzzle_7",
        """
def write(office):
    office.letters.put("a letter")
    office.letters.put(None)

def deliver(office):
    while (letter := office.letters.get()) is not None:
        office.delivered.append(letter)
""",
        "deadlock",
    ),
    (
        "puzzle_7",
        """
def write(office):
    office.delivered.append("a letter")

def deliver(office):
    pass
""",
        "past the queue",
    ),
    (
        "puzzle_7",
        """
def deliver(office):
    if not office.letters.empty():
        office.delivered.append(office.letters.get())
""",
        "deadlock",
    ),
    ("exercise_1", "", "48 of 6,570 schedules end badly.\nFor one, ACCBBA: deadlock"),
    (
        "exercise_1",
        """
def dine(table, left, right):
    with table.forks[left], table.forks[right]:
        table.meals += 1
""",
        "deadlock",
    ),
    (
        "exercise_1",
        """
def dine(table, left, right):
    with table.forks[right], table.forks[left]:
        table.meals += 1
""",
        "deadlock",
    ),
    (
        "exercise_1",
        "def dine(table, left, right):\n    table.meals += 1",
        "one with too few forks",
    ),
    (
        "exercise_1",
        """
def dine(table, left, right):
    with table.forks[left]:
        table.meals += 1
""",
        "one with too few forks",
    ),
    (
        "exercise_1",
        """
def dine(table, left, right):
    with table.forks[0]:
        with table.forks[1]:
            table.meals += 1
""",
        "one with too few forks",
    ),
    ("exercise_1", "def dine(table, left, right):\n    pass", "0 meals"),
    (
        "exercise_2",
        "",
        "26 of 212 schedules end badly.\nFor one, AAABBBBAAACCCC: IndexError",
    ),
    (
        "exercise_2",
        """
def buy_bread(shop):
    while not shop.shelf:
        with shop.news:
            shop.news.wait()
    shop.bag.append(shop.shelf.pop())
""",
        "deadlock",
    ),
    (
        "exercise_2",
        """
def buy_bread(shop):
    with shop.news:
        if not shop.shelf:
            shop.news.wait()
        if not shop.shelf:
            shop.news.wait()
        shop.bag.append(shop.shelf.pop())
""",
        "With milk, milk and rye",
    ),
    (
        "exercise_2",
        """
def buy_bread(shop):
    with shop.news:
        if shop.shelf:
            shop.bag.append(shop.shelf.pop())
""",
        "an empty bag",
    ),
    (
        "exercise_2",
        'def buy_bread(shop):\n    shop.bag.append("bread")',
        "With milk, milk and rye",
    ),
    ("exercise_3", "", "2 of 210 schedules end badly.\nFor one, BBBBAABBB: KeyError"),
    (
        "exercise_3",
        """
def connect(app):
    if app.config is None:
        app.config = {"port": 80}
    app.ports.append(app.config["port"])
""",
        "should be loaded once",
    ),
    (
        "exercise_3",
        """
def connect(app):
    if app.config is None:
        with app.lock:
            app.config = {"port": 80}
    app.ports.append(app.config["port"])
""",
        "should be loaded once",
    ),
    (
        "exercise_3",
        """
def connect(app):
    app.config = app.config or {"port": 80}
    app.ports.append(app.config["port"])
""",
        IN_SLOW_MOTION,
    ),
    ("exercise_3", "def connect(app):\n    app.ports.append(80)", "config=None"),
]


@pytest.mark.parametrize(("name", "source"), RIGHT)
def test_a_check_accepts(name, source, tmp_path):
    verdict = verdict_on(source, tmp_path, getattr(check, name), *CHECKS[name])
    assert verdict.right, verdict


@pytest.mark.parametrize(("name", "source", "why"), WRONG)
def test_a_check_refuses(name, source, why, tmp_path):
    verdict = verdict_on(source, tmp_path, getattr(check, name), *CHECKS[name])
    assert refused(verdict, why), verdict


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_refuses_no_answer(name):
    answers = [None] * len(CHECKS[name])
    assert refused(getattr(check, name)(*answers), "no answer yet")


LOCKED = """
def deposit(account):
    with account.lock:
        account.balance += 10
"""


def test_what_seems_right_is_searched_once_more_for_longer(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "LIMITS_SECONDS", (-1, 60))
    assert verdict_on(LOCKED, tmp_path, check.puzzle_1, "deposit").right


UNSEEN = """
numbers = iter([])

def deposit(account):
    with account.lock:
        account.balance += sum(numbers, 10)
"""


@pytest.mark.parametrize(
    ("source", "why"), [(LOCKED, ""), (UNSEEN, ", for a list_iterator cannot be")]
)
def test_it_says_why_there_are_too_many_schedules(source, why, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "LIMITS_SECONDS", (-1, -1))
    verdict = verdict_on(source, tmp_path, check.puzzle_1, "deposit")
    assert refused(verdict, f"too many schedules to try them all{why}")


def test_a_repair_in_vain_is_told_with_a_schedule_to_replay(tmp_path):
    verdict = verdict_on("", tmp_path, check.exercise_1, "dine")
    schedule = re.search(r"For one, ([ABC]+):", verdict.why)[1]
    program = Program(lesson.Table, *check._seated(lesson.dine))
    assert replay(program, schedule).outcome == "deadlock"


def folded_repairs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    return [
        (code.source.splitlines()[-1], found[1])
        for prose, code in itertools.pairwise(cells)
        if (found := FOLDED.search(prose.source))
    ]


def test_the_folded_repairs_are_those_of_puzzles_2_3_and_7():
    called = [call.partition("(")[0] for call, _ in folded_repairs()]
    assert called == ["check.puzzle_2", "check.puzzle_3", "check.puzzle_7"]


@pytest.mark.parametrize(("call", "source"), folded_repairs())
def test_a_folded_repair_is_right(call, source, tmp_path):
    name = call.partition("(")[0].removeprefix("check.")
    verdict = verdict_on(source, tmp_path, getattr(check, name), *CHECKS[name])
    assert verdict.right, verdict
