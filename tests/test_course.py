import ctypes
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import course

COURSE = Path(course.__file__)
WINDOWS = os.name == "nt"
posix_only = pytest.mark.skipif(WINDOWS, reason="POSIX: signals, links, permissions")
LIMIT = 60

# Two tests at once
TWO = ["-n", "2", "--dist", "loadfile"]
# What stands in for venv, ensurepip, pip, JupyterLab and pytest, so that a set-up takes
# a moment and no network: `python -m` finds what lies in the current folder first. A
# file NAME_does.py in the house says what one of them shall do on top.
DOES = """
import json, os, pathlib, signal, subprocess, sys, sysconfig, time
if pathlib.Path("NAME_does.py").exists():
    exec(pathlib.Path("NAME_does.py").read_text("utf-8"))
"""
PROGRAM = DOES + 'print(json.dumps(["NAME", sys.argv[1:], sys.prefix]))'
ADD_PIP = """
where = {"base": prefix, "platbase": prefix}
package = pathlib.Path(sysconfig.get_path("purelib", "venv", where), "pip")
package.mkdir(exist_ok=True)
(package / "__main__.py").write_text(pathlib.Path("pip.txt").read_text("utf-8"))
"""
STAND_INS = {
    "jupyterlab.txt": PROGRAM,
    "pytest.txt": PROGRAM,
    "venv.py": DOES
    + """
del sys.path[0]
import venv
prefix = sys.argv[1]
venv.create(prefix, symlinks=os.name != "nt")
"""
    + ADD_PIP,
    "ensurepip.py": DOES + "prefix = sys.prefix" + ADD_PIP,
    "pip.txt": """
import pathlib, sys
with open("calls_of_pip", "a") as calls:
    calls.write(sys.argv[1] + " ")
if sys.argv[1] == "--version":
    sys.exit()
"""
    + DOES
    + """
for name in ("jupyterlab", "pytest"):
    package = pathlib.Path(sysconfig.get_path("purelib"), name)
    package.mkdir(exist_ok=True)
    text = pathlib.Path(name + ".txt").read_text("utf-8")
    (package / "__main__.py").write_text(text, "utf-8")
""",
}


def build_house(folder):
    folder.mkdir()
    shutil.copy(COURSE, folder)
    (folder / "requirements.txt").write_text("jupyterlab\npytest\n")
    (folder / "pyproject.toml").touch()
    for file, text in STAND_INS.items():
        (folder / file).write_text(text.replace("NAME", file.partition(".")[0]))
    return folder


def as_from_a_terminal():
    # A test run behind nohup has this one ignored, and children inherit that
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(
    folder, *arguments, python=(sys.executable,), stdout=subprocess.PIPE, **variables
):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    return subprocess.Popen(
        [*python, str(folder / "course.py"), *arguments],
        env=dict(environment, PYTHONIOENCODING="utf-8", **variables),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=as_from_a_terminal if os.name == "posix" else None,
    )


def finish(process):
    try:
        output, errors = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run(folder, *arguments, **more):
    return finish(start(folder, *arguments, **more))


def answer(result):
    assert result.stderr == ""
    return json.loads(result.stdout.splitlines()[-1])


def sentence(result):
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.endswith(".")
    return line


def wait_for(condition):
    last = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < last, "waited in vain"
        time.sleep(0.02)


def programs_in(folder):
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) or str(folder) in str(process.cmdline()):
                found.append(process)
        except psutil.Error:
            pass
    return found


@pytest.fixture
def house(tmp_path):
    folder = build_house(tmp_path.resolve() / "Kurs ä b")
    yield folder
    for process in programs_in(folder):
        process.kill()


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    folder = build_house(tmp_path_factory.mktemp("course").resolve() / "Kurs ä b")
    assert answer(run(folder, "test")) == ["pytest", TWO, str(folder / ".venv")]
    return folder


