import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import pytest

from lessons_src.tools.leash import run_code
from lessons_src.tools.programs import program
from lessons_src.tools.recorded import transcript

BUILD_SECONDS = 160
RUN_SECONDS = 40
PROGRAMS = ["frozen_without", "frozen_with"]
START_IT = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
# What they do not need, and what takes PyInstaller its time
LEFT_OUT = ["numpy", "setuptools", "tkinter", "sqlite3", "ssl", "lzma", "bz2"]


def brakes_in_time(name):
    text = program(name)
    return 0 < text.find("    stop_if_too_deep()\n") < text.index(".Process(")


def freeze(name, folder):
    # Without its brake the program must not even be built
    assert brakes_in_time(name)
    source = resources.files("lessons_src") / "listings" / f"{name}.py"
    options = ["--onedir", "--noconfirm", "--log-level=WARN"]
    options += [f"--{kind}path={folder / kind}" for kind in ("dist", "work", "spec")]
    options += [f"--exclude-module={module}" for module in LEFT_OUT]
    environment = {
        key: value for key, value in os.environ.items() if "COVERAGE" not in key
    }
    return subprocess.run(
        [sys.executable, "-m", "PyInstaller", *options, str(source)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment | {"PYINSTALLER_CONFIG_DIR": str(folder / "config")},
        timeout=BUILD_SECONDS,
    )


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    if sys.platform == "linux" and not shutil.which("objdump"):
        pytest.skip("PyInstaller needs objdump, of the package binutils")
    folders = [tmp_path_factory.mktemp(name) for name in PROGRAMS]
    with ThreadPoolExecutor() as threads:
        builds = list(threads.map(freeze, PROGRAMS, folders))
    for build in builds:
        if "shared library" in build.stderr:
            pytest.skip("PyInstaller needs a Python with a shared library")
        assert build.returncode == 0, build.stderr
    suffix = ".exe" if os.name == "nt" else ""
    return {
        name: folder / "dist" / name / f"{name}{suffix}"
        for name, folder in zip(PROGRAMS, folders, strict=True)
    }


def events_of(executable: Path, folder: Path):
    log = folder / "events.log"
    outcome = run_code(START_IT, RUN_SECONDS, executable, env={"FROZEN_LOG": str(log)})
    assert not outcome.hung, outcome.errors
    # Each process of one depth writes the same: how many there are differs
    lines = sorted(set(log.read_text(encoding="utf-8").splitlines()))
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.timeout(BUILD_SECONDS + RUN_SECONDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_frozen_program_does_what_the_lesson_shows(frozen, name, tmp_path):
    assert events_of(frozen[name], tmp_path) == transcript(name)


def brake(tmp_path, ending="", **environment):
    environment = {"FROZEN_LOG": str(tmp_path / "events.log")} | environment
    code = program("brake") + ending + "\nprint('runs on')\n"
    return run_code(code, RUN_SECONDS, env=environment)


def test_the_brake_lets_the_first_three_generations_begin(tmp_path):
    outcomes = [brake(tmp_path, FROZEN_DEPTH=depth) for depth in "012"]
    assert [outcome.output for outcome in outcomes] == ["runs on\n"] * 3


def test_the_brake_ends_the_third_generation_before_it_starts_a_fourth(tmp_path):
    asked = "\nstop_if_too_deep()"
    second = brake(tmp_path, asked, FROZEN_DEPTH="1")
    third = brake(tmp_path, asked, FROZEN_DEPTH="2")
    assert (second.output, third.output) == ("runs on\n", "")
    assert third.ended == "ended with exit code 2"


def test_the_brake_ends_a_fourth_generation_at_its_import(tmp_path):
    assert brake(tmp_path, FROZEN_DEPTH="3").ended == "ended with exit code 2"


def test_the_brake_ends_the_start_after_the_twentieth(tmp_path):
    (tmp_path / "events.starts").write_bytes(b"." * 19)
    assert brake(tmp_path).output == "runs on\n"
    assert brake(tmp_path).ended == "ended with exit code 2"


def test_the_brake_refuses_to_run_without_a_log(monkeypatch):
    monkeypatch.delenv("FROZEN_LOG", raising=False)
    outcome = run_code(program("brake"), RUN_SECONDS)
    assert outcome.output == "Set FROZEN_LOG to the name of a file.\n"
    assert outcome.exit_code == 2


@pytest.mark.parametrize("name", PROGRAMS)
def test_main_asks_the_brake_before_it_starts_a_child(name):
    assert brakes_in_time(name)
