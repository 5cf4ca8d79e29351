"""Work for the engines under test, in a module that every worker can import."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

SIDE_PIXELS = 240
DIRECTIONS = 9


def increment(number: int) -> int:
    """Return the next number: as little work as there can be."""
    return number + 1


def nap(_: int) -> None:
    """Hold one worker for a moment, so that its neighbours start too."""
    time.sleep(0.02)


def each(worker: Callable[[Any], Any], chunk: Iterable[Any]) -> list[Any]:
    """Return the answers of `worker` to a whole chunk, for engines without chunks."""
    return [worker(item) for item in chunk]


def cut(items: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """Give the items in tuples of `size`, as `Pool` does."""
    source = iter(items)
    return iter(lambda: tuple(islice(source, size)), ())


def short(seed: int) -> list[float]:
    """Describe one random picture: about 5 ms of numpy on one core."""
    return describe(seed, 1)


def long(seed: int) -> list[float]:
    """Describe one random picture fifty times: about 200 ms of numpy on one core."""
    return describe(seed, 50)


def describe(seed: int, rounds: int) -> list[float]:
    """Return how strong the edges of a random picture are in each direction.

    That is the heart of a histogram of oriented gradients, and no step of it is one
    that numpy spreads over threads.
    """
    picture = np.random.default_rng(seed).random((SIDE_PIXELS, SIDE_PIXELS))
    strengths = np.zeros(DIRECTIONS)
    for _ in range(rounds):
        down, right = np.gradient(picture)
        angle = np.arctan2(down, right) % np.pi
        counted, _ = np.histogram(
            angle, DIRECTIONS, (0, np.pi), weights=np.hypot(down, right)
        )
        strengths += counted
    return strengths.tolist()
