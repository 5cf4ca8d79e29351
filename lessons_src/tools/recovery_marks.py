"""Marks of `recovery`: a file that says which item each chunk is at.

    worker: begin_mark, then one number an item -> shared memory -> Marks.read: parent

A mark outlives the worker that made it, so it tells whom to blame.
"""

import contextlib
import mmap
import os
from collections.abc import MutableSequence
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from lessons_src.tools.spans import clock, this_thread

# The position while a chunk is unpacked, or its answers are packed
BETWEEN_ITEMS = -1


class Mark(NamedTuple):
    """Who runs a chunk, the position of its item, since when (ns), in which thread.

    Process 0 means that nobody has begun; then the rest means nothing.
    """

    process: int = 0
    position: int = 0
    start: int = 0
    thread: int = 0


PROCESS, POSITION, START, THREAD = range(4)
NUMBERS = len(Mark._fields)


class Marks:
    """The parent's side, with room for `slots` chunks.

    >>> marks = Marks(slots=2)
    >>> marks.read(1)
    Mark(process=0, position=0, start=0, thread=0)
    >>> marks.close()
    >>> Path(marks.path).exists()
    False
    """

    def __init__(self, slots: int) -> None:
        with NamedTemporaryFile("r+b", prefix="marks-", delete=False) as file:
            self.path = file.name
            file.truncate(8 * NUMBERS * slots)
            self._map = mmap.mmap(file.fileno(), 0)
        self._numbers = memoryview(self._map).cast("q")

    def read(self, slot: int) -> Mark:
        """Return the mark in `slot`."""
        return Mark(*self._numbers[_place(slot)])

    def clear(self, slot: int) -> None:
        """Make `slot` ready for the next chunk: nobody has begun."""
        self._numbers[NUMBERS * slot + PROCESS] = 0

    def close(self) -> None:
        """Remove the file."""
        self._numbers.release()
        self._map.close()
        # Windows keeps a file that somebody else's worker still maps
        with contextlib.suppress(OSError):
            Path(self.path).unlink()


def begin_mark(path: str | None, slot: int) -> MutableSequence[int]:
    """Return the mark in `slot` of the file at `path`, begun by this worker."""
    mark: MutableSequence[int] = [0] * NUMBERS
    if path:
        # On another machine there is no such file: then nobody reads the mark
        with contextlib.suppress(OSError):
            mark = _mapped(path)[_place(slot)]
    mark[POSITION] = BETWEEN_ITEMS
    mark[START], mark[THREAD] = int(clock() * 1e9), this_thread()
    # Last, so that who sees a process finds the rest; a death is read long after
    mark[PROCESS] = os.getpid()
    return mark


def _place(slot: int) -> slice:
    return slice(NUMBERS * slot, NUMBERS * (slot + 1))


@lru_cache(maxsize=4)
def _mapped(path: str) -> memoryview:
    with Path(path).open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
