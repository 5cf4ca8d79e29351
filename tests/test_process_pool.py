import pickle
from functools import partial

import pytest

from lessons_src import process_pool as lesson
from lessons_src.process_pool import (
    HEADLINES,
    Delivery,
    Findings,
    Letter,
    Opened,
    StepTable,
    article_split_list,
    collatz_steps,
    find_events,
    in_hand_before,
    letter_sizes,
    make_tasks,
    map_in_time,
    pretend_cores,
    read_letter,
    receive,
    share_cake,
    share_in_peace,
    share_on_record,
    tabulate_steps,
)
from lessons_src.tools.chunks import split_list
from lessons_src.tools.naps import Nap, take_nap
from lessons_src.tools.pools import warm_pool
from lessons_src.tools.timeline import Recorder, Span

LIMIT = 60
KINDS = ["flood", "vote"]


@pytest.fixture
def pool(context):
    with warm_pool(context, 2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("worker", "items"),
    [
        (share_cake, range(1, 13)),
        (share_in_peace, range(1, 7)),
        (collatz_steps, range(1, 50)),
    ],
)
def test_a_pool_gives_the_answers_of_the_loop(pool, worker, items):
    assert pool.map_async(worker, items).get(LIMIT) == list(map(worker, items))


def test_starmap_over_parts_finds_the_events_that_the_loop_finds(pool):
    calls = [(part, KINDS) for part in split_list(HEADLINES, 2)]
    found = pool.starmap_async(find_events, calls).get(LIMIT)
    events = {
        headline: kinds for part in found for headline, kinds in part.events.items()
    }
    assert Findings(events, [""]) == find_events(HEADLINES, KINDS)


def test_events_are_found_in_any_case():
    assert find_events(["STORM"], ["storm"]).events == {"STORM": ["storm"]}


def test_step_tables_of_parts_hold_what_one_table_holds(pool):
    calls = [(part, 10) for part in split_list(range(1, 101), 3)]
    tables = pool.starmap_async(tabulate_steps, calls).get(LIMIT)
    merged = {start: steps for table in tables for start, steps in table.steps.items()}
    assert merged == tabulate_steps(range(1, 101), 10).steps
    assert all(steps <= 10 for steps in merged.values())
    assert {4, 13, 24} - merged.keys() == set()
    assert 27 not in merged


@pytest.mark.parametrize(("start", "steps"), [(1, 0), (2, 1), (3, 7), (27, 111)])
def test_collatz_steps_are_the_known_ones(start, steps):
    assert collatz_steps(start) == steps


@pytest.mark.parametrize("worker", [share_cake, share_in_peace])
@pytest.mark.parametrize("guests", [0, -1])
def test_a_cake_for_nobody_is_an_error(worker, guests):
    with pytest.raises(ValueError, match=f"a cake for {guests} guests"):
        worker(guests)


def test_thirteen_guests_quarrel_and_others_do_not(monkeypatch):
    naps = []
    monkeypatch.setattr(lesson.time, "sleep", naps.append)
    assert share_in_peace(12) == 1
    assert naps == []
    assert share_in_peace(13) == 0
    assert naps == [lesson.QUARREL_SECONDS]


def test_a_mark_is_left_whether_the_cake_is_shared_or_not(pool, tmp_path):
    recorder = Recorder(tmp_path)
    shared = pool.map_async(partial(share_on_record, recorder), [4, 0, 3], 1)
    with pytest.raises(ValueError, match="0 guests"):
        shared.get(LIMIT)
    assert sorted(span.task for span in recorder.spans) == [
        "0 guests",
        "3 guests",
        "4 guests",
    ]


@pytest.mark.parametrize(
    ("chunksize", "sizes"), [(1, [1] * 10), (4, [4, 4, 2]), (10, [10]), (99, [10])]
)
def test_each_chunk_is_one_letter(pool, chunksize, sizes):
    worker = partial(read_letter, Letter())
    opened = pool.map_async(worker, range(10), chunksize).get(LIMIT)
    assert letter_sizes(opened) == sizes
    assert [letter.item for letter in opened] == list(range(10))


def test_map_sends_about_four_letters_to_each_worker(pool):
    opened = pool.map_async(partial(read_letter, Letter()), range(1000)).get(LIMIT)
    assert letter_sizes(opened) == [125] * 8


def test_a_letter_is_numbered_anew_each_time_it_is_unpickled():
    posted = pickle.dumps([Letter(), Letter()])
    first, second = pickle.loads(posted)
    third, _ = pickle.loads(posted)
    assert first.number < second.number < third.number


