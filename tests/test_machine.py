import os
import subprocess
import sys
from multiprocessing.pool import ThreadPool

import pytest

from lessons_src.tools import machine


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
