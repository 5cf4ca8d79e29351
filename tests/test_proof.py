import multiprocessing
import os
from typing import NamedTuple

import notebook_proof
import pytest
from nbformat import NotebookNode
from notebook_proof import modes_here
from rigged import code, picture, printed, raised, run_pytest, value, write

BAD_MAGIC = "UsageError: Line magic function"
PATIENCE = "--nbval-cell-timeout=60"


class Fault(NamedTuple):
    cells: list[NotebookNode]
    said: str


IN_A_CELL = {
    "a cell that nobody ran": Fault([code("1", count=None)], "has no execution count"),
    "an output that was never there": Fault(
        [code("1 + 1", value("3"))], "Cell outputs differ"
    ),
    "a picture that is not drawn any more": Fault(
        [code("display({'text/plain': 'a line'}, raw=True)", picture("a line"))],
        "differ in form",
    ),
    "an error, though it is stored": Fault(
        [code("1 / 0", raised("ZeroDivisionError", "division by zero"))],
        "raised ZeroDivisionError",
    ),
    "an error where no output is compared": Fault(
        [code("1 / 0", tags=["nbval-ignore-output"])], "raised ZeroDivisionError"
    ),
    "another error than the stored one": Fault(
        [code("int('x')", raised("KeyError", "'x'"), tags=["raises-exception"])],
        "Cell outputs differ",
    ),
    "an expected error that did not come": Fault(
        [code("zero = 0", tags=["raises-exception"])], "raised nothing"
    ),
    "a misspelt magic": Fault([code("# too late\n%%time\nzero = 0")], BAD_MAGIC),
    "a misspelt magic whose complaint is stored": Fault(
        [
            code(
                "# too late\n%%time\nzero = 0",
                printed(f"{BAD_MAGIC} `%%time` not found.\n", "stderr"),
            )
        ],
        BAD_MAGIC,
    ),
    "a stored complaint that comes no more": Fault(
        [code("zero = 0", printed("UsageError\n", "stderr"))], "stderr among its stored"
    ),
    "a cell that asks to be skipped": Fault(
        [code("1 / 0", tags=["nbval-skip"])], "is tagged nbval-skip"
    ),
    "a comment that asks to skip": Fault(
        [code("# NBVAL_SKIP\nzero = 0")], "a comment that steers nbval"
    ),
    "a comment that asks not to compare": Fault(
        [code("# NBVAL_IGNORE_OUTPUT\n1 + 1", value("3"))],
        "a comment that steers nbval",
    ),
    "an error in a thread": Fault(
        [
            code(
                "from threading import Thread\n"
                "thread = Thread(target=int, args=['in a thread'])\n"
                "thread.start()\nthread.join()"
            )
        ],
        "ValueError: invalid literal for int() with base 10: 'in a thread'",
    ),
    "an error in a thread of an earlier cell": Fault(
        [
            code(
                "from threading import Event, Thread\ngo = Event()\n"
                "def late():\n    go.wait(9)\n    int('later')\n"
                "thread = Thread(target=late)\nthread.start()"
            ),
            code("go.set()\nthread.join()"),
        ],
        "base 10: 'later'",
    ),
    "an error in an asyncio task that is gone": Fault(
        [
            code(
                "import asyncio\nasync def fail():\n    int('awaited')\n"
                "lost = asyncio.ensure_future(fail())\n"
                "await asyncio.wait([lost])\ndel lost"
            )
        ],
        "base 10: 'awaited'",
    ),
    "a print of an earlier cell": Fault(
        [
            code(
                "from threading import Event, Thread\ngo = Event()\n"
                "def late():\n    go.wait(9)\n    print('too late')\n"
                "thread = Thread(target=late)\nthread.start()"
            ),
            code("go.set()\nthread.join()"),
        ],
        "Cell outputs differ",
    ),
    "a worker that died unseen": Fault(
        [
            code(
                "from multiprocessing import Process\n"
                "process = Process(target=int, args=['in a child'])\n"
                "process.start()\nprocess.join()"
            )
        ],
        "ValueError: invalid literal for int() with base 10: 'in a child'",
    ),
    "a worker that prints": Fault(
        [
            code(
                "from multiprocessing import Process\n"
                "process = Process(target=print, args=['from a child'])\n"
                "process.start()\nprocess.join()"
            )
        ],
        "printed where no reader looks: from a child",
    ),
}

