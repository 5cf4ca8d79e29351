import os
from multiprocessing import active_children

import pytest

from authoring.house import find, read
from lessons_src import fork as lesson
from lessons_src.checks import fork as check
from lessons_src.fork import add_primes

LIMIT = 60
SOLVED = {"A": 4, "B": 4, "C": 3}
REPAIRED = """
import os

print("start", end=" ", flush=True)
child = os.fork()
if child == 0:
    print("child", end=" ", flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("end")
"""
WITH_ELSE = """
import os
import sys

print("start")
sys.stdout.flush()
if os.fork() == 0:
    print("child")
else:
    os.wait()
    print("end")
"""
BROKEN = """
import os

print("start", end=" ")
child = os.fork()
if child == 0:
    print("child", end=" ")
print("end")
"""
needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no fork"
)


@pytest.fixture(params=["live", "read"])
def way(request, monkeypatch):
    if request.param == "read":
        monkeypatch.delattr(os, "fork", raising=False)
    elif not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    return request.param


def refused(verdict, why):
    return not verdict.right and why in repr(verdict)


def test_1_accepts_the_right_numbers(way):
    assert check.exercise_1(SOLVED)


def test_1_accepts_them_in_any_order(way):
    assert check.exercise_1({"C": 3, "B": 4, "A": 4})


@pytest.mark.parametrize("empty", [None, {}, {"A": None, "B": None, "C": None}])
def test_1_rejects_no_answer(empty):
    assert refused(check.exercise_1(empty), "no answer yet")


def test_1_rejects_a_missing_number():
    assert refused(check.exercise_1({"A": 4, "B": 4}), "each of A, B and C")


@pytest.mark.parametrize(
    ("program", "guess", "hint"),
    [("A", 3, "second line"), ("B", 8, "breaks out"), ("C", 4, "right side")],
)
def test_1_rejects_a_likely_wrong_number_and_hints_at_its_program(program, guess, hint):
    assert refused(check.exercise_1(SOLVED | {program: guess}), f"{program} does not")
    assert refused(check.exercise_1(SOLVED | {program: guess}), hint)


def started(context, counter, *ranges):
    processes = [
        context.Process(target=add_primes, args=(counter, *part)) for part in ranges
    ]
    for process in processes:
        process.start()
    return processes


def joined(processes):
    for process in processes:
        process.join(LIMIT)
    return processes


def test_2_accepts_two_processes(context):
    counter = context.Value("i", 0)
    processes = joined(started(context, counter, (0, 500), (500, 1000)))
    assert check.exercise_2(counter, processes)


def test_2_accepts_a_loop_of_more_processes_and_another_type(context):
    counter = context.Value("L", 0)
    ranges = [(start, start + 250) for start in range(0, 1000, 250)]
    assert check.exercise_2(counter, joined(started(context, counter, *ranges)))


@pytest.mark.parametrize("empty", [(None, []), (None, None)])
def test_2_rejects_no_answer(empty):
    assert refused(check.exercise_2(*empty), "no answer yet")


def test_2_rejects_a_plain_number():
    assert refused(check.exercise_2(168, [None, None]), "no value to share")


def test_2_rejects_one_process(context):
    counter = context.Value("i", 0)
    processes = joined(started(context, counter, (0, 1000)))
    assert refused(check.exercise_2(counter, processes), "no team")


def test_2_rejects_a_range_with_a_gap(context):
    counter = context.Value("i", 0)
    processes = joined(started(context, counter, (0, 500), (510, 1000)))
    assert refused(check.exercise_2(counter, processes), "another number")


def test_2_rejects_processes_nobody_waited_for_and_leaves_none(context, monkeypatch):
    monkeypatch.setattr(lesson, "WAIT_SECONDS", 0.5)
    counter = context.Value("i", 0)
    # With the lock in our hand they cannot come to an end
    with counter.get_lock():
        processes = started(context, counter, (0, 500), (500, 1000))
        verdict = check.exercise_2(counter, processes)
    assert refused(verdict, "still counting")
    assert active_children() == []


def test_2_rejects_a_process_that_was_not_started(context):
    counter = context.Value("i", 0)
    idle = context.Process(target=add_primes, args=(counter, 500, 1000))
    processes = [*joined(started(context, counter, (0, 500))), idle]
    assert refused(check.exercise_2(counter, processes), "not started")


def test_2_rejects_a_value_without_a_lock(context):
    counter = context.Value("i", 0, lock=False)
    processes = joined(started(context, counter, (0, 500), (500, 1000)))
    assert refused(check.exercise_2(counter, processes), "exit codes are [1, 1]")


@pytest.mark.parametrize("script", [REPAIRED, WITH_ELSE])
def test_3_accepts_a_repaired_script(way, script):
    assert check.exercise_3(script)


@needs_fork
def test_3_accepts_an_end_by_sys_exit_and_a_write_without_a_buffer():
    script = REPAIRED.replace("os._exit(0)", "raise SystemExit")
    script = script.replace(
        'print("start", end=" ", flush=True)', 'os.write(1, b"start ")'
    )
    assert check.exercise_3(script)


# Right in a file, where the parent's word stays in the buffer; wrong on a screen
TOO_EARLY = REPAIRED.replace(
    'os.waitpid(child, 0)\nprint("end")', 'print("end")\nos.waitpid(child, 0)'
)


@pytest.mark.parametrize("nothing", [None, 3])
def test_3_rejects_what_is_no_text(nothing):
    assert refused(check.exercise_3(nothing), "not the text")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (BROKEN, "Nobody waits"),
        ("def", "Line 1"),
        ("print('start child end')", "does not fork"),
        (REPAIRED.replace("flush=True", "sep=''"), "flush"),
        (REPAIRED.replace("    os._exit(0)\n", ""), "end it with os._exit"),
    ],
)
def test_3_rejects_a_faulty_script_whether_it_is_run_or_read(way, script, why):
    assert refused(check.exercise_3(script), why)


@needs_fork
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (REPAIRED.replace('"start", end=" ", flush=True', '"start"'), "2 times"),
        (REPAIRED.replace('"child", end=" ", flush=True', '"child"'), "0 times"),
        # Refused for any reason: a quick child is missed in another way than a slow one
        (REPAIRED.replace("child, 0)", "child, os.WNOHANG)"), ""),
        (REPAIRED.replace("child = os.fork()", "child = 7 or os.fork()"), "broke down"),
        (REPAIRED.replace("os._exit(0)", "while True: pass"), "did not end"),
        (TOO_EARLY, "in this order"),
        ("import os\nif 0: os.fork(); os.wait()\nprint('start child end')", "not come"),
    ],
)
def test_3_rejects_what_only_a_run_can_tell(monkeypatch, script, why):
    monkeypatch.setattr(check, "LIMIT", 5)
    assert refused(check.exercise_3(script), why)


@needs_fork
def test_3_rejects_the_words_in_another_order():
    script = REPAIRED.replace('print("end")', "").replace(
        "child = os.fork()", 'print("end", flush=True)\nchild = os.fork()'
    )
    assert refused(check.exercise_3(script), "start end child")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_folded_solution_is_right_and_the_stub_is_not(context, number):
    names = {"check": check, "context": context, "add_primes": add_primes}
    names["show_program"] = print
    for tag, right in (("exercise", False), ("solution", True)):
        *lines, last = cells_tagged(tag)[number].source.splitlines()
        exec("\n".join(lines), names)
        assert eval(last, names).right is right


def cells_tagged(tag):
    notebook = read(find("03"))
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]
