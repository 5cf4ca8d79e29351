"""What a notebook's kernel is started with, whatever the user's own settings are.

`in_kernel/` goes first on the path of the kernel and of each interpreter that it
starts: its `sitecustomize` sets the start method and watches for lost errors.
"""

import os
from pathlib import Path

IN_KERNEL = Path(__file__).resolve().parent / "in_kernel"
KERNEL_ARGUMENTS = (
    # What children print goes to the terminal, on every system, never into a cell
    "--IPKernelApp.capture_fd_output=False",
    # Notes about the transport are not for the terminal that we read
    "--IPKernelApp.log_level=ERROR",
    "--HistoryManager.enabled=False",
)
# Settings by which a user's shell would change what a lesson shows
PERSONAL = (
    "COLUMNS",
    "COURSE_",
    "FORCE_COLOR",
    "IPYTHON",
    "IPY_",
    "JOBLIB_",
    "JPY_",
    "JUPYTER",
    "LINES",
    "LINE_PROFILE",
    "LOKY_",
    "MATPLOTLIBRC",
    "MPLBACKEND",
    "NO_COLOR",
    "PYTEST_",
    "PYTHON",
    "TQDM_",
)
# Where the interpreter finds its files, and its caches, are not a matter of taste
KEPT = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONUTF8",
    "PYTHON_GIL",
)


def kernel_environment(folder: Path, mark: str, mode: str | None) -> dict[str, str]:
    """Return the environment of a kernel that keeps its own files in `folder`.

    Parameters
    ----------
    folder
        Empty and temporary: stands for the user's IPython and Jupyter folders.
    mark
        Found again in each process that descends from the kernel, orphans too.
    mode
        `fork`, `spawn`, `forkserver` or `windows`; None: the system's default.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or not name.startswith(PERSONAL)
    }
    path = [str(IN_KERNEL), environment.get("PYTHONPATH", "")]
    environment |= {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "COURSE_MARK": mark,
        "COURSE_WATCH": "1",
        # The debugger is loaded by each kernel and would complain on the terminal
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    if mode:
        environment["COURSE_START_METHOD"] = mode
    return environment
