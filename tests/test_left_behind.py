from pathlib import Path

from authoring.house import ROOT

LEAVES = {
    "nothing": "",
    "child": """
        command = [sys.executable, "-c", "import time; time.sleep(99)", "a child"]
        subprocess.Popen(command)
        """,
    "orphan": """
        code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', " \\
            "'import time; time.sleep(99)', 'an orphan'], start_new_session=True)"
        subprocess.run([sys.executable, "-c", code])
        """,
    "worker": """
        context = multiprocessing.get_context("spawn")
        context.Process(target=time.sleep, args=[99]).start()
        """,
    "thread": """
        sleep = threading.Event().wait
        threading.Thread(target=sleep, args=[20], name="sleeper", daemon=True).start()
        """,
    "what_multiprocessing_keeps": """
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context(methods[-1])
        queue = context.Queue()
        process = context.Process(target=queue.put, args=[1])
        process.start()
        assert queue.get(timeout=60) == 1
        process.join()
        """,
}
NAMED = {
    "child": "a child",
    "orphan": "an orphan",
    "worker": "--multiprocessing-fork",
    "thread": "sleeper",
}


IMPORTS = "import multiprocessing, subprocess, sys, threading, time\n"
IMPATIENT = """
from authoring import processes
processes.GRACE_SECONDS = THREAD_GRACE_SECONDS = 0.5
"""


def test_a_test_that_leaves_something_behind_fails_and_names_it(pytester, monkeypatch):
    ours = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    pytester.makeconftest(ours + IMPATIENT)
    tests = [
        f"def test_{name}():\n        pass{body}\n" for name, body in LEAVES.items()
    ]
    pytester.makepyfile(IMPORTS + "\n".join(tests))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=120)
    result.assert_outcomes(passed=len(LEAVES), errors=len(NAMED))
    for name, said in NAMED.items():
        result.stdout.fnmatch_lines([f"*at teardown of test_{name} *", f"*{said}*"])