def test_naps_on_time_are_taken_once(pool):
    tasks = make_tasks([1, 1, 1], 0.2)
    spans = map_in_time(pool, 2, tasks)
    assert sorted(span.task for span in spans) == ["task 0", "task 1", "task 2"]


class SlowThenQuickPool:
    def __init__(self, *runs):
        self.runs = list(runs)

    def map(self, worker, tasks, chunksize):
        assert (worker, chunksize) == (take_nap, 1)
        return self.runs.pop(0)


TASKS = [Nap("a", 1), Nap("b", 2), Nap("c", 1)]
ON_TIME = [Span(1, 1, "a", 0, 1), Span(2, 2, "b", 0, 2), Span(1, 1, "c", 1, 2)]
OVERSLEPT = [Span(1, 1, "a", 0, 1), Span(2, 2, "b", 0, 2.3), Span(1, 1, "c", 1, 2)]
LATE_START = [Span(1, 1, "a", 0, 1), Span(2, 2, "b", 0.3, 2.3), Span(1, 1, "c", 1, 2)]
LATE_AGAIN = [Span(1, 1, "a", 0, 1), Span(2, 2, "b", 0, 2), Span(1, 1, "c", 1.3, 2.3)]
ONE_CAME = [Span(1, 1, "a", 0, 1), Span(1, 1, "b", 1, 3), Span(1, 1, "c", 3, 4)]


@pytest.mark.parametrize("late", [OVERSLEPT, LATE_START, LATE_AGAIN, ONE_CAME])
def test_a_run_in_which_a_worker_was_late_is_done_again(late):
    assert map_in_time(SlowThenQuickPool(late, late, ON_TIME), 2, TASKS) == ON_TIME


def test_a_pool_that_is_always_late_is_given_up_after_some_runs():
    pool = SlowThenQuickPool(*[OVERSLEPT] * lesson.TRIES)
    assert map_in_time(pool, 2, TASKS) == OVERSLEPT
    assert pool.runs == []


def test_a_pool_of_more_workers_than_tasks_is_not_late():
    spans = [
        Span(number, 1, task.name, 0, task.seconds) for number, task in enumerate(TASKS)
    ]
    assert map_in_time(SlowThenQuickPool(spans), 5, TASKS) == spans


def test_receive_waits_once_for_each_answer_in_the_order_of_the_method():
    tasks = make_tasks([0, 0], 1)
    delivery = receive(lambda worker, tasks: map(worker, tasks[::-1]), take_nap, tasks)
    assert [answer.task for answer in delivery.answers] == ["task 1", "task 0"]
    assert [wait.task for wait in delivery.waits] == ["task 1", "task 0"]
    assert {wait.kind for wait in delivery.waits} == {"waiting"}
    assert delivery.waits[0].stop <= delivery.waits[1].start


def test_an_answer_that_arrives_when_the_slow_task_is_done_is_not_early():
    slow, quick = Span(2, 2, "slow", 0, 9), Span(3, 3, "quick", 0, 1)
    waits = [Span(1, 1, "slow", 0, 9), Span(1, 1, "quick", 9, 9)]
    assert in_hand_before(Delivery([slow, quick], waits), "slow") == 0


def test_a_pool_without_a_size_has_a_worker_for_each_pretended_core():
    from multiprocessing import active_children, get_context

    before = len(active_children())
    with pretend_cores(3), get_context().Pool():
        assert len(active_children()) - before == 3


def test_the_cores_are_true_again_afterwards():
    before = lesson.os.cpu_count()
    with pytest.raises(ZeroDivisionError), pretend_cores(99):
        raise ZeroDivisionError
    assert lesson.os.cpu_count() == before


def test_the_article_splits_evenly_and_loses_everything_without_parts():
    items = list(range(7))
    assert article_split_list(items, 3) == split_list(items, 3)
    assert article_split_list(items, 50).count([]) == 43
    assert article_split_list(items, 0) == []
    assert article_split_list(items, -1) == []


@pytest.mark.parametrize(
    "record",
    [
        Delivery([], []),
        Findings({"Storm": ["storm"]}, [""]),
        StepTable(7, {1: 0}),
        Opened(7, 1, 2),
        share_cake,
        share_in_peace,
        share_on_record,
        find_events,
        tabulate_steps,
        collatz_steps,
        read_letter,
    ],
)
def test_records_and_workers_survive_the_post(record):
    assert pickle.loads(pickle.dumps(record)) == record
