"""Read what this process and its workers have used: CPU seconds, memory."""

import sys
import time
from collections import deque
from collections.abc import Iterable
from itertools import count, islice
from pathlib import Path
from typing import Any

import psutil

OWN = Path("/proc/self")


def tree_seconds() -> float:
    """Return the CPU seconds of this process and all its living descendants."""
    me = psutil.Process()
    return sum(_cpu_seconds(each) for each in [me, *me.children(recursive=True)])


def _cpu_seconds(process: psutil.Process) -> float:
    if sys.platform == "linux":
        # The clock of another process, as clock_getcpuclockid of C numbers it; psutil
        # would count in hundredths of a second
        return time.clock_gettime((~process.pid << 3) | 2)
    times = process.cpu_times()
    return times.user + times.system


def peak_can_be_measured() -> bool:
    """Tell whether the system keeps a peak of memory that can be set back."""
    return (OWN / "clear_refs").exists()


def reset_peak() -> int:
    """Set the peak of this process back; return its memory now, in kB."""
    if not peak_can_be_measured():
        return 0
    (OWN / "clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def peak() -> int:
    """Return the most memory of this process since `reset_peak`, in kB."""
    return _status("VmHWM") if peak_can_be_measured() else 0


def _status(field: str) -> int:
    lines = (OWN / "status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def take(results: Iterable[Any], number: int) -> None:
    """Consume `number` results as fast as Python can, and keep none.

    The clocks are read then: how an engine ends its workers does not count.
    """
    if (taken := _count(islice(results, number))) < number:
        raise RuntimeError(f"{taken} results instead of {number}")


def refuse_more(results: Iterable[Any]) -> None:
    """Let the engine come to its end, and complain about results too many."""
    if more := _count(results):
        raise RuntimeError(f"{more} results too many")


def _count(results: Iterable[Any]) -> int:
    counter = count()
    deque(zip(results, counter, strict=False), maxlen=0)
    return next(counter)
