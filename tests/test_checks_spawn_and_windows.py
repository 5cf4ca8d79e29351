from functools import partial
from operator import concat

import pytest

from lessons_src.checks import spawn_and_windows as check
from lessons_src.checks.spawn_and_windows import BROKEN
from lessons_src.spawn_and_windows import (
    LETTERS,
    Greeter,
    LockedGreeter,
    answer_of,
    greet_with,
    make_greeter,
    write_letter,
)

LIMIT = 60
GUARD = 'if __name__ == "__main__":'
WITH_A_POOL = """
from multiprocessing import get_context

def write(count):
    return "x" * count

if __name__ == "__main__":
    with get_context("spawn").Pool(1) as pool:
        print(len(pool.apply(write, [1_000_000])), "letters")
"""


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def guarded(text):
    head, start, tail = text.partition("spawn = ")
    lines = (start + tail).splitlines()
    return "\n".join([head, GUARD, *(f"    {line}" for line in lines)])


def get_first(text):
    swapped = ["child.join()", 'print(len(queue.get()), "letters")']
    return text.replace("\n".join(swapped), "\n".join(reversed(swapped)))


REPAIRED = guarded(get_first(BROKEN))


def test_exercise_1_accepts_the_guard_and_get_before_join():
    assert check.exercise_1(REPAIRED).right


def test_exercise_1_accepts_a_program_that_does_not_join():
    assert check.exercise_1(REPAIRED.replace("    child.join()", "")).right


def test_exercise_1_accepts_a_pool():
    assert check.exercise_1(WITH_A_POOL).right


def test_exercise_1_refuses_no_answer():
    assert refused(check.exercise_1(None), "no answer yet")


def test_exercise_1_refuses_what_is_no_text():
    assert refused(check.exercise_1(print), "not the text of a program")


def test_exercise_1_refuses_the_broken_program_in_any_layout():
    assert refused(check.exercise_1(BROKEN + "\n"), "still the broken program")


def test_exercise_1_refuses_get_before_join_without_the_guard(monkeypatch):
    monkeypatch.setattr(check, "LIMIT", 3)
    verdict = check.exercise_1(get_first(BROKEN))
    assert refused(verdict, "The child ran into the line that starts a child")


def test_exercise_1_refuses_the_guard_without_get_before_join(monkeypatch):
    monkeypatch.setattr(check, "LIMIT", 3)
    verdict = check.exercise_1(guarded(BROKEN))
    assert refused(verdict, "hung: stopped after 3 s")
    assert "has been read" in verdict.hint


def test_exercise_1_refuses_a_shorter_answer():
    verdict = check.exercise_1(guarded(BROKEN.replace("1_000_000", "1_000")))
    assert refused(verdict, "It printed '1000 letters'")


def test_exercise_1_refuses_a_way_out_to_fork():
    way_out = REPAIRED.replace('"spawn"', '"fork"') + "# not spawn"
    assert refused(check.exercise_1(way_out), "Keep the start method")


def test_exercise_1_names_the_line_that_is_not_python():
    verdict = check.exercise_1(BROKEN.replace("child.start()", "    child.start()"))
    assert refused(verdict, "is not Python")


def test_exercise_1_names_the_error_of_a_program_that_stops():
    verdict = check.exercise_1("start_method = 'spawn'; 1 / 0")
    assert refused(verdict, "exit code 1. ZeroDivisionError")


def made_here(name):
    return f"dear {name}"


POLITE = {"polite": partial(greet_with, "dear")}


@pytest.mark.parametrize(
    "loud", [Greeter("HEY").greet, partial(concat, "HEY "), "HEY {}".format]
)
def test_exercise_2_accepts_whatever_travels_and_says_the_same(loud):
    assert check.exercise_2(POLITE | {"loud": loud}).right


def test_exercise_2_refuses_no_answer():
    assert refused(check.exercise_2(None), "no answer yet")


def test_exercise_2_refuses_what_is_no_dict():
    assert refused(check.exercise_2([partial(greet_with, "dear")]), "not a dict")


def test_exercise_2_refuses_half_an_answer():
    assert refused(check.exercise_2(POLITE), "answer['loud']` is not something")


