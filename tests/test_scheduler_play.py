import threading

import pytest

from lessons_src.tools.scheduler import DEADLOCK, Lock, Program, Uncontrolled, play


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


UNLOCKED = Program(Account, deposit, deposit, outcome=lambda account: account.balance)
LOCKED = Program(Account, safely, safely)


@pytest.fixture
def game():
    return play(UNLOCKED, "Lose a deposit", 10)


def click(button):
    button.click()


def test_a_goal_is_reached_by_buttons(game):
    for name in "ABBA":
        assert not game.reached
        click(game._buttons[name])
    assert game.reached
    assert "✔ You did it: 10" in game._news.value
    assert all(button.disabled for button in game._buttons.values())


def test_an_end_that_misses_the_goal_says_so(game):
    for name in "AABB":
        game.press(name)
    assert not game.reached
    assert "The end: 20. Undo, and try again." in game._news.value


def test_a_goal_may_be_a_function():
    game = play(UNLOCKED, "Lose nothing", lambda outcome: outcome == 20)
    for name in "BBAA":
        game.press(name)
    assert game.reached


def test_letters_are_keys_and_backspace_takes_back(game):
    game._keys.value = "a"
    assert (game.schedule, game._keys.value) == ("A", "A")
    game._keys.value = "AB"
    assert game.run.steps[-1].name == "B"
    game._keys.value = "A"
    assert game.schedule == "A"
    assert game.run.stands["B"].state == "ready"


def test_a_key_that_cannot_be_is_refused_and_taken_out(game):
    game._keys.value = "AX"
    assert (game.schedule, game._keys.value) == ("", "")
    assert "there is no thread 'X'" in game._news.value
    game._keys.value = "A"
    assert "no thread" not in game._news.value


def test_undo_and_start_over(game):
    assert game._undo.disabled
    for name in "ABB":
        game.press(name)
    click(game._undo)
    assert game.schedule == "AB"
    click(game._over)
    assert game.schedule == ""
    assert game._over.disabled


def test_a_thread_that_waits_is_grey_and_says_for_what():
    game = play(LOCKED, "Break it")
    game.press("A")
    game.press("B")
    assert game._buttons["B"].disabled
    assert not game._buttons["A"].disabled
    assert "opacity" in game._sources["B"].value
    assert "waits for lock (held by A)" in game._sources["B"].value
    game.press("B")
    assert "cannot go on" in game._news.value
    assert game.schedule == "AB"


def test_the_arrow_stands_at_the_next_line_of_the_function_it_is_in():
    game = play(LOCKED)
    assert "▶     with account.lock:" in game._sources["A"].value
    game.press("A")
    assert "▶         deposit(account)" in game._sources["A"].value
    game.press("A")
    assert "▶     seen = account.balance" in game._sources["A"].value


def test_source_and_values_are_escaped():
    def compare(shared):
        shared["text"] = "<b>" if 1 < 2 else ""

    game = play(Program(dict, compare))
    game.press("A")
    assert "&lt;b&gt;" in game._values.value
    assert "1 &lt; 2" in game._sources["A"].value


def test_changed_values_stand_out(game):
    assert "balance = <code>0</code>" in game._values.value
    for name in "AA":
        game.press(name)
    assert "balance = <code><b>10</b></code>" in game._values.value


def test_the_text_of_a_game_is_what_a_page_without_a_kernel_shows(game):
    game.press("A")
    assert repr(game).startswith("Goal: Lose a deposit\n   A: deposit")
    assert game._repr_mimebundle_()["text/plain"] == repr(game)
    assert "application/vnd.jupyter.widget-view+json" in game._repr_mimebundle_()


def test_nothing_runs_between_two_moves():
    before = threading.active_count()
    game = play(LOCKED, "Make it deadlock", DEADLOCK)
    game.press("A")
    game.press("B")
    assert threading.active_count() == before


def test_what_cannot_be_controlled_is_refused_at_once():
    with pytest.raises(Uncontrolled):
        play(Program(lambda: {"lock": threading.Lock()}, deposit))
