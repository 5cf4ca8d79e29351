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
        name of an environment variable that was set for `child` and no other
    """
    started = time.monotonic()
    calm = 0
    # Two looks: one can miss a process that ends just as it starts the next
    while calm < 2 and (waited := time.monotonic() - started) < ENDING_SECONDS:
        members = _members(child, mark)
        calm = 0 if members else calm + 1
        workers = [process for process in members if not _tidies_up(process)]
        doomed = workers or (members if waited > TIDYING_SECONDS else [])
        if doomed:
            _kill_all(doomed, child)
        child.poll()
        time.sleep(0.01)
    child.wait(ENDING_SECONDS)


def _members(child: subprocess.Popen, mark: str) -> "list[psutil.Process]":
    import psutil

    members = {}
    with contextlib.suppress(psutil.Error):
        if child.poll() is None:
            main = psutil.Process(child.pid)
            members = {p.pid: p for p in [main, *main.children(recursive=True)]}
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if _belongs(process, child, mark):
                members[pid] = process
    return [process for pid, process in sorted(members.items()) if _lives(process)]


def _belongs(process: "psutil.Process", child: subprocess.Popen, mark: str) -> bool:
    # One that lost its parent still has the session (not on Windows) or the mark
    get_session = getattr(os, "getsid", None)
    if get_session and get_session(process.pid) == child.pid:
        return True
    return mark in process.environ()


def _lives(process: "psutil.Process") -> bool:
    import psutil

    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _tidies_up(process: "psutil.Process") -> bool:
    """Tell a resource tracker, which removes what the others left and ends."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return any("resource_tracker" in word for word in process.cmdline())
    return False


def _kill_all(members: "list[psutil.Process]", child: subprocess.Popen) -> None:
    import psutil

    if hasattr(os, "killpg"):
        # At one blow, so that none can start another; a resource tracker ignores it
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGTERM)
    for process in members:
        with contextlib.suppress(psutil.Error):
            process.kill()
