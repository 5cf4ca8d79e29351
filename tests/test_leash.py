import _thread
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
import venv
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import psutil
import pytest

from lessons_src.tools import leash, process_tree
from lessons_src.tools.leash import Outcome, run_cell, run_code, run_module

# Far more than any run here needs, and what a run that hangs may take
AMPLE, LIMIT = 60, 8

WORKERS_HANG = """
import time
from multiprocessing import active_children, get_context

if __name__ == "__main__":
    with get_context("spawn").Pool(2) as pool:
        print(*(child.pid for child in active_children()))
        pool.map(time.sleep, [600, 600])
"""
DETACH = """
import subprocess, sys

sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
print(subprocess.Popen(sleeper, start_new_session=True).pid)
"""
# The one in the middle ends at once, so the sleeper loses its parent
DETACH_AND_HANG = f"""
import subprocess, sys, time

subprocess.run([sys.executable, "-c", {DETACH!r}])
time.sleep(600)
"""
# The mark is a variable, and this sleeper has none but what Windows insists on
UNMARKED = f"""
import os, time

bare = {{name: os.environ[name] for name in ["SYSTEMROOT"] if name in os.environ}}
{DETACH.replace("session=True", "session=True, env=bare")}
time.sleep(600)
"""
# The worker leaves the group, so the resource tracker has to outlast it
SHARER = """
import os, time
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory

def wait():
    if hasattr(os, "setsid"):
        os.setsid()
    time.sleep(600)

if __name__ == "__main__":
    shared = SharedMemory(create=True, size=1)
    print(shared.name)
    get_context("spawn").Process(target=wait).start()
    time.sleep(600)
"""
CELL_POOL = """
from multiprocessing import get_context

def double(n):
    return 2 * n

with get_context("spawn").Pool(2) as pool:
    print("a pool")
    print(pool.map(double, [1, 2]))
"""
CELL_PROCESS = """
from multiprocessing import get_context

def greet():
    print("hello")

process = get_context("spawn").Process(target=greet)
process.start()
process.join()
print("exit code", process.exitcode)
"""
CELL_EXECUTOR = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

def double(n):
    return 2 * n

with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
    print(list(pool.map(double, [1, 2])))
