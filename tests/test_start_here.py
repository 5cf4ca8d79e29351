import os
import pickle

import pytest

from lessons_src import start_here
from lessons_src.start_here import (
    Catch,
    Hunt,
    count_primes,
    hunt_primes,
    is_prime,
    make_hunts,
    make_naps,
)
from lessons_src.tools.naps import Nap
from lessons_src.tools.pools import warm_pool
from lessons_src.tools.timeline import Span

LIMIT = 60


@pytest.fixture
def pool(context):
    with warm_pool(context, 2) as pool:
        yield pool


def test_the_primes_below_thirty_are_the_known_ones():
    primes = [number for number in range(30) if is_prime(number)]
    assert primes == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]


@pytest.mark.parametrize(
    ("stop", "primes"), [(0, 0), (2, 0), (3, 1), (100, 25), (1000, 168)]
)
def test_as_many_primes_are_counted_as_there_are(stop, primes):
    assert count_primes(stop) == primes


def test_tasks_are_numbered_from_zero():
    assert make_naps(2, 0.5) == [Nap("task 0", 0.5), Nap("task 1", 0.5)]
    assert make_hunts(2, 9) == [Hunt("task 0", 9), Hunt("task 1", 9)]
    assert make_naps(0, 0.5) == make_hunts(0, 9) == []


def test_a_hunt_counts_within_its_span(monkeypatch):
    counted = []
    monkeypatch.setattr(start_here, "clock", lambda: len(counted))
    monkeypatch.setattr(start_here, "count_primes", counted.append)
    monkeypatch.setattr(start_here, "span", lambda *span: (*span, list(counted)))
    caught = hunt_primes(Hunt("task 7", 50))
    assert caught.span == ("task 7", 0, [50])


def test_hunts_in_a_pool_catch_what_they_catch_in_a_loop(pool):
    hunts = [Hunt(f"below {stop}", stop) for stop in (2, 10, 100)]
    caught = pool.map_async(hunt_primes, hunts, 1).get(LIMIT)
    in_a_loop = list(map(hunt_primes, hunts))
    assert [each.primes for each in caught] == [each.primes for each in in_a_loop]
    assert [each.span.task for each in caught] == [hunt.name for hunt in hunts]
    assert os.getpid() not in {each.span.process for each in caught}


@pytest.mark.parametrize(
    "thing",
    [
        Hunt("task 0", 9),
        Catch(4, Span(1, 2, "task 0", 0.0, 1.0)),
        hunt_primes,
    ],
)
def test_workers_and_records_survive_a_pickle(thing):
    assert pickle.loads(pickle.dumps(thing)) == thing
