"""What `recovery` reports: the failure of one item, and the whole run, in words."""

import reprlib
import signal
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

from lessons_src.tools.spans import Span

FAILURES_TOLD = 10
MESSAGE_LENGTH = 200
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True)
class Failure:
    """An item that has no result, and why.

    Parameters
    ----------
    index, item
        Which one, counted from 0.
    error
        What the worker raised, or a `RuntimeError` with its words if that cannot be
        pickled; `WorkerDied` if its process ended; `ItemTimeoutError` if it was ended
        because the item took too long; `Unfinished` if Ctrl-C came first.
    cause
        The worker's traceback, as text; None if the worker left none.
    pid
        The process that ran it last; None if it never ran.
    exit_code
        How that process ended, negative for a signal; None if it did not end.
    tries
        How often it was run. Only deaths and time-outs are tried again.

    >>> print(Failure(17, "p.png", ValueError("too big"), None, 4711, None, 1))
    item 17 ('p.png'): ValueError: too big
    >>> print(Failure(17, "p.png", WorkerDied("its worker died"), None, 4711, -9, 2))
    item 17 ('p.png'): its worker died, process 4711, SIGKILL (exit code -9), 2 tries
    """

    index: int
    item: Any
    error: BaseException
    cause: str | None = field(default=None, repr=False)
    pid: int | None = None
    exit_code: int | None = None
    tries: int = 1

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended the worker, None if none did."""
        if self.exit_code is None or self.exit_code >= 0:
            return None
        try:
            return signal.Signals(-self.exit_code).name
        except ValueError:
            return f"signal {-self.exit_code}"

    def __str__(self) -> str:
        item = f"item {self.index} ({_SHORT.repr(self.item)})"
        if not isinstance(self.error, WorkerDied | ItemTimeoutError):
            return f"{item}: {_in_words(self.error)}"
        end = None if self.exit_code is None else f"exit code {self.exit_code}"
        words = [
            str(self.error),
            self.pid and f"process {self.pid}",
            f"{self.signal} ({end})" if self.signal else end,
            _counted(self.tries, "try"),
        ]
        return f"{item}: " + ", ".join(word for word in words if word)


class WorkerDied(Exception):
    """The process that ran the item ended in the middle of it."""


class ItemTimeoutError(TimeoutError):
    """The item took longer than it may, so its worker was ended."""


class Unfinished(Exception):
    """Ctrl-C came before the item had a result."""


@dataclass
class Report:
    """What became of a run.

    Parameters
    ----------
    results
        One for each item, in their order; the `Failure` of those that have none.
    total
        How many items there are; None if nobody knows, as with a generator that
        was interrupted.
    interrupted
        Whether Ctrl-C ended it early; then `results` ends with the last item drawn,
        and those without a result stand there as `Unfinished`.
    restarts
        How often the pool was made anew.
    reruns
        How many innocent items ran, or began to run, once more.
    resumed
        How many results came from the journal.
    spans
        One for each chunk: who ran it when. Those of kind "died" took their worker
        down, or went down with it.
    """

    results: list[Any] = field(default_factory=list, repr=False)
    total: int | None = None
    interrupted: bool = False
    restarts: int = 0
    reruns: int = 0
    resumed: int = 0
    spans: list[Span] = field(default_factory=list, repr=False)

    @property
    def failures(self) -> list[Failure]:
        """Each item that failed, in order; those only interrupted are not here."""
        return [
            each
            for each in self.results
            if isinstance(each, Failure) and not isinstance(each.error, Unfinished)
        ]

    def __str__(self) -> str:
        lost = self.failures
        done = sum(not isinstance(each, Failure) for each in self.results)
        total = "" if self.total is None else f" of {self.total}"
        words = [f"{done}{total} items done", f"{len(lost)} failed"]
        if self.interrupted:
            words.insert(0, "interrupted")
        words += [
            f"pool made anew {_times(self.restarts)}" if self.restarts else "",
            f"{_counted(self.reruns, 'innocent item')} run again"
            if self.reruns
            else "",
            f"{self.resumed} from the journal" if self.resumed else "",
        ]
        lines = [", ".join(word for word in words if word) + "."]
        lines += [f"- {each}" for each in lost[:FAILURES_TOLD]]
        if len(lost) > FAILURES_TOLD:
            lines.append(f"- and {len(lost) - FAILURES_TOLD} more, in .failures")
        return "\n".join(lines)


def _counted(number: int, thing: str) -> str:
    if number == 1:
        return f"1 {thing}"
    return f"{number} {thing[:-1]}ies" if thing.endswith("y") else f"{number} {thing}s"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _in_words(error: BaseException) -> str:
    first = shorten(str(error).partition("\n")[0], MESSAGE_LENGTH, placeholder=" ...")
    name = type(error).__name__
    return f"{name}: {first}" if first else name