"""


def alive(pid):
    with suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def marked(word):
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if word in process.environ() and alive(process.pid):
                found.append(process)
    return found


def open_files():
    me = psutil.Process()
    return me.num_fds() if hasattr(me, "num_fds") else 0


@contextmanager
def nothing_left(tmp_path):
    folder = tmp_path / "Kurs ä b"
    folder.mkdir()
    word = f"TEST_{uuid.uuid4().hex.upper()}"
    threads, files = set(threading.enumerate()), open_files()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv(word, "1")
        yield folder
    assert marked(word) == []
    assert set(threading.enumerate()) <= threads
    assert open_files() <= files
    assert list(folder.iterdir()) == []


@pytest.fixture(autouse=True)
def folder(tmp_path):
    with nothing_left(tmp_path) as folder:
        yield folder


@pytest.fixture(scope="module")
def hung(tmp_path_factory):
    scripts = {
        "sleeper": "import time\nprint('so far')\ntime.sleep(600)",
        "workers": WORKERS_HANG,
        "orphan": DETACH_AND_HANG,
        "unmarked": UNMARKED,
        "sharer": SHARER,
    }
    with nothing_left(tmp_path_factory.mktemp("hung")), ThreadPoolExecutor() as pool:
        futures = {
            name: pool.submit(run_code, code, LIMIT) for name, code in scripts.items()
        }
        futures["cell"] = pool.submit(run_cell, CELL_POOL, LIMIT)
        return {name: future.result(AMPLE) for name, future in futures.items()}


def pids(outcome):
    return [int(word) for word in outcome.output.split()]


class TestOutcome:
    def test_a_script_that_succeeds(self):
        assert run_code("print(6 * 7)", AMPLE) == Outcome(
            0, None, "42\n", "", hung=False, limit=AMPLE
        )

    def test_an_exit_code_is_told(self):
        outcome = run_code("raise SystemExit(3)", AMPLE)
        assert (outcome.exit_code, outcome.signal) == (3, None)
        assert outcome.ended == "ended with exit code 3"

    def test_an_error_leaves_a_traceback_without_the_temporary_folder(self, folder):
        outcome = run_code("print('before')\n1 / 0", AMPLE)
        assert outcome.exit_code == 1
        assert outcome.output == "before\n"
        assert 'File "listing.py", line 2' in outcome.errors
        assert folder.name not in outcome.errors
        assert outcome.last_error_line == "ZeroDivisionError: division by zero"

    @pytest.mark.parametrize(
        ("errors", "line"), [("", ""), ("\n \n", ""), ("one\n two \n \n", "two")]
    )
    def test_the_last_line_is_not_an_empty_one(self, errors, line):
        outcome = Outcome(0, None, "", errors, hung=False, limit=1)
        assert outcome.last_error_line == line

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX only")
    def test_a_signal_is_named(self):
        code = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
        outcome = run_code(code, AMPLE)
        assert (outcome.exit_code, outcome.signal) == (-9, "SIGKILL")
        assert outcome.ended == "ended by SIGKILL"

    def test_a_signal_without_a_name_has_its_number(self):
        assert leash._signal_name(-99) == "signal 99"

    def test_what_hangs_is_stopped_and_what_it_said_is_kept(self, hung):
        assert hung["sleeper"] == (None, None, "so far\n", "", True, LIMIT)
        assert hung["sleeper"].ended == f"hung: stopped after {LIMIT} s"

    def test_several_can_run_at_once_in_threads(self, hung):
        assert [outcome.hung for outcome in hung.values()] == [True] * 6

    @pytest.mark.parametrize("limit", [0, -1, float("nan")])
    @pytest.mark.parametrize(
        ("run", "what"), [(run_code, "1"), (run_module, "this"), (run_cell, "1")]
    )
    def test_a_limit_that_is_no_limit_is_refused(self, run, what, limit):
        with pytest.raises(ValueError, match=f"more than 0 seconds, not {limit}"):
            run(what, limit)

    def test_a_limit_has_to_be_given(self):
        with pytest.raises(TypeError, match="limit"):
            run_code("print(1)")


class TestTree:
    def test_hanging_workers_end_too(self, hung):
        assert len(pids(hung["workers"])) == 2
        assert not any(map(alive, pids(hung["workers"])))
        assert hung["workers"].errors == ""

    def test_a_sleeper_left_behind_ends_and_nobody_waits_for_it(self):
        outcome = run_code(DETACH, AMPLE)
        assert outcome.exit_code == 0
        assert not alive(*pids(outcome))

    def test_a_sleeper_that_lost_its_parent_ends_at_the_limit(self, hung):
        assert not alive(*pids(hung["orphan"]))

    def test_a_child_without_the_mark_ends_at_the_limit(self, hung):
        assert not alive(*pids(hung["unmarked"]))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
    def test_a_forked_child_of_a_dead_parent_ends(self):
        code = "import os, time\nif not os.fork(): time.sleep(600)\nos._exit(5)"
        assert run_code(code, AMPLE).exit_code == 5

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
    def test_a_chain_too_fast_to_look_at_ends(self, tmp_path):
        code = """
        import os, sys

        os.open(sys.argv[1], os.O_WRONLY)
        for _ in range(20_000):
            if os.fork():
                os._exit(0)
        """
        path = tmp_path / "held by the chain"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert run_code(code, AMPLE, path).exit_code == 0
            # An error if anybody still had it open
            assert os.read(reader, 1) == b""
        finally:
            os.close(reader)

    def test_what_was_missed_at_first_is_found(self, monkeypatch):
        def miss_once(*known):
            return [] if next(misses, False) else members(*known)

        misses, members = iter([True]), process_tree._members
        monkeypatch.setattr(process_tree, "_members", miss_once)
        assert not alive(*pids(run_code(DETACH, AMPLE)))

    def test_what_workers_share_is_removed_by_its_resource_tracker(self, hung):
        with pytest.raises(FileNotFoundError):
            SharedMemory(hung["sharer"].output.strip())

    @pytest.mark.skipif(not hasattr(os, "waitid"), reason="has no zombies")
    def test_nobody_waits_for_a_zombie(self):
        with subprocess.Popen([sys.executable, "-c", ""]) as child:
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            assert not process_tree._lives(psutil.Process(child.pid))

    def test_a_chain_of_processes_that_each_start_the_next_ends(self):
        code = """
        import subprocess, sys

        link = "import subprocess, sys\\n"
        link += "code, left = sys.argv[1], int(sys.argv[2])\\n"
        link += "next_one = [sys.executable, '-c', code, code, str(left - 1)]\\n"
        link += "left and subprocess.Popen(next_one)"
        print(subprocess.Popen([sys.executable, "-c", link, link, "500"]).pid)
        """
        assert run_code(code, AMPLE).exit_code == 0

    @pytest.mark.skipif(not hasattr(os, "getsid"), reason="POSIX only")
    def test_ctrl_c_in_the_terminal_does_not_reach_the_child(self):
        code = "import os\nprint(os.getsid(0) == os.getpid())"
        assert run_code(code, AMPLE).output == "True\n"

    def test_a_keyboard_interrupt_ends_the_tree(self):
        def interrupt_when_it_runs():
            connection, _ = server.accept()
            connection.close()
            _thread.interrupt_main()

        code = """
        import socket, sys, time

        socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        time.sleep(600)
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(AMPLE)
            thread = threading.Thread(target=interrupt_when_it_runs)
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                run_code(code, AMPLE, server.getsockname()[1])
            thread.join(AMPLE)


