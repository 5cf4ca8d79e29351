import os
import pickle
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_all_start_methods
from pathlib import Path
from queue import Empty
from tempfile import TemporaryFile

import pytest

from lessons_src.spawn_and_windows import (
    LETTERS,
    Greeter,
    Letter,
    LockedGreeter,
    answer_of,
    can_travel,
    fate_of_join,
    greet,
    greet_with,
    make_greeter,
    put_letters,
    spans_in,
    travellers,
    write_letter,
)
from lessons_src.tools.leash import run_cell, run_code
from lessons_src.tools.machine import this_machine
from lessons_src.tools.programs import program, report, run_programs
from lessons_src.tools.recorded import transcript
from lessons_src.tools.timeline import order

LIMIT = 60
# How long a program is watched that hangs, as in the lesson
HANG_SECONDS = 5
NAMES = ["Ada", "Bob", "Cleo"]
CALLS = [
    (greet, "Ada"),
    (greet_with, "welcome", "Ada"),
    (partial(greet_with, "welcome"), "Ada"),
    (Greeter("welcome").greet, "Ada"),
    (Greeter.greet, Greeter("welcome"), "Ada"),
    (Greeter.greet_plainly, "Ada"),
    (Greeter.greet_loudly, "Ada"),
]
needs_fork = pytest.mark.skipif(
    "fork" not in get_all_start_methods(), reason="this system has no fork"
)


@pytest.fixture
def start(context):
    children = []

    def start(work, *arguments, **options):
        queue = context.Queue()
        child = context.Process(target=work, args=(queue, *arguments), **options)
        child.start()
        children.append(child)
        return child, queue

    yield start
    for child in children:
        child.kill()
        child.join(LIMIT)


def raise_error(queue):
    # Exit code 1, as an error gives it, but no traceback on the terminal
    raise SystemExit("no greeting today")


def put_late(queue):
    time.sleep(0.5)
    queue.put("late")


def sleep_on(queue):
    time.sleep(LIMIT)


def put_none(queue):
    queue.put(None)


def test_the_default_start_method_is_the_one_in_the_table_of_the_lesson():
    system = this_machine().system
    if system == "Linux":
        new = sys.version_info >= (3, 14)
        system += ", from Python 3.14" if new else ", up to Python 3.13"
    lesson = Path(__file__).parents[1] / "notebooks/02_spawn_and_windows.ipynb"
    named = re.search(rf"\| {system} \| `(\w+)`", lesson.read_text("utf-8"))
    code = "import multiprocessing; print(multiprocessing.get_start_method())"
    assert run_code(code, LIMIT).output == f"{named[1]}\n"


def test_a_child_says_what_the_parent_says(context):
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        futures = [executor.submit(*call) for call in CALLS]
        answers = [future.result(LIMIT) for future in futures]
    assert answers == [call[0](*call[1:]) for call in CALLS]


def test_every_method_can_be_the_target_of_a_process(context):
    children = [context.Process(target=call[0], args=call[1:]) for call in CALLS]
    for child in children:
        child.start()
    for child in children:
        child.join(LIMIT)
    assert [child.exitcode for child in children] == [0] * len(CALLS)


def test_every_callable_greets_with_its_own_word():
    assert Greeter("welcome").greet("Ada") == "welcome Ada"
    assert Greeter.greet_loudly("Ada") == "HELLO ADA"
    assert make_greeter("dear")("Ada") == "dear Ada"
    assert LockedGreeter("dear").greet("Ada") == "dear Ada"


def test_five_of_the_eleven_travellers_stay_at_home():
    with TemporaryFile() as file:
        fates = {name: can_travel(thing) for name, thing in travellers(file).items()}
    assert len(fates) == 11
    assert [name for name, fate in fates.items() if not fate] == [
        "lambda",
        "closure",
        "object with a lock",
        "generator",
        "open file",
    ]


class Fragile:
    def __reduce__(self):
        raise ZeroDivisionError


def test_an_error_that_is_not_about_travelling_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        can_travel(Fragile())


def test_the_letters_arrive_whole_and_from_processes_of_their_own(start):
    post = [start(write_letter, name) for name in ("Ada", "Cleo")]
    letters = [answer_of(*pair) for pair in post]
    assert [(letter.name, letter.text) for letter in letters] == [
        ("Ada", "A" * LETTERS),
        ("Cleo", "C" * LETTERS),
    ]
    assert len({os.getpid(), *(letter.process for letter in letters)}) == 3


def test_a_letter_can_be_pickled():
    letter = Letter("Ada", "A", 7)
    assert pickle.loads(pickle.dumps(letter)) == letter


def test_the_letter_to_bob_is_lost_and_his_child_ends_with_3(start):
    child, queue = start(write_letter, "Bob", name="Bob's child")
    with pytest.raises(ChildProcessError, match="Bob's child ended with exit code 3,"):
        answer_of(child, queue)


def test_the_answer_of_a_slow_child_is_waited_for(start):
    assert answer_of(*start(put_late)) == "late"


def test_none_is_an_answer(start):
    assert answer_of(*start(put_none)) is None


def test_a_child_that_fails_is_not_waited_for(start):
    with pytest.raises(ChildProcessError, match="exit code 1, no answer"):
        answer_of(*start(raise_error))


def test_a_child_that_is_killed_is_not_waited_for(start):
    child, queue = start(sleep_on)
    child.terminate()
    with pytest.raises(ChildProcessError, match="exit code -15, no answer"):
        answer_of(child, queue)


class EndsWhileAsked:
    name = "a child"

    def __init__(self):
        self.exit_codes = [None, 0]

    @property
    def exitcode(self):
        return self.exit_codes.pop(0)


class FilledAfterTheFirstLook:
    def __init__(self):
        self.answers = [None, "just in time"]

    def get(self, timeout):
        answer = self.answers.pop(0)
        if answer is None:
            raise Empty
        return answer


def test_an_answer_that_comes_as_the_child_ends_is_not_lost():
    assert answer_of(EndsWhileAsked(), FilledAfterTheFirstLook()) == "just in time"


def test_a_child_puts_as_many_letters_as_asked(start, context):
    put = context.Event()
    _, queue = start(put_letters, 5, put)
    assert queue.get(timeout=LIMIT) == "xxxxx"
    assert put.wait(LIMIT)


@pytest.mark.parametrize(
    ("count", "fate"), [(1_000, "ended"), (1_000_000, "still waiting")]
)
def test_join_waits_for_a_reader_of_a_big_answer_only(context, count, fate):
    assert fate_of_join(context, count) == fate


def test_the_stages_of_a_child_come_one_after_the_other():
    spans = spans_in(run_code(program("stages"), LIMIT).output)
    assert order(spans) == [
        "import",
        "start a child and wait",
        "new interpreter",
        "import again",
        "unpickle",
        "work",
    ]
    stages = [span for span in spans if span.process != spans[0].process]
    assert len({span.worker for span in stages}) == 1
    for one, next_one in pairwise(stages):
        assert one.stop <= next_one.start


@needs_fork
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_the_recorded_child_sees_what_a_live_one_sees(method):
    live = run_code(program("child_sees"), LIMIT, method).output
    assert live == transcript(f"child_sees_{method}")


@needs_fork
def test_the_recorded_pool_that_was_made_too_early_is_like_a_live_one():
    name = "cell_pool_too_early"
    outcomes = run_programs(name, limit=HANG_SECONDS, run=run_cell)
    assert report(outcomes, name) + "\n" == transcript(name)
