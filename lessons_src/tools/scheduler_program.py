"""A small program of threads, and what makes it one that a scheduler can run."""

import functools
import multiprocessing.synchronize
import queue
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from string import ascii_uppercase
from types import CodeType, FunctionType
from typing import Any

from lessons_src.tools.scheduler_source import global_loads, outer_stores
from lessons_src.tools.scheduler_state import (
    NAMED,
    find,
    shared_values,
    told,
)

HERE = "lessons_src.tools.scheduler"
# Each that is no drop-in of ours: its name, and what to use instead
FOREIGN = {
    type(threading.Lock()): ("threading.Lock", "Lock"),
    type(threading.RLock()): ("threading.RLock", "RLock"),
    threading.Semaphore: ("threading.Semaphore", "Semaphore"),
    threading.BoundedSemaphore: ("threading.BoundedSemaphore", "Semaphore"),
    threading.Event: ("threading.Event", "Event"),
    threading.Condition: ("threading.Condition", "Condition"),
    threading.Barrier: ("threading.Barrier", "Condition"),
    queue.Queue: ("queue.Queue", "Queue"),
    queue.SimpleQueue: ("queue.SimpleQueue", "Queue"),
    multiprocessing.synchronize.SemLock: ("lock of multiprocessing", "Lock"),
}


class Uncontrolled(Exception):
    """The program does something that the scheduler cannot control, or undo."""


class Program:
    """Threads that share one object, made anew for each run.

    The threads are called A, B, C ... in the order of `functions`; one function may
    stand there several times. It may come from a cell of a notebook.

    >>> class Account:
    ...     balance = 0
    >>> def deposit(account):
    ...     seen = account.balance
    ...     account.balance = seen + 10
    >>> Program(Account, deposit, deposit)
    A: deposit, B: deposit

    Parameters
    ----------
    make
        Returns what the threads share: an object with attributes, or a dict. Each
        run gets a fresh one.
    functions
        What each thread does with the shared object, its one argument.
    outcome
        Tells from the shared object how a run ended; without it, the values do.

    Raises
    ------
    TypeError, ValueError
        When a function is no Python function, or there is none, or more than 26.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        *functions: Callable[[Any], Any],
        outcome: Callable[[Any], Any] | None = None,
    ) -> None:
        if not 0 < len(functions) <= len(ascii_uppercase):
            raise ValueError(f"a program has 1 to 26 threads, not {len(functions)}")
        for each in (make, *functions):
            if not callable(each):
                raise TypeError(f"{each!r} cannot be called")
        for each in functions:
            if not isinstance(_bare(each), FunctionType):
                raise TypeError(
                    f"{each!r} is not written in Python: no line to stop at"
                )
        self.make = make
        self.functions = dict(zip(ascii_uppercase, functions, strict=False))
        self._outcome = outcome
        self.worlds = {id(_bare(each).__globals__) for each in functions}

    @property
    def names(self) -> str:
        """The names of the threads, a letter each."""
        return "".join(self.functions)

    def title(self, name: str) -> str:
        """Return the name of a thread and of its function."""
        return f"{name}: {_bare(self.functions[name]).__name__}"

    def code(self, name: str) -> CodeType:
        """Return the code of the function of a thread."""
        return _bare(self.functions[name]).__code__

    def outcome(self, shared: Any) -> Hashable:
        """Tell how a run ended that left `shared` behind."""
        if self._outcome is None:
            values = shared_values(shared).items()
            plain = [(name, value) for name, value in values if not _is_tool(value)]
            return ", ".join(f"{name}={told(value)}" for name, value in plain) or "done"
        result = self._outcome(shared)
        kept = result is not None and isinstance(result, Hashable)
        return result if kept else told(result)

    def refuse(self, shared: Any) -> dict[str, Any]:
        """Refuse what cannot be controlled; return the outer values that are used.

        Raises
        ------
        Uncontrolled
            For a plain lock or the like, and for a value that is set outside of
            the shared object: the next run would not begin as this one did.
        """
        codes, around = self._reach(shared)
        for code in codes:
            refuse_outer_stores(code)
        for place, where in (("", shared), ("the outer ", around)):
            for name, value in find(where, lambda value: _foreign(value) is not None):
                what, instead = _foreign(value)
                raise Uncontrolled(
                    f"{place}{name} is a {what}: a thread that waits for it cannot be "
                    f"seen. Take {instead} from {HERE}."
                )
        return around

    def _reach(self, shared: Any) -> tuple[list[CodeType], dict[str, Any]]:
        """Return the code that the threads may run, and the outer values it names."""
        codes: dict[CodeType, None] = {}
        around: dict[str, Any] = {}
        kind = type(shared)
        todo = [_bare(each) for each in self.functions.values()]
        if kind.__module__ != "builtins":
            todo.append(kind)
        while todo:
            each = todo.pop()
            if isinstance(each, type):
                # From 3.14 on, a class also holds the function of its annotations
                todo += [
                    value
                    for name, value in vars(each).items()
                    if self._is_ours(value) and not name.startswith("__annotate")
                ]
            elif self._is_ours(each) and each.__code__ not in codes:
                codes[each.__code__] = None
                for name, value in _outer_values(each).items():
                    if isinstance(value, NAMED):
                        todo.append(value)
                    else:
                        around[name] = value
        return list(codes), around

    def _is_ours(self, value: Any) -> bool:
        return isinstance(value, FunctionType) and id(value.__globals__) in self.worlds

    def __repr__(self) -> str:
        return ", ".join(map(self.title, self.functions))


def refuse_outer_stores(code: CodeType) -> None:
    """Refuse `code` that gives a new value to a name outside of its function."""
    if names := outer_stores(code):
        raise Uncontrolled(
            f"{code.co_name} sets {names[0]}, which is not part of what the threads "
            "share: the next run would begin with the value that this one left. Make "
            "it an attribute of the shared object."
        )


def _bare(function: Callable) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


def _outer_values(function: FunctionType) -> dict[str, Any]:
    """Return what `function` names, but neither makes nor is given."""
    code, world = function.__code__, function.__globals__
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    closed = {}
    for name, cell in cells:
        # A function that names itself stands in a cell that is still empty
        with suppress(ValueError):
            closed[name] = cell.cell_contents
    return {name: world[name] for name in global_loads(code) if name in world} | closed


def _foreign(value: Any) -> tuple[str, str] | None:
    return next(
        (told for kind, told in FOREIGN.items() if isinstance(value, kind)), None
    )


def _is_tool(value: Any) -> bool:
    from lessons_src.tools.scheduler_locks import Primitive

    items = value if isinstance(value, list | tuple) else [value]
    return bool(items) and all(isinstance(each, Primitive) for each in items)
