import re
import subprocess
import sys
from pathlib import Path

import example_recovery
import psutil

from lessons_src.tools.leash import run_code

SCRIPT = Path(example_recovery.__file__)
# Far more than the script needs: most of it is the file that hangs, twice 4 s
AMPLE = 50
FAILURES = """number,file,error,tries
50,050.z,error,1
121,121.txt,UnicodeDecodeError,1
211,211.txt,UnicodeDecodeError,1
270,270.z,WorkerDied,2
285,285.txt,ItemTimeoutError,2
"""
WORDS = sum(range(300)) - (50 + 121 + 211 + 270 + 285)


def kill_in_the_middle(folder):
    """Start the script, kill it when its bar says 100 files, return what it said."""
    command = [sys.executable, str(SCRIPT), str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as script:
        # Each state of the bar ends with a carriage return, read as an end of line
        for state in script.stderr:
            done = re.search(r"(\d+)/300 ", state)
            if done and int(done[1]) >= 100:
                break
        workers = psutil.Process(script.pid).children(recursive=True)
        script.kill()
        assert script.wait() < 0, "it had ended before it was killed"
    assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=AMPLE)[1] == []
    return int(done[1])


def finish(folder):
    """Run the script to its end, and say how many results it took from the journal."""
    run = run_code(SCRIPT.read_text("utf-8"), AMPLE, folder)
    assert run.exit_code == 0, run.errors
    summary, *failed, words, rare = run.output.splitlines()
    assert summary.startswith("295 of 300 items done, 5 failed,")
    assert [line.split()[2] for line in failed] == ["50", "121", "211", "270", "285"]
    assert words == f"words: ('word', {WORDS}) ('every', 295)"
    assert rare == "rare: 886 1039 3633"
    assert (folder / "failures.csv").read_text("utf-8") == FAILURES
    kept = re.search(r"(\d+) from the journal", summary)
    return int(kept[1]) if kept else 0


def test_a_killed_index_goes_on_and_loses_no_file(tmp_path):
    done = kill_in_the_middle(tmp_path)
    # What the bar counts is kept, but for the three that are corrupt
    assert done - 3 <= finish(tmp_path) < 295
    assert finish(tmp_path) == 295


def test_rare_numbers_are_those_of_a_plain_search():
    found = [n for n in range(3634) if example_recovery.is_rare(n)]
    assert found == [886, 1039, 3633]
