"""Checks of the exercises of lesson 02, spawn and Windows."""

import ast
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from lessons_src.spawn_and_windows import (
    LETTERS,
    LOST,
    LOST_EXIT_CODE,
    Letter,
    can_travel,
    greet_with,
)
from lessons_src.tools.leash import Outcome, run_code
from lessons_src.tools.verdict import Wrong, judged

LIMIT = 10
NAMES = ("Ada", "Bob", "Cleo")
BROKEN = """
from multiprocessing import get_context

def write(queue):
    queue.put("x" * 1_000_000)

spawn = get_context("spawn")
queue = spawn.Queue()
child = spawn.Process(target=write, args=(queue,))
child.start()
child.join()
print(len(queue.get()), "letters")
"""
PRINTED = "1000000 letters"


@judged
def exercise_1(answer: str | None) -> str:
    """Check that the program `answer` ends and prints what its child has sent."""
    if answer is None:
        raise Wrong("There is no answer yet.", hint="Put the program into `answer`.")
    if not isinstance(answer, str):
        raise Wrong("`answer` is not the text of a program.")
    if answer.strip() == BROKEN.strip():
        raise Wrong(
            "This is still the broken program.",
            hint="It has two faults. The guard is the cure for the first.",
        )
    if _texts(answer) & {"spawn", "fork", "forkserver"} != {"spawn"}:
        raise Wrong("Keep the start method: Windows has only spawn.")
    _judge_run(run_code(answer, LIMIT))
    return "It ends, on every system, and prints what the child has sent."


def _texts(program: str) -> set[str]:
    """Return the strings in `program`, its comments left out."""
    try:
        nodes = ast.walk(ast.parse(program))
    except SyntaxError as error:
        raise Wrong(f"Line {error.lineno} of your program is not Python.") from error
    constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return {value for value in constants if isinstance(value, str)}


def _judge_run(outcome: Outcome) -> None:
    if "bootstrapping phase" in outcome.errors:
        raise Wrong(
            "The child ran into the line that starts a child.",
            hint='Which lines belong under `if __name__ == "__main__":`?',
        )
    if outcome.hung:
        raise Wrong(
            f"It {outcome.ended}.",
            hint="Who waits for whom? The child ends when its answer has been read.",
        )
    if outcome.exit_code != 0:
        raise Wrong(f"It {outcome.ended}. {outcome.last_error_line}".strip())
    if outcome.output.split() != PRINTED.split():
        raise Wrong(f"It printed {outcome.output.strip()[:60]!r}, not {PRINTED!r}.")


@judged
def exercise_2(answer: dict[str, Callable[[str], str]] | None) -> str:
    """Check that both callables of `answer` greet rightly in a spawned child."""
    if answer is None:
        raise Wrong("There is no answer yet.", hint="`functools.partial` can travel.")
    if not isinstance(answer, dict):
        raise Wrong("`answer` is not a dict.")
    for key, word in (("polite", "dear"), ("loud", "HEY")):
        if not callable(answer.get(key)):
            raise Wrong(f"`answer[{key!r}]` is not something that can be called.")
        if answer[key]("Ada") != greet_with(word, "Ada"):
            raise Wrong(f"`answer[{key!r}]` does not say {greet_with(word, 'Ada')!r}.")
        _judge_journey(key, answer[key], greet_with(word, "Ada"))
    return "Both travelled to a spawned child and greeted Ada there."


def _judge_journey(key: str, greeter: Callable[[str], str], greeting: str) -> None:
    if not can_travel(greeter):
        raise Wrong(
            f"`answer[{key!r}]` cannot be pickled.",
            hint="A partial of a module's function can, and so can a bound method.",
        )
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            said = pool.submit(greeter, "Ada").result(timeout=60)
        except BrokenProcessPool:
            raise Wrong(
                f"The child cannot import what `answer[{key!r}]` is made of.",
                hint="A `def` of this notebook stays here: take one from a module.",
            ) from None
    if said != greeting:
        raise Wrong(f"In the child, `answer[{key!r}]` says {said!r}.")


@judged
def exercise_3(answer: dict[str, Letter | int] | None) -> str:
    """Check that `answer` holds two letters of two children, and an exit code."""
    if answer is None:
        raise Wrong("There is no answer yet.", hint="One queue and one child a name.")
    if not isinstance(answer, dict) or set(answer) != set(NAMES):
        raise Wrong(f"`answer` is not a dict with the keys {', '.join(NAMES)}.")
    if answer[LOST] != LOST_EXIT_CODE:
        raise Wrong(
            f"What is kept for {LOST} is not the exit code of his child.",
            hint="`answer_of` raises ChildProcessError, then `exitcode` is known.",
        )
    letters = [answer[name] for name in NAMES if name != LOST]
    for name, letter in zip(("Ada", "Cleo"), letters, strict=True):
        if not isinstance(letter, Letter) or letter.name != name:
            raise Wrong(f"What is kept for {name} is not the letter to {name}.")
        if letter.text != name[0] * LETTERS:
            raise Wrong(f"The letter to {name} is not complete.")
    if len({os.getpid(), *(letter.process for letter in letters)}) != 3:
        raise Wrong("Each letter must be written in a child of its own.")
    return "Two letters arrived, and the lost one is known by its exit code."
