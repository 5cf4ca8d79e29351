from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest

from lessons_src.checks import start_here as check
from lessons_src.start_here import make_naps
from lessons_src.tools.naps import take_nap
from lessons_src.tools.pools import warm_pool
from lessons_src.tools.timeline import queued_behind

# Long enough for eight workers to begin on a busy machine
SECONDS = 0.4


def nap_in_threads(workers, naps):
    with ThreadPool(workers) as pool:
        return pool.map(take_nap, make_naps(naps, SECONDS), chunksize=1)


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def test_exercise_1_accepts_the_number_that_a_run_shows():
    answer = len(queued_behind(nap_in_threads(3, 5)))
    assert check.exercise_1(answer).right


def test_exercise_1_accepts_the_number_that_was_worked_out():
    assert check.exercise_1(2).right
    assert check.exercise_1(5 - 3.0).right


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "no answer yet"),
        (3, "Three naps begin at once"),
        (1, "not 1"),
        (0, "not 0"),
        ("two", "not a str"),
        ([3, 4], "not a list"),
    ],
)
def test_exercise_1_refuses(answer, why):
    assert refused(check.exercise_1(answer), why)


def test_exercise_2_accepts_a_thread_pool_of_eight():
    assert check.exercise_2(nap_in_threads(8, 8)).right


def test_exercise_2_accepts_a_larger_team():
    assert check.exercise_2(nap_in_threads(11, 8)).right


def test_exercise_2_accepts_an_executor_s_answers_as_they_come():
    with ThreadPoolExecutor(8) as pool:
        assert check.exercise_2(pool.map(take_nap, make_naps(8, SECONDS))).right


def test_exercise_2_refuses_the_empty_cell():
    assert refused(check.exercise_2(None), "no spans yet")


def test_exercise_2_refuses_naps_that_had_to_queue():
    assert refused(check.exercise_2(nap_in_threads(5, 8)), "At most 5")


def test_exercise_2_refuses_a_loop():
    spans = [take_nap(nap) for nap in make_naps(8, 0.01)]
    assert refused(check.exercise_2(spans), "At most 1 ")


def test_exercise_2_refuses_too_few_naps():
    assert refused(check.exercise_2(nap_in_threads(5, 5)), "These are 5 naps")


def test_exercise_2_refuses_processes(context):
    with warm_pool(context, 2) as pool:
        spans = pool.map_async(take_nap, make_naps(8, 0.01), 1).get(60)
    assert refused(check.exercise_2(spans), "other processes")


def test_exercise_2_tells_what_it_cannot_use():
    assert refused(check.exercise_2(8), "'int' object is not iterable")
