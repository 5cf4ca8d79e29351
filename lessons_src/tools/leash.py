"""Run what may hang or crash in a child interpreter, with a limit in seconds.

    you  --- run_code(code, limit) --->  python listing.py  ---> its own children
         <-- Outcome(exit code, text) -- ended, all of them, at the end or the limit

The child sees what a script in a terminal sees: lines are written as they are
printed, text is UTF-8, and `lessons_src` can be imported. It has no input.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import IO, NamedTuple
from uuid import uuid4

from lessons_src.tools.process_tree import ENDING_SECONDS, end_tree

KEPT_BYTES = 20_000
CUT_LINE = b"\n[... the middle is left out ...]\n"
# Unbuffered, two workers could mix their lines; a kernel asks for colours
TERMINAL = {
    "NO_COLOR": "1",
    "PYTHON_COLORS": "0",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONUNBUFFERED": "",
    "PYTHONUTF8": "1",
}

# A pipe makes Python keep its lines back, and a stopped child would lose them
LINE_BY_LINE = """\
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

if sys.stdout:
    sys.stdout.reconfigure(line_buffering=True)
sys.path[:] = [path for path in sys.path if path != {folder!r}]
if hidden := PathFinder.find_spec("sitecustomize", sys.path):
    hidden.loader.exec_module(module_from_spec(hidden))
"""

# As a kernel does it: IPython makes its own `__main__`, a loop runs already
RUN_CELL = """\
import asyncio, sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

class Shell(InteractiveShell):
    def _showtraceback(self, kind, error, lines):
        print(self.InteractiveTB.stb2text(lines), file=sys.stderr)

cell = Path(sys.argv[1]).read_text(encoding="utf-8")
config = Config()
config.HistoryManager.enabled = False
shell = Shell.instance(colors="nocolor", config=config)
python = shell.transform_cell(cell)
result = asyncio.run(
    shell.run_cell_async(cell, store_history=True, transformed_cell=python)
)
sys.exit(not result.success)
"""


class Outcome(NamedTuple):
    """How a leashed run ended, and what it wrote until then."""

    exit_code: int | None
    signal: str | None
    output: str
    errors: str
    hung: bool
    limit: float

    @property
    def ended(self) -> str:
        """Say in one sentence how the run ended.

        >>> Outcome(None, None, "", "", hung=True, limit=5).ended
        'hung: stopped after 5 s'
        """
        if self.hung:
            return f"hung: stopped after {self.limit:g} s"
        if self.signal:
            return f"ended by {self.signal}"
        return f"ended with exit code {self.exit_code}"

    @property
    def last_error_line(self) -> str:
        """Give the last line of the errors that is not empty, or ""."""
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def run_code(
    code: str,
    limit: float,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> Outcome:
    r"""Run `code` as a script with `arguments` for at most `limit` seconds.

    >>> run_code("print(6 * 7)", 20).output
    '42\n'

    The script is a real file, named `listing.py`, so its own worker processes
    can import it. Whatever it started is ended with it. Of a long output only the
    beginning and the end are kept.

    Parameters
    ----------
    code
        may be indented as a whole
    limit
        seconds, more than 0
    env
        environment variables to set besides those there are
    python
        path of the interpreter; another one than this may not find the packages
        that are installed here, nor `lessons_src`

    Raises
    ------
    ValueError
        If `limit` is not more than 0.
    """
    with _workshop(limit) as folder:
        script = folder / "listing.py"
        script.write_text(dedent(code), encoding="utf-8")
        return _run([script, *arguments], limit, env, folder, python)


def run_module(
    name: str,
    limit: float,
    *arguments: object,
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Run the module `name` as `python -m` does; see `run_code`."""
    with _workshop(limit) as folder:
        return _run(["-m", name, *arguments], limit, env, folder)


