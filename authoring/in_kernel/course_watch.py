"""In the kernel: notice errors that nobody asks for, and threads left behind."""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from course_imports import after_import

GRACE_SECONDS = 1
# Threads that libraries keep by design: they end with the kernel
HOUSEKEEPERS = ("tqdm", "ipykernel", "IPython", "zmq", "debugpy", "_pydev", "pydevd")
# Of the event loop's own pool, of a queue as long as it is in use, and Dask's one
# thread for packing, which it keeps for the next cluster
HOUSEKEEPING = ("asyncio_", "QueueFeederThread", "Dask-Offload")

failed: list[Any] = []
known_threads: set[threading.Thread] = set()


def begin() -> None:
    """Watch the pools and futures of this process, from their first import on."""
    for package in ("multiprocessing", "multiprocess"):
        after_import(f"{package}.pool", watch_pool)
    after_import("concurrent.futures._base", watch_futures)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=print_on_the_terminal)


def print_on_the_terminal() -> None:
    """Make this process print where a spawned child prints: not in the cell."""
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def watch_pool(pool: ModuleType) -> None:
    """Keep each result of a `pool` that failed, and whether it was asked."""
    for result in (pool.ApplyResult, pool.MapResult):
        result._set = _keeping_failures(result._set)
    pool.ApplyResult.get = _asking(pool.ApplyResult.get, "ready")
    pool.ApplyResult.successful = _asking(pool.ApplyResult.successful, "ready")
    for iterator in (pool.IMapIterator, pool.IMapUnorderedIterator):
        iterator._set = _keeping_failures(iterator._set)


def watch_futures(futures: ModuleType) -> None:
    """Keep each future that failed, and whether it was asked."""
    future = futures.Future
    future.set_exception = _keeping_failed_future(future.set_exception)
    future.result = _asking(future.result, "done")
    future.exception = _asking(future.exception, "done")


def _keeping_failures(method: Callable) -> Callable:
    @wraps(method)
    def set_result(self: Any, index: int, outcome: tuple[bool, Any]) -> Any:
        good, value = outcome
        if not good and not getattr(self, "_error_callback", None):
            # Before it is set: whoever waits for it may ask at once
            self._lost_error = value
            failed.append(self)
        return method(self, index, outcome)

    return set_result


def _keeping_failed_future(method: Callable) -> Callable:
    @wraps(method)
    def set_exception(self: Any, exception: BaseException) -> Any:
        self._lost_error = exception
        failed.append(self)
        return method(self, exception)

    return set_exception


def _asking(method: Callable, ready: str) -> Callable:
    @wraps(method)
    def ask(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return method(self, *arguments, **named)
        finally:
            if getattr(self, ready)():
                self._lost_error = None

    return ask


def _is_lost(result: Any) -> bool:
    if hasattr(result, "_unsorted"):
        waiting = [*result._items, *result._unsorted.values()]
        return not all(good for good, _ in waiting)
    return result._lost_error is not None


def take_stock() -> int:
    """Remember the threads that the kernel has for itself; return its process id."""
    known_threads.update(threading.enumerate())
    return os.getpid()


def wrong_after_the_last_cell() -> list[str]:
    """Return a sentence for each lost error and each thread that still runs."""
    # What is only reported when it is thrown away is to be reported now
    gc.collect()
    lost = {id(result): result for result in failed if _is_lost(result)}
    return [
        *(
            f"nobody asked for this error of {_kind(result)}: {_error(result)}"
            for result in lost.values()
        ),
        *(f"left running: thread {thread.name}" for thread in _threads_left_behind()),
    ]


def leave() -> None:
    """End this kernel once the present request is answered."""
    from IPython import get_ipython

    # No cell is left to print to: what is said at exit is to be seen
    print_on_the_terminal()
    get_ipython().ask_exit()


def _kind(result: Any) -> str:
    return f"{type(result).__module__}.{type(result).__name__}"


def _error(result: Any) -> str:
    return f"{type(result._lost_error).__name__}: {result._lost_error}"


def _threads_left_behind() -> list[threading.Thread]:
    until = time.monotonic() + GRACE_SECONDS
    strangers = [thread for thread in threading.enumerate() if _is_strange(thread)]
    for thread in strangers:
        thread.join(max(0, until - time.monotonic()))
    return [thread for thread in strangers if thread.is_alive()]


def _is_strange(thread: threading.Thread) -> bool:
    return not (
        thread in known_threads
        or isinstance(thread, threading._DummyThread)
        or type(thread).__module__.startswith(HOUSEKEEPERS)
        or thread.name.startswith(HOUSEKEEPING)
    )
