"""Collect the spans of many workers without a server.

worker: with recorder.span("task 3"): works -> memory, or a file of its process
parent: recorder.spans                      <- all of them
"""

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from io import FileIO
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Self

from lessons_src.tools.spans import Span, this_thread

# POSIX appends in one step; Windows seeks, then writes, so threads take turns.
# No lock where there is fork: a child could inherit it locked
_turn = threading.Lock() if os.name == "nt" else nullcontext()

# Whole nanoseconds: they print five times as fast as floats do
_NANO = 1e9


class Recorder:
    """Keep spans: in memory, or in the files of `folder` for other processes too.

    Without a folder it serves all threads of one process. With one it can be
    pickled and given to workers of any process: each process appends to a file of
    its own, one unbuffered write a span, so that a worker killed later loses none.
    What a folder holds from earlier runs is read too: take an empty one.

    >>> recorder = Recorder()
    >>> with recorder.span("wash"), recorder.span("soap", kind="waiting"):
    ...     pass
    >>> [(span.task, span.kind) for span in recorder.spans]
    [('wash', 'working'), ('soap', 'waiting')]

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Recorder(folder) as recorder:
    ...     with recorder.span("wash"):
    ...         pass
    ...     [span.task for span in recorder.spans]
    ['wash']
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._kept: list[Span] = []
        self._files: dict[int, FileIO] = {}
        self.folder = None if folder is None else Path(folder).absolute()
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)

    def span(self, task: str, kind: str = "working") -> "_OpenSpan":
        """Record a span of `task` from here to the end of the `with` block."""
        return _OpenSpan(self._write if self.folder else self._keep, task, kind)

    @property
    def spans(self) -> list[Span]:
        """All spans recorded so far, by start."""
        spans = _read(self.folder) if self.folder else self._kept
        return sorted(spans, key=lambda each: (each.start, each.task))

    def close(self) -> None:
        """Close the file of this process; another span would open it again."""
        while self._files:
            self._files.popitem()[1].close()

    def _keep(self, task: str, start: int, stop: int, kind: str) -> None:
        worker = os.getpid(), this_thread()
        self._kept.append(Span(*worker, task, start / _NANO, stop / _NANO, kind))

    def _write(self, task: str, start: int, stop: int, kind: str) -> None:
        process = os.getpid()
        what = f"{quoted(task)},{start},{stop},{quoted(kind)}"
        line = f"[{process},{this_thread()},{what}]\n".encode()
        file = self._files.get(process) or self._open(process)
        with _turn:
            file.write(line)

    def _open(self, process: int) -> FileIO:
        # Another thread may open it at the same moment: one of the two is used
        mine = FileIO(self.folder / f"{process}.jsonl", "a")
        file = self._files.setdefault(process, mine)
        if file is not mine:
            mine.close()
        return file

    def __getstate__(self) -> Path:
        if self.folder is None:
            raise TypeError(
                "Recorder() keeps its spans in the memory of one process: "
                "give Recorder(folder) to other processes"
            )
        return self.folder

    def __setstate__(self, folder: Path) -> None:
        self._kept, self._files, self.folder = [], {}, folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class _OpenSpan:
    """The `with` block of `Recorder.span`."""

    __slots__ = ("keep", "kind", "start", "task")

    def __init__(
        self, keep: Callable[[str, int, int, str], None], task: str, kind: str
    ) -> None:
        self.keep = keep
        self.task = task
        self.kind = kind

    def __enter__(self) -> None:
        self.start = time.perf_counter_ns()

    def __exit__(self, *error: object) -> None:
        self.keep(self.task, self.start, time.perf_counter_ns(), self.kind)


def _read(folder: Path) -> list[Span]:
    spans = []
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_bytes().splitlines():
            try:
                process, thread, task, start, stop, kind = json.loads(line)
            except ValueError:
                # Torn: the worker was ended while it wrote
                continue
            spans.append(Span(process, thread, task, start / _NANO, stop / _NANO, kind))
    return spans
