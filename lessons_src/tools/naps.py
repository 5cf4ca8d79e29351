"""The simplest task of all: a nap, which waits and needs no core."""

import time
from typing import NamedTuple

from lessons_src.tools.timeline import Span, clock, span


class Nap(NamedTuple):
    """A task that only waits, as for a server or a disk."""

    name: str
    seconds: float


def take_nap(nap: Nap) -> Span:
    """Sleep as long as `nap` says, and tell who slept from when to when."""
    start = clock()
    time.sleep(nap.seconds)
    return span(nap.name, start)
