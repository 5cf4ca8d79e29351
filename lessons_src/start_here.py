"""Lesson 00: tasks that wait (naps) and tasks that compute (hunts)."""

from math import isqrt
from typing import NamedTuple

from lessons_src.tools.naps import Nap
from lessons_src.tools.timeline import Span, clock, span


class Hunt(NamedTuple):
    """A task that only computes: count the primes below `stop`."""

    name: str
    stop: int


class Catch(NamedTuple):
    """What a `Hunt` brings home: how many primes, and who hunted them when."""

    primes: int
    span: Span


def make_naps(count: int, seconds: float) -> list[Nap]:
    """Make `count` naps of `seconds` each.

    >>> make_naps(2, 0.4)
    [Nap(name='task 0', seconds=0.4), Nap(name='task 1', seconds=0.4)]
    """
    return [Nap(f"task {number}", seconds) for number in range(count)]


def make_hunts(count: int, stop: int) -> list[Hunt]:
    """Make `count` hunts for primes, each below `stop`.

    >>> make_hunts(2, 100)
    [Hunt(name='task 0', stop=100), Hunt(name='task 1', stop=100)]
    """
    return [Hunt(f"task {number}", stop) for number in range(count)]


def count_primes(stop: int) -> int:
    """Count the primes below `stop` by trying every divisor.

    >>> count_primes(20)
    8
    """
    return sum(map(is_prime, range(2, stop)))


def is_prime(number: int) -> bool:
    """Tell whether `number` is a prime.

    >>> is_prime(7), is_prime(9)
    (True, False)
    """
    divisors = range(2, isqrt(number) + 1)
    return number > 1 and all(number % divisor for divisor in divisors)


def hunt_primes(hunt: Hunt) -> Catch:
    """Count the primes of `hunt`, and tell who did it from when to when."""
    start = clock()
    primes = count_primes(hunt.stop)
    return Catch(primes, span(hunt.name, start))
