"""Open the course, or test it, with nothing but Python.

`python course.py open` makes `.venv` beside this file, installs requirements.txt
into it and opens the first lesson in JupyterLab; `python course.py test` runs the
tests in it. `.venv` counts as whole only while it holds the stamp that a set-up
writes as its last act, so an interruption at any moment is seen and mended.
"""
# An old Python must be able to read this file down to the sentence that says it is
# too old: hence no annotations, no f-strings and no `raise ... from`
# ruff: noqa: ANN001, ANN201, ANN202, B904, PTH208, RUF005, UP010, UP031, UP036

from __future__ import print_function

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "This is Python %d.%d and the course needs 3.11 or newer: install one from "
        "python.org and start course.py with it, such as 'python3.13 course.py open' "
        "(on Windows 'py -3.13 course.py open')." % sys.version_info[:2]
    )

import signal

if __name__ == "__main__":
    # Until `main` listens, Ctrl-C ends the program without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import contextlib
import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

WINDOWS = os.name == "nt"
ROOT = Path(__file__).absolute().parent
VENV = ROOT / ".venv"
OLD_VENV = ROOT / ".venv-being-removed"
PYTHON = str(VENV / ("Scripts/python.exe" if WINDOWS else "bin/python"))
LOG = VENV / "course-setup.log"
STAMP = VENV / "course-stamp.json"
UNFINISHED = {"made_for": None, "holds": []}
USAGE = """\
usage: python course.py open [options of JupyterLab]   open the course
       python course.py test [options of pytest]       run its tests"""

# What a failed step may have written: what it means, and the cure
CAUSES = {
    r"No space left|not enough space": "the disk is full: free about 1 GB",
    r"Long Path support": "the path of this folder is too long for Windows: move the "
    "course to a shorter one",
    r"WinError (5|32)\b": "files of .venv are in use: close JupyterLab and editors",
    r"(?i)connection[ -](broken|error|failed|refused|reset|timed|timeout)|getaddrinfo"
    r"|name resolution|ProxyError|SSLError|trusted or secure host": "the package index "
    "cannot be reached: go online (behind a proxy, set HTTPS_PROXY)",
}
CURES = dict.fromkeys(
    [errno.EACCES, errno.EPERM, errno.EROFS],
    "move the course to a folder you may write to, close what uses its .venv",
)
CURES[errno.ENOENT] = "fetch the whole course again"
CURES[errno.ENOSPC] = "free about 1 GB on the disk"
signals = []


class TroubleError(Exception):
    """Say in one sentence what went wrong, and the cure."""


def environment():
    """Return what the children see: this `.venv`, and nothing that bends it."""
    bending = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "JUPYTER_PATH")
    kept = {name: value for name, value in os.environ.items() if name not in bending}
    programs = [str(Path(PYTHON).parent), os.environ.get("PATH", os.defpath)]
    return dict(
        kept,
        VIRTUAL_ENV=str(VENV),
        PATH=os.pathsep.join(programs),
        # Before 3.13, Windows reads .pth files in its local encoding, and the one that
        # leads to lessons_src holds the name of this folder in UTF-8
        PYTHONUTF8="1",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_USER="0",
        # A kernel named python3 in the user's own folder would come before ours
        JUPYTER_PREFER_ENV_PATH="1",
    )


def listen():
    """Note signals but raise nothing: no child gets lost at an unlucky moment."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # nohup has SIGHUP ignored, and so it stays
        if number and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: signals.append(number))


def pause(seconds=0.1):
    """Sleep so many `seconds`, and leave if a signal came."""
    time.sleep(seconds)
    if signals:
        raise KeyboardInterrupt


def run(command, polite=None, output=None, tick=lambda: None):
    """Run `command`, calling `tick` meanwhile, and return its exit code.

    With a `polite` signal it gets a session of its own, without the keyboard, and is
    asked by that signal to end; without one it shares the terminal, Ctrl-C included.
    """
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL if polite else None,
        stdout=output,
        stderr=output,
        # Handed down, the set-up's lock holds until pip ends, whatever happens to us
        close_fds=False,
        start_new_session=bool(polite) and not WINDOWS,
    )
    try:
        while child.poll() is None:
            tick()
            pause()
    finally:
        end(child, polite)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def end(child, polite):
    """End `child` and what it started: first politely, after some time by force."""
    if child.poll() is not None:
        return
    if polite and not WINDOWS:
        # macOS forbids signals to what has just ended
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, polite)
            ended(child, 15)
            os.killpg(child.pid, signal.SIGKILL)
    # Of all signals only Ctrl-C goes to every program in the terminal
    elif not WINDOWS and (signals[:1] != [signal.SIGINT] or not ended(child, 10)):
        child.send_signal(signal.SIGINT)
    if ended(child, 10):
        return
    if WINDOWS:
        kill_tree = ["taskkill", "/F", "/T", "/PID", str(child.pid)]
        subprocess.run(kill_tree, capture_output=True, check=False)
    child.kill()
    child.wait()


def ended(child, seconds):
    """Return whether `child` ends within so many `seconds`."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)
    return child.returncode is not None


