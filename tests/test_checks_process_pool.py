from concurrent.futures import ThreadPoolExecutor
from multiprocessing import TimeoutError as NoAnswerYet
from operator import attrgetter

import pytest

from lessons_src.checks import process_pool as check
from lessons_src.process_pool import (
    StepTable,
    make_tasks,
    share_cake,
    tabulate_steps,
)
from lessons_src.tools.chunks import merge_dicts, split_list
from lessons_src.tools.naps import take_nap
from lessons_src.tools.pools import warm_pool
from lessons_src.tools.timeline import Span, clock

LIMIT = 60
STARTS = range(1, 1025)


# Task 1 is done last: at 1 s, 5 s, 2 s, 3 s and 4 s
ENDS = {"task 0": 1, "task 1": 5, "task 2": 2, "task 3": 3, "task 4": 4}


def pairs(arrivals, process=7):
    spans = {task: Span(process, 1, task, 0, end) for task, end in ENDS.items()}
    return [(spans[task], moment) for task, moment in arrivals.items()]


AS_THEY_CAME = {
    "task 0": 1.1,
    "task 2": 2.1,
    "task 3": 3.1,
    "task 4": 4.1,
    "task 1": 5.1,
}
IN_ORDER = {"task 0": 1.1, "task 1": 5.1, "task 2": 5.2, "task 3": 5.3, "task 4": 5.4}
AT_THE_END = {"task 0": 5.1, "task 2": 5.2, "task 3": 5.3, "task 4": 5.4, "task 1": 5.5}


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def test_exercise_1_accepts_what_imap_unordered_brings(context):
    tasks = make_tasks([1, 3, 1, 1, 1], 0.2)
    with warm_pool(context, 2) as pool:
        answers = pool.imap_unordered(take_nap, tasks)
        received = [(answer, clock()) for answer in answers]
    assert check.exercise_1(received).right


def test_exercise_1_accepts_callbacks_that_note_the_moment(context):
    received = []
    with warm_pool(context, 2) as pool:
        for task in make_tasks([1, 3, 1, 1, 1], 0.2):
            note = lambda answer: received.append((answer, clock()))  # noqa: E731
            pool.apply_async(take_nap, (task,), callback=note)
        pool.close()
        pool.join()
    assert check.exercise_1(received).right


def test_exercise_1_accepts_pairs_that_were_sorted_by_name_afterwards():
    received = sorted(pairs(AS_THEY_CAME))
    verdict = check.exercise_1(received)
    assert verdict.right
    assert "task 0 first" in verdict.why
    assert "task 1 last" in verdict.why


def test_exercise_1_accepts_two_that_end_together_either_way_round():
    received = pairs(AS_THEY_CAME)
    last = received[-1][0]._replace(stop=4.01)
    received = [*received[:3], (last, 4.05), received[3]]
    assert check.exercise_1(received).right


@pytest.mark.parametrize(
    ("received", "why"),
    [
        (None, "no answer yet"),
        (pairs(AT_THE_END), "when all the tasks were done"),
        (pairs(IN_ORDER), "had to wait for another"),
        (pairs(dict.fromkeys(AS_THEY_CAME, 0.5)), "before its task was done"),
        (pairs(AS_THEY_CAME)[:4], "one pair for each"),
        (pairs(AS_THEY_CAME) * 2, "one pair for each"),
        ([answer for answer, _ in pairs(AS_THEY_CAME)], "should be a pair"),
        ([("task 0", 1.1)], "should be a pair"),
        (pairs(AS_THEY_CAME, check.os.getpid()), "took these naps itself"),
        (5, "cannot use your answer"),
    ],
)
def test_exercise_1_refuses(received, why):
    assert refused(check.exercise_1(received), why)


def tables_of(starts=STARTS, most=10, parts=2, process=7):
    tables = [tabulate_steps(part, most) for part in split_list(starts, parts)]
    return [StepTable(process, table.steps) for table in tables]


def merged_of(tables):
    return merge_dicts(map(attrgetter("steps"), tables))


def test_exercise_2_accepts_starmap_over_parts(context):
    calls = [(part, 10) for part in split_list(STARTS, 2)]
    with context.Pool(2) as pool:
        tables = pool.starmap_async(tabulate_steps, calls).get(LIMIT)
    assert check.exercise_2(tables, merged_of(tables)).right


def test_exercise_2_accepts_any_cut_and_any_order():
    tables = tables_of(parts=7)[::-1]
    assert check.exercise_2(iter(tables), merged_of(tables)).right


@pytest.mark.parametrize(
    ("tables", "merged", "why"),
    [
        (None, None, "no answer yet"),
        (tables_of(), None, "no answer yet"),
        (tables_of(), [table.steps for table in tables_of()], "a list, not one dict"),
        (tables_of(), tables_of()[0].steps, "1024 is one"),
        (tables_of(range(1, 16)), merged_of(tables_of(range(1, 16))), "missing"),
        (tables_of(most=11), merged_of(tables_of(most=11)), "not the loop's answer"),
        (tables_of(parts=1), merged_of(tables_of()), "one part"),
        (tables_of(process=check.os.getpid()), merged_of(tables_of()), "itself"),
        ([table.steps for table in tables_of()], merged_of(tables_of()), "StepTable"),
        (5, {}, "cannot use your answer"),
    ],
)
def test_exercise_2_refuses(tables, merged, why):
    assert refused(check.exercise_2(tables, merged), why)


GOOD = {guests: share_cake(guests) for guests in (4, 6, 3, 2)}
BAD = {0: ValueError("a cake for 0 guests"), 13: NoAnswerYet()}


@pytest.mark.parametrize(
    "errors",
    [
        BAD,
        {0: ValueError, 13: TimeoutError},
        {0: "ValueError: a cake for 0 guests", 13: "TimeoutError"},
    ],
)
def test_exercise_3_accepts_errors_kept_in_any_form(errors):
    assert check.exercise_3(GOOD, errors).right


def test_exercise_3_accepts_answers_in_any_order_from_any_pool():
    with ThreadPoolExecutor(2) as pool:
        answers = dict(
            zip([2, 3, 4, 6], pool.map(share_cake, [2, 3, 4, 6]), strict=True)
        )
    assert check.exercise_3(answers, BAD).right


@pytest.mark.parametrize(
    ("answers", "errors", "why"),
    [
        (None, None, "no answer yet"),
        ({}, {}, "for 2 guests is lost"),
        ({4: 3}, BAD, "for 2 guests is lost"),
        (GOOD | {0: None}, BAD, "wrong, or belong"),
        (GOOD | {4: 4}, BAD, "wrong, or belong"),
        (GOOD, {0: ValueError()}, "two errors"),
        (GOOD, BAD | {4: NoAnswerYet()}, "two errors"),
        (GOOD, BAD | {0: NoAnswerYet()}, "should be a ValueError"),
        (GOOD, BAD | {13: "quarrel"}, "should be a TimeoutError"),
        ([3, 2, 4, 6], BAD, "cannot use your answer"),
    ],
)
def test_exercise_3_refuses(answers, errors, why):
    assert refused(check.exercise_3(answers, errors), why)
