"""Run a function over many items in a pool, and lose none of them.

    from lessons_src.tools.recovery import processes, run

    report = run(make_thumbnail, paths, executor=processes(4, "spawn"))
    print(report)                   # 397 of 400 items done, 3 failed ...
    report.results[7]               # of paths[7]: its result, or its Failure
    report.failures                 # which items, what they raised, who died of them

    good = [each for each in report.results if not isinstance(each, Failure)]

Where the main module is imported again (`spawn`, `forkserver`), `run` stands under
`if __name__ == "__main__":` and the worker is a function of a module, as with any pool.

What an item can do wrong costs that item only: raise, call `sys.exit()`, return or
raise what cannot be pickled, kill its process, hang (give a `timeout`). With a
`journal`, a file, even the end of this process costs only what was under way.
Items that were under way when a worker died run again: a worker that sends a mail may
send it twice, so let it be one that can be repeated.

    items --> chunk --> [ window: 4 chunks a worker ] --> executor --> worker
      ^         ^                                                     |     |
      |         |                          marks: "process 7 is at item 11" |
    journal     +-- again <-- judge <-- the pool broke <--------+           |
      |                         |                                           |
      +---- results <-- Failure of the guilty                               |
               ^                                                            |
               +---------------- answers, as bytes that load <--------------+

A chunk is a few neighbouring items; the window is how many chunks are on their way at
once. When a pool breaks, each chunk on its way is judged by its mark: *innocent* if
another worker died, so it goes again; *guilty* is the one item at which a worker died,
so it goes again alone, and is given up after so many `tries`; a *suspect* goes alone
because nobody saw who died. Workers pack errors and results themselves, as bytes that
they have seen load again: what cannot travel is found where it arises.

To read how it works, begin with `judge` in `recovery_chunks`, then `run_chunk` in
`recovery_worker`, then `Loop` in `recovery_loop`. The other rooms: `recovery_options`
(what is refused), `recovery_flight` (the window), `recovery_marks` (who is at which
item), `recovery_engine` (what an executor can do), `recovery_journal`,
`recovery_report`.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from heapq import heappop, heappush
from itertools import chain
from pathlib import Path
from typing import Any, Self

from lessons_src.tools.recovery_engine import Engine, processes
from lessons_src.tools.recovery_journal import Journal, JournalError
from lessons_src.tools.recovery_loop import Loop, Piece
from lessons_src.tools.recovery_options import (
    Options,
    checked,
    length,
    refuse_limits,
    refuse_worker,
)
from lessons_src.tools.recovery_report import (
    Failure,
    ItemTimeoutError,
    Report,
    Unfinished,
    WorkerDied,
)

__all__ = [
    "Failure",
    "ItemTimeoutError",
    "JournalError",
    "Report",
    "Stream",
    "Unfinished",
    "WorkerDied",
    "processes",
    "run",
    "stream",
]

Worker = Callable[[Any], Any]
MakeExecutor = Callable[[], Executor]


def run(
    worker: Worker,
    items: Iterable[Any],
    *,
    executor: MakeExecutor | None = None,
    chunk_size: int | None = None,
    tries: int = 2,
    timeout: float | None = None,
    journal: str | Path | None = None,
    progress: bool | Callable[..., Any] = False,
) -> Report:
    """Call `worker` with each of `items` in a pool, and report what became of each.

    Ctrl-C ends the workers and returns the report of what is there; press it again
    if `items` or a thread will not let go.

    Parameters
    ----------
    worker
        A function of one item, which the pool's workers can import. A tuple is one
        item too: unpack it in the worker.
    items
        Any iterable; it is read only as far as the window needs.
    executor
        What makes an executor of `concurrent.futures`, afresh at each call:
        `processes(4, "spawn")`, `lambda: ThreadPoolExecutor(8)`,
        `lambda: loky.ProcessPoolExecutor(4)`, Dask's `client.get_executor`.
        The default is `processes()`. Threads and sub-interpreters cannot be ended
        one by one, and a crash in one ends the program: that is said at the start.
    chunk_size
        How many items travel together. The default is found while it runs, from 1
        up to what takes a tenth of a second.
    tries
        How often an item may take its worker down, or take too long, before it is
        given up. What a worker raises is never tried again: that is for the worker.
    timeout
        Seconds that one item may take before its worker is ended, with all that it
        started; the start of a worker does not count. Not for threads,
        sub-interpreters and Dask, which cannot be ended.
    journal
        An SQLite file that keeps what is done, for the same call to go on from. It
        knows items by their place and by equality, so append new ones at the end,
        and sort a set. Failures are not kept: they run again. That you edited the
        worker it does not see: then remove it. It is unpickled: open only your own.
    progress
        True for a bar, or what makes one, such as a `partial` of tqdm: it is called
        with `total`, and what it gives must have `update` and `close`.

    Raises
    ------
    ValueError, TypeError
        If an argument cannot be used, before any worker starts; so if there are no
        items at all.
    JournalError
        If the journal is damaged, in use, full, or of another worker or other items.
    RuntimeError
        If the workers die before they begin, again and again.
    Exception
        What `items` raise, once all that was drawn before has its result; the report
        of that is the `report` of the exception.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> report = run(
    ...     int, ["6", "six", "2"], executor=lambda: ThreadPoolExecutor(2), tries=1
    ... )
    >>> print(report)
    2 of 3 items done, 1 failed.
    - item 1 ('six'): ValueError: invalid literal for int() with base 10: 'six'
    >>> report.results[0], report.results[2]
    (6, 2)
    """
    options = Options(executor, chunk_size, tries, timeout, journal, progress)
    loop = _loop(worker, items, options, keep_spans=True)
    report = loop.report
    pieces: list[Piece] = []
    with contextlib.closing(loop), _bar(progress, report.total) as show:
        with _ctrl_c(loop, report):
            for piece in loop.pieces():
                pieces.append(piece)
                show(piece)
        if report.interrupted:
            pieces += loop.leftovers()
    report.results = list(
        chain.from_iterable(part for _, part, _ in sorted(pieces, key=_start))
    )
    if loop.input_error:
        with contextlib.suppress(AttributeError):
            loop.input_error.report = report
        raise loop.input_error
    if not report.interrupted:
        report.total = len(report.results)
    return report


def stream(
    worker: Worker,
    items: Iterable[Any],
    *,
    executor: MakeExecutor | None = None,
    chunk_size: int | None = None,
    tries: int = 2,
    timeout: float | None = None,
    journal: str | Path | None = None,
    progress: bool | Callable[..., Any] = False,
    ordered: bool = False,
) -> "Stream":
    """Yield the number of each item and its result, or its `Failure`, as they come.

    The arguments are those of `run`. It holds no more than its window, so `items` may
    be endless, and nothing is drawn from them while nobody asks for results. To leave
    early, by `break`, an error or Ctrl-C, use it in a `with`: its end is the end of
    the workers.

    Parameters
    ----------
    ordered
        Whether results come in the order of the items.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from itertools import count
    >>> threads = lambda: ThreadPoolExecutor(2)
    >>> with stream(
    ...     lambda x: x * x, count(), executor=threads, tries=1, ordered=True
    ... ) as squares:
    ...     for number, square in squares:
    ...         if square > 50:
    ...             break
    >>> number, square
    (8, 64)
    """
    options = Options(executor, chunk_size, tries, timeout, journal, progress)
    loop = _loop(worker, items, options, keep_spans=False)
    return Stream(_streamed(loop, progress, ordered))


class Stream:
    """What `stream` returns: an iterator that can be closed, by `with` too.

    A `for` loop over it runs through no code of ours for an item.
    """

    def __init__(
        self, chunks: Generator[Iterable[tuple[int, Any]], None, None]
    ) -> None:
        self._chunks = chunks
        self._pairs = chain.from_iterable(chunks)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return self._pairs

    def __next__(self) -> tuple[int, Any]:
        return next(self._pairs)

    def close(self) -> None:
        """End the workers."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _streamed(
    loop: Loop, progress: bool | Callable[..., Any], ordered: bool
) -> Generator[Iterable[tuple[int, Any]], None, None]:
    pieces = loop.pieces()
    with contextlib.closing(loop), _bar(progress, loop.report.total) as show:
        for piece in _in_order(pieces, loop) if ordered else pieces:
            show(piece)
            yield enumerate(piece[1], piece[0])
        if loop.input_error:
            raise loop.input_error


