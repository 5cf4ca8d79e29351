from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons_src.tools.timeline import (
    Span,
    blocked_by,
    finish_order,
    idle_share,
    lanes,
    most_at_once,
    order,
    queued_behind,
    workers,
)

POOL = [
    Span(71, 1, "a", 10.0, 12.0),
    Span(72, 1, "b", 10.5, 11.0),
    Span(72, 1, "c", 11.0, 14.0),
    Span(71, 1, "d", 12.5, 13.0),
]
LOCK = [
    Span(7, 1, "a", 0.0, 0.0, "waiting"),
    Span(7, 1, "a", 0.0, 2.0, "holding"),
    Span(7, 2, "b", 0.5, 2.5, "waiting"),
    Span(7, 2, "b", 2.5, 4.0, "holding"),
    Span(7, 3, "c", 1.0, 4.5, "waiting"),
    Span(7, 3, "c", 4.5, 5.0, "holding"),
]


def lane_spans(starts_and_stops, worker=1):
    return [
        Span(worker, 1, f"task {place}", start, stop)
        for place, (start, stop) in enumerate(starts_and_stops)
    ]


ENDS = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)
SPANS = st.lists(ENDS, max_size=12).map(lane_spans)


@st.composite
def crews(draw):
    """Workers that each do one thing after the other."""
    crew = []
    for worker in range(draw(st.integers(1, 4))):
        cuts = sorted(draw(st.sets(st.integers(0, 20), max_size=8)))
        crew += lane_spans(pairwise(cuts), worker)
    return crew


def test_facts_of_nothing():
    assert workers([]) == lanes([]) == order([]) == finish_order([]) == []
    assert most_at_once([]) == 0
    assert idle_share([]) == 0.0
    assert queued_behind([]) == blocked_by([]) == {}


def test_workers_and_lanes_stand_in_order_of_first_start():
    shuffled = [POOL[3], POOL[2], POOL[0], POOL[1]]
    assert workers(shuffled) == [(71, 1), (72, 1)]
    assert lanes(shuffled) == [[POOL[0], POOL[3]], [POOL[1], POOL[2]]]


def test_threads_of_one_process_are_lanes_of_their_own():
    assert len(lanes(LOCK)) == 3


def test_facts_take_any_iterable_once():
    assert order(iter(POOL)) == order(POOL)
    assert idle_share(iter(POOL)) == idle_share(POOL)
    assert queued_behind(iter(POOL)) == queued_behind(POOL)
    assert blocked_by(iter(LOCK)) == blocked_by(LOCK)


def test_order_goes_by_start_and_finish_order_by_stop():
    assert order(POOL) == ["a", "b", "c", "d"]
    assert finish_order(POOL) == ["b", "a", "d", "c"]


def test_equal_starts_and_stops_go_by_name():
    same = [Span(process, 1, task, 1.0, 2.0) for process, task in enumerate("cab")]
    assert order(same) == finish_order(same) == ["a", "b", "c"]
    assert workers(same) == [(1, 1), (2, 1), (0, 1)]


def test_task_of_several_spans_starts_with_its_first_and_ends_with_its_last():
    pieces = lane_spans([(0, 1), (1, 2), (2, 3)])
    resumed = [pieces[0], pieces[1], pieces[2]._replace(task="task 0")]
    assert order(resumed) == ["task 0", "task 1"]
    assert finish_order(resumed) == ["task 1", "task 0"]


def test_most_at_once_counts_overlaps():
    assert most_at_once(POOL) == 2
    assert most_at_once(lane_spans([(0, 3), (1, 4), (2, 5)])) == 3


def test_stop_equal_to_a_start_is_no_overlap():
    assert most_at_once(lane_spans([(0, 1), (1, 2), (2, 3)])) == 1


def test_most_at_once_of_one_kind():
    assert most_at_once(LOCK, "holding") == 1
    assert most_at_once(LOCK, "waiting") == 2
    assert most_at_once(LOCK, "flying") == 0


def test_span_of_no_length_overlaps_only_what_goes_on_around_it():
    assert most_at_once(lane_spans([(1, 1)])) == 1
    assert most_at_once(lane_spans([(1, 1), (1, 1)])) == 1
    assert most_at_once(lane_spans([(0, 1), (1, 1), (1, 2)])) == 1
    assert most_at_once(lane_spans([(0, 2), (1, 1)])) == 2


def brute_most_at_once(spans):
    # At each moment first the stops, then what has no length, then the starts
    ticks = range(3 * 13)
    longs = [range(3 * each.start + 2, 3 * each.stop) for each in spans if each.seconds]
    instants = {3 * each.start + 1 for each in spans if not each.seconds}
    return max(
        sum(tick in long for long in longs) + (tick in instants) for tick in ticks
    )


