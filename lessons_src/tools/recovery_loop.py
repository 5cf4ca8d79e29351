"""The loop of `recovery`: a window of chunks in flight, and what becomes of each.

feed: what goes again, or new items -> chunk -> executor
land: answers -> journal -> results
      none    -> judge  -> innocent: again; guilty: again, alone, or given up
"""

import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Future
from itertools import count, islice
from queue import Empty, SimpleQueue
from typing import Any

from lessons_src.tools.recovery_chunks import Chunk, Sizes, judge
from lessons_src.tools.recovery_engine import Engine
from lessons_src.tools.recovery_journal import Journal
from lessons_src.tools.recovery_marks import Mark, Marks
from lessons_src.tools.recovery_report import (
    Failure,
    ItemTimeoutError,
    Report,
    Unfinished,
    WorkerDied,
)
from lessons_src.tools.recovery_worker import Answers, Raised, Setup, run_chunk
from lessons_src.tools.spans import Span, clock

# Enough that no worker waits for the parent; few fall when a pool breaks
CHUNKS_A_WORKER = 4
LOOK_SECONDS = 1.0
# A pool that has a dead worker and does not say so by then has hung itself
SILENT_SECONDS = 10
# Restarts in a row without one chunk begun, before the pool is given up: of workers
# that ended by themselves, of workers that somebody killed
STILLBORN, KILLED_YOUNG = 3, 30

# The number of a first item, and the results from there on
Piece = tuple[int, list[Any]]


