"""What `recovery` knows of an executor: who works for it, what it can do, its death.

factory -> Engine: submit, dead, kill, restart, close
"""

import contextlib
import os
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from functools import partial
from multiprocessing import connection, get_all_start_methods, get_context
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any

from lessons_src.tools.recovery_worker import start_worker

# How long a worker whose pipe is closed may take to be gone
DYING_SECONDS = 5


def processes(
    workers: int | None = None,
    start_method: str | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[Any, ...] = (),
) -> Callable[[], Executor]:
    """Return what makes a `ProcessPoolExecutor` of `workers`, by `start_method`.

    `initializer(*initargs)` runs in each worker at its start, after a restart too.
    The workers end with this process, even if that is killed.

    >>> make = processes(2, "spawn")
    >>> with make() as executor:
    ...     executor.submit(abs, -3).result()
    3
    """
    known = get_all_start_methods()
    if start_method not in (None, *known):
        raise ValueError(f"start_method is {start_method!r}, not one of {known}")
    return partial(
        ProcessPoolExecutor,
        workers,
        mp_context=get_context(start_method),
        initializer=start_worker,
        initargs=(initializer, initargs),
    )


def _kill(worker: BaseProcess) -> None:
    # Imported here, for workers import this module too
    import psutil

    # Not worker.kill(): loky's have none
    if worker.exitcode is None:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(worker.pid)
            # What it started would live on, such as a program that hangs
            family = process.children(recursive=True)
            process.kill()
            for each in family:
                with contextlib.suppress(psutil.Error):
                    each.kill()


def _is_broken(future: Future) -> bool:
    try:
        return isinstance(future.exception(), BrokenExecutor)
    except CancelledError:
        return False


class Engine:
    """One executor at a time, made by `factory`.

    Making it starts nothing: executors start their workers at the first `submit`.

    Raises
    ------
    TypeError
        If `factory` is no callable without arguments that makes an executor.
    """

    def __init__(self, factory: Callable[[], Executor]) -> None:
        if isinstance(factory, Executor) or not callable(factory):
            raise TypeError(
                f"executor is {factory!r}, which cannot be made anew when it breaks: "
                "pass what makes one, such as processes(4) or "
                "lambda: ThreadPoolExecutor(8)"
            )
        self._factory = factory
        self.pool: Any = None
        self.landed: SimpleQueue[Future | None] = SimpleQueue()
        self.open()

    def open(self) -> None:
        """Make a fresh executor."""
        old, self.pool = self.pool, self._factory()
        if not hasattr(self.pool, "submit") or not hasattr(self.pool, "shutdown"):
            cure = "call it, executor=...()" if callable(self.pool) else "make one"
            raise TypeError(
                f"executor() made {self.pool!r}, which is no Executor: {cure}"
            )
        if self.pool is old:
            raise TypeError(
                "executor() gave the broken executor again: "
                "it must make a new one at each call"
            )
        # The executor forgets its table when it breaks, so hold it here
        table = getattr(self.pool, "_processes", None)
        self._table: dict[int, BaseProcess] | None = (
            table if isinstance(table, dict) else None
        )
        self._dead: dict[int, int | None] | None = None
        self._looking = threading.Lock()

    def submit(self, function: Callable[..., Any], *args: Any) -> Future:
        """Have `function(*args)` run; `landed` gets the future when it is done."""
        future = self.pool.submit(function, *args)
        future.add_done_callback(self._note)
        return future

    def _note(self, future: Future) -> None:
        # The pool reports its death before it ends the workers that are left: the
        # one moment at which only the guilty are dead
        if _is_broken(future):
            with self._looking:
                if self._dead is None:
                    self._dead = self._look_for_dead()
        self.landed.put(future)

    @property
    def dead(self) -> dict[int, int | None]:
        """Who was dead when the pool broke: process to exit code; may be empty."""
        return self._dead or {}

    def _look_for_dead(self) -> dict[int, int | None]:
        workers = {each.sentinel: each for each in list((self._table or {}).values())}
        ready = connection.wait(list(workers), timeout=0)
        for sentinel in ready:
            workers[sentinel].join(DYING_SECONDS)
        # The sentinel of a worker stays silent while a child of its own holds it open
        return {
            worker.pid: worker.exitcode
            for sentinel, worker in workers.items()
            if sentinel in ready or worker.exitcode is not None
        }

    def has_dead(self) -> bool:
        """Tell whether a worker is dead now, whether or not the pool noticed."""
        return bool(self._look_for_dead())

    def give_up(self) -> None:
        """Note who is dead in a pool that does not notice by itself, end the rest."""
        self._dead = self._dead or self._look_for_dead()
        self.kill()

    def kill(self, process: int | None = None) -> None:
        """End the worker `process`, or all of them, at once."""
        for number, worker in list((self._table or {}).items()):
            if process in (None, number):
                _kill(worker)

    def close(self, at_once: bool) -> None:
        """End the executor: `at_once` if it can, or when its chunks are done."""
        if self._table is None or not at_once:
            self.pool.shutdown(wait=True)
            return
        # Its own thread clears up after the workers; shutdown() would forget it
        thread = getattr(self.pool, "_executor_manager_thread", None)
        workers = list(self._table.values())
        self.kill()
        self.pool.shutdown(wait=False)
        for each in [*workers, *([thread] if thread else [])]:
            each.join(DYING_SECONDS)

    @property
    def workers(self) -> int:
        """How many work at once."""
        client = getattr(self.pool, "_client", None)
        if client is not None:  # Dask's
            return max(1, sum(client.nthreads().values()))
        return getattr(self.pool, "_max_workers", None) or os.cpu_count() or 1

    @property
    def shares_memory(self) -> bool:
        """Whether objects reach its workers as they are, unpacked."""
        return self.in_process and not self._interpreters

    @property
    def in_process(self) -> bool:
        """Whether its workers are threads of this process, in any interpreter."""
        return isinstance(self.pool, ThreadPoolExecutor)

    @property
    def can_end(self) -> bool:
        """Whether one of its workers can be ended, and the rest go on anew."""
        return self._table is not None

    @property
    def limits(self) -> str:
        """One sentence: what it cannot do; empty if it can do all."""
        name = type(self.pool).__name__
        if self.can_end:
            return ""
        if self.in_process:
            return (
                f"{name} runs its workers inside this process: none of them can be "
                "ended from outside, and a crash in one ends the whole program"
            )
        return f"{name} does not let its workers be ended from outside"

    @property
    def _interpreters(self) -> bool:
        return type(self.pool).__name__ == "InterpreterPoolExecutor"

    @property
    def dumps(self) -> Callable[[Any], bytes]:
        """What packs a worker and items: pickle, or what the engine itself uses.

        That of loky and Dask packs a lambda, or a function of a cell, with its code.
        """
        if type(self.pool).__module__.partition(".")[0] in ("loky", "distributed"):
            import cloudpickle

            return cloudpickle.dumps
        return pickle.dumps

    @property
    def imports_main(self) -> bool:
        """Whether its workers can reach what the main module defines."""
        if self.dumps is not pickle.dumps or self.shares_memory:
            return True
        context = getattr(self.pool, "_mp_context", None)
        if context is not None and context.get_start_method() == "fork":
            return True
        main = sys.modules["__main__"]
        has_file = getattr(main, "__file__", None) or getattr(main, "__spec__", None)
        return bool(has_file) and not self._interpreters
