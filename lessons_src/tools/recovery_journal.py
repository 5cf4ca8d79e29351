"""Keep finished results of `recovery` in a file that outlives the process.

    results of a chunk -> write -> SQLite, committed at once
    the same items again -> read -> the same results, without running them

Each row holds neighbouring items and their results, pickled: open no journal that you
would not unpickle.
"""

import pickle
import reprlib
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

# "WRWJ": by which SQLite knows a file of ours
APPLICATION_ID = 0x5752574A
# SQLite takes rows of 1,000,000,000 bytes, with what else stands in them
LARGEST_ROW = 900_000_000
LAYOUT = """
create table done (start integer primary key, count integer, items blob, results blob);
create table worker (name text, packed blob);
"""


class JournalError(Exception):
    """The journal cannot be used for this run; what it holds is untouched."""


class Journal:
    """What is done of one run of `worker`, in the file `path`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with Journal(Path(folder, "run.journal"), abs, pickle.dumps) as journal:
    ...         journal.write(0, [-1, -2], pickle.dumps([1, 2]))
    ...     with Journal(Path(folder, "run.journal"), abs, pickle.dumps) as journal:
    ...         journal.counts, journal.read(0, [-1, -2])
    ({0: 2}, [1, 2])

    Raises
    ------
    JournalError
        If the file is damaged, in use, of another worker or of another program, or
        cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        worker: Callable[[Any], Any],
        dumps: Callable[[Any], bytes],
    ) -> None:
        self.path = Path(path).expanduser()
        self._dumps = dumps
        with self._told():
            self._base = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            with self._told():
                self._open(worker)
                rows = self._base.execute("select start, count from done")
                self.counts: dict[int, int] = dict(sorted(rows.fetchall()))
            self._starts = list(self.counts)
        except BaseException:
            self.close()
            raise

    def _open(self, worker: Callable[[Any], Any]) -> None:
        run = self._base.execute
        # One run at a time: the lock goes when this process does
        run("pragma locking_mode = exclusive")
        (kind,) = run("pragma application_id").fetchone()
        (tables,) = run("select count(*) from sqlite_master").fetchone()
        if kind != APPLICATION_ID and (kind or tables):
            raise JournalError(
                f"{self.path} is a file of another program: choose another journal"
            )
        # Survives the end of this process, whatever ends it
        run("pragma journal_mode = wal")
        run("pragma synchronous = normal")
        if not tables:
            self._base.executescript(
                f"begin exclusive; {LAYOUT} pragma application_id = {APPLICATION_ID};"
                "commit;"
            )
        known = run("select name, packed from worker").fetchone()
        packed = self._dumps(worker)
        if known is None:
            run("insert into worker values (?, ?)", [_name(worker), packed])
        elif known[1] != packed and not _same(self._loaded(known[1]), worker):
            raise JournalError(
                f"{self.path} is of the worker {known[0]}, not of {_name(worker)}: "
                "choose another journal, or remove this one"
            )

    def write(self, start: int, items: Sequence[Any], results: bytes) -> None:
        """Keep the packed `results` of `items`, which begin at number `start`."""
        with self._told():
            self._base.execute(
                "insert into done values (?, ?, ?, ?)",
                [start, len(items), self._dumps(items), results],
            )

    def read(self, start: int, items: Sequence[Any]) -> list[Any]:
        """Return the results of `items`, which begin at number `start`.

        Raises
        ------
        JournalError
            If other items stood there, or the results cannot be read.
        """
        with self._told():
            packed, results = self._base.execute(
                "select items, results from done where start = ?", [start]
            ).fetchone()
        if packed != self._dumps(items):
            self._compare(start, self._loaded(packed), items)
        return self._loaded(results)

    def room(self, start: int, size: int) -> int:
        """Return how many of `size` items from `start` on it does not know."""
        following = bisect_right(self._starts, start)
        if following == len(self._starts):
            return size
        return min(size, self._starts[following] - start)

    def check_total(self, total: int) -> None:
        """Refuse a journal that knows more than `total` items."""
        if self._starts and (known := self._end(self._starts[-1])) > total:
            raise JournalError(
                f"{self.path} knows {known} items, and this run has only {total}: "
                "choose another journal, or remove this one"
            )

    def _end(self, start: int) -> int:
        return start + self.counts[start]

    def _loaded(self, packed: bytes) -> list[Any]:
        try:
            return pickle.loads(packed)
        except Exception as error:
            raise JournalError(
                f"{self.path} holds what cannot be read any more ({error!r}): "
                "has a class changed since? Remove it to begin anew"
            ) from error

    def _compare(self, start: int, old: Sequence[Any], new: Sequence[Any]) -> None:
        # Equal items may have unequal bytes, as sets have
        for number, (was, now) in enumerate(zip(old, new, strict=True), start):
            same = self._dumps(was) == self._dumps(now)
            with suppress(Exception):
                same = same or bool(was == now)
            if not same:
                raise JournalError(
                    f"{self.path} is of other items: number {number} was "
                    f"{reprlib.repr(was)} and is {reprlib.repr(now)} now; "
                    "choose another journal, or remove this one"
                )

    def close(self) -> None:
        """Let go of the file."""
        with suppress(sqlite3.Error):
            self._base.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite says into a sentence with the cure."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorname", "")
            raise JournalError(f"{self.path}: {error}. {_cure(code)}") from error


def _cure(code: str) -> str:
    for start, cure in {
        "SQLITE_BUSY": "Another run uses this journal: wait for it, or end it",
        "SQLITE_FULL": "Make room on the disk, then run again: it goes on from here",
        "SQLITE_IOERR": "Make room on the disk, then run again: it goes on from here",
        "SQLITE_CANTOPEN": "Choose a path in a folder that exists and can be written",
        "SQLITE_READONLY": "Choose a path that can be written",
        "SQLITE_NOTADB": "It is no journal, or damaged: choose another path",
        "SQLITE_CORRUPT": "It is damaged: keep it if you need it, choose another path",
    }.items():
        if code.startswith(start):
            return cure
    return "Choose another journal"


def _same(old: Any, new: Any) -> bool:
    """Compare two workers whose bytes differ, as those of equal paths may."""
    if isinstance(old, partial) and isinstance(new, partial):
        return (old.func, old.args, old.keywords) == (new.func, new.args, new.keywords)
    return bool(old == new)


def _name(worker: Callable[[Any], Any]) -> str:
    if isinstance(worker, partial):
        return (
            f"{_name(worker.func)} with {reprlib.repr((worker.args, worker.keywords))}"
        )
    name = getattr(worker, "__qualname__", None)
    module = getattr(worker, "__module__", type(worker).__module__)
    return f"{module}.{name}" if name else reprlib.repr(worker)
