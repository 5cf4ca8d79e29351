"""Run real threads, one statement at a time, in the order that somebody chooses.

who chooses              the threads
run.step("B")  --baton-->  B: one statement, then it pauses again
               <--back---
"""

import sys
import threading
import time
from collections.abc import Hashable
from types import CodeType, TracebackType
from typing import Self

from lessons_src.tools.scheduler_locks import Primitive
from lessons_src.tools.scheduler_program import (
    HERE,
    Program,
    Uncontrolled,
    refuse_outer_stores,
)
from lessons_src.tools.scheduler_source import Unreadable, statements
from lessons_src.tools.scheduler_state import Key, Opaque, find
from lessons_src.tools.scheduler_thread import Place, SteppedThread

STEP_SECONDS = 5
ENDING_SECONDS = 2


class Run:
    """One run of `program`: use it in a `with` block, at the end all threads end.

    >>> def greet(shared):
    ...     shared["greeting"] = "hello"
    >>> with Run(Program(dict, greet)) as run:
    ...     before = run.ready
    ...     run.step("A")
    >>> before, run.shared
    ('A', {'greeting': 'hello'})
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.shared = program.make()
        self.around = program.refuse(self.shared)
        self.lost = self.running_free = self.ending = False
        self.unseen = ""
        self.refusal: Uncontrolled | None = None
        self._checked: set[CodeType] = set()
        self._back = threading.Lock()
        self._back.acquire()
        self.threads = {
            name: SteppedThread(self, name, function)
            for name, function in program.functions.items()
        }

    def __enter__(self) -> Self:
        try:
            for thread in self.threads.values():
                thread.start()
                self._await(thread)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def ready(self) -> str:
        """The names of the threads that can go on."""
        return "".join(name for name, each in self.threads.items() if each.is_ready)

    @property
    def is_over(self) -> bool:
        """Tell whether all threads have ended."""
        return all(thread.done for thread in self.threads.values())

    def step(self, name: str) -> None:
        """Let thread `name` do its next statement, or try again what it waits for.

        Raises
        ------
        Uncontrolled
            When it does not come back.
        """
        thread = self.threads[name]
        if thread.places:
            self.keep_what_hides(thread.places[-1], at_start=True)
        thread.baton.release()
        self._await(thread)

    def key(self) -> Hashable | None:
        """Return all that decides how the run goes on; None if that cannot be seen."""
        key = Key()
        try:
            around = key.entries(self.around)
            shared = key(self.shared)
            threads = tuple(thread.key(key) for thread in self.threads.values())
        except Opaque as reason:
            self.unseen = str(reason)
            return None
        return around, shared, threads

    def errors(self) -> str:
        """Return the errors that no thread caught, "" if there are none."""
        told = []
        for name, thread in self.threads.items():
            if thread.error is not None:
                kind, text = type(thread.error).__name__, str(thread.error)
                told.append(
                    f"{kind} in {name}: {text}" if text else f"{kind} in {name}"
                )
        return "; ".join(told)

    def name_of(self, primitive: Primitive) -> str:
        """Return what the program calls `primitive`."""
        found = find(self.shared, lambda value: value is primitive)
        return found[0][0] if found else f"a {type(primitive).__name__}"

    def check(self, code: CodeType) -> None:
        """Refuse `code` whose steps cannot be told or undone."""
        if code not in self._checked:
            refuse_outer_stores(code)
            try:
                statements(code)
            except Unreadable as error:
                raise Uncontrolled(f"{error}: write it in a cell or a file.") from None
            self._checked.add(code)

    def turn_back(self) -> None:
        """Hand the turn back to whoever chooses."""
        if not (self.ending or self.running_free):
            self._back.release()

    def keep_what_hides(self, place: Place, at_start: bool) -> None:
        """Note what decides the values that the statement of `place` keeps unseen.

        It is noted when the statement starts; or, where only a property or an
        operator of ours can interrupt it, when that one is called.
        """
        statement = place.statement
        if not statement or statement.line in place.hidden:
            return
        if statement.hides if at_start else statement.mixes:
            key = Key()
            try:
                shared = key.entries(self.around), key(self.shared)
                kept = shared, key.entries(place.frame.f_locals)
            except Opaque:
                kept = object()
            place.hidden[statement.line] = kept

    def _await(self, thread: SteppedThread) -> None:
        if not self._back.acquire(timeout=STEP_SECONDS):
            self.lost = True
            raise Uncontrolled(self._where(thread))
        if self.refusal:
            raise self.refusal

    def _where(self, thread: SteppedThread) -> str:
        frame = sys._current_frames().get(thread.ident)
        while frame and id(frame.f_globals) not in self.program.worlds:
            frame = frame.f_back
        where = f"line {frame.f_lineno} of {frame.f_code.co_name}" if frame else "?"
        return (
            f"thread {thread.name} did not come back from {where} within "
            f"{STEP_SECONDS} s: it computes for long, or waits for something that the "
            f"scheduler does not see. Take locks, events and queues from {HERE}."
        )

    def end(self) -> None:
        """End all threads, in the middle of whatever they do.

        Raises
        ------
        Uncontrolled
            When a thread goes on all the same.
        """
        if self.lost:
            # It may wait for what another one holds: let that one come to its end
            self.running_free = True
            self._wake(ENDING_SECONDS)
        self.ending = True
        self._wake(ENDING_SECONDS)
        for thread in self.threads.values():
            if thread.is_alive():
                raise Uncontrolled(
                    f"thread {thread.name} cannot be ended: it waits for something "
                    "that never comes, or catches every error, `Ended` too, and goes "
                    "on. Write `except Exception`, which does not catch that one."
                )

    def _wake(self, limit: float) -> None:
        """Let all threads go on, and wait until they have ended."""
        until = time.monotonic() + limit
        started = [thread for thread in self.threads.values() if thread.ident]
        for thread in started:
            if not thread.done and thread.baton.locked():
                thread.baton.release()
        for thread in started:
            thread.join(max(0, until - time.monotonic()))