AFTER_THE_LAST_CELL = {
    "an error in apply_async": Fault(
        [
            code(
                "from multiprocessing.pool import ThreadPool\n"
                "with ThreadPool(1) as pool:\n"
                "    pool.apply_async(int, ['applied'])\n"
                "    pool.close()\n    pool.join()"
            )
        ],
        "nobody asked for this error of multiprocessing.pool.ApplyResult: ValueError: "
        "invalid literal for int() with base 10: 'applied'",
    ),
    "an error in map_async": Fault(
        [
            code(
                "with ThreadPool(1) as pool:\n"
                "    pool.map_async(int, ['mapped'])\n"
                "    pool.close()\n    pool.join()"
            )
        ],
        "base 10: 'mapped'",
    ),
    "an error in imap": Fault(
        [
            code(
                "with ThreadPool(1) as pool:\n"
                "    pool.imap(int, ['iterated'])\n"
                "    pool.close()\n    pool.join()"
            )
        ],
        "base 10: 'iterated'",
    ),
    "an error in a future": Fault(
        [
            code(
                "from concurrent.futures import ThreadPoolExecutor\n"
                "with ThreadPoolExecutor(1) as executor:\n"
                "    executor.submit(int, 'submitted') and None"
            )
        ],
        "nobody asked for this error of concurrent.futures._base.Future: ValueError: "
        "invalid literal for int() with base 10: 'submitted'",
    ),
    "an error in an asyncio task": Fault(
        [
            code(
                "import asyncio\nasync def fail():\n    int('awaited')\n"
                "kept = asyncio.ensure_future(fail())\n"
                "done = await asyncio.wait([kept])"
            )
        ],
        "base 10: 'awaited'",
    ),
    "a thread left behind": Fault(
        [
            code(
                "from threading import Event, Thread\n"
                "Thread(target=Event().wait, name='sleeper', daemon=True).start()"
            )
        ],
        "left running: thread sleeper",
    ),
    "a child left behind": Fault(
        [
            code(
                "import subprocess, sys\n"
                "nap = 'import time; time.sleep(99)'\n"
                "child = subprocess.Popen([sys.executable, '-c', nap, 'a child'])"
            )
        ],
        "-c import time; time.sleep(99) a child",
    ),
    "an orphan left behind": Fault(
        [
            code(
                "parent = f'''import subprocess, sys\n"
                "subprocess.Popen([sys.executable, '-c', {nap!r}, 'an orphan'],\n"
                "    start_new_session=True)'''\n"
                "done = subprocess.run([sys.executable, '-c', parent])"
            )
        ],
        "-c import time; time.sleep(99) an orphan",
    ),
    "a worker left behind that ends with the kernel": Fault(
        [
            code(
                "import multiprocessing, time\n"
                "worker = multiprocessing.Process(\n"
                "    target=time.sleep, args=[99], daemon=True)\n"
                "worker.start()"
            )
        ],
        "--multiprocessing-fork",
    ),
    "a child that starts at the end": Fault(
        [
            code(
                "import atexit\n"
                "command = [sys.executable, '-c', nap, 'a late child']\n"
                "atexit.register(subprocess.Popen, command) and None"
            )
        ],
        "-c import time; time.sleep(99) a late child",
    ),
    "a print after the end": Fault(
        [
            code(
                "import asyncio\n"
                "later = asyncio.get_running_loop().call_later(0.1, print, 'so late')"
            )
        ],
        "came after its cell had ended: stdout: so late",
    ),
    "a print at exit": Fault(
        [code("import atexit\natexit.register(print, 'at exit') and None")], "at exit"
    ),
}

