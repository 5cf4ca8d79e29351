"""Workers that go wrong in each way that a pool can meet, for the tests of recovery."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

GUILTY = 17
COUNT = 40


class Item(NamedTuple):
    """A number, what goes wrong with it, a folder that notes who ran it, a pause."""

    number: int
    fault: str = ""
    folder: str = ""
    pause: float = 0


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class Unloadable(Exception):
    """As many clients' errors are: cannot be made again from its args."""

    def __init__(self, message, *, response):
        super().__init__(message)
        self.response = response


class UnloadableResult:
    def __reduce__(self):
        return refuse, ("result",)


class UnloadableItem:
    def __reduce__(self):
        return refuse, ("item",)


def refuse(what):
    raise ValueError(f"this {what} does not load")


def items_with(fault, folder="", count=COUNT, guilty=GUILTY):
    """Return `count` items, of which the `guilty` one has the fault."""
    items = [Item(number, folder=str(folder)) for number in range(count)]
    broken = {"unpicklable item": threading.Lock, "unloadable item": UnloadableItem}
    guilt = broken.get(fault, lambda: items[guilty]._replace(fault=fault))
    items[guilty] = guilt()
    return items


def square(item):
    """Note who runs `item`, do what is wrong with it, return the square."""
    if item.folder:
        note(item)
    if item.pause:
        time.sleep(item.pause)
    return FAULTS[item.fault]() if item.fault else item.number**2


def note(item):
    # One unbuffered write: a worker that dies next has said it
    with Path(item.folder, f"{item.number}").open("ab", buffering=0) as file:
        file.write(b"%d\n" % os.getpid())


def runs(folder):
    """Return how often each item was begun."""
    return {
        int(path.name): len(path.read_text().splitlines())
        for path in Path(folder).iterdir()
    }


def raise_value_error():
    raise ValueError("bad item")


def end_itself():
    # Sub-interpreters cannot import it
    import psutil

    psutil.Process().kill()
    time.sleep(60)


def crash():
    # Sub-interpreters cannot import it
    import faulthandler

    with Path(os.devnull).open("w") as nowhere:
        faulthandler.enable(nowhere)
        faulthandler._sigsegv()


def raise_unpicklable():
    raise Unpicklable


def raise_unloadable():
    raise Unloadable("refused", response=404)


def take_too_much_memory():
    return bytearray(sys.maxsize)


FAULTS = {
    "raise": raise_value_error,
    "sys.exit": lambda: sys.exit(3),
    "os._exit": lambda: os._exit(7),
    "SIGKILL": end_itself,
    "segfault": crash,
    "hang": lambda: time.sleep(60),
    "memory": take_too_much_memory,
    "unpicklable result": threading.Lock,
    "unpicklable error": raise_unpicklable,
    "unloadable error": raise_unloadable,
    "unloadable result": UnloadableResult,
}
