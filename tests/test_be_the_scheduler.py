import ast
from functools import partial
from math import comb, factorial
from pathlib import Path

import nbformat
import pytest

from lessons_src import be_the_scheduler as lesson
from lessons_src.be_the_scheduler import (
    Account,
    App,
    Bank,
    Cinema,
    Diary,
    Kitchen,
    Office,
    Shop,
    Table,
    Tally,
    ann_pays,
    bake_bread,
    bob_pays,
    bring_bread,
    bring_milk,
    buy,
    buy_bread,
    connect,
    cook,
    deliver,
    deposit,
    dine,
    nested,
    one_by_one,
    serve,
    update_total,
    update_unlocked,
    write,
)
from lessons_src.tools.scheduler import Lock, Program, RLock, explore, replay

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "15_be_the_scheduler.ipynb"
SEATED = [partial(dine, left=at, right=(at + 1) % 3) for at in range(3)]
KITCHEN = Program(
    Kitchen, cook, bake_bread, serve, outcome=lambda kitchen: kitchen.meal
)
BROUGHT = "shelf=[], fridge=['milk'], bag=['bread']"
TWICE = "done=['something', 'something']"

# Equal on every Python, with and without a GIL
COUNTS = [
    (Program(Account, deposit, deposit), {"balance=10": 4, "balance=20": 2}),
    (
        Program(Account, deposit, deposit, deposit),
        {"balance=10": 48, "balance=20": 36, "balance=30": 6},
    ),
    (Program(Cinema, buy, buy), {"seats=-1": 4, "seats=0": 2}),
    (Program(Cinema, buy, buy, buy), {"seats=-2": 36, "seats=-1": 24, "seats=0": 6}),
    (Program(Bank, ann_pays, bob_pays), {"ann=100, bob=100": 24, "deadlock": 4}),
    (Program(Table, *SEATED), {"meals=3": 6522, "deadlock": 48}),
    (
        Program(Shop, buy_bread, bring_milk, bring_bread),
        {BROUGHT: 186, "IndexError in A: pop from empty list": 26},
    ),
    (
        Program(App, connect, connect),
        {
            "config={'port': 80}, ports=[80, 80]": 208,
            "KeyError in A: 'port'": 1,
            "KeyError in B: 'port'": 1,
        },
    ),
    (
        Program(Office, write, deliver, deliver),
        {"deadlock": 12, "delivered=['a letter']": 8, "delivered=[]": 2},
    ),
    (KITCHEN, {"soup and bread": 57}),
    (
        Program(Tally, update_unlocked, update_unlocked),
        {
            "total=5, printed=[5, 5]": 12,
            "total=10, printed=[10, 10]": 4,
            "total=10, printed=[5, 10]": 4,
        },
    ),
    (
        Program(Tally, update_total, update_total),
        {"total=10, printed=[10, 10]": 24, "total=10, printed=[5, 10]": 24},
    ),
    (Program(partial(Diary, Lock), one_by_one), {TWICE: 1}),
    (Program(partial(Diary, RLock), one_by_one), {TWICE: 1}),
    (Program(partial(Diary, Lock), nested), {"deadlock": 1}),
    (Program(partial(Diary, RLock), nested), {"done=['something']": 1}),
    (Program(partial(Diary, RLock), nested, nested), {TWICE: 12}),
]


@pytest.mark.parametrize(("program", "counts"), COUNTS, ids=str)
def test_a_puzzle_has_these_outcomes_in_so_many_schedules(program, counts):
    found = explore(program)
    assert found.complete
    assert {end: found.count(end) for end in found.outcomes} == counts


@pytest.mark.parametrize("program", [program for program, _ in COUNTS], ids=str)
def test_the_schedule_with_the_fewest_switches_leads_where_it_says(program):
    for outcome, ending in explore(program).outcomes.items():
        assert replay(program, ending.schedule).outcome == outcome


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_of_two_lines_have_as_many_schedules_as_words(threads):
    words = factorial(2 * threads) // 2**threads
    assert explore(Program(Account, *[deposit] * threads)).total == words