def step(command, tick=lambda: None):
    """Run `command` as a step of the set-up, its output in the log."""
    with LOG.open("ab") as log:
        return run(command, polite=signal.SIGINT, output=log, tick=tick)


def wanted():
    """Return what `.venv` has to be made for: contents, Python and place."""
    files = [ROOT / name for name in ("requirements.txt", "pyproject.toml")]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return [digest, "%d.%d" % sys.version_info[:2], os.path.realpath(ROOT)]


def read_stamp():
    """Return what the last set-up wrote, or None if there never was one."""
    try:
        return dict(UNFINISHED, **json.loads(STAMP.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return UNFINISHED


def write_stamp(stamp):
    """Write `stamp` whole or not at all."""
    draft = STAMP.with_suffix(".draft")
    draft.write_text(json.dumps(stamp), "utf-8")
    draft.replace(STAMP)


def packages_folder():
    """Return where `.venv` keeps its packages, or None if its Python is of no use."""
    question = (
        "import sys, sysconfig; assert sys.version_info >= (3, 11); "
        "assert sys.prefix != sys.base_prefix; print(sysconfig.get_path('purelib'))"
    )
    try:
        answer = subprocess.check_output(
            [PYTHON, "-c", question],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except (OSError, subprocess.CalledProcessError):
        answer = ""
    # Was it Ctrl-C that ended it?
    pause(0)
    return Path(answer.strip()) if answer else None


def contents(folder):
    """Return the names in the packages `folder` that must still be there later."""
    # pip may be upgraded by its owner, and ~ marks what it is about to remove
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(n for n in names if not n.startswith(("pip", "__pycache__", "~")))


def fault():
    """Return why to make `.venv` anew, "" to complete it, None to leave it."""
    wish = wanted()
    if not os.path.lexists(VENV):
        return "there is none yet"
    folder, stamp = packages_folder(), read_stamp()
    if folder is None:
        return "its Python does not run, or is too old"
    if stamp is None:
        # Made by hand or by another tool, so only what it lacks is added
        return ""
    if stamp["made_for"] is None:
        return "the last set-up did not get to its end"
    if stamp["made_for"][1:] != wish[1:]:
        return "it was made for another Python or another folder"
    if not set(stamp["holds"]) <= set(contents(folder)):
        return "packages in it are missing or were exchanged"
    return None if stamp["made_for"] == wish else ""


def set_up():
    """Make `.venv` whole where it is not."""
    if fault() is None:
        return
    with lock():
        why = fault()
        if why is None:
            return
        if why or not has_pip():
            make_venv(why or "pip does not run in it")
        install(packages_folder())


@contextlib.contextmanager
def lock():
    """Hold the set-up for one program; the system lets go when that one ends."""
    with Path(__file__).open("rb") as file:
        if not locked(file.fileno()):
            print("Waiting for another course.py that sets up this folder.", flush=True)
            while not locked(file.fileno()):
                pause()
        yield


def locked(descriptor):
    """Return whether the file of `descriptor` is now locked by us."""
    try:
        if WINDOWS:
            import msvcrt

            # Far behind its end, for on Windows nobody can read what is locked
            os.lseek(descriptor, 1 << 30, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.set_inheritable(descriptor, True)
    except OSError as error:
        # Some network folders know no locks; there we go on without one
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


def make_venv(why):
    """Make an empty `.venv`, and tell the reader `why`."""
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise TroubleError(
                "This Python lacks its module %s: on Debian or Ubuntu run 'sudo apt "
                "install python3-venv', elsewhere install Python from python.org, "
                "then run this again." % module
            )
    print("Making .venv (%s)." % why, flush=True)
    remove_venv()
    VENV.mkdir()
    write_stamp(UNFINISHED)
    # Not sys.executable: that may lie in the .venv just removed
    base = getattr(sys, "_base_executable", None) or sys.executable
    if step([base, "-m", "venv", str(VENV)]) != 0 or packages_folder() is None:
        raise TroubleError(failure("Python could not make .venv"))


def remove_venv():
    """Remove `.venv`, but nothing that is not clearly an environment in this folder."""
    if OLD_VENV.exists():
        shutil.rmtree(OLD_VENV)
    if not os.path.lexists(VENV):
        return
    marked = any(mark.exists() for mark in (VENV / "pyvenv.cfg", STAMP))
    empty = VENV.is_dir() and not os.listdir(VENV)
    elsewhere = Path(os.path.realpath(VENV)) != Path(os.path.realpath(ROOT), VENV.name)
    if elsewhere or not (marked or empty):
        raise TroubleError(
            "%s is a link, or was not made by venv, and the course needs that name: "
            "move it away, then run this again." % VENV
        )
    # What is half removed must not bear the name
    VENV.rename(OLD_VENV)
    shutil.rmtree(OLD_VENV)


def has_pip():
    """Return whether pip runs in `.venv`, after adding it where need be."""
    ask = [PYTHON, "-m", "pip", "--version"]
    add = [PYTHON, "-m", "ensurepip"]
    return step(ask) == 0 or (step(add) == 0 and step(ask) == 0)


def install(folder):
    """Install requirements.txt into the packages `folder`, then stamp `.venv`."""
    print("Installing the packages (the first time takes a minute or two).", flush=True)
    before, stamp, wish = contents(folder), read_stamp(), wanted()
    write_stamp(UNFINISHED)
    LOG.write_bytes(b"")
    seen, start = sys.stdout.isatty(), time.monotonic()

    def progress():
        if seen:
            collected = re.findall(b"\n(Collecting|Processing) ", LOG.read_bytes())
            installed = sum(name.endswith(".dist-info") for name in os.listdir(folder))
            line = "\r%3d s: %d packages collected, %d installed "
            figures = (time.monotonic() - start, len(collected), installed)
            print(line % figures, end="", flush=True)

    pip = [PYTHON, "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    try:
        code = step(pip + ["-r", "requirements.txt"], progress)
    finally:
        print(end="\n" if seen else "")
    if code != 0:
        if contents(folder) == before:
            # Nothing was done, so .venv is as good as it was
            write_stamp(stamp) if stamp else STAMP.unlink()
        raise TroubleError(failure("pip could not install the packages"))
    if not {"jupyterlab", "pytest"} <= set(contents(folder)):
        raise TroubleError(
            "pip put the packages elsewhere: take target, prefix and root out of its "
            "settings ('pip config list' shows them), then run this again."
        )
    silence_news()
    write_stamp({"made_for": wish, "holds": contents(folder)})


def silence_news():
    """Spare the reader JupyterLab's question about news, and its look for updates."""
    file = VENV / "share/jupyter/lab/settings/overrides.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    file.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": news}))


def failure(what):
    """Return the sentence about `what` failed, with what the log tells about it."""
    text = LOG.read_text("utf-8", "replace")
    for pattern, cause in CAUSES.items():
        if re.search(pattern, text):
            return "%s: %s, then run this again (log: %s)." % (what, cause, LOG)
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no word"]
    errors = re.findall(r"(?m)^\s*((?:ERROR|[\w.]+(?:Error|Exception)): .*)$", text)
    last = (errors or lines)[-1]
    return "%s (%s): see %s, mend it, then run this again." % (what, last, LOG)


def port_named(arguments):
    """Return whether `arguments` name a port, and refuse one that is not free."""
    named = re.search(r"--(?:ServerApp\.)?port[= ](\S+)", " ".join(arguments))
    if not named:
        return False
    try:
        with socket.socket() as probe:
            if not WINDOWS:
                # A port that was closed a moment ago is free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(named.group(1))))
    except (OSError, OverflowError, ValueError) as error:
        raise TroubleError(
            "Port %s cannot be used (%s): name another one, or none and JupyterLab "
            "finds one that is free."
            % (named.group(1), getattr(error, "strerror", None) or error)
        )
    return True


def open_course(arguments):
    """Open the first lesson in JupyterLab, and stay until that ends."""
    ours = {
        "root_dir|notebook-dir": "--ServerApp.root_dir=%s" % ROOT,
        "default_url": "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb",
    }
    if port_named(arguments):
        ours["port.retries"] = "--ServerApp.port_retries=0"
    # JupyterLab refuses an option that comes twice
    options = [o for names, o in ours.items() if not re.search(names, str(arguments))]
    if not WINDOWS and os.geteuid() == 0:
        # In a container there is often nobody else
        options.append("--allow-root")
    set_up()
    print("Starting JupyterLab; Ctrl-C in this window ends it.", flush=True)
    jupyter = [PYTHON, "-m", "jupyterlab"]
    return run(jupyter + options + arguments, polite=signal.SIGTERM)


def test_course(arguments):
    """Run the tests in this terminal."""
    set_up()
    # Tests mostly wait, so two at once take half the time; a file keeps to one of them
    two = ["-n", "2", "--dist", "loadfile"]
    return run([PYTHON, "-m", "pytest"] + two + arguments)


def main(arguments):
    """Do what the first of the `arguments` says, and return the exit code."""
    verbs = {"open": open_course, "test": test_course}
    if not arguments or arguments[0] not in verbs:
        asked = arguments[:1] in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    listen()
    try:
        return verbs[arguments[0]](arguments[1:])
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except TroubleError as trouble:
        print(trouble, file=sys.stderr)
    except OSError as error:
        place, cure = error.filename or ROOT, CURES.get(error.errno, "see to that")
        line = "Cannot use %s (%s): %s, then run this again."
        print(line % (place, error.strerror, cure), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
