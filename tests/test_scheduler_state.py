import re
from collections import deque
from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import pytest

from lessons_src.tools.scheduler_locks import Lock, Queue
from lessons_src.tools.scheduler_state import Key, Opaque, find, shared_values, told


class Bank:
    rate = 2
    names: ClassVar = ["x"]

    def __init__(self, balance=0):
        self.balance = balance
        self._secret = 1
        self.lock = Lock()

    def add(self):
        pass

    @property
    def double(self):
        return 2 * self.balance


class Point(NamedTuple):
    x: int


def key(value):
    return Key()(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: 1,
        lambda: [1, "a", None, (2.5, b"x")],
        lambda: {"a": [1], 2: {3}},
        lambda: deque([1, 2]),
        lambda: Bank(3),
        lambda: Point(1),
        lambda: ValueError("x"),
        lambda: [Bank.add, len, Bank],
        lambda: frozenset([1, 2]),
        lambda: range(1, 9, 2),
        lambda: Lock(),
        object,
        lambda: SimpleNamespace(a=1, b=[2]),
    ],
)
def test_equal_values_have_equal_keys(make):
    first, second = make(), make()
    assert key(first) == key(second)
    assert hash(key(first)) == hash(key(second))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, True),
        (1, 1.0),
        (range(3), range(4)),
        (SimpleNamespace(a=1), SimpleNamespace(a=2)),
        ([1], (1,)),
        ([1], deque([1])),
        ({"a": 1}, {"a": 2}),
        ({1: 1, 2: 2}, {2: 2, 1: 1}),
        (Bank(1), Bank(2)),
        (ValueError("x"), KeyError("x")),
        (Bank(1).add, Bank(2).add),
    ],
)
def test_different_values_have_different_keys(one, other):
    assert key(one) != key(other)


def test_one_list_twice_is_not_two_equal_lists():
    twice = [[0]] * 2
    assert key(twice) != key([[0], [0]])
    assert key(twice) == key([[0]] * 2)


def test_a_sentinel_is_known_by_which_one_it_is():
    end = object()
    assert key([end, end]) != key([end, object()])
    assert key([end, object()]) == key([object(), end])


def test_a_value_that_holds_itself_has_a_key():
    loop, other = [], []
    loop.append(loop)
    other.append(other)
    assert key(loop) == key(other)


def test_a_value_changed_in_the_class_changes_the_key(monkeypatch):
    before = key(Bank())
    monkeypatch.setattr(Bank, "rate", 3)
    assert key(Bank()) != before


@pytest.mark.parametrize(
    "thing", [iter([1]), (x for x in [1]), re.compile("x"), {Point(1)}, map(len, [])]
)
def test_what_cannot_be_compared_has_no_key(thing):
    with pytest.raises(Opaque):
        key([thing])


def test_shared_values_are_attributes_and_entries_by_name():
    lock = {"balance": 7, "rate": 2, "names": ["x"]}
    found = shared_values(Bank(7))
    assert {name: found[name] for name in lock} == lock
    assert found.keys() - lock.keys() == {"lock"}
    assert shared_values({1: "a"}) == {"1": "a"}
    assert shared_values([1]) == {"shared": [1]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, (2,), {"a": {2, 1}}], "[1, (2,), {'a': {1, 2}}]"),
        (Point(1), "Point(x=1)"),
        (Bank(3), "Bank(rate=2, names=['x'], balance=3, ..."),
        ("x" * 50, "'" + "x" * 36 + "..."),
        ([len, Bank], None),
        (Queue(), "[]"),
    ],
)
def test_a_value_is_told_in_short_without_addresses(value, text):
    assert "0x" not in told(value)
    assert len(told(value)) <= 40
    if text:
        assert told(value) == text


def test_what_is_looked_for_is_found_by_name():
    shared = Bank()
    shared.forks = [Lock(), {"left": Lock()}]
    shared.friend = Bank()
    names = [name for name, _ in find(shared, lambda value: isinstance(value, Lock))]
    assert names == ["lock", "forks[0]", "forks[1]['left']", "friend.lock"]