FINE = [
    code("from concurrent.futures import ProcessPoolExecutor\nimport multiprocessing"),
    code(
        "import os\nmode = os.environ['COURSE_START_METHOD']\n"
        "multiprocessing.get_start_method() == mode.replace('windows', 'spawn')",
        value("True"),
    ),
    code(
        "with multiprocessing.Pool(2) as pool:\n    print(pool.map(abs, [-1, 2]))",
        printed("[1, 2]\n"),
    ),
    code(
        "with ProcessPoolExecutor(1) as executor:\n"
        "    print(type(executor.submit(int, 'x').exception()).__name__)",
        printed("ValueError\n"),
    ),
    code(
        "def asked(result):\n    try:\n        result.get(30)\n"
        "    except ValueError as error:\n        return error",
    ),
    code(
        "with multiprocessing.Pool(1) as pool:\n"
        "    wrong = [asked(pool.apply_async(int, 'x')),\n"
        "             asked(pool.map_async(int, 'x'))]\n"
        "    pool.apply_async(int, 'x', error_callback=wrong.append).wait(30)\n"
        "len(wrong)",
        value("3"),
    ),
    code(
        "display({'text/plain': 'a line', 'image/png': 'BBBB'}, raw=True)",
        picture("a line", png="AAAA"),
    ),
    code("%time zero = 0", printed("CPU times: user 9 s\nWall time: 9 s\n")),
    code("1 + 1", value("3"), tags=["nbval-ignore-output"]),
    code(
        "1 / 0",
        raised("ZeroDivisionError", "division by zero"),
        tags=["raises-exception"],
    ),
    code(
        "queue = multiprocessing.Queue()\nqueue.put(1)\n"
        "process = multiprocessing.Process(target=queue.get)\n"
        "process.start()\nprocess.join()"
    ),
]


def cells_of(faults):
    return [cell for fault in faults.values() for cell in fault.cells]


def numbered(faults):
    number = 0
    for name, fault in faults.items():
        number += len(fault.cells)
        yield name, number


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    write(folder / "cells.ipynb", *cells_of(IN_A_CELL))
    write(folder / "end.ipynb", *cells_of(AFTER_THE_LAST_CELL))
    write(folder / "dies.ipynb", code("import os\nos._exit(3)"), code("zero = 0"))
    return run_pytest(folder, PATIENCE)[1]


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fine")
    write(folder / "fine.ipynb", *FINE)
    return run_pytest(folder, PATIENCE, "--start-method=all")


@pytest.mark.parametrize(("name", "number"), [*numbered(IN_A_CELL)])
def test_a_fault_in_a_cell_fails_that_cell_and_is_named(outcomes, name, number):
    outcome, said = outcomes[f"cells.ipynb::spawn::Cell {number}"]
    assert outcome == "failed"
    assert IN_A_CELL[name].said in said


def test_a_cell_without_a_fault_passes_beside_those_with_one(outcomes):
    faulty = {number for _, number in numbered(IN_A_CELL)}
    others = set(range(1, max(faulty))) - faulty
    assert others
    assert {outcomes[f"cells.ipynb::spawn::Cell {n}"][0] for n in others} == {"passed"}


@pytest.mark.parametrize("name", AFTER_THE_LAST_CELL)
def test_a_fault_that_shows_at_the_end_fails_the_notebook(outcomes, name):
    outcome, said = outcomes["end.ipynb::spawn::after the last cell"]
    assert outcome == "failed"
    assert AFTER_THE_LAST_CELL[name].said in said


def test_what_fails_at_the_end_failed_no_cell(outcomes):
    cells = [report for item, report in outcomes.items() if "end.ipynb" in item]
    assert [outcome for outcome, _ in cells[:-1]] == ["passed"] * len(
        cells_of(AFTER_THE_LAST_CELL)
    )


def test_a_dead_kernel_fails_the_cell_that_killed_it_and_ends_the_notebook(outcomes):
    dead = [report for item, report in outcomes.items() if "dies.ipynb" in item]
    assert dead[0][0] == "failed"
    # Not "ran longer than": nobody waited for the time-out
    assert "the kernel died" in dead[0][1]
    assert [outcome for outcome, _ in dead[1:]] == ["skipped", "skipped"]


def test_a_cell_that_takes_too_long_fails_and_ends_the_notebook(tmp_path):
    write(tmp_path / "hangs.ipynb", code("while True:\n    pass"), code("zero = 0"))
    exit_code, outcomes = run_pytest(tmp_path, "--nbval-cell-timeout=1")
    assert exit_code == pytest.ExitCode.TESTS_FAILED
    hung, *others = outcomes.values()
    assert hung[0] == "failed"
    assert "the cell ran longer than 1 s: KeyboardInterrupt" in hung[1]
    assert [outcome for outcome, _ in others] == ["skipped", "skipped"]