@given(SPANS)
def test_most_at_once_equals_looking_at_each_moment(spans):
    assert most_at_once(spans) == brute_most_at_once(spans)


@given(crews())
def test_workers_that_do_one_thing_at_a_time_bound_most_at_once(spans):
    assert most_at_once(spans) <= len(workers(spans))


def test_idle_share_is_what_no_span_covers():
    # Of 2 lanes of 4 seconds: 0.5 and 1.0 in the first, 0.5 in the second
    assert idle_share(POOL) == 2.0 / 8.0


def test_idle_share_counts_inner_spans_once():
    outer, inner = lane_spans([(0, 4), (1, 2)])
    other = Span(2, 1, "b", 0, 2)
    assert idle_share([outer, inner, other]) == 0.25


def test_idle_share_of_spans_of_no_length_is_nothing():
    assert idle_share(lane_spans([(1, 1), (1, 1)])) == 0.0


@given(crews())
def test_idle_share_equals_counting_seconds(spans):
    first = min((each.start for each in spans), default=0)
    last = max((each.stop for each in spans), default=0)
    all_seconds = len(workers(spans)) * (last - first)
    idle = all_seconds - sum(each.seconds for each in spans)
    assert idle_share(spans) == pytest.approx(idle / all_seconds if idle else 0.0)


def test_task_is_queued_behind_the_one_before_it_on_its_worker():
    assert queued_behind(POOL) == {"c": "b", "d": "a"}


def test_task_is_not_queued_behind_one_that_still_runs_around_it():
    outer, inner, after = lane_spans([(0, 4), (1, 2), (4, 5)])
    assert queued_behind([outer, inner]) == {}
    assert queued_behind([outer, inner, after]) == {"task 2": "task 1"}


def test_task_is_not_queued_behind_itself():
    assert queued_behind(LOCK) == {}
    first, second, third = lane_spans([(0, 1), (1, 2), (2, 3)])
    assert queued_behind([first, second, third._replace(task="task 0")]) == {
        "task 1": "task 0"
    }


def test_waiting_task_keeps_its_worker_too():
    waiting, working = lane_spans([(0, 1), (1, 2)])
    assert queued_behind([waiting._replace(kind="waiting"), working]) == {
        "task 1": "task 0"
    }


@given(crews())
def test_all_but_the_first_task_of_a_worker_are_queued(spans):
    named = [each._replace(task=f"{each.process}.{each.start}") for each in spans]
    expected = {
        later.task: earlier.task
        for lane in lanes(named)
        for earlier, later in pairwise(lane)
    }
    assert queued_behind(named) == expected


def test_waiting_task_is_blocked_by_the_last_holder_before_its_wait_ended():
    assert blocked_by(LOCK) == {"b": "a", "c": "b"}


def test_wait_that_gave_up_is_blocked_by_the_one_who_still_holds():
    gave_up = [
        Span(7, 1, "a", 0.0, 9.0, "holding"),
        Span(7, 2, "b", 1.0, 2.0, "waiting"),
    ]
    assert blocked_by(gave_up) == {"b": "a"}


def test_holder_of_another_lock_who_goes_on_is_not_to_blame():
    other = Span(7, 9, "other", 0.1, 9.0, "holding")
    assert blocked_by([*LOCK, other]) == {"b": "a", "c": "b"}


def test_last_wait_of_a_task_tells_who_blocked_it():
    again = [
        Span(7, 1, "a", 5.0, 7.0, "holding"),
        Span(7, 2, "b", 6.0, 7.0, "waiting"),
        Span(7, 3, "c", 6.0, 8.0, "waiting"),
    ]
    assert blocked_by([*LOCK, *again]) == {"b": "a", "c": "a"}


def test_nobody_blocks_a_task_that_waits_for_its_own_worker_or_for_no_lock():
    waits = [
        Span(7, 1, "a", 0.0, 1.0, "holding"),
        Span(7, 1, "a", 0.5, 0.8, "waiting"),
        Span(7, 2, "b", 1.0, 2.0, "waiting"),
        Span(7, 3, "c", 0.0, 2.0, "working"),
    ]
    assert blocked_by(waits) == {}


def test_deadlocked_tasks_block_each_other():
    deadlock = [
        Span(7, 1, "a", 0.0, 9.0, "holding"),
        Span(7, 2, "b", 0.1, 9.0, "holding"),
        Span(7, 1, "a", 0.5, 8.0, "waiting"),
        Span(7, 2, "b", 0.6, 8.5, "waiting"),
    ]
    assert blocked_by(deadlock) == {"a": "b", "b": "a"}
