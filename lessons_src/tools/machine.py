"""What this machine offers a concurrent program: cores, start methods, the GIL."""

import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
from typing import NamedTuple

FREE_THREADED_MINORS = range(13, 20)
ANSWER_SECONDS = 20


class Machine(NamedTuple):
    """What `this_machine` found; `print` shows it as a table.

    `cores` counts the logical cores that are present, `cores_allowed` those that
    this process may use, and `default_pool_size` the workers that `Pool()` makes
    when nobody names a number.

    >>> print(Machine("Linux", "3.13.0", 8, 4, ("fork", "spawn"), "fork", True, 4))
    system                Linux
    Python                3.13.0
    cores present         8
    cores allowed         4
    default pool size     4
    start methods         fork, spawn
    default start method  fork
    GIL                   on
    """

    system: str
    python: str
    cores: int
    cores_allowed: int
    start_methods: tuple[str, ...]
    default_start_method: str
    gil: bool
    default_pool_size: int

    def __str__(self) -> str:
        rows = {
            "system": self.system,
            "Python": self.python,
            "cores present": self.cores,
            "cores allowed": self.cores_allowed,
            "default pool size": self.default_pool_size,
            "start methods": ", ".join(self.start_methods),
            "default start method": self.default_start_method,
            "GIL": "on" if self.gil else "off",
        }
        return "\n".join(f"{name:<20}  {value}" for name, value in rows.items())


def this_machine() -> Machine:
    """Look at the machine and the Python that run this program."""
    return Machine(
        system={"Darwin": "macOS"}.get(platform.system(), platform.system()),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        cores_allowed=cores_allowed(),
        start_methods=tuple(multiprocessing.get_all_start_methods()),
        default_start_method=default_start_method(),
        gil=gil_enabled(),
        default_pool_size=default_pool_size(),
    )


def cores_allowed() -> int:
    """Count the logical cores that this process may use.

    Fewer than the machine has where someone limited the process to some of them
    (`taskset`, a container's CPU set, a batch system). A limit on CPU *time*, such
    as a container's quota, is not seen here.
    """
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_pool_size() -> int:
    """Tell how many workers `Pool()` makes when nobody names a number.

    Up to Python 3.12 one for each core present, from 3.13 one for each core allowed.
    """
    return cores_allowed() if sys.version_info >= (3, 13) else os.cpu_count() or 1


def default_start_method() -> str:
    """Name the start method in force, without fixing it by asking.

    `multiprocessing.get_start_method()` fixes the default for the rest of the
    process; the first of the possible methods is the one it would have fixed.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or multiprocessing.get_all_start_methods()[0]


def gil_enabled() -> bool:
    """Tell whether only one thread at a time may run Python code here."""
    # Missing before 3.13, where the GIL cannot be off
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def free_threaded_python() -> str | None:
    """Return the path of a Python that runs here with its GIL off, or None.

    That is this one if its GIL is off, else the first of `python3.13t`,
    `python3.14t` and so on that is found and says, when it is run, that its GIL is
    off. A free-threaded Python may run with the GIL on, if it was told to.
    """
    if not gil_enabled():
        return sys.executable
    names = (f"python3.{minor}t" for minor in FREE_THREADED_MINORS)
    found = filter(None, map(shutil.which, names))
    return next(filter(_runs_without_gil, found), None)


def _runs_without_gil(python: str) -> bool:
    command = [python, "-c", "import sys; print(sys._is_gil_enabled())"]
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    try:
        done = subprocess.run(command, timeout=ANSWER_SECONDS, **quiet)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == "False"