@pytest.fixture
def whole(template, house):
    shutil.copytree(template, house, symlinks=True, dirs_exist_ok=True)
    restamp(house, place=str(house))
    (house / ".venv/of the reader").touch()
    (house / "calls_of_pip").write_text("")
    return house


def restamp(folder, finished=True, python=None, place=None):
    file = folder / ".venv/course-stamp.json"
    stamp = json.loads(file.read_text())
    digest, old_python, old_place = stamp["made_for"]
    made_for = [digest, python or old_python, place or old_place]
    stamp["made_for"] = made_for if finished else None
    file.write_text(json.dumps(stamp))


def python_of(folder):
    return folder / ".venv" / ("Scripts/python.exe" if WINDOWS else "bin/python")


def packages_of(folder):
    return next((folder / ".venv").glob("**/site-packages"))


def calls_of_pip(folder):
    return (folder / "calls_of_pip").read_text().split()


def is_stamped(folder):
    stamp = json.loads((folder / ".venv/course-stamp.json").read_text())
    return stamp["made_for"] is not None


def comes_whole(folder):
    assert answer(run(folder, "test")) == ["pytest", TWO, str(folder / ".venv")]
    assert not (folder / ".venv-being-removed").exists()
    assert is_stamped(folder)
    return True


def comes_anew(folder):
    assert (folder / ".venv/of the reader").exists()
    return comes_whole(folder) and not (folder / ".venv/of the reader").exists()


# What is asked for


@pytest.mark.parametrize("arguments", [[], ["run"], ["-k", "locks"]])
def test_without_a_known_verb_the_usage_is_shown(capsys, arguments):
    assert course.main(arguments) == 2
    assert capsys.readouterr() == ("", course.USAGE + "\n")


def test_help_is_no_error(house):
    result = run(house, "--help")
    assert (result.returncode, result.stdout) == (0, course.USAGE + "\n")


def test_test_runs_the_pytest_of_the_venv_with_the_arguments(whole):
    expected = ["pytest", [*TWO, "-k", "locks or ä"], str(whole / ".venv")]
    assert answer(run(whole, "test", "-k", "locks or ä")) == expected


def test_test_hands_on_the_exit_code(whole):
    (whole / "pytest_does.py").write_text("sys.exit(5)")
    assert run(whole, "test").returncode == 5


@posix_only
def test_a_child_killed_by_a_signal_gives_the_exit_code_of_a_shell(whole):
    (whole / "pytest_does.py").write_text("os.kill(os.getpid(), 9)")
    assert run(whole, "test").returncode == 128 + 9


def test_open_runs_jupyterlab_on_the_first_lesson_with_the_arguments(whole):
    name, options, prefix = answer(run(whole, "open", "--no-browser"))
    assert (name, prefix) == ("jupyterlab", str(whole / ".venv"))
    assert f"--ServerApp.root_dir={whole}" in options
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in options
    assert options[-1] == "--no-browser"
    assert "--ServerApp.port_retries=0" not in options
    assert ("--allow-root" in options) == (not WINDOWS and os.geteuid() == 0)


@pytest.mark.parametrize(
    "option", ["--ServerApp.root_dir=a", "--notebook-dir=a", "--LabApp.default_url=/b"]
)
def test_an_option_of_ours_that_the_reader_gives_is_not_given_twice(whole, option):
    _, options, _ = answer(run(whole, "open", option))
    names = " ".join(options).replace("notebook-dir", "ServerApp.root_dir")
    assert options[-1] == option
    assert names.count("root_dir") == names.count("default_url") == 1


def test_the_question_about_news_is_silenced(whole):
    file = whole / ".venv/share/jupyter/lab/settings/overrides.json"
    (settings,) = json.loads(file.read_text()).values()
    assert settings == {"fetchNews": "false", "checkForUpdates": False}