def test_a_lock_takes_schedules_away():
    held = partial(Diary, Lock)
    assert explore(Program(held, one_by_one, one_by_one)).total < comb(16, 8)


@pytest.mark.parametrize(
    ("make", "threads", "values"),
    [
        (Account, [deposit, deposit], {"balance": 20}),
        (Cinema, [buy, buy], {"seats": 0}),
        (Bank, [ann_pays, bob_pays], {"ann": 100, "bob": 100}),
        (Bank, [ann_pays], {"ann": 90, "bob": 110}),
        (Table, SEATED, {"meals": 3}),
        (Shop, [bring_bread, bring_milk, buy_bread], {"bag": ["bread"]}),
        (App, [connect, connect], {"config": {"port": 80}, "ports": [80, 80]}),
        (Office, [write, deliver], {"delivered": ["a letter"]}),
        (Kitchen, [cook, bake_bread, serve], {"meal": "soup and bread"}),
        (Tally, [update_total] * 3, {"total": 15, "printed": [5, 10, 15]}),
        (Tally, [update_unlocked] * 3, {"total": 15, "printed": [5, 10, 15]}),
        (partial(Diary, Lock), [one_by_one], {"done": ["something", "something"]}),
        (partial(Diary, RLock), [nested], {"done": ["something"]}),
    ],
)
def test_one_after_the_other_and_without_a_scheduler_all_is_well(make, threads, values):
    shared = make()
    for thread in threads:
        thread(shared)
    assert {name: getattr(shared, name) for name in values} == values


def test_the_deadlock_of_the_payments_is_a_circle():
    stands = replay(Program(Bank, ann_pays, bob_pays), "ABBA").stands
    assert stands["A"].text == "bob_lock (held by B)"
    assert stands["B"].text == "ann_lock (held by A)"


def test_whoever_waits_for_bread_is_woken_by_milk():
    program = Program(Shop, buy_bread, bring_milk, bring_bread)
    waiting, woken = replay(program, "AAABBBB"), replay(program, "AAABBBBA")
    assert waiting.steps[2].waits_for
    assert "A" in waiting.ready
    assert woken.stands["A"].text == "shop.bag.append(shop.shelf.pop())"
    assert woken.steps[-1].values["shelf"] == "[]"


def test_a_configuration_is_seen_before_it_is_whole():
    seen = replay(Program(App, connect, connect), "AAAAB")
    assert seen.steps[-1].values["config"] == "{}"
    assert seen.stands["B"].text == 'app.ports.append(app.config["port"])'


def test_few_switches_find_the_deadlock_of_the_philosophers():
    found = explore(Program(Table, *SEATED), most_switches=3)
    assert (found.total, found.count("deadlock")) == (21, 3)


def games():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    names = {}
    exec(code[0], names)
    names |= {"show_source": lambda *objects: None, **vars(lesson)}
    found = {}
    for source in code:
        if "\nplay(" in source:
            *before, last = ast.parse(source).body
            exec(ast.unparse(ast.Module(before, [])), names)
            game = eval(ast.unparse(last), names)
            found[game.goal] = game
    return found


GAMES = games()
SPOIL = "Spoil the meal"


def test_there_are_eight_games():
    assert len(GAMES) == 8


@pytest.mark.parametrize("goal", [goal for goal in GAMES if goal != SPOIL])
def test_a_goal_can_be_reached_and_missed(goal):
    endings = explore(GAMES[goal].program).outcomes.values()
    assert {reached(GAMES[goal], each.schedule) for each in endings} == {True, False}


def reached(game, schedule):
    game.start_over()
    for name in schedule:
        game.press(name)
    return game.reached


def test_nobody_can_spoil_the_meal():
    game = GAMES[SPOIL]
    assert game.wanted("nothing and bread")
    assert not any(map(game.wanted, explore(game.program).outcomes))
