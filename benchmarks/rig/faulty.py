"""Forty items of 20 ms, of which one is guilty: what it does is its fault.

Each start and each end goes to a file as well, so that what workers have finished is
known whatever the engine delivers.
"""

import ctypes
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

ITEMS = 40
GUILTY = 17
WORK_SECONDS = 0.02
JOURNAL = "FAULTY_JOURNAL"
FAULT = "FAULTY_FAULT"
UNPICKLABLE_ITEM = "unpicklable item"


class NeedsTwoError(Exception):
    """An exception that can be pickled, but not unpickled."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} {second}")


class HoldsLockError(Exception):
    """An exception that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("holds a lock", threading.Lock())


class Unpicklable:
    """An item that cannot be sent to a worker process."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __int__(self) -> int:
        return self.number

    def __reduce__(self) -> NoReturn:
        raise pickle.PicklingError(f"item {self.number} cannot be pickled")


def items(fault: str) -> list[Any]:
    """Return the items; the guilty one is of another kind if that is the fault."""
    numbers = list(range(ITEMS))
    if fault == UNPICKLABLE_ITEM:
        numbers[GUILTY] = Unpicklable(GUILTY)
    return numbers


def compute(item: Any) -> Any:
    """Work on `item` for a while and return its number; the guilty one fails."""
    number = int(item)
    _note("start", number)
    time.sleep(WORK_SECONDS)
    fault = os.environ.get(FAULT)
    answer = FAULTS[fault]() if number == GUILTY and fault else number
    _note("done", number)
    return answer


def _note(event: str, number: int) -> None:
    # One write to a file opened for appending: lines of two workers do not mix
    with Path(os.environ[JOURNAL]).open("ab", buffering=0) as file:
        file.write(f"{event} {number} {os.getpid()}\n".encode())


def _raise(error: BaseException) -> NoReturn:
    raise error


def _segfault() -> None:
    if sys.platform != "win32":
        import resource

        # No file is to remain of it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


FAULTS: dict[str, Callable[[], Any]] = {
    "raise": lambda: _raise(ValueError("bad item")),
    "sys.exit": lambda: sys.exit(3),
    "os._exit": lambda: os._exit(1),
    "SIGKILL": lambda: os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM)),
    "segfault": _segfault,
    "hang": lambda: time.sleep(3600),
    "MemoryError": lambda: bytearray(1 << 62),
    "unpicklable result": threading.Lock,
    "unpicklable exception": lambda: _raise(HoldsLockError()),
    "un-unpicklable exception": lambda: _raise(NeedsTwoError(1, 2)),
    UNPICKLABLE_ITEM: lambda: None,
}