def test_nothing_in_the_surroundings_bends_the_children(whole, tmp_path):
    (tmp_path / "jupyterlab.py").write_text("raise SystemExit('the wrong one')")
    (whole / "jupyterlab_does.py").write_text("sys.argv[1:] = [dict(os.environ)]")
    bent = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": sys.base_prefix}
    bent |= {"PIP_TARGET": str(tmp_path), "PIP_USER": "1", "VIRTUAL_ENV": "/another"}
    _, (seen,), _ = answer(run(whole, "open", **bent))
    assert not {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET"} & set(seen)
    assert (seen["PYTHONUTF8"], seen["PIP_USER"]) == ("1", "0")
    assert seen["VIRTUAL_ENV"] == str(whole / ".venv")
    assert seen["PATH"].split(os.pathsep)[0] == str(python_of(whole).parent)


# Set up, again and after damage


def test_the_first_set_up_says_what_it_does_and_why(house):
    lines = run(house, "test").stdout.splitlines()
    assert lines[0] == "Making .venv (there is none yet)."
    assert lines[1].startswith("Installing the packages")
    assert is_stamped(house)


def test_the_second_time_nothing_is_set_up(whole):
    assert run(whole, "test").stdout.count("\n") == 1
    assert calls_of_pip(whole) == []


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_what_changed_is_installed_into_the_same_venv(whole, name):
    (whole / name).write_text("# changed")
    assert not comes_anew(whole)
    assert calls_of_pip(whole) == ["--version", "install"]


def exchange_python(folder):
    python_of(folder).unlink()
    python_of(folder).write_text("#!/bin/sh\nexit 1\n")
    python_of(folder).chmod(0o755)


def lose_base_python(folder):
    python_of(folder).unlink()
    python_of(folder).symlink_to("/gone/bin/python")


def break_pip(folder):
    (folder / "requirements.txt").write_text("# changed")
    (packages_of(folder) / "pip/__main__.py").write_text("import gone")
    (folder / "ensurepip_does.py").write_text("sys.exit(1)")


def keep_only(name):
    def damage(folder):
        kept = (folder / ".venv" / name).read_bytes()
        shutil.rmtree(folder / ".venv")
        (folder / ".venv").mkdir()
        (folder / ".venv" / name).write_bytes(kept)
        (folder / ".venv/of the reader").touch()

    return damage


DAMAGES = {
    "an interrupted set-up": lambda folder: restamp(folder, finished=False),
    "made for another Python": lambda folder: restamp(folder, python="3.9"),
    "made in another folder": lambda folder: restamp(folder, place="/elsewhere"),
    "a broken stamp": lambda folder: (
        folder / course.STAMP.relative_to(course.ROOT)
    ).write_text("{"),
    "a package is gone": lambda folder: shutil.rmtree(packages_of(folder) / "pytest"),
    "Python is gone": lambda folder: python_of(folder).unlink(),
    "no pyvenv.cfg": lambda folder: (folder / ".venv/pyvenv.cfg").unlink(),
    "only pyvenv.cfg": keep_only("pyvenv.cfg"),
    "only the stamp": keep_only("course-stamp.json"),
    "pip is broken": break_pip,
}
if not WINDOWS:
    DAMAGES["Python does not run"] = exchange_python
    DAMAGES["the base Python is gone"] = lose_base_python


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_next_run_makes_a_damaged_venv_anew(whole, damage):
    damage(whole)
    assert comes_anew(whole)


def test_the_venv_of_a_moved_course_is_made_anew(whole):
    assert comes_anew(whole.rename(whole.with_name("moved ü")))


def test_an_empty_venv_is_filled(whole):
    shutil.rmtree(whole / ".venv")
    (whole / ".venv").mkdir()
    assert comes_whole(whole)


def test_what_an_interrupted_removal_left_is_removed(whole):
    shutil.copytree(whole / ".venv", whole / ".venv-being-removed", symlinks=True)
    restamp(whole, finished=False)
    assert comes_anew(whole)


@pytest.mark.parametrize("with_pip", [True, False])
def test_a_venv_that_another_tool_made_is_kept_and_completed(whole, with_pip):
    (whole / ".venv/course-stamp.json").unlink()
    shutil.rmtree(packages_of(whole) / "pytest")
    if not with_pip:
        shutil.rmtree(packages_of(whole) / "pip")
    assert not comes_anew(whole)


@posix_only
def test_a_venv_behind_a_link_is_used_but_never_removed(whole):
    elsewhere = (whole / ".venv").rename(whole.with_name("elsewhere"))
    (whole / ".venv").symlink_to(elsewhere)
    assert not comes_anew(whole)
    restamp(whole, finished=False)
    assert "is a link" in sentence(run(whole, "test"))
    assert (elsewhere / "of the reader").exists()


def test_a_folder_named_venv_that_is_no_environment_is_never_removed(house):
    (house / ".venv").mkdir()
    (house / ".venv/thesis.tex").touch()
    assert "move it away" in sentence(run(house, "test"))
    assert (house / ".venv/thesis.tex").exists()


def test_a_venv_that_would_lead_pip_to_the_base_python_is_left_alone(whole):
    (whole / "requirements.txt").write_text("")
    (whole / ".venv/course-stamp.json").unlink()
    (whole / ".venv/pyvenv.cfg").unlink()
    assert "move it away" in sentence(run(whole, "test"))


def test_a_file_named_venv_is_never_removed(house):
    (house / ".venv").write_text("thesis")
    sentence(run(house, "test"))
    assert (house / ".venv").read_text() == "thesis"


# What goes wrong


def old_pythons():
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [(path.parts[-3], path) for path in pyenv.glob("versions/*/bin/python")]
    for folder in map(Path, ("/usr/bin", "/usr/local/bin")):
        found += [(path.name[6:], path) for path in folder.glob("python[23].*")]
    old = re.compile(r"(2\.7|3\.\d|3\.10)(\.\d+)?$")
    return [str(path) for version, path in found if old.match(version)]


@pytest.mark.parametrize("python", old_pythons() or [None])
def test_an_old_python_gets_a_sentence(house, python):
    if python is None:
        pytest.skip("no Python older than 3.11 was found on this machine")
    assert "needs 3.11 or newer" in sentence(run(house, "open", python=[python]))
    assert not (house / ".venv").exists()


def pretend(code):
    return [sys.executable, "-c", f"import runpy, sys\n{code}\n" + RUN_AS_MAIN]


RUN_AS_MAIN = """
del sys.argv[0]
sys.path.insert(0, sys.argv[0].rpartition("course.py")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_python_that_says_it_is_old_gets_a_sentence(house):
    old = pretend("sys.version_info = (3, 10, 1)")
    assert "This is Python 3.10 and" in sentence(run(house, "test", python=old))
    assert not (house / ".venv").exists()


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_gets_the_sentence_for_debian(whole, module):
    (whole / f"{module}.py").unlink()
    restamp(whole, finished=False)
    lacking = pretend(f"sys.modules[{module!r}] = None")
    line = sentence(run(whole, "test", python=lacking))
    assert f"lacks its module {module}:" in line
    assert "python3-venv" in line
    assert (whole / ".venv/of the reader").exists()


PIP_SAYS = {
    "after connection broken by 'NewConnectionError(...)'": "index cannot be reached",
    "[Errno -3] Temporary failure in name resolution": "index cannot be reached",
    "error: connection-failed": "index cannot be reached",
    "WARNING: x is not a trusted or secure host": "index cannot be reached",
    "OSError: [Errno 28] No space left on device": "the disk is full",
    "HINT: ... Windows Long Path support": "too long for Windows",
    "OSError: [WinError 5] Access is denied": "are in use",
    "ERROR: first\nERROR: Hashes differ\nbye": "(ERROR: Hashes differ)",
    "  a.BadError: no README\nerror: in-short\nbye": "(a.BadError: no README)",
    "bye": "(bye)",
    "": "(no word)",
}


@pytest.mark.parametrize(("said", "told"), PIP_SAYS.items(), ids=PIP_SAYS.values())
def test_the_cause_of_a_failure_is_read_in_the_log(monkeypatch, tmp_path, said, told):
    monkeypatch.setattr(course, "LOG", tmp_path / "log")
    (tmp_path / "log").write_text("Looking around\n" * bool(said) + said)
    line = course.failure("It failed")
    assert line.startswith("It failed")
    assert told in line
    assert str(tmp_path / "log") in line


def test_a_failure_of_pip_is_told_and_mended_later(house):
    (house / "pip_does.py").write_text("print('No space left'); sys.exit(1)")
    line = sentence(run(house, "test"))
    assert line.startswith("pip could not install the packages: the disk is full")
    assert str(house / ".venv/course-setup.log") in line
    assert not is_stamped(house)
    (house / "pip_does.py").unlink()
    assert comes_whole(house)


def test_a_failure_of_venv_is_told_and_mended_later(house):
    (house / "venv_does.py").write_text("raise ValueError('it contains :')")
    line = sentence(run(house, "test"))
    assert line.startswith("Python could not make .venv (ValueError: it contains :)")
    (house / "venv_does.py").unlink()
    assert comes_whole(house)


@pytest.mark.parametrize("stamped", [True, False])
def test_a_venv_that_pip_did_not_touch_stays_when_pip_fails(whole, stamped):
    (whole / "requirements.txt").write_text("# changed")
    if not stamped:
        (whole / ".venv/course-stamp.json").unlink()
    (whole / "pip_does.py").write_text("sys.exit(1)")
    sentence(run(whole, "test"))
    (whole / "pip_does.py").unlink()
    assert not comes_anew(whole)


def test_a_venv_that_pip_touched_before_it_failed_is_made_anew(whole):
    (whole / "requirements.txt").write_text("# changed")
    touch = "pathlib.Path(sysconfig.get_path('purelib'), 'half').touch(); sys.exit(1)"
    (whole / "pip_does.py").write_text(touch)
    sentence(run(whole, "test"))
    (whole / "pip_does.py").unlink()
    assert comes_anew(whole)


def test_packages_that_pip_put_elsewhere_are_missed(house):
    (house / "pip_does.py").write_text("sys.exit(0)")
    assert "pip config list" in sentence(run(house, "test"))
    assert not is_stamped(house)


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_a_missing_file_is_named(house, name):
    (house / name).unlink()
    line = sentence(run(house, "test"))
    assert name in line
    assert "fetch the whole course again" in line
    assert not (house / ".venv").exists()


GIVE_UP_ROOT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@posix_only
def test_a_folder_that_cannot_be_written_is_named(house):
    python = [sys.executable]
    if os.geteuid() == 0:
        if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "prctl"):
            pytest.skip(
                "root may write everywhere, and only Linux lets root give it up"
            )
        python = [sys.executable, "-c", GIVE_UP_ROOT]
    house.chmod(0o555)
    try:
        line = sentence(run(house, "test", python=python))
    finally:
        house.chmod(0o755)
    assert line.startswith(f"Cannot use {house}")
    assert "move the course to a folder you may write to" in line


def test_a_full_disk_is_told(monkeypatch, capsys):
    def write_stamp(stamp):
        raise OSError(28, "No space left on device", "/full/stamp")

    monkeypatch.setattr(course, "open_course", write_stamp)
    monkeypatch.setattr(course, "listen", lambda: None)
    assert course.main(["open"]) == 1
    line = "Cannot use /full/stamp (No space left on device): free about 1 GB on "
    assert capsys.readouterr().err.startswith(line)


def test_a_port_in_use_is_told_before_anything_is_done(house):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        line = sentence(run(house, "open", "--no-browser", "--port", str(port)))
    assert line.startswith(f"Port {port} cannot be used")
    assert not (house / ".venv").exists()


@pytest.mark.parametrize("option", ["--port {}", "--port={}", "--ServerApp.port={}"])
@pytest.mark.parametrize("port", ["99999", "http"])
def test_what_is_no_port_is_told(option, port):
    with pytest.raises(course.TroubleError, match=f"Port {port} cannot be used"):
        course.port_named(["--no-browser", *option.format(port).split()])


def test_a_port_that_was_named_is_taken_or_none(whole):
    _, options, _ = answer(run(whole, "open", "--port", "0"))
    assert options[-2:] == ["--port", "0"]
    assert "--ServerApp.port_retries=0" in options


# Stopped, or two at once

HANG = """
stubborn = "import pathlib, signal, time;"
for name in ("SIGINT", "SIGTERM"):
    stubborn += f"signal.signal(signal.{name}, signal.REACTION);"
stubborn += "pathlib.Path('hangs').touch(); time.sleep(100)"
subprocess.Popen([sys.executable, "-c", stubborn])
try:
    time.sleep(100)
except KeyboardInterrupt:
    time.sleep(0.3)
    pathlib.Path("cleaned").touch()
    sys.exit(2)
"""
STOPS = ["venv", "pip", "jupyterlab", "pytest"]


def hang_in(folder, name):
    # What pytest starts is pytest's to end; all else must end whatever it does
    reaction = "SIG_DFL" if name == "pytest" else "SIG_IGN"
    (folder / f"{name}_does.py").write_text(HANG.replace("REACTION", reaction))
    process = start(folder, "open" if name == "jupyterlab" else "test")
    wait_for((folder / "hangs").exists)
    return process


@posix_only
@pytest.mark.parametrize("name", STOPS)
def test_ctrl_c_ends_all_and_leaves_no_half_venv(house, name):
    process = hang_in(house, name)
    os.killpg(process.pid, signal.SIGINT)
    result = finish(process)
    assert (result.returncode, result.stderr) == (130, "Stopped.\n")
    assert programs_in(house) == []
    assert (house / "cleaned").exists() == (name != "jupyterlab")
    assert is_stamped(house) == (name in ("jupyterlab", "pytest"))


@posix_only
@pytest.mark.parametrize(
    ("name", "number"),
    [("pip", "SIGTERM"), ("pytest", "SIGTERM"), ("jupyterlab", "SIGHUP")],
)
def test_another_signal_to_course_alone_ends_all_too(whole, name, number):
    (whole / "requirements.txt").write_text("# changed")
    process = hang_in(whole, name)
    if name == "pytest":
        (child,) = [p for p in programs_in(whole) if "hangs" in str(p.cmdline())]
        child.kill()
    process.send_signal(getattr(signal, number))
    result = finish(process)
    assert (result.returncode, result.stderr) == (130, "Stopped.\n")
    assert programs_in(whole) == []
    assert (whole / "cleaned").exists() == (name != "jupyterlab")


@posix_only
def test_ctrl_c_many_times_changes_nothing(whole):
    (whole / "requirements.txt").write_text("# changed")
    process = hang_in(whole, "pip")
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.01)
    result = finish(process)
    # The last of them may come when Python no longer listens
    assert result.returncode in (130, -signal.SIGINT)
    assert result.stderr == "Stopped.\n"
    assert programs_in(whole) == []


@posix_only
def test_ctrl_c_while_course_starts_is_silent(house):
    stall = "import pathlib, time\npathlib.Path('hangs').touch()\ntime.sleep(100)"
    (house / "hashlib.py").write_text(
        stall.replace("'hangs'", repr(str(house / "hangs")))
    )
    process = start(house, "test")
    wait_for((house / "hangs").exists)
    os.killpg(process.pid, signal.SIGINT)
    result = finish(process)
    assert (result.returncode, result.stderr) == (-signal.SIGINT, "")


@posix_only
def test_ctrl_c_in_the_look_at_the_venv_does_not_remove_it(whole):
    stall = "import pathlib, time\npathlib.Path('hangs').touch()\ntime.sleep(100)\n"
    (packages_of(whole) / "sitecustomize.py").write_text(stall)
    process = start(whole, "test")
    wait_for((whole / "hangs").exists)
    os.killpg(process.pid, signal.SIGINT)
    result = finish(process)
    assert (result.returncode, result.stderr) == (130, "Stopped.\n")
    assert programs_in(whole) == []
    assert (whole / ".venv/of the reader").exists()


def first_line(process):
    assert select.select([process.stdout], [], [], LIMIT)[0], "it says nothing"
    return process.stdout.readline()


WAIT_FOR_GO = """
pathlib.Path("hangs").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.02)
"""


@posix_only
def test_a_reader_at_a_terminal_sees_the_packages_counted(house):
    says = "print('Looking\\nCollecting a\\nProcessing b', flush=True)\n"
    (house / "pip_does.py").write_text(says + WAIT_FOR_GO)
    ours, theirs = os.openpty()
    process = start(house, "test", stdout=theirs)
    os.close(theirs)
    seen = b""
    while b" 2 packages collected, 0 installed" not in seen:
        assert select.select([ours], [], [], LIMIT)[0], "it says nothing"
        seen += os.read(ours, 4096)
    (house / "go").touch()
    assert finish(process).returncode == 0
    os.close(ours)


@posix_only
def test_of_two_at_once_one_waits_and_finds_all_done(house):
    (house / "pip_does.py").write_text(WAIT_FOR_GO)
    first = start(house, "test")
    wait_for((house / "hangs").exists)
    second = start(house, "test")
    assert first_line(second).startswith("Waiting for another course.py")
    (house / "go").touch()
    assert answer(finish(first))[0] == answer(finish(second))[0] == "pytest"
    assert calls_of_pip(house).count("install") == 1


@posix_only
def test_ctrl_c_while_waiting_stops_only_the_one_that_waits(house):
    (house / "pip_does.py").write_text(WAIT_FOR_GO)
    first = start(house, "test")
    wait_for((house / "hangs").exists)
    second = start(house, "test")
    first_line(second)
    os.killpg(second.pid, signal.SIGINT)
    assert finish(second).returncode == 130
    (house / "go").touch()
    assert answer(finish(first))[0] == "pytest"


@posix_only
def test_while_the_pip_of_a_killed_course_runs_nobody_else_builds(house):
    (house / "pip_does.py").write_text(WAIT_FOR_GO)
    first = start(house, "test")
    wait_for((house / "hangs").exists)
    first.kill()
    first.communicate(timeout=LIMIT)
    second = start(house, "test")
    assert first_line(second).startswith("Waiting for another course.py")
    (house / "go").touch()
    assert answer(finish(second))[0] == "pytest"
    assert comes_whole(house)


# The real venv and the real pip

BACKEND = """
import pathlib, zipfile

