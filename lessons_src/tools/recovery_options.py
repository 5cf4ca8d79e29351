"""The options of `recovery`, and what is refused before any worker starts."""

import inspect
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lessons_src.tools.recovery_engine import Engine


@dataclass(frozen=True)
class Options:
    """How to run: see `recovery.run`.

    >>> Options(tries=0)
    Traceback (most recent call last):
    ValueError: tries is 0: an item needs 1 or more
    """

    executor: Callable[[], Executor] | None = None
    chunk_size: int | None = None
    tries: int = 2
    timeout: float | None = None
    journal: str | Path | None = None
    progress: bool | Callable[..., Any] = False

    def __post_init__(self) -> None:
        size, tries, timeout = self.chunk_size, self.tries, self.timeout
        for name, value in (("chunk_size", size), ("tries", tries)):
            if not isinstance(value, int | None):
                raise TypeError(f"{name} is {value!r}, not a whole number")
        if not isinstance(timeout, int | float | None):
            raise TypeError(f"timeout is {timeout!r}, not a number of seconds")
        if self.progress not in (True, False) and not callable(self.progress):
            raise TypeError(
                f"progress is {self.progress!r}: give True, or what makes a bar, such "
                "as functools.partial(tqdm, desc='files')"
            )
        if size is not None and size < 1:
            raise ValueError(f"chunk_size is {size}: give 1 or more, or leave it out")
        if tries < 1:
            raise ValueError(f"tries is {tries}: an item needs 1 or more")
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout is {timeout} s: give more, or leave it out")


def refuse_limits(engine: Engine, options: Options) -> None:
    """Refuse what `engine` cannot do, and say what it cannot survive."""
    if options.timeout is not None and not engine.can_end:
        raise ValueError(
            f"no timeout with this executor, for {engine.limits}: "
            "use processes(), or let the worker watch the time"
        )
    if engine.in_process and options.tries > 1:
        # Told where `run` or `stream` is called
        warnings.warn(
            f"{engine.limits}; with tries=1 this is not said again",
            RuntimeWarning,
            stacklevel=4,
        )


def refuse_worker(
    worker: Callable[[Any], Any], engine: Engine, options: Options
) -> None:
    """Refuse a `worker` that cannot be called, or cannot reach the workers."""
    if not callable(worker):
        raise TypeError(
            f"worker is {worker!r}, not a function: pass the function itself, uncalled"
        )
    if inspect.iscoroutinefunction(worker):
        raise TypeError(
            f"worker {worker!r} is a coroutine function, which only an event loop "
            "runs: use asyncio, or a plain function that calls asyncio.run"
        )
    if engine.shares_memory and options.journal is None:
        return
    try:
        packed = engine.dumps(worker)
        pickle.loads(packed)
    except Exception as error:
        raise TypeError(
            f"worker {worker!r} cannot be sent to a worker ({error}): "
            "define it with def at the top of a module, and import it"
        ) from error
    if b"__main__" in packed and not engine.imports_main:
        raise TypeError(
            f"worker {worker!r} is defined where a new process cannot import it, in a "
            "notebook or at a prompt: move it into a module, and import it"
        )


def checked(items: Iterable[Any]) -> Iterator[Any] | range:
    """Return an iterator over `items`, or a range, if there are any.

    >>> list(checked([1, 2]))
    [1, 2]
    >>> checked([])
    Traceback (most recent call last):
    ValueError: there are no items: look at where they come from
    """
    if isinstance(items, str | bytes):
        raise TypeError(
            f"items is one {type(items).__name__}, whose characters would be the "
            "items: pass a list"
        )
    try:
        rest = iter(items)
    except TypeError:
        raise TypeError(f"items is {items!r}, no iterable: pass a list") from None
    for first in rest:
        return items if isinstance(items, range) else chain([first], rest)
    raise ValueError("there are no items: look at where they come from")


def length(items: Iterable[Any]) -> int | None:
    """Return how many `items` there are, None if only drawing them tells."""
    return len(items) if hasattr(items, "__len__") else None