@pytest.mark.parametrize(
    "loud",
    [lambda name: f"HEY {name}", make_greeter("HEY"), LockedGreeter("HEY").greet],
)
def test_exercise_2_refuses_what_stays_at_home(loud):
    assert refused(check.exercise_2(POLITE | {"loud": loud}), "cannot be pickled")


def test_exercise_2_refuses_another_greeting():
    verdict = check.exercise_2(POLITE | {"loud": Greeter("HELLO").greet})
    assert refused(verdict, "does not say 'HEY Ada'")


def test_exercise_2_refuses_a_function_that_the_child_cannot_import(monkeypatch):
    # As in a notebook: `__main__` knows it, and no child can import that one
    monkeypatch.setattr(made_here, "__module__", "__main__")
    monkeypatch.setattr("__main__.made_here", made_here, raising=False)
    verdict = check.exercise_2({"polite": made_here, "loud": made_here})
    assert refused(verdict, "cannot import what `answer['polite']` is made of")


class Turncoat:
    def __call__(self, name):
        return f"HEY {name}"

    def __reduce__(self):
        return getattr, (Greeter("HELLO"), "greet")


def test_exercise_2_refuses_what_says_something_else_in_the_child():
    verdict = check.exercise_2(POLITE | {"loud": Turncoat()})
    assert refused(verdict, "In the child, `answer['loud']` says 'HELLO Ada'")


def letters_of(context, names):
    post = {}
    for name in names:
        queue = context.Queue()
        child = context.Process(target=write_letter, args=(queue, name))
        child.start()
        post[name] = child, queue
    answer = {}
    for name, (child, queue) in post.items():
        try:
            answer[name] = answer_of(child, queue)
        except ChildProcessError:
            answer[name] = child.exitcode
        child.join(LIMIT)
    return answer


@pytest.fixture(scope="module")
def letters():
    from multiprocessing import get_context

    return letters_of(get_context("spawn"), check.NAMES)


def test_exercise_3_accepts_a_queue_for_each_child(context):
    assert check.exercise_3(letters_of(context, check.NAMES)).right


def test_exercise_3_accepts_one_queue_for_all(context):
    queue = context.Queue()
    children = {
        name: context.Process(target=write_letter, args=(queue, name))
        for name in check.NAMES
    }
    for child in children.values():
        child.start()
    letters = [queue.get(timeout=LIMIT) for _ in range(2)]
    for child in children.values():
        child.join(LIMIT)
    answer = {name: child.exitcode for name, child in children.items()}
    answer |= {letter.name: letter for letter in letters}
    assert check.exercise_3(answer).right


def test_exercise_3_refuses_no_answer():
    assert refused(check.exercise_3(None), "no answer yet")


def test_exercise_3_refuses_a_list_of_letters(letters):
    assert refused(check.exercise_3(list(letters.values())), "not a dict")


def test_exercise_3_refuses_to_forget_the_lost_one(letters):
    verdict = check.exercise_3({name: letters[name] for name in ("Ada", "Cleo")})
    assert refused(verdict, "not a dict with the keys Ada, Bob, Cleo")


@pytest.mark.parametrize("kept", [None, 0, "lost"])
def test_exercise_3_refuses_another_exit_code(letters, kept):
    verdict = check.exercise_3(letters | {"Bob": kept})
    assert refused(verdict, "not the exit code of his child")


def test_exercise_3_refuses_letters_under_the_wrong_names(letters):
    swapped = {"Ada": letters["Cleo"], "Cleo": letters["Ada"]}
    verdict = check.exercise_3(letters | swapped)
    assert refused(verdict, "not the letter to Ada")


def test_exercise_3_refuses_the_text_alone(letters):
    verdict = check.exercise_3(letters | {"Cleo": "C" * LETTERS})
    assert refused(verdict, "not the letter to Cleo")


def test_exercise_3_refuses_a_letter_that_is_cut(letters):
    cut = letters["Ada"]._replace(text="A")
    assert refused(check.exercise_3(letters | {"Ada": cut}), "not complete")


def test_exercise_3_refuses_letters_of_one_process(letters):
    same = letters["Ada"]._replace(process=letters["Cleo"].process)
    verdict = check.exercise_3(letters | {"Ada": same})
    assert refused(verdict, "in a child of its own")