def build_editable(folder, settings=None, metadata=None):
    name = "lessons_src-1-py3-none-any.whl"
    program = "import lessons, sys; sys.exit(lessons.ANSWER)"
    files = {
        "lessons.pth": str(pathlib.Path.cwd() / "src"),
        "jupyterlab/__main__.py": program,
        "pytest/__main__.py": program,
        "lessons_src-1.dist-info/METADATA":
            "Metadata-Version: 2.1\\nName: lessons_src\\nVersion: 1\\n",
        "lessons_src-1.dist-info/WHEEL":
            "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files["lessons_src-1.dist-info/RECORD"] = "".join(f"{n},,\\n" for n in files)
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return name
"""


def test_with_the_real_pip_an_editable_course_and_then_no_network(tmp_path):
    house = tmp_path / "Kurs ä b"
    (house / "src").mkdir(parents=True)
    shutil.copy(COURSE, house)
    (house / "src/lessons.py").write_text("ANSWER = 42")
    (house / "backend.py").write_text(BACKEND)
    (house / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        'backend-path = ["."]\n[project]\nname = "lessons_src"\nversion = "1"\n'
    )
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    offline |= {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    (house / "requirements.txt").write_text("-e .\n")
    assert run(house, "test", **offline).returncode == 42
    assert run(house, "test", **offline).stdout == ""
    (house / "requirements.txt").write_text("no-such-thing==1\n")
    assert "index cannot be reached" in sentence(run(house, "test", **offline))
