"""A thread that pauses before each statement, and what it keeps meanwhile.

Python calls a trace function at the beginning of each line (`sys.settrace`). Ours
hands the turn back and waits for the baton, a lock that the chooser releases.
"""

import inspect
import sys
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from types import FrameType
from typing import TYPE_CHECKING, Any

from lessons_src.tools import scheduler_locks as locks
from lessons_src.tools.scheduler_program import Uncontrolled
from lessons_src.tools.scheduler_source import Statement, statements
from lessons_src.tools.scheduler_state import Key, Opaque

if TYPE_CHECKING:
    from lessons_src.tools.scheduler_run import Run

GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
INNER = ("<lambda>", "<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")

Trace = Callable[[FrameType, str, Any], Any]


class Ended(BaseException):
    """Ends a thread where it pauses."""


class Place:
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
        self.places: list[Place] = []
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
        except Ended:
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
            raise Ended

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
                raise Ended
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
        self.places.append(Place(frame))
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
