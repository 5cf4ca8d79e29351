"""End a process and all that it started, on every system."""

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

# How long processes may take to die, and a resource tracker to tidy up
ENDING_SECONDS = 10
TIDYING_SECONDS = 3


def end_tree(child: subprocess.Popen, mark: str) -> None:
    """End `child` and all it started, also those that lost their parent.

    Parameters
    ----------
    child
        started in a session of its own
    mark
        name of an environment variable that was set for `child` and no other, which
        those that lost their parent have inherited
    """
    family = _family(child)
    _end_group(child)
    started = time.monotonic()
    calm = 0
    # Two looks: one can miss a process that ends just as it starts the next
    while calm < 2 and (waited := time.monotonic() - started) < ENDING_SECONDS:
        members = _members(mark, family)
        calm = 0 if members else calm + 1
        workers = [process for process in members if not _tidies_up(process)]
        for process in workers or (members if waited > TIDYING_SECONDS else []):
            _kill(process)
        child.poll()
        time.sleep(0.01)
    child.wait(ENDING_SECONDS)


def _end_group(child: subprocess.Popen) -> None:
    # All at one blow, so that none can start another; resource trackers ignore it
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGTERM)


def _family(child: subprocess.Popen) -> "list[psutil.Process]":
    """List `child` and its descendants, as long as it lives and they have parents."""
    import psutil

    with contextlib.suppress(psutil.Error):
        if child.poll() is None:
            main = psutil.Process(child.pid)
            return [main, *main.children(recursive=True)]
    return []


def _members(mark: str, family: "list[psutil.Process]") -> "list[psutil.Process]":
    import psutil

    members = {process.pid: process for process in family}
    for pid in psutil.pids():
        # Those of other users do not tell, and some end while we look
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if mark in process.environ():
                members[pid] = process
    return [process for _, process in sorted(members.items()) if _lives(process)]


def _lives(process: "psutil.Process") -> bool:
    import psutil

    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _tidies_up(process: "psutil.Process") -> bool:
    """Tell a resource tracker, which removes what the others left and ends."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return any("resource_tracker" in word for word in process.cmdline())
    return False


def _kill(process: "psutil.Process") -> None:
    import psutil

    with contextlib.suppress(psutil.Error):
        process.kill()
