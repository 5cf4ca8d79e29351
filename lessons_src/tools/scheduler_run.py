"""Run real threads, one statement at a time, in the order that somebody chooses.

    who chooses              the threads
    run.step("B")  --baton-->  B: one statement, then it pauses again
                   <--back---

Python calls a trace function at the beginning of each line (`sys.settrace`). Ours
hands the turn back and waits for the baton, a lock that the chooser releases.
"""

import inspect
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from types import CodeType, FrameType, TracebackType
from typing import Any, Self

from lessons_src.tools import scheduler_locks as locks
from lessons_src.tools.scheduler_program import (
    HERE,
    Program,
    Uncontrolled,
    refuse_outer_stores,
)
from lessons_src.tools.scheduler_source import Statement, Unreadable, statements
from lessons_src.tools.scheduler_state import Key, Opaque, find

STEP_SECONDS = 5
ENDING_SECONDS = 2
GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
INNER = ("<lambda>", "<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")

Trace = Callable[[FrameType, str, Any], Any]


class _Ended(BaseException):
    """Ends a thread where it pauses."""


class _Place:
    """A function that a thread is in: its next statement, and what it hides."""

    def __init__(self, frame: FrameType) -> None:
        self.frame = frame
        self.statement: Statement | None = None
        self.offset = -1
        self.seen: Counter[int] = Counter()
        self.hidden: dict[int, Hashable] = {}
        self.returned: list[Any] = []
        self.waits: list[locks.Primitive] = []

    def begins(self, statement: Statement | None) -> bool:
        """Tell whether the frame begins `statement` now, and go there."""
        offset = self.frame.f_lasti
        if statement is None:
            return False
        # A line of the same statement again: a list comprehension goes round, or
        # the statement spans lines; only the offset tells it from a loop around it
        again = statement is self.statement
        if again and not statement.is_head and offset != self.offset:
            return False
        before, self.statement, self.offset = self.statement, statement, offset
        if before and not before.stays_open:
            self.hidden.pop(before.line, None)
        self.returned = []
        self.waits = []
        self.seen[statement.line] += 1
        return True

    @property
    def text(self) -> str:
        """The statement that comes next, as a person reads it."""
        again = self.statement.leaves and self.seen[self.statement.line] % 2 == 0
        return f"end of {self.statement.text}" if again else self.statement.text

    def key(self, key: Key) -> Hashable:
        """Return all that decides how the function goes on."""
        values = key.entries(self.frame.f_locals)
        seen, hidden = sorted(self.seen.items()), sorted(self.hidden.items())
        kept = tuple(map(key, self.returned)), tuple(map(key, self.waits))
        line = self.statement.line if self.statement else 0
        code = id(self.frame.f_code)
        return code, line, self.offset, values, tuple(seen), tuple(hidden), kept


class SteppedThread(threading.Thread):
    """A thread that pauses before each statement until it is let go on."""

    def __init__(self, run: "Run", name: str, function: Callable[[Any], Any]) -> None:
        super().__init__(name=name, daemon=True)
        self.course = run
        self.function = function
        self.baton = threading.Lock()
        self.baton.acquire()
        self.places: list[_Place] = []
        self.wait: locks.Wait | None = None
        self.error: BaseException | None = None
        self.done = False
        self.opaque = False

    def run(self) -> None:
        """Do the function, statement by statement."""
        locks.enter(self)
        sys.settrace(self._on_call)
        try:
            self.function(self.course.shared)
        except _Ended:
            pass
        except Uncontrolled as refusal:
            self.course.refusal = refusal
        except (Exception, SystemExit) as error:
            self.error = error.with_traceback(None)
        finally:
            sys.settrace(None)
            self.done = True
            self.places = []
            self.course.turn_back()

    def pause(self) -> None:
        """Hand the turn back, and wait for the next one."""
        if not (self.course.ending or self.course.running_free):
            self.course.turn_back()
            self.baton.acquire()
        if self.course.ending:
            raise _Ended

    def begin_to_wait(self, primitive: locks.Primitive) -> None:
        """Pause if the present statement has waited for something before."""
        if not self.places:
            return
        place = self.places[-1]
        place.waits.append(primitive)
        if len(place.waits) > 1:
            self.pause()

    def block(self, wait: locks.Wait) -> None:
        """Pause because of `wait`."""
        self.wait = wait
        try:
            if self.course.running_free:
                raise _Ended
            self.pause()
        finally:
            self.wait = None

    @property
    def is_ready(self) -> bool:
        """Tell whether the thread can go on now."""
        if self.done:
            return False
        return self.wait is None or self.wait.may_give_up or self.wait.over()

    def _on_call(self, frame: FrameType, event: str, argument: Any) -> Trace | None:
        code = frame.f_code
        if id(frame.f_globals) not in self.course.program.worlds:
            return None
        if code.co_flags & GENERATORS:
            # What it keeps from one call to the next can be seen by nobody
            self.opaque = True
            return None
        if code.co_name in INNER:
            return None
        self.course.check(code)
        if self.places:
            self.course.keep_what_hides(self.places[-1], at_start=False)
        self.places.append(_Place(frame))
        return self._on_line

    def _on_line(self, frame: FrameType, event: str, argument: Any) -> Trace:
        if event == "line":
            place = self.places[-1]
            if place.begins(statements(frame.f_code).get(frame.f_lineno)):
                self.pause()
        elif event == "return":
            self.places.pop()
            if self.places:
                self.places[-1].returned.append(argument)
        return self._on_line

    def key(self, key: Key) -> Hashable:
        """Return all that decides how the thread goes on."""
        if self.opaque:
            raise Opaque("a generator keeps values that cannot be seen")
        places = tuple(place.key(key) for place in self.places)
        waits = self.wait and (key(self.wait.primitive), self.wait.may_give_up)
        return self.done, str(self.error), waits, places


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

    def name_of(self, primitive: locks.Primitive) -> str:
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

    def keep_what_hides(self, place: _Place, at_start: bool) -> None:
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
                    "that never comes, or catches every error, `_Ended` too, and goes "
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