def _in_order(pieces: Iterator[Piece], loop: Loop) -> Iterator[Piece]:
    waiting: list[Piece] = []
    following = 0
    for piece in pieces:
        heappush(waiting, piece)
        while waiting and waiting[0][0] == following:
            piece = heappop(waiting)
            following += len(piece[1])
            loop.held = len(waiting)
            yield piece
        loop.held = len(waiting)


def _start(piece: Piece) -> int:
    return piece[0]


def _loop(
    worker: Worker, items: Iterable[Any], options: Options, keep_spans: bool
) -> Loop:
    """Check all that was given, then make the loop; no worker starts here."""
    engine = Engine(options.executor or processes())
    refuse_limits(engine, options)
    refuse_worker(worker, engine, options)
    report = Report(total=length(items))
    first = checked(items)
    if options.journal is None:
        return Loop(worker, first, engine, None, options, report, keep_spans)
    journal = Journal(options.journal, worker, engine.dumps)
    try:
        if report.total is not None:
            journal.check_total(report.total)
        return Loop(worker, first, engine, journal, options, report, keep_spans)
    except BaseException:
        journal.close()
        raise


@contextlib.contextmanager
def _ctrl_c(loop: Loop, report: Report) -> Iterator[None]:
    """Let Ctrl-C stop `loop` between two steps; a second one, at once."""

    def stop(number: int, frame: object) -> None:
        if report.interrupted:
            raise KeyboardInterrupt
        report.interrupted = True
        loop.stop()

    mine = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, stop) if mine else None
    try:
        yield
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        if mine:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@contextlib.contextmanager
def _bar(
    progress: bool | Callable[..., Any], total: int | None
) -> Iterator[Callable[[Piece], None]]:
    """Give what shows a piece on a bar; it counts what is delivered, so it is right."""
    if not progress:
        yield lambda piece: None
        return
    if progress is True:
        from tqdm.auto import tqdm as progress
    bar = progress(total=total)
    if not hasattr(bar, "update") or not hasattr(bar, "close"):
        raise TypeError(f"progress(total=...) gave {bar!r}, which is no bar: see tqdm")
    failed = 0

    def show(piece: Piece) -> None:
        nonlocal failed
        _, results, lost = piece
        if lost and hasattr(bar, "set_postfix"):
            failed += lost
            bar.set_postfix(failed=failed)
        bar.update(len(results))

    try:
        yield show
    finally:
        bar.close()
