"""Lesson 02, spawn and Windows: what travels to a child, and what comes back.

    parent  -- pickle: function, arguments -->  child: imports, unpickles, runs
            <-- pickle: what it put in a queue, and its exit code

The programs that it runs on a leash stand in the folder `listings`.
"""

import json
import os
import pickle
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from queue import Empty
from threading import Lock
from typing import IO, Any, NamedTuple

from lessons_src.tools.timeline import Span

ASK_AGAIN_SECONDS = 0.2
START_LIMIT_SECONDS = 60
LOST = "Bob"
LOST_EXIT_CODE = 3
LETTERS = 300_000


class Letter(NamedTuple):
    """What a child sends home: for whom, which text, and from which process."""

    name: str
    text: str
    process: int


def greet(name: str) -> str:
    """Greet `name`: the task of this lesson.

    >>> greet("Ada")
    'hello Ada'
    """
    return f"hello {name}"


def greet_with(word: str, name: str) -> str:
    """Greet `name` with any `word`.

    >>> greet_with("welcome", "Ada")
    'welcome Ada'
    """
    return f"{word} {name}"


class Greeter:
    """Greet with one `word`; its methods are of all four kinds."""

    def __init__(self, word: str) -> None:
        self.word = word

    def greet(self, name: str) -> str:
        """Greet `name` with the word of this greeter."""
        return greet_with(self.word, name)

    @staticmethod
    def greet_plainly(name: str) -> str:
        """Greet `name`."""
        return greet(name)

    @classmethod
    def greet_loudly(cls, name: str) -> str:
        """Greet `name` in capitals."""
        return cls("HELLO").greet(name.upper())


class LockedGreeter(Greeter):
    """Greet with one `word`, and own a lock: it cannot be pickled."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.lock = Lock()


def make_greeter(word: str) -> Callable[[str], str]:
    """Make a closure that greets with `word`.

    >>> make_greeter("welcome")("Ada")
    'welcome Ada'
    """

    def greet_with_word(name: str) -> str:
        return greet_with(word, name)

    return greet_with_word


def travellers(open_file: IO) -> dict[str, Any]:
    """Name eleven things that a parent may want to send; `open_file` is one."""
    return {
        "function": greet,
        "bound method": Greeter("welcome").greet,
        "unbound method": Greeter.greet,
        "static method": Greeter.greet_plainly,
        "class method": Greeter.greet_loudly,
        "partial": partial(greet_with, "welcome"),
        "lambda": lambda name: f"welcome {name}",
        "closure": make_greeter("welcome"),
        "object with a lock": LockedGreeter("welcome"),
        "generator": (greet(name) for name in ["Ada"]),
        "open file": open_file,
    }


def can_travel(thing: Any) -> bool:
    """Try whether `thing` can be pickled and unpickled.

    >>> can_travel(greet), can_travel(lambda name: name)
    (True, False)
    """
    try:
        pickle.loads(pickle.dumps(thing))
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def answer_of(child: BaseProcess, queue: Queue) -> Any:
    """Return what `child` puts into `queue`, however long it takes.

    Raises
    ------
    ChildProcessError
        When the child has ended and left no answer.
    """
    while True:
        # Looked at first: what an ended child has put is in the queue by now
        exit_code = child.exitcode
        try:
            return queue.get(timeout=ASK_AGAIN_SECONDS)
        except Empty:
            if exit_code is not None:
                text = f"{child.name} ended with exit code {exit_code}, no answer"
                raise ChildProcessError(text) from None


def write_letter(queue: Queue, name: str) -> None:
    """Put a long `Letter` to `name` into `queue`; the one to Bob gets lost."""
    if name == LOST:
        sys.exit(LOST_EXIT_CODE)
    queue.put(Letter(name, name[0] * LETTERS, os.getpid()))


def put_letters(queue: Queue, count: int, put: Event) -> None:
    """Put a text of `count` letters into `queue`, then set `put`."""
    queue.put("x" * count)
    put.set()


def fate_of_join(context: BaseContext, count: int) -> str:
    """Join a child that put `count` letters, before anybody reads them.

    The wait of the join is 2 seconds; then somebody reads.
    """
    queue, put = context.Queue(), context.Event()
    child = context.Process(target=put_letters, args=(queue, count, put))
    child.start()
    put.wait(START_LIMIT_SECONDS)
    child.join(timeout=2)
    fate = "still waiting" if child.is_alive() else "ended"
    queue.get(timeout=START_LIMIT_SECONDS)
    child.join()
    return fate


def spans_in(text: str) -> list[Span]:
    """Read the spans that a program printed as JSON.

    >>> spans_in('[[7, 1, "nap", 2.0, 2.5, "waiting"]]')[0].seconds
    0.5
    """
    return [Span(*row) for row in json.loads(text)]
