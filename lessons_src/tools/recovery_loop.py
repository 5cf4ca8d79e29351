"""The loop of `recovery`: what goes up, what comes down, and what becomes of it.

feed: what goes again, or new items -> chunk -> Flight
take: answers -> journal -> results
judge: no answers -> innocent: again; guilty: again, alone, or given up
"""

import pickle
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from lessons_src.tools.recovery_chunks import Chunk, Sizes, judge
from lessons_src.tools.recovery_engine import Engine
from lessons_src.tools.recovery_flight import Flight, Landing
from lessons_src.tools.recovery_journal import LARGEST_ROW, Journal
from lessons_src.tools.recovery_options import Options
from lessons_src.tools.recovery_report import (
    Failure,
    ItemTimeoutError,
    Report,
    Unfinished,
    WorkerDied,
)
from lessons_src.tools.recovery_worker import Answers, Raised, load_error
from lessons_src.tools.spans import Span, clock

# The number of a first item, the results from there on, how many are failures
Piece = tuple[int, list[Any], int]


class Loop:
    """One run of `worker` over `items`.

    `report` is filled in as it goes, but for the results; it gets a span for each
    chunk if `keep_spans`.
    """

    def __init__(
        self,
        worker: Callable[[Any], Any],
        items: Iterator[Any] | range,
        engine: Engine,
        journal: Journal | None,
        options: Options,
        report: Report,
        keep_spans: bool,
    ) -> None:
        self._items, self._engine, self._journal = items, engine, journal
        self._options, self.report, self._keep_spans = options, report, keep_spans
        # Threads hand objects over as they are, unless a journal needs them packed
        raw = engine.shares_memory and journal is None
        self._dumps = None if raw else engine.dumps
        self._flight = Flight(engine, worker, self._dumps, options.timeout)
        self._sizes = Sizes(options.chunk_size, engine.workers, report.total)
        self._drawn, self._exhausted, self._stopped = 0, False, False
        self._again: deque[Chunk] = deque()
        self._ready: deque[Piece] = deque()
        # How many results wait for earlier ones, if they are wanted in order
        self.held = 0
        # What the items raised when they were drawn
        self.input_error: Exception | None = None

    def pieces(self) -> Iterator[Piece]:
        """Yield results as they come, until all are there or `stop` is called."""
        flight = self._flight
        while not self._stopped:
            self._feed()
            while self._ready:
                yield self._ready.popleft()
            if flight:
                self._take(flight.wait())
            elif flight.broken:
                self._mend()
            elif self._exhausted and not self._again and not self._ready:
                flight.end(at_once=False)
                return

    def stop(self) -> None:
        """Have `pieces` end soon; a signal handler may call this."""
        self._stopped = True
        self._flight.wake()

    def leftovers(self) -> list[Piece]:
        """End the workers; return what landed till then, and failures for the rest."""
        self._flight.end(at_once=True)
        for landing in self._flight.last_landings():
            self._take(landing)
        for chunk in [*self._flight.chunks, *self._again]:
            error = Unfinished("Ctrl-C came first")
            failures = [
                Failure(number, item, error, tries=0)
                for number, item in enumerate(chunk.items, chunk.start)
            ]
            self._ready.append((chunk.start, failures, 0))
        return list(self._ready)

    def close(self) -> None:
        """End the workers, whatever they do, and let go of the files."""
        try:
            self._flight.close()
        finally:
            if self._journal:
                self._journal.close()

    # What goes up

    def _feed(self) -> None:
        flight = self._flight
        while len(flight) < flight.window and not (flight.broken or self._ready):
            chunk = self._next()
            if chunk is None:
                return
            try:
                items = self._dumps(chunk.items) if self._dumps else chunk.items
            except Exception as error:
                self._unreadable(chunk, error)
                continue
            # To be blamed, or timed, an item must be marked; of cheap ones, not yet
            each = chunk.alone or bool(self._options.timeout) or not self._sizes.cheap
            if not flight.send(chunk, items, each):
                self._again.appendleft(chunk)

    def _next(self) -> Chunk | None:
        """Return what may fly now: first what goes again, then new items."""
        flight = self._flight
        if flight.alone:
            return None
        if self._again:
            if self._again[0].alone and flight:
                return None
            return self._again.popleft()
        if self._exhausted or len(flight) + self.held >= flight.window:
            return None
        return self._draw()

    def _draw(self) -> Chunk | None:
        """Take the next items: as a chunk, or done already by the journal."""
        start = self._drawn
        kept = self._journal.counts.get(start, 0) if self._journal else 0
        size = kept or self._sizes.next(start)
        if self._journal and not kept:
            size = self._journal.room(start, size)
        items = self._take_items(start, size)
        self._drawn += len(items)
        self._exhausted = len(items) < size
        if self._exhausted and self._journal and not self.input_error:
            self._journal.check_total(self._drawn)
        if kept:
            self._ready.append((start, self._journal.read(start, items), 0))
            self.report.resumed += kept
            return None
        return Chunk(start, items) if items else None

    def _take_items(self, start: int, size: int) -> Sequence[Any]:
        if isinstance(self._items, range):
            # A slice of it travels as three numbers
            return self._items[start : start + size]
        items: list[Any] = []
        try:
            # extend keeps what came before an error
            items.extend(islice(self._items, size))
        except Exception as error:
            # First all that was drawn is to have its result
            self.input_error = error
        return items

    # What comes down

    def _take(self, landing: Landing | None) -> None:
        if landing is None:
            return
        chunk, answers, error = landing
        if answers is None:
            self._judge(chunk, {}, error)
        elif answers.unreadable:
            self._refuse_or_split(chunk, answers)
        else:
            self._answered(chunk, answers)

    def _answered(self, chunk: Chunk, answers: Answers) -> None:
        self._sizes.learn(len(chunk.items), answers.stop - answers.start)
        who = answers.process, answers.thread
        self._add_span(chunk, "working", *who, answers.start, answers.stop)
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
        self._ready.append((chunk.start, results, len(answers.raised)))

    def _refuse_or_split(self, chunk: Chunk, answers: Answers) -> None:
        error, trace = self._error_of(answers.raised[0])
        if answers.unreadable == "worker":
            raise RuntimeError(
                "the worker function cannot be loaded by a worker process: define it "
                f"in a module that can be imported there ({error!r})"
            ) from error
        self._unreadable(chunk, error, trace)

    def _unreadable(
        self, chunk: Chunk, error: BaseException, trace: str | None = None
    ) -> None:
        """Find the item that cannot travel, or whose result cannot."""
        if len(chunk.items) == 1:
            failure = Failure(chunk.start, chunk.items[0], error, trace)
            self._ready.append((chunk.start, [failure], 1))
            return
        places = reversed(range(len(chunk.items)))
        self._again.extendleft(chunk.part(place, place + 1) for place in places)

    def _error_of(self, raised: Raised) -> tuple[BaseException, str]:
        if self._dumps is None:
            return raised.error, raised.trace
        try:
            return load_error(raised.error), raised.trace
        except Exception:
            # Its class can be imported by the worker only
            return RuntimeError(raised.trace.strip().splitlines()[-1]), raised.trace

    def _keep(self, chunk: Chunk, results: list[Any], answers: Answers) -> None:
        """Write to the journal what is done; failures are to run again next time."""
        if not answers.raised and len(answers.results) < LARGEST_ROW:
            self._journal.write(chunk.start, chunk.items, answers.results)
            return
        for place, (item, result) in enumerate(zip(chunk.items, results, strict=True)):
            if isinstance(result, Failure):
                continue
            packed = self._dumps([result])
            if len(packed) < LARGEST_ROW:
                self._journal.write(chunk.start + place, [item], packed)
            else:
                warnings.warn(
                    f"the result of item {chunk.start + place} is too large for the "
                    "journal: the next run will make it again",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _add_span(
        self,
        chunk: Chunk,
        kind: str,
        process: int,
        thread: int,
        start: float,
        stop: float,
    ) -> None:
        if self._keep_spans and process:
            span = Span(process, thread, chunk.name, start, stop, kind)
            self.report.spans.append(span)

    # Who is to blame

    def _mend(self) -> None:
        fallen, dead = self._flight.mend()
        self.report.restarts += 1
        # The last first: what a chunk leaves goes to the front
        for chunk in sorted(fallen, key=lambda each: -each.start):
            self._judge(chunk, dead)

    def _judge(
        self,
        chunk: Chunk,
        dead: dict[int, int | None],
        error: BaseException | None = None,
    ) -> None:
        mark = chunk.mark
        start = mark.start / 1e9
        self._add_span(chunk, "died", mark.process, mark.thread, start, clock())
        again, guilty, reruns = judge(chunk, set(dead), self._engine.can_end)
        self.report.reruns += reruns
        if guilty:
            guilty.deaths += 1
            if guilty.deaths < self._options.tries:
                again = sorted([*again, guilty], key=lambda each: each.start)
            else:
                code = dead.get(mark.process)
                failure = self._failure(
                    guilty, chunk.overdue, mark.process, code, error
                )
                self._ready.append((guilty.start, [failure], 1))
        self._again.extendleft(reversed(again))

    def _failure(
        self,
        guilty: Chunk,
        overdue: bool,
        process: int,
        exit_code: int | None,
        cause: BaseException | None,
    ) -> Failure:
        error: BaseException = WorkerDied("its worker died")
        if overdue:
            limit = self._options.timeout
            error = ItemTimeoutError(f"not done in {limit:g} s, worker ended")
        return Failure(
            guilty.start,
            guilty.items[0],
            error,
            cause and repr(cause),
            process or None,
            exit_code,
            guilty.deaths,
        )
