"""The processes that descend from a kernel, found by a mark in their environment."""

import time
from collections.abc import Collection, Iterator
from contextlib import suppress

import psutil

GRACE_SECONDS = 3
POLL_SECONDS = 0.05
# What multiprocessing starts once and keeps until its parent ends
SERVANTS = (".resource_tracker", ".forkserver")


def marked(mark: str) -> list[psutil.Process]:
    """Return the living processes with `mark` in their environment, orphans too."""
    return [process for process in _processes() if _carries(process, mark)]


def left_behind(
    parent: psutil.Process, mark: str, known: Collection[int] = ()
) -> list[psutil.Process]:
    """Return the processes that descend from `parent` and will not end.

    Those with an id in `known`, and what multiprocessing keeps on purpose, do not
    count; nor does a child that ended but was not waited for yet.
    """
    family = {parent, *parent.parents()}
    return still_alive(
        [
            process
            for process in _processes(known)
            if process not in family
            and (_carries(process, mark) or _descends(process, parent))
            and not _serves(process, parent)
        ]
    )


def _processes(known: Collection[int] = ()) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        # It may end meanwhile
        with suppress(psutil.Error):
            if pid not in known:
                yield psutil.Process(pid)


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get("COURSE_MARK") == mark and _lives(process)
    except (psutil.Error, OSError):
        # It ended meanwhile, or belongs to somebody else
        return False


def _descends(process: psutil.Process, parent: psutil.Process) -> bool:
    try:
        return parent in process.parents() and _lives(process)
    except psutil.Error:
        return False


def left_alive(mark: str) -> list[psutil.Process]:
    """Return the processes with `mark` that do not end by themselves."""
    return still_alive(marked(mark))


def still_alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Give `processes` a moment to end and return those that did not."""
    until = time.monotonic() + GRACE_SECONDS
    while processes and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        # Not psutil.wait_procs: a dead orphan may stay in the table for good
        processes = [process for process in processes if _lives(process)]
    return processes


def end_all(mark: str) -> None:
    """Kill each process with `mark`."""
    end(marked(mark))


def end(processes: list[psutil.Process]) -> None:
    """Kill `processes` and wait until they are gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.Error:
            continue
    still_alive(processes)


def _serves(process: psutil.Process, parent: psutil.Process) -> bool:
    """Tell whether `process` is one of the servants that `parent` itself started.

    The workers of a fork server have its command line, but not its parent.
    """
    try:
        command = " ".join(process.cmdline())
        return process.ppid() == parent.pid and any(
            servant in command for servant in SERVANTS
        )
    except psutil.Error:
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False


def described(process: psutil.Process) -> str:
    """Return what a person needs to find out who started `process`."""
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        command = "?"
    return f"process {process.pid}, {command[:200]}"
