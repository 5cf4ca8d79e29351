"""What `authoring/in_kernel` does to the kernel and to each interpreter it starts."""

import os
import subprocess
import sys

import pytest
from notebook_proof import modes_here

from authoring.surroundings import kernel_environment

WORKS_IN = {
    "Pool": """
        import multiprocessing
        with multiprocessing.Pool(1) as pool:
            print(pool.map(abs, [-1]))
        """,
    "ProcessPoolExecutor": """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(1) as executor:
            print([executor.submit(abs, -1).result()])
        """,
    "Process and Queue": """
        import multiprocessing
        queue = multiprocessing.Queue()
        process = multiprocessing.Process(target=queue.put, args=[[1]])
        process.start()
        print(queue.get(timeout=60))
        process.join()
        """,
    "Manager": """
        import multiprocessing
        with multiprocessing.Manager() as manager:
            print(manager.list([1]))
        """,
    "joblib": """
        import os
        import joblib
        from joblib.externals.loky import get_reusable_executor
        def same_pid(pid):
            return [int(pid != os.getpid())]
        jobs = [joblib.delayed(same_pid)(os.getpid())] * 2
        print(joblib.Parallel(2)(jobs)[0])
        get_reusable_executor().shutdown(wait=True)
        """,
    "multiprocess": """
        import multiprocess
        with multiprocess.Pool(1) as pool:
            print(pool.map(abs, [-1]))
        """,
    "subprocess": """
        import subprocess, sys
        done = subprocess.run([sys.executable, "-c", "print([1])"], text=True,
                              stdout=subprocess.PIPE)
        print(done.stdout.strip())
        """,
    "leash": """
        from lessons_src.tools.leash import run_code
        print(run_code("print([1])", 60).output.strip())
        """,
    "asyncio": """
        import asyncio, sys
        async def main():
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "print([1])", stdout=-1)
            print((await child.communicate())[0].decode().strip())
        asyncio.run(main())
        """,
    "psutil": """
        import psutil
        print([len({psutil.Process().status()})])
        """,
}
HIDDEN = [
    "os.fork",
    "os.forkpty",
    "os.getuid",
    "os.killpg",
    "os.mkfifo",
    "os.nice",
    "os.O_CLOEXEC",
    "os.pipe2",
    "os.posix_spawn",
    "os.register_at_fork",
    "os.sched_getaffinity",
    "os.setsid",
    "os.uname",
    "os.wait",
    "os.WNOHANG",
    "os.WIFSIGNALED",
    "select.poll",
    "signal.alarm",
    "signal.pause",
    "signal.pthread_sigmask",
    "signal.SIGALRM",
    "signal.SIGHUP",
    "signal.SIGKILL",
    "signal.SIGUSR1",
    "time.clock_gettime",
    "time.CLOCK_MONOTONIC",
    "time.tzset",
]
LEFT = [
    "os.environ",
    "os.getpid",
    "os.kill",
    "os.O_CREAT",
    "os.path.join",
    "os.pipe",
    "os.waitpid",
    "select.select",
    "signal.SIGINT",
    "signal.SIGTERM",
    "signal.Signals",
    "time.perf_counter",
    "time.sleep",
]
MISSING = ["fcntl", "grp", "pty", "pwd", "resource", "termios"]