def run_cell(code: str, limit: float, env: Mapping[str, str] | None = None) -> Outcome:
    """Run `code` as a notebook cell is run: its `__main__` has no file.

    A cell that raises ends with exit code 1, its traceback is in the errors.
    See `run_code` for the rest.
    """
    with _workshop(limit) as folder:
        cell = folder / "cell.py"
        cell.write_text(dedent(code), encoding="utf-8")
        private = {"IPYTHONDIR": str(folder / "ipython"), **(env or {})}
        return _run(["-c", RUN_CELL, cell], limit, private, folder)


@contextlib.contextmanager
def _workshop(limit: float) -> Iterator[Path]:
    if not limit > 0:
        raise ValueError(f"limit must be more than 0 seconds, not {limit}")
    with tempfile.TemporaryDirectory(
        prefix="leash-", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name).resolve()
        site = folder / "site"
        site.mkdir()
        text = LINE_BY_LINE.format(folder=str(site))
        (site / "sitecustomize.py").write_text(text, encoding="utf-8")
        yield folder


def _run(
    command: list[object],
    limit: float,
    env: Mapping[str, str] | None,
    folder: Path,
    python: str = sys.executable,
) -> Outcome:
    mark = f"LEASH_{uuid4().hex.upper()}"
    kept = _Kept(), _Kept()
    readers = []
    child = _start([python, *command], _environment(env, folder) | {mark: "1"})
    try:
        for stream, part in zip((child.stdout, child.stderr), kept, strict=True):
            reader = threading.Thread(target=_drain, args=(stream, part), daemon=True)
            readers.append(reader)
            reader.start()
        hung = not _ends_in_time(child, limit)
        so_far = [part.text() for part in kept]
    finally:
        end_tree(child, mark)
        for reader in readers:
            reader.join(ENDING_SECONDS)
    # What the children say while they are stopped is not part of the story
    texts = so_far if hung else [part.text() for part in kept]
    output, errors = (text.replace(f"{folder}{os.sep}", "") for text in texts)
    code = None if hung else child.returncode
    return Outcome(code, _signal_name(code), output, errors, hung, limit)


def _environment(env: Mapping[str, str] | None, folder: Path) -> dict[str, str]:
    merged = {**os.environ, **TERMINAL, **(env or {})}
    search_path = [str(folder / "site"), merged.get("PYTHONPATH", "")]
    merged["PYTHONPATH"] = os.pathsep.join(filter(None, search_path))
    return merged


def _start(command: list[object], environment: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=environment,
        # Ctrl-C is for the parent, which ends the tree: not for the child as well
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _ends_in_time(child: subprocess.Popen, limit: float) -> bool:
    deadline = time.monotonic() + limit
    while (left := deadline - time.monotonic()) > 0:
        # In short steps: Windows hears no Ctrl-C while it waits
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(min(left, 0.1))
            return True
    return child.poll() is not None


def _signal_name(exit_code: int | None) -> str | None:
    if exit_code is None or exit_code >= 0:
        return None
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


class _Kept:
    """The first and the last bytes of a stream; the middle is not kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._head = b""
        self._tail = b""
        self._cut = False

    def add(self, data: bytes) -> None:
        with self._lock:
            room = KEPT_BYTES - len(self._head)
            self._head += data[:room]
            tail = self._tail + data[room:]
            self._cut = self._cut or len(tail) > KEPT_BYTES
            self._tail = tail[-KEPT_BYTES:]

    def text(self) -> str:
        with self._lock:
            data = self._head + self._tail
            if self._cut:
                whole_lines = self._head.rfind(b"\n") + 1 or KEPT_BYTES
                head = self._head[:whole_lines].removesuffix(b"\n")
                tail = self._tail[self._tail.find(b"\n") + 1 :]
                data = head + CUT_LINE + tail
        return data.decode("utf-8", "replace").replace("\r\n", "\n")


def _drain(stream: IO[bytes], kept: _Kept) -> None:
    with stream:
        while data := stream.read(65_536):
            kept.add(data)
