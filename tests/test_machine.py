import os
import shutil
import subprocess
import sys
from multiprocessing.pool import ThreadPool

import pytest

from lessons_src.tools import machine

GIL_OFF = "import sys; print(not getattr(sys, '_is_gil_enabled', lambda: True)())"


def run_python(code):
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_python_s_own_count_of_allowed_cores_comes_first(monkeypatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    assert machine.cores_allowed() == 3


def test_without_it_the_cores_that_the_system_allows_are_counted(monkeypatch):
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert machine.cores_allowed() == 2


def test_without_both_all_cores_are_allowed(monkeypatch):
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert machine.cores_allowed() == 8


@pytest.mark.parametrize("unknown", ["process_cpu_count", "cpu_count"])
def test_a_system_that_cannot_count_has_one_core(monkeypatch, unknown):
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, unknown, lambda: None, raising=False)
    assert machine.cores_allowed() == 1


def test_the_default_pool_size_is_that_of_a_pool():
    with ThreadPool() as pool:
        assert machine.default_pool_size() == pool._processes


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system gives no cores away"
)
def test_with_one_core_allowed_the_default_pool_size_is_still_that_of_a_pool():
    core = min(os.sched_getaffinity(0))
    allowed, predicted, real = run_python(
        f"import os; os.sched_setaffinity(0, {{{core}}})\n"
        "from lessons_src.tools import machine\n"
        "from multiprocessing.pool import ThreadPool\n"
        "print(machine.cores_allowed(), machine.default_pool_size())\n"
        "with ThreadPool() as pool: print(pool._processes)"
    )
    assert (allowed, predicted) == ("1", real)


def test_asking_does_not_fix_the_start_method():
    before, after = run_python(
        "import multiprocessing\n"
        "from lessons_src.tools import machine\n"
        "print(machine.this_machine().default_start_method)\n"
        "print(multiprocessing.get_start_method(allow_none=True))"
    )
    assert after == "None"
    assert (
        before
        == run_python(
            "import multiprocessing; print(multiprocessing.get_start_method())"
        )[0]
    )


def test_a_start_method_that_was_chosen_is_the_default():
    chosen = run_python(
        "import multiprocessing; multiprocessing.set_start_method('spawn')\n"
        "from lessons_src.tools import machine\n"
        "print(machine.this_machine().default_start_method)"
    )
    assert chosen == ["spawn"]


def test_the_gil_is_on_where_python_cannot_switch_it_off(monkeypatch):
    monkeypatch.delattr(sys, "_is_gil_enabled", raising=False)
    assert machine.gil_enabled() is True


def test_a_gil_that_is_off_is_seen(monkeypatch):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert machine.gil_enabled() is False
    assert str(machine.this_machine()).endswith("GIL                   off")


def test_macos_is_called_by_the_name_its_users_know(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert machine.this_machine().system == "macOS"


def test_the_machine_allows_no_more_cores_than_it_has():
    found = machine.this_machine()
    assert 1 <= found.cores_allowed <= found.cores
    assert found.default_start_method in found.start_methods


@pytest.fixture
def shelf(monkeypatch):
    # The interpreters that a search finds, by name, and what each prints
    shelf = {}

    def run(command, **named):
        printed = shelf[command[0].removeprefix("found/")]
        if isinstance(printed, Exception):
            raise printed
        return subprocess.CompletedProcess(command, printed is None, printed, "")

    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    monkeypatch.setattr(
        shutil, "which", lambda name: f"found/{name}" if name in shelf else None
    )
    monkeypatch.setattr(subprocess, "run", run)
    return shelf


def test_a_python_whose_gil_is_off_is_itself_the_free_threaded_one(shelf, monkeypatch):
    shelf["python3.13t"] = "False\n"
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert machine.free_threaded_python() == sys.executable


def test_without_a_free_threaded_python_there_is_none(shelf):
    assert machine.free_threaded_python() is None


def test_the_first_free_threaded_python_is_taken(shelf):
    shelf |= {"python3.15t": "False\n", "python3.14t": "False\n"}
    assert machine.free_threaded_python() == "found/python3.14t"


@pytest.mark.parametrize(
    "answer",
    ["True\n", "", None, OSError(), subprocess.TimeoutExpired("python3.13t", 20)],
    ids=["told to keep its GIL", "silent", "fails", "no program", "hangs"],
)
def test_one_that_does_not_run_with_its_gil_off_is_passed_over(shelf, answer):
    shelf |= {"python3.13t": answer}
    assert machine.free_threaded_python() is None
    shelf["python3.14t"] = "False\n"
    assert machine.free_threaded_python() == "found/python3.14t"


def test_what_is_found_here_really_runs_with_its_gil_off():
    python = machine.free_threaded_python()
    command = [python or sys.executable, "-c", GIL_OFF]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(python is not None)