@pytest.fixture
def run_in(tmp_path):
    def run(mode, source, **more):
        lines = source.splitlines()
        indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        body = "".join(f"    {line[indent:]}\n" for line in lines)
        script = tmp_path / "script.py"
        script.write_text(f"if __name__ == '__main__':\n{body}")
        environment = kernel_environment(tmp_path, os.environ["COURSE_MARK"], mode)
        environment.pop("COURSE_WATCH")
        done = subprocess.run(
            [sys.executable, script],
            env=environment | more,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not done.stderr, done.stderr
        return done.stdout.strip()

    return run


on_posix = pytest.mark.skipif(os.name == "nt", reason="Windows lacks it by itself")


@pytest.mark.parametrize("mode", modes_here())
@pytest.mark.parametrize("what", WORKS_IN)
def test_works_under_each_start_method(run_in, mode, what):
    assert run_in(mode, WORKS_IN[what]) == "[1]"


@pytest.mark.parametrize("package", ["multiprocessing", "multiprocess"])
@pytest.mark.parametrize("mode", modes_here())
def test_the_mode_is_the_default_and_not_yet_fixed(run_in, mode, package):
    said = run_in(
        mode,
        f"""
        import {package} as package
        print(package.get_start_method(allow_none=True))
        print(package.get_all_start_methods()[0], package.get_start_method())
        """,
    )
    method = "spawn" if mode == "windows" else mode
    assert said.splitlines() == ["None", f"{method} {method}"]


def test_another_start_method_can_still_be_asked_for(run_in):
    said = run_in(
        "spawn",
        """
        import multiprocessing
        methods = multiprocessing.get_all_start_methods()
        multiprocessing.set_start_method(methods[-1])
        print(sorted(methods), multiprocessing.get_start_method() == methods[-1])
        """,
    )
    # From 3.14 on Python counts loky's methods too, once a test has imported that
    assert said == f"{sorted({*modes_here()} - {'windows'})} True"


@on_posix
def test_as_on_windows_only_spawn_is_left(run_in):
    said = run_in(
        "windows",
        """
        import multiprocessing
        print(multiprocessing.get_all_start_methods())
        for method in ("fork", "forkserver"):
            try:
                multiprocessing.get_context(method)
            except ValueError as error:
                print(error)
        """,
    )
    assert said.splitlines() == [
        "['spawn']",
        "cannot find context for 'fork'",
        "cannot find context for 'forkserver'",
    ]


@on_posix
def test_as_on_windows_posix_names_are_gone_and_the_others_are_there(run_in):
    modules = "import os, select, signal, time"
    said = run_in(
        "windows",
        f"""
        {modules}
        def there(name):
            module, _, attribute = name.partition(".")
            try:
                return bool(eval(name))
            except AttributeError as error:
                assert str(error) == f"module {{module!r}} has no attribute "\\
                    f"{{attribute!r}}", error
                return False
        print([name for name in {HIDDEN} if there(name)])
        print([name for name in {LEFT} if not there(name)])
        """,
    )
    assert said.splitlines() == ["[]", "[]"]


@on_posix
def test_as_on_windows_no_library_can_fork_either(run_in):
    said = run_in("windows", "import sys; print(hasattr(sys.modules['os'], 'fork'))")
    assert said == "False"


@on_posix
@pytest.mark.parametrize(
    ("statement", "error"),
    [
        *((f"import {name}", f"No module named '{name}'") for name in MISSING),
        ("from os import getuid", "cannot import name 'getuid' from 'os'"),
        ("from signal import SIGKILL", "cannot import name 'SIGKILL' from 'signal'"),
        ("import os as system; system.setsid()", "has no attribute 'setsid'"),
        ("from os import *; getuid()", "name 'getuid' is not defined"),
    ],
)
def test_as_on_windows_an_import_of_what_is_posix_fails(run_in, statement, error):
    names = "ImportError, AttributeError, NameError"
    body = f"try:\n    {statement}\nexcept ({names}) as error:\n    print(error)"
    said = run_in("windows", f"import contextlib\nexec({body!r}, globals())")
    assert error in said


@on_posix
def test_as_on_windows_a_worker_lacks_the_same(run_in, tmp_path):
    (tmp_path / "lessons_src.py").write_text(
        "import os\ndef found(name):\n    return hasattr(os, name)\n"
    )
    said = run_in(
        "windows",
        """
        import sys
        sys.modules.pop("lessons_src", None)
        import multiprocessing
        from lessons_src import found
        with multiprocessing.Pool(1) as pool:
            print(pool.map(found, ["getpid", "getuid", "fork"]))
        """,
        PYTHONPATH=os.pathsep.join(
            [os.fspath(tmp_path), kernel_environment(tmp_path, "", None)["PYTHONPATH"]]
        ),
    )
    assert said == "[True, False, False]"


@on_posix
def test_as_on_windows_a_change_of_a_module_is_seen_by_all(run_in):
    said = run_in(
        "windows",
        """
        import os, time, tempfile
        os.environ["COURSE_X"] = "1"
        time.sleep = None
        import random, sys
        print(os.getenv("COURSE_X"), sys.modules["time"].sleep)
        """,
    )
    assert said == "1 None"


def test_the_sitecustomize_that_the_system_has_runs_too(run_in, tmp_path):
    folder = tmp_path / "system"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys\nsys.of_the_system = True\n")
    ours = kernel_environment(tmp_path, "", None)["PYTHONPATH"]
    said = run_in(
        "spawn",
        "import sys; print(sys.of_the_system)",
        PYTHONPATH=os.pathsep.join([ours, os.fspath(folder)]),
    )
    assert said == "True"


@pytest.mark.parametrize("mode", [None, "spawn"])
def test_a_child_that_needs_no_multiprocessing_does_not_pay_for_it(run_in, mode):
    said = run_in(mode, "import sys; print('multiprocessing' in sys.modules)")
    assert said == "False"
