"""The chunks of `recovery` that are in the air, and how each comes down.

send: chunk -> executor -> worker
wait: Landing: answers, or the error of an engine that lives on
mend: the pool broke -> what fell, who died -> a new pool
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from itertools import count
from queue import Empty
from typing import Any, NamedTuple

from lessons_src.tools.recovery_chunks import Chunk
from lessons_src.tools.recovery_engine import Engine
from lessons_src.tools.recovery_marks import Mark, Marks
from lessons_src.tools.recovery_worker import Answers, Setup, run_chunk

# Enough that no worker waits for the parent; few fall when a pool breaks
CHUNKS_A_WORKER = 4
LOOK_SECONDS = 1.0
# A pool that has a dead worker and does not say so by then has hung itself
SILENT_SECONDS = 10
# Pools in a row that break before one chunk has begun, until that is too many: of
# workers that ended by themselves, of workers that somebody killed
STILLBORN, KILLED_YOUNG = 3, 30


class Landing(NamedTuple):
    """A chunk that came down, with `answers` or with an `error`."""

    chunk: Chunk
    answers: Answers | None
    error: BaseException | None


class Flight:
    """At most `window` chunks in the air.

    `dumps` packs what travels; None where nothing needs to be packed.
    """

    def __init__(
        self,
        engine: Engine,
        worker: Callable[[Any], Any],
        dumps: Callable[[Any], bytes] | None,
        timeout: float | None,
    ) -> None:
        self._engine, self._timeout = engine, timeout
        self.window = CHUNKS_A_WORKER * engine.workers
        self._marks = None if engine.in_process else Marks(self.window)
        self._slots = list(range(self.window))
        path = self._marks.path if self._marks else None
        setup = Setup(worker, dumps, path, os.getpid())
        self._setup = dumps(setup) if dumps else setup
        self._calls = count()
        self._flying: dict[Future, Chunk] = {}
        self._fallen: list[Chunk] = []
        self._stillborn = 0
        self._refusal: Exception | None = None
        self._looked = self._heard = time.monotonic()
        self.broken = False
        # Whether the one chunk in the air is to have no other beside it
        self.alone = False

    def __len__(self) -> int:
        return len(self._flying)

    @property
    def chunks(self) -> list[Chunk]:
        """All that have not landed."""
        return [*self._flying.values(), *self._fallen]

    def send(self, chunk: Chunk, items: Any, each: bool) -> bool:
        """Put `chunk` into the air, its `items` packed; tell whether the pool took it.

        They are marked one by one if `each`.
        """
        chunk.slot, chunk.mark, chunk.overdue = self._slots[-1], Mark(), False
        if self._marks:
            self._marks.clear(chunk.slot)
        call = next(self._calls), self._setup, items, chunk.slot, each
        try:
            future = self._engine.submit(run_chunk, *call)
        except (BrokenExecutor, OSError) as error:
            # OSError: the pool broke while it started one more worker, or the
            # system has no room for one
            self.broken, self._refusal = True, error
            return False
        self._slots.pop()
        self._flying[future] = chunk
        self.alone = chunk.alone
        return True

    def wait(self) -> Landing | None:
        """Wait until a chunk has landed; come back without one now and then."""
        pause = min(LOOK_SECONDS, (self._timeout or LOOK_SECONDS) / 4)
        if time.monotonic() - self._looked >= pause:
            self._look()
        try:
            return self._land(self._engine.landed.get(timeout=pause))
        except Empty:
            return None

    def wake(self) -> None:
        """Have `wait` come back; a signal handler may call this."""
        self._engine.landed.put(None)

    def _land(self, future: Future | None) -> Landing | None:
        self._heard = time.monotonic()
        chunk = self._flying.pop(future, None)
        if chunk is None:
            # Its pool was given up before
            return None
        self._slots.append(chunk.slot)
        self.alone = False
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if error is None:
            self._stillborn = 0
            return Landing(chunk, Answers(*future.result()), None)
        self._read_mark(chunk)
        if not isinstance(error, BrokenExecutor):
            return Landing(chunk, None, error)
        self.broken = True
        self._fallen.append(chunk)
        return None

    def _read_mark(self, chunk: Chunk) -> None:
        if self._marks:
            chunk.mark = self._marks.read(chunk.slot)

    def _look(self) -> None:
        """End workers whose item takes too long, and a pool that hangs itself."""
        self._looked = now = time.monotonic()
        if self._timeout and self._marks:
            for chunk in self._flying.values():
                self._watch(chunk, now)
        if now - self._heard > SILENT_SECONDS:
            self._heard = now
            if self.broken or self._engine.has_dead():
                self._give_up()

    def _watch(self, chunk: Chunk, now: float) -> None:
        before = chunk.mark
        self._read_mark(chunk)
        if chunk.mark != before:
            chunk.since = now
        elif chunk.mark.process and now - chunk.since > self._timeout:
            chunk.overdue = True
            self._engine.kill(chunk.mark.process)

    def _give_up(self) -> None:
        self._engine.give_up()
        self.broken = True
        for chunk in self._flying.values():
            self._read_mark(chunk)
            self._slots.append(chunk.slot)
            self._fallen.append(chunk)
        self._flying.clear()
        self.alone = False

    def mend(self) -> tuple[list[Chunk], dict[int, int | None]]:
        """Make a new pool; return what fell with the old one, and who died in it.

        Raises
        ------
        RuntimeError
            If pools break again and again before they begin.
        """
        dead = self._engine.dead
        self._engine.close(at_once=True)
        fallen, self._fallen = self._fallen, []
        begun = any(each.mark.process for each in fallen)
        if begun or (fallen and not self._engine.can_end):
            self._stillborn = 0
        else:
            self._refuse_stillborn(dead)
        self._engine.open()
        self.broken = False
        return fallen, dead

    def _refuse_stillborn(self, dead: dict[int, int | None]) -> None:
        self._stillborn += 1
        codes = set(dead.values())
        by_themselves = codes and all((code or 0) >= 0 for code in codes)
        if self._stillborn >= (STILLBORN if by_themselves else KILLED_YOUNG):
            raise RuntimeError(
                f"workers ended before they began an item, {self._stillborn} times in "
                f"a row (exit code {' or '.join(map(str, codes)) or 'unknown'}): an "
                "initializer that fails, a main module that cannot be imported again, "
                'or a script whose call is not under if __name__ == "__main__":'
            ) from self._refusal

    def end(self, at_once: bool) -> None:
        """End the workers: when they are done, or `at_once`."""
        if at_once and not self._engine.can_end:
            # Chunks under way go on, the others need not begin
            for future in list(self._flying):
                future.cancel()
        self._engine.close(at_once)

    def last_landings(self) -> list[Landing]:
        """Return what landed before the end and was not waited for."""
        found = []
        while not self._engine.landed.empty():
            landing = self._land(self._engine.landed.get())
            if landing and landing.answers:
                found.append(landing)
            elif landing:
                self._fallen.append(landing.chunk)
        return found

    def close(self) -> None:
        """End the workers, whatever they do, and tidy up."""
        try:
            self.end(at_once=True)
        finally:
            if self._marks:
                self._marks.close()