class Loop:
    """One run of `worker` over `items`.

    `report` is filled in as it goes, but for the results; it gets a span for each
    chunk if `keep_spans`.
    """

    def __init__(
        self,
        worker: Callable[[Any], Any],
        items: Iterator[Any],
        engine: Engine,
        report: Report,
        *,
        chunk_size: int | None,
        tries: int,
        timeout: float | None,
        journal: Journal | None,
        keep_spans: bool,
    ) -> None:
        self._items, self._engine, self.report = items, engine, report
        self._sizes = Sizes(chunk_size, engine.workers, report.total)
        self._tries, self._timeout = tries, timeout
        self._journal, self._keep_spans = journal, keep_spans
        # Threads hand objects over as they are, unless a journal needs them packed
        raw = engine.shares_memory and journal is None
        self._dumps = None if raw else engine.dumps
        self._window = CHUNKS_A_WORKER * engine.workers
        self._marks = None if engine.in_process else Marks(self._window)
        self._slots = list(range(self._window))
        path = self._marks.path if self._marks else None
        setup = Setup(worker, self._dumps, path, os.getpid())
        self._setup = self._dumps(setup) if self._dumps else setup
        self._drawn, self._exhausted = 0, False
        self._calls = count()
        self._again: deque[Chunk] = deque()
        self._ready: deque[Piece] = deque()
        self._flying: dict[Future, Chunk] = {}
        self._fallen: list[Chunk] = []
        self._landed: SimpleQueue[Future | None] = SimpleQueue()
        self._broken, self._stopped = False, False
        self._stillborn = 0
        self._looked = self._heard = time.monotonic()
        # How many results wait for earlier ones, if they are wanted in order
        self.held = 0

    def pieces(self) -> Iterator[Piece]:
        """Yield results as they come, until all are there or `stop` is called."""
        while not self._stopped:
            self._feed()
            while self._ready:
                yield self._ready.popleft()
            if self._flying:
                self._wait()
            elif self._broken:
                self._mend()
            elif self._exhausted and not self._again and not self._ready:
                self._engine.close()
                return

    def stop(self) -> None:
        """Have `pieces` end soon; may be called by a signal handler."""
        self._stopped = True
        self._landed.put(None)

    def close(self) -> None:
        """End the workers, whatever they do, and tidy up."""
        try:
            self._end_workers()
        finally:
            if self._marks:
                self._marks.close()
            if self._journal:
                self._journal.close()

    def leftovers(self) -> list[Piece]:
        """End the workers; return what landed till then, and failures for the rest."""
        self._end_workers()
        while not self._landed.empty():
            future = self._landed.get()
            if future and not future.cancelled() and not future.exception():
                self._land(future)
        unfinished = [*self._flying.values(), *self._fallen, *self._again]
        for chunk in unfinished:
            error = Unfinished("Ctrl-C came first")
            failures = [
                Failure(number, item, error, tries=0)
                for number, item in enumerate(chunk.items, chunk.start)
            ]
            self._ready.append((chunk.start, failures))
        return list(self._ready)

    def _end_workers(self) -> None:
        if not self._engine.can_end:
            # Chunks under way go on, the others need not begin
            for future in list(self._flying):
                future.cancel()
        self._engine.close(wait=False)

    # From items to workers

    def _feed(self) -> None:
        while len(self._flying) < self._window and not (self._broken or self._ready):
            chunk = self._next()
            if chunk is None:
                return
            self._send(chunk)

    def _next(self) -> Chunk | None:
        """Return what may fly now: first what goes again, then new items."""
        if any(each.alone for each in self._flying.values()):
            return None
        if self._again:
            if self._again[0].alone and self._flying:
                return None
            return self._again.popleft()
        if self._exhausted or len(self._flying) + self.held >= self._window:
            return None
        return self._draw()

    def _draw(self) -> Chunk | None:
        """Take the next items: as a chunk, or done already by the journal."""
        start = self._drawn
        kept = self._journal.counts.get(start, 0) if self._journal else 0
        size = kept or self._sizes.next(start)
        if self._journal and not kept:
            size = self._journal.room(start, size)
        items = list(islice(self._items, size))
        self._drawn += len(items)
        self._exhausted = len(items) < size
        if self._exhausted and self._journal:
            self._journal.check_total(self._drawn)
        if kept:
            self._ready.append((start, self._journal.read(start, items)))
            self.report.resumed += kept
            return None
        return Chunk(start, items) if items else None

    def _send(self, chunk: Chunk) -> None:
        try:
            items = self._dumps(chunk.items) if self._dumps else chunk.items
        except Exception as error:
            self._unreadable(chunk, error)
            return
        chunk.slot, chunk.mark, chunk.overdue = self._slots.pop(), Mark(), False
        if self._marks:
            self._marks.clear(chunk.slot)
        each = chunk.alone or bool(self._timeout) or not self._sizes.cheap
        call = next(self._calls), self._setup, items, chunk.slot, each
        try:
            future = self._engine.submit(self._landed.put, run_chunk, *call)
        except BrokenExecutor:
            self._broken = True
            self._slots.append(chunk.slot)
            self._again.appendleft(chunk)
        else:
            self._flying[future] = chunk

    # From workers to results

    def _wait(self) -> None:
        """Wait until a chunk has landed; now and then look at the others."""
        pause = min(LOOK_SECONDS, (self._timeout or LOOK_SECONDS) / 4)
        if time.monotonic() - self._looked >= pause:
            self._look()
        try:
            future = self._landed.get(timeout=pause)
        except Empty:
            return
        self._heard = time.monotonic()
        if future is not None:
            self._land(future)

    def _land(self, future: Future) -> None:
        chunk = self._flying.pop(future, None)
        if chunk is None:
            # Its pool was given up before
            return
        self._slots.append(chunk.slot)
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if error is None:
            self._stillborn = 0
            self._answered(chunk, Answers(*future.result()))
            return
        chunk.mark = self._read_mark(chunk)
        if isinstance(error, BrokenExecutor):
            self._broken = True
            self._fallen.append(chunk)
        else:
            # An engine that loses a chunk and lives on
            self._judge(chunk, {}, error)

    def _read_mark(self, chunk: Chunk) -> Mark:
        return self._marks.read(chunk.slot) if self._marks else chunk.mark

    def _answered(self, chunk: Chunk, answers: Answers) -> None:
        if answers.unreadable:
            error, trace = self._error_of(answers.raised[0])
            if answers.unreadable == "worker":
                raise RuntimeError(
                    "the worker function cannot be loaded by a worker process: define "
                    f"it in a module that can be imported there ({error!r})"
                ) from error
            self._unreadable(chunk, error, trace)
            return
        self._sizes.learn(len(chunk.items), answers.stop - answers.start)
        if self._keep_spans:
            self._add_span(chunk, *answers[2:6])
        results = answers.results
        if self._dumps:
            try:
                results = pickle.loads(results)
            except Exception as error:
                self.report.reruns += len(chunk.items) - 1
                self._unreadable(chunk, error)
                return
        for raised in answers.raised:
            number, item = chunk.start + raised.position, chunk.items[raised.position]
            error, trace = self._error_of(raised)
            failure = Failure(number, item, error, trace, answers.process)
            results[raised.position] = failure
        if self._journal:
            self._keep(chunk, results, answers)
        self._ready.append((chunk.start, results))

    def _error_of(self, raised: Raised) -> tuple[BaseException, str]:
        if self._dumps is None:
            return raised.error, raised.trace
        try:
            return pickle.loads(raised.error), raised.trace
        except Exception:
            # Its class can be imported by the worker only
            return RuntimeError(raised.trace.strip().splitlines()[-1]), raised.trace

    def _unreadable(
        self, chunk: Chunk, error: BaseException, trace: str | None = None
    ) -> None:
        """Find the item that cannot travel, or whose result cannot."""
        if len(chunk.items) == 1:
            failure = Failure(chunk.start, chunk.items[0], error, trace)
            self._ready.append((chunk.start, [failure]))
            return
        places = reversed(range(len(chunk.items)))
        self._again.extendleft(chunk.part(place, place + 1) for place in places)

    def _keep(self, chunk: Chunk, results: list[Any], answers: Answers) -> None:
        """Write to the journal what is done; failures are to run again next time."""
        if not answers.raised:
            self._journal.write(chunk.start, chunk.items, answers.results)
            return
        failed = sorted(each.position for each in answers.raised)
        for before, after in zip([-1, *failed], [*failed, len(results)], strict=True):
            part = slice(before + 1, after)
            if chunk.items[part]:
                packed = self._dumps(results[part])
                self._journal.write(chunk.start + part.start, chunk.items[part], packed)

    def _add_span(
        self, chunk: Chunk, process: int, thread: int, start: float, stop: float
    ) -> None:
        self.report.spans.append(Span(process, thread, chunk.name, start, stop))

    # What hangs, and what died

    def _look(self) -> None:
        """End workers whose item takes too long, and a pool that hangs itself."""
        self._looked = now = time.monotonic()
        if self._timeout and self._marks:
            for chunk in self._flying.values():
                mark = self._marks.read(chunk.slot)
                if mark != chunk.mark:
                    chunk.mark, chunk.since = mark, now
                elif mark.process and now - chunk.since > self._timeout:
                    chunk.overdue = True
                    self._engine.kill(mark.process)
        if now - self._heard > SILENT_SECONDS:
            self._heard = now
            if self._broken or self._engine.has_dead():
                self._give_up()

    def _give_up(self) -> None:
        """Treat all chunks in flight as fallen."""
        self._engine.give_up()
        self._broken = True
        for chunk in self._flying.values():
            chunk.mark = self._read_mark(chunk)
            self._slots.append(chunk.slot)
            self._fallen.append(chunk)
        self._flying.clear()

    def _mend(self) -> None:
        """Make a new pool, and say what is to become of all that fell."""
        dead = self._engine.dead
        self._engine.close(wait=False)
        fallen, self._fallen = self._fallen, []
        self._refuse_stillborn(fallen, dead)
        # The last first: what a chunk leaves goes to the front
        for chunk in sorted(fallen, key=lambda each: -each.start):
            self._judge(chunk, dead)
        self.report.restarts += 1
        self._engine.open()
        self._broken = False

    def _refuse_stillborn(self, fallen: list[Chunk], dead: dict[int, Any]) -> None:
        begun = [each for each in fallen if each.mark.process]
        if begun or (fallen and not self._engine.can_end):
            self._stillborn = 0
            return
        self._stillborn += 1
        killed = any((code or 0) < 0 for code in dead.values())
        if self._stillborn >= (KILLED_YOUNG if killed else STILLBORN):
            codes = ", ".join(map(str, sorted(map(str, dead.values())))) or "unknown"
            raise RuntimeError(
                f"workers ended before they began an item, {self._stillborn} times in "
                f"a row (exit code {codes}): an initializer that fails, a main module "
                "that cannot be imported again, or a script whose call is not under "
                'if __name__ == "__main__":'
            )

    def _judge(
        self, chunk: Chunk, dead: dict[int, Any], error: BaseException | None = None
    ) -> None:
        mark = chunk.mark
        if self._keep_spans and mark.process:
            who = mark.process, mark.thread
            start = mark.start / 1e9
            span = Span(*who, chunk.name, start, clock(), "died")
            self.report.spans.append(span)
        again, guilty, reruns = judge(chunk, set(dead), self._engine.can_end)
        self.report.reruns += reruns
        if guilty:
            guilty.deaths = guilty.deaths + 1
            if guilty.deaths < self._tries:
                again = sorted([*again, guilty], key=lambda each: each.start)
            else:
                self._condemn(guilty, chunk, dead.get(mark.process), error)
        self._again.extendleft(reversed(again))

    def _condemn(
        self,
        guilty: Chunk,
        chunk: Chunk,
        exit_code: int | None,
        cause: BaseException | None,
    ) -> None:
        error: BaseException = WorkerDied("its worker died")
        if chunk.overdue:
            error = ItemTimeoutError(f"not done in {self._timeout} s, worker ended")
        error.__cause__ = cause
        pid = chunk.mark.process or None
        trace = repr(cause) if cause else None
        failure = Failure(
            guilty.start, guilty.items[0], error, trace, pid, exit_code, guilty.deaths
        )
        self._ready.append((guilty.start, [failure]))