class TestText:
    def test_a_flood_keeps_its_beginning_and_its_end(self):
        code = """
        import sys

        print("first")
        for _ in range(50):
            sys.stdout.write(("x" * 999 + "\\n") * 1000)
        print("last")
        """
        outcome = run_code(code, AMPLE)
        assert outcome.exit_code == 0
        lines = outcome.output.splitlines()
        assert (lines[0], lines[-1]) == ("first", "last")
        assert set(lines[1:-1]) == {"x" * 999, leash.CUT_LINE.decode().strip()}
        assert leash.KEPT_BYTES < len(outcome.output) <= 2 * leash.KEPT_BYTES + 50

    def test_a_flood_without_end_or_lines_is_stopped(self):
        outcome = run_code("import os\nwhile True: os.write(2, b'x' * 9999)", 2)
        assert outcome.hung
        assert len(outcome.errors) <= 2 * leash.KEPT_BYTES + 50

    def test_just_enough_is_not_cut(self):
        code = f"print('x' * {2 * leash.KEPT_BYTES - 1}, flush=True)"
        output = run_code(code, AMPLE).output.replace("\n", "")
        assert output == "x" * (2 * leash.KEPT_BYTES - 1)

    def test_what_is_still_in_the_pipe_is_read(self, monkeypatch):
        def drain_late(stream, kept):
            released.wait(AMPLE)
            drain(stream, kept)

        def end_tree_then_release(child, mark):
            end_tree(child, mark)
            threading.Timer(0.3, released.set).start()

        released, drain, end_tree = threading.Event(), leash._drain, leash.end_tree
        monkeypatch.setattr(leash, "_drain", drain_late)
        monkeypatch.setattr(leash, "end_tree", end_tree_then_release)
        assert run_code("print('late')", AMPLE).output == "late\n"

    def test_text_is_utf_8_in_and_out_whatever_is_set(self, monkeypatch):
        monkeypatch.setenv("PYTHONUTF8", "0")
        monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
        assert run_code("import sys\nprint(sys.flags.utf8_mode)", AMPLE).output == "1\n"
        code = "import sys\nprint('Grüße, 你好', sys.argv[1])\nsys.exit('schäbig')"
        outcome = run_code(code, AMPLE, "señor")
        assert outcome.output == "Grüße, 你好 señor\n"
        assert outcome.errors == "schäbig\n"

    def test_bytes_that_are_no_text_do_no_harm(self):
        code = "import os\nos.write(1, bytes([255, 10]))"
        assert run_code(code, AMPLE).output == "\N{REPLACEMENT CHARACTER}\n"

    def test_a_line_is_one_piece_and_is_written_at_once(self, monkeypatch):
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")
        code = "import sys\nprint(sys.stdout.line_buffering, sys.stdout.write_through)"
        assert run_code(code, AMPLE).output == "True False\n"

    def test_there_are_no_colours(self, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert "\x1b" not in run_code("1 / 0", AMPLE).errors
        assert "\x1b" not in run_cell("1 / 0", AMPLE).errors


class TestScript:
    def test_arguments_arrive_as_text(self):
        code = "import sys\nprint(sys.argv)"
        assert run_code(code, AMPLE, "a b", 7).output == "['listing.py', 'a b', '7']\n"

    def test_there_is_no_input(self):
        assert run_code("input()", AMPLE).last_error_line.startswith("EOFError")

    def test_code_may_be_indented(self):
        code = """
            if True:
                print("in")
        """
        assert run_code(code, AMPLE).output == "in\n"

    def test_spawned_workers_find_the_functions_of_the_script(self):
        code = """
        from multiprocessing import get_context

        def double(n):
            return 2 * n

        if __name__ == "__main__":
            with get_context("spawn").Pool(2) as pool:
                print(pool.map(double, [1, 2]))
        """
        outcome = run_code(code, AMPLE)
        assert (outcome.output, outcome.errors) == ("[2, 4]\n", "")

    def test_the_course_can_be_imported_from_anywhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert run_code("import lessons_src.tools", AMPLE).exit_code == 0

    def test_variables_are_set_besides_those_there_are(self, monkeypatch):
        monkeypatch.setenv("OLD", "old")
        code = "import os\nprint(os.environ['OLD'], os.environ['NEW'])"
        assert run_code(code, AMPLE, env={"NEW": "new"}).output == "old new\n"

    def test_another_python_can_be_named(self, tmp_path):
        venv.create(tmp_path, symlinks=os.name != "nt")
        place = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        code = "import sys; print(sys.prefix)"
        outcome = run_code(code, AMPLE, python=str(tmp_path / place))
        assert Path(outcome.output.strip()).samefile(tmp_path)

    def test_the_own_search_path_and_start_up_file_still_count(self, tmp_path):
        (tmp_path / "sitecustomize.py").write_text("print('mine')", encoding="utf-8")
        (tmp_path / "hello.py").write_text("print('hello')", encoding="utf-8")
        env = {"PYTHONPATH": str(tmp_path)}
        assert run_code("import hello", AMPLE, env=env).output == "mine\nhello\n"


class TestModule:
    def test_a_module_runs_with_its_arguments(self, tmp_path):
        text = "import sys\nprint(__name__, sys.argv[1:])"
        (tmp_path / "hello.py").write_text(text, encoding="utf-8")
        env = {"PYTHONPATH": str(tmp_path)}
        outcome = run_module("hello", AMPLE, "a", 7, env=env)
        assert outcome.output == "__main__ ['a', '7']\n"

    def test_a_missing_module_is_an_outcome(self):
        outcome = run_module("no_such_module", AMPLE)
        assert outcome.exit_code == 1
        assert outcome.last_error_line.endswith("No module named no_such_module")


def lacks(name, errors):
    # The same in the words of Python 3.14, and of those before
    words = f"(module '__main__' has no|Can't get) attribute '{name}'"
    return re.search(f"^AttributeError: {words}", errors, re.MULTILINE)


class TestCell:
    def test_a_cell_has_no_file_and_shows_its_last_value(self):
        code = "print(__name__, '__file__' in globals())\n6 * 7"
        assert run_cell(code, AMPLE).output == "__main__ False\nOut[1]: 42\n"

    def test_a_cell_may_await_and_use_magics(self):
        code = "import asyncio\nawait asyncio.sleep(0)\n%time 1"
        outcome = run_cell(code, AMPLE)
        assert outcome.exit_code == 0
        assert "Wall time" in outcome.output

    def test_an_error_is_among_the_errors(self):
        outcome = run_cell("print('before')\n1 / 0", AMPLE)
        assert (outcome.exit_code, outcome.output) == (1, "before\n")
        assert outcome.last_error_line == "ZeroDivisionError: division by zero"

    def test_the_own_ipython_is_left_alone(self):
        code = "print(get_ipython().ipython_dir, get_ipython().history_manager.enabled)"
        assert run_cell(code, AMPLE).output == "ipython False\n"

    def test_a_pool_over_a_function_of_the_cell_hangs(self, hung):
        assert hung["cell"].output == "a pool\n"
        assert lacks("double", hung["cell"].errors)

    def test_a_process_over_a_function_of_the_cell_is_silent(self):
        outcome = run_cell(CELL_PROCESS, AMPLE)
        assert (outcome.exit_code, outcome.output) == (0, "exit code 1\n")
        assert lacks("greet", outcome.errors)

    def test_an_executor_over_a_function_of_the_cell_is_broken(self):
        outcome = run_cell(CELL_EXECUTOR, AMPLE)
        assert (outcome.exit_code, outcome.output) == (1, "")
        assert outcome.last_error_line.startswith("BrokenProcessPool:")
