"""What a worker of `recovery` does with one chunk: run each item, lose none.

    set-up, items -> run_chunk: mark the item, run it, catch what it raises -> Answers

Answers travel as bytes that are known to load again, so that no item can break the
pool by what it returns or raises. Only a worker that dies is beyond this module;
its marks, in a file that the parent maps too, say which item it was at.
"""

import contextlib
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, NamedTuple

from lessons_src.tools.recovery_marks import BETWEEN_ITEMS, POSITION, begin_mark
from lessons_src.tools.spans import clock, this_thread

PARENT_LOOK_SECONDS = 0.5


class Setup(NamedTuple):
    """What all chunks of a run share; it is packed once, and unpacked once a worker.

    `dumps` is None for threads: nothing is packed for them.
    """

    worker: Callable[[Any], Any]
    dumps: Callable[[Any], bytes] | None
    marks: str | None
    parent: int


class Raised(NamedTuple):
    """An error on its way back: packed unless the worker is a thread."""

    position: int
    error: Any
    trace: str


class Answers(NamedTuple):
    """What became of one chunk.

    `results` has None where an item is among those `raised`. When the chunk could
    not be unpacked, `unreadable` says what could not, "worker" or "items", and the
    error is the only one in `raised`.
    """

    results: Any
    raised: list[Raised]
    process: int
    thread: int
    start: float
    stop: float
    unreadable: str = ""


def run_chunk(
    number: int, setup: Any, items: Any, slot: int, each: bool
) -> tuple[Any, ...]:
    """Run `items`, one after the other, in this process or thread.

    Parameters
    ----------
    number
        Of the call: Dask would not run an equal call again.
    setup, items
        A `Setup` and a list, or both packed.
    slot
        Where to mark that the chunk is at work.
    each
        Whether to mark each item too.

    Returns
    -------
        `Answers`, as a plain tuple, which travels at half the cost.
    """
    start = clock()
    try:
        if isinstance(setup, bytes):
            setup = _set_up(setup)
    except BaseException as error:
        raised = [_raised(0, error, pickle.dumps)]
        return None, raised, *_who(), start, clock(), "worker"
    mark = begin_mark(setup.marks, slot)
    try:
        if setup.dumps:
            items = pickle.loads(items)
    except BaseException as error:
        raised = [_raised(0, error, setup.dumps)]
        return None, raised, *_who(), start, clock(), "items"
    results, raised = _run(setup, _marked(items, mark) if each else items)
    mark[POSITION] = BETWEEN_ITEMS
    packed = _packed(results, raised, setup.dumps) if setup.dumps else results
    return packed, raised, *_who(), start, clock(), ""


# A run has one set-up, and a worker may serve two runs at once
@lru_cache(maxsize=2)
def _set_up(packed: bytes) -> Setup:
    setup = pickle.loads(packed)
    me = os.getpid()
    if me != setup.parent:
        _marks_files.add((me, setup.marks))
        stay_with_parent(me)
    return setup


def _who() -> tuple[int, int]:
    return os.getpid(), this_thread()


def _run(setup: Setup, items: Iterable[Any]) -> tuple[list[Any], list[Raised]]:
    worker = setup.worker
    results: list[Any] = []
    raised: list[Raised] = []
    for item in items:
        try:
            results.append(worker(item))
        # sys.exit() too: it costs the item, not the run
        except BaseException as error:
            raised.append(_raised(len(results), error, setup.dumps))
            results.append(None)
    return results, raised


def _marked(items: Sequence[Any], mark: MutableSequence[int]) -> Iterator[Any]:
    """Yield `items`, each after its position stands in `mark`."""
    for mark[POSITION], item in enumerate(items):
        yield item


def _packed(
    results: list[Any], raised: list[Raised], dumps: Callable[[Any], bytes]
) -> bytes:
    """Pack `results`; those that cannot be packed move over to `raised`."""
    try:
        return dumps(results)
    except Exception:
        for position, result in enumerate(results):
            try:
                dumps(result)
            except Exception as error:
                results[position] = None
                raised.append(_raised(position, error, dumps))
        return dumps(results)


def _raised(
    position: int, error: BaseException, dumps: Callable[[Any], bytes] | None
) -> Raised:
    trace = "".join(traceback.format_exception(error))
    if dumps is None:
        return Raised(position, error.with_traceback(None), trace)
    try:
        packed = dumps(error)
        pickle.loads(packed)
    except Exception:
        packed = _packed_in_parts(error, dumps)
    return Raised(position, packed, trace)


def _packed_in_parts(error: BaseException, dumps: Callable[[Any], bytes]) -> bytes:
    """Pack an `error` that Python's own way cannot load, or cannot pack."""
    try:
        # Its class wants more arguments than it keeps, as many a client's do
        packed = dumps(_Parts(type(error), error.args, error.__dict__))
        load_error(packed)
        return packed
    except Exception:
        # It holds what cannot be packed, such as a lock
        words = "".join(traceback.format_exception_only(error)).strip()
        return pickle.dumps(RuntimeError(words))


class _Parts(NamedTuple):
    kind: type[BaseException]
    args: tuple[Any, ...]
    state: dict[str, Any]


def load_error(packed: bytes) -> BaseException:
    """Load an error that `run_chunk` packed, without calling its constructor."""
    error = pickle.loads(packed)
    if isinstance(error, _Parts):
        parts = error
        error = parts.kind.__new__(parts.kind)
        error.args = parts.args
        error.__dict__.update(parts.state)
    return error


# By process, for a worker may fork workers of its own, which inherit this
_marks_files: set[tuple[int, str | None]] = set()


def start_worker(
    initializer: Callable[..., object] | None, initargs: tuple[Any, ...]
) -> None:
    """Begin a worker process: tie it to its parent, then do what it is told."""
    stay_with_parent(os.getpid())
    if initializer:
        initializer(*initargs)


@lru_cache(maxsize=1)
def stay_with_parent(me: int) -> None:
    """Leave Ctrl-C to the parent, and end process `me` when the parent is gone."""
    with contextlib.suppress(ValueError):  # not the main thread: Dask's
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is None:
        return
    try:
        parent.is_alive()
    except ValueError:
        # loky's workers have no handle of their parent, and a watch of their own
        return
    threading.Thread(target=_end_with_parent, args=[me], daemon=True).start()


def _end_with_parent(me: int) -> None:
    # A forked worker's siblings hold its sentinel open, so it asks the system too;
    # a fork server's child has that server for a parent
    parent = parent_process()
    forked = os.getppid() == parent.pid
    while parent.is_alive() and (not forked or os.getppid() == parent.pid):
        parent.join(PARENT_LOOK_SECONDS)
    # What the parent would have removed
    for process, path in _marks_files:
        with contextlib.suppress(OSError):
            if process == me and path:
                Path(path).unlink()
    os._exit(1)
