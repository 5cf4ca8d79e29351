"""Checks of the exercises of lesson 03, Fork."""

import ast
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from lessons_src.fork import can_fork, count_primes, join, run_program
from lessons_src.tools.leash import Outcome, run_code
from lessons_src.tools.verdict import Wrong, judged

LIMIT = 10
PUZZLES = "ABC"
PUZZLE_HINTS = {
    "A": "The second line is run by each process that the first one left.",
    "B": "A child breaks out of the loop. Who goes on to fork?",
    "C": "`or` looks at its right side only if the left one is 0, or None.",
}
STOP = 1000
WORDS = ["start", "child", "end"]
FLUSH = "Empty the buffer before the fork: print has an argument flush=True."
LOST = "os._exit ends a process without a flush: flush before it."
END = "The child must not come to the parent's lines: end it with os._exit(0)."
# Runs the reader's script, then tells about its children
PROBE = """
import os, sys, time

# To a file, text waits until there is much of it; to a terminal, a line goes at once
terminal = sys.argv[2] == "terminal"
sys.stdout.reconfigure(line_buffering=terminal)
forks, me = [], os.getpid()
os.register_at_fork(after_in_parent=lambda: forks.append(1))
if terminal:
    # Whoever does not wait for the child is sure to be early
    os.register_at_fork(after_in_child=lambda: time.sleep(0.3))
try:
    exec(compile(sys.argv[1], "script", "exec"), {"__name__": "__main__"})
finally:
    sys.stdout.flush()
    if os.getpid() == me:
        try:
            left = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            left = None
        print("\\nforks", len(forks), "left", left is not None, file=sys.stderr)
"""


@judged
def exercise_1(answer: Mapping[str, int] | None) -> str:
    """Check the number of lines that each of three programs prints."""
    if not answer or None in answer.values():
        raise Wrong(
            "There is no answer yet.", hint="Draw each program as a tree, on paper."
        )
    if set(answer) != set(PUZZLES):
        raise Wrong("There should be a number for each of A, B and C.")
    for puzzle, guess in answer.items():
        printed = run_program(f"fork_puzzle_{puzzle.lower()}").splitlines()
        if guess != printed.count("done"):
            raise Wrong(f"{puzzle} does not print {guess}.", PUZZLE_HINTS[puzzle])
    return "You counted the processes of all three."


@judged
def exercise_2(counter: Any, processes: Sequence[BaseProcess]) -> str:
    """Check that two or more `processes` have counted all primes in `counter`."""
    if counter is None or not processes:
        raise Wrong(
            "There is no answer yet.",
            hint="A process is made by context.Process(target=..., args=(...)).",
        )
    if not hasattr(counter, "value"):
        raise Wrong(
            f"counter is of type {type(counter).__name__}, and has no value to share.",
            hint='context.Value("i", 0) makes a number that all processes see.',
        )
    _refuse_processes(processes)
    wanted = count_primes(0, STOP)
    if counter.value != wanted:
        raise Wrong(
            f"The counter says {counter.value}, the plain loop another number.",
            hint="Do the ranges meet, and do they end at 1000?",
        )
    return f"{wanted} primes, and every one was counted once."


def _refuse_processes(processes: Sequence[BaseProcess]) -> None:
    if not all(isinstance(process, BaseProcess) for process in processes):
        raise Wrong("`processes` should hold the processes themselves.")
    if len(processes) < 2:
        raise Wrong("One process is no team.", hint="Cut the range into parts.")
    if any(process.pid is None for process in processes):
        raise Wrong("A process was made and not started.")
    early = any(process.is_alive() for process in processes)
    # Nothing that the reader started may be left behind
    exit_codes = [join(process) for process in processes]
    if early:
        raise Wrong("A process was still counting.", hint="Start all, then join all.")
    if any(exit_codes):
        raise Wrong(
            f"The exit codes are {exit_codes}: a process broke down.",
            hint="add_primes needs a Value that has a lock.",
        )


@judged
def exercise_3(script: str) -> str:
    """Check that `script` says each word once and leaves no child behind."""
    if not isinstance(script, str):
        raise Wrong("`script` is not the text of a program.")
    calls = _calls(script)
    if "fork" not in calls:
        raise Wrong("Your script does not fork any more.", hint="Keep os.fork().")
    if not calls & {"wait", "waitpid", "waitid", "wait3", "wait4"}:
        raise Wrong(
            "Nobody waits for the child.",
            hint="os.waitpid takes the number that fork gave the parent.",
        )
    if can_fork():
        for target in ("file", "terminal"):
            _judge_run(run_code(PROBE, LIMIT, script, target))
    else:
        _judge_text(script, calls)
    return (
        "Each word comes once, and the child is waited for. "
        "(Where there is no os.fork, this check has only read the script.)"
    )


def _calls(script: str) -> set[str]:
    """Name all that `script` calls, and the keywords of the calls."""
    try:
        tree = ast.parse(script)
    except SyntaxError as error:
        raise Wrong(f"Line {error.lineno} of your script is not Python.") from error
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    words = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    return words | {word.arg for call in calls for word in call.keywords if word.arg}


def _judge_text(script: str, calls: set[str]) -> None:
    """Look for what a right script needs, where it cannot be run."""
    if not calls & {"flush", "write"}:
        raise Wrong("What the buffer holds at the fork, both halves will print.", FLUSH)
    if not calls & {"_exit", "exit"} and "else:" not in script:
        raise Wrong("The child seems to have no end of its own.", END)


def _judge_run(outcome: Outcome) -> None:
    if outcome.hung:
        raise Wrong(f"Your script did not end within {LIMIT} seconds.")
    if outcome.exit_code != 0:
        raise Wrong(f"Your script broke down: {outcome.last_error_line}")
    if "Traceback" in outcome.errors:
        raise Wrong("The child ended with an error.", hint=END)
    words = outcome.output.split()
    _refuse_words(words)
    _, forks, _, left = outcome.last_error_line.split()
    if forks == "0":
        raise Wrong("Your script did not come to its os.fork().")
    if left == "True":
        raise Wrong("A child is still there at the end: nobody waited for it.")
    if words != WORDS:
        raise Wrong(
            f"The words came in this order: {' '.join(words)}.",
            hint="The parent should wait before it says its word.",
        )


def _refuse_words(words: list[str]) -> None:
    hints = {"start": FLUSH, "child": LOST, "end": END}
    for word in WORDS:
        if words.count(word) != 1:
            times = f"{words.count(word)} times"
            raise Wrong(f"The word {word!r} was printed {times}.", hints[word])