@pytest.mark.parametrize("mode", modes_here())
def test_a_notebook_without_a_fault_passes_under_each_start_method(fine, mode):
    _, outcomes = fine
    found = {item: report for item, report in outcomes.items() if f"::{mode}::" in item}
    assert len(found) == len(FINE) + 1
    assert {outcome for outcome, _ in found.values()} == {"passed"}, found


def test_the_run_as_a_whole_passes_when_each_cell_does(fine):
    assert fine[0] == pytest.ExitCode.OK


@pytest.fixture
def one_notebook(pytester):
    write(pytester.path / "01_one.ipynb", code("1 + 1", value("2")))
    return pytester


class NoKernel:
    """Stands for a kernel where only what is said about the session matters."""

    def __init__(self, folder, mode):
        pass

    def run(self, source, limit):
        return [value("2")]

    def terminal_news(self):
        return ""

    def late_news(self):
        return []

    def finish(self):
        return []

    def kill(self):
        pass


@pytest.fixture
def no_kernel(monkeypatch):
    monkeypatch.setattr(notebook_proof, "Kernel", NoKernel)


def run(pytester, *options):
    plugins = ["-p", "notebook_proof", "-p", "no:timeout", "-p", "no:cacheprovider"]
    return pytester.runpytest_inprocess(*plugins, *options)


def test_the_end_of_the_session_says_what_ran_and_what_was_left_out(
    one_notebook, no_kernel
):
    result = run(one_notebook)
    others = ", ".join(mode for mode in modes_here() if mode != "spawn")
    result.stdout.fnmatch_lines(
        f"notebooks ran under spawn; left out: {others} "
        "(python -m pytest notebooks --start-method=all runs them)*"
    )


def test_a_session_without_notebooks_says_nothing_of_them(pytester):
    pytester.makepyfile("def test_nothing():\n    pass")
    result = run(pytester)
    result.assert_outcomes(passed=1)
    assert "notebooks ran" not in result.stdout.str()


def test_items_are_named_by_notebook_start_method_and_cell(one_notebook):
    result = run(one_notebook, "--co", "-q", "--start-method=spawn,windows")
    if os.name != "nt":
        assert result.outlines[:4] == [
            "01_one.ipynb::spawn::Cell 1",
            "01_one.ipynb::spawn::after the last cell",
            "01_one.ipynb::windows::Cell 1",
            "01_one.ipynb::windows::after the last cell",
        ]


def test_keywords_choose_notebook_and_start_method(one_notebook):
    write(one_notebook.path / "02_two.ipynb", code("1 + 1", value("2")))
    chosen = "01_one and spawn and not last"
    result = run(one_notebook, "--co", "-q", "--start-method=all", "-k", chosen)
    assert result.outlines[0] == "01_one.ipynb::spawn::Cell 1"
    assert result.outlines[1] == ""


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--start-method=spoon", "'spoon' is none of fork, spawn, forkserver, windows"),
        ("--nbval", "plain pytest runs the notebooks: leave out --nbval"),
    ],
)
def test_a_wrong_option_is_a_usage_error(one_notebook, option, said):
    result = run(one_notebook, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str()


def test_a_start_method_that_the_system_lacks_is_an_error_only_by_name(
    one_notebook, no_kernel, monkeypatch
):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    result = run(one_notebook, "--start-method=fork")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "this system cannot do 'fork'" in result.stderr.str()
    result = run(one_notebook, "--start-method=all")
    result.stdout.fnmatch_lines("*this system cannot do: fork, forkserver")


def test_the_settings_of_a_user_change_nothing(one_notebook, monkeypatch):
    mine = "import builtins\nbuiltins.mine = True\n"
    profile = one_notebook.mkdir("ipython") / "profile_default" / "startup"
    profile.mkdir(parents=True)
    (profile / "00.py").write_text(mine)
    monkeypatch.setenv("IPYTHONDIR", str(one_notebook.path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(one_notebook.makepyfile(startup=mine)))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("MPLBACKEND", "mine")
    source = (
        "import builtins, os, sys\n"
        "hasattr(builtins, 'mine') or 'mine' in os.environ.values() or sys.warnoptions"
    )
    write(one_notebook.path / "01_one.ipynb", code(source, value("[]")))
    run(one_notebook, PATIENCE).assert_outcomes(passed=2)
