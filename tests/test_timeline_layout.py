import threading
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lessons_src.tools.timeline import Span, clock, span
from lessons_src.tools.timeline_layout import describe, labels, panel, stack

LIMIT = 60

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

ENDS = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)
SPANS = st.lists(
    st.builds(lambda ends, task: Span(1, 1, task, *ends), ENDS, st.sampled_from("ab"))
)


def test_description_tells_tasks_workers_and_most_at_once():
    assert describe({"": POOL}) == "Timeline: 4 tasks on 2 workers, at most 2 at once"
    assert describe({"": []}) == "Timeline: no tasks"


def test_description_has_a_line_for_each_panel_and_minds_the_singular():
    assert describe({"loop": POOL[:1], "pool": POOL}).splitlines() == [
        "loop: 1 task on 1 worker, at most 1 at once",
        "pool: 4 tasks on 2 workers, at most 2 at once",
    ]


def test_description_of_several_kinds_leaves_waiting_out():
    locks = "Timeline: 3 tasks on 3 workers, at most 1 holding at once"
    assert describe({"": LOCK}) == locks
    work = [Span(7, number, "abc"[number], 0.0, 9.0) for number in range(3)]
    other = Span(7, 4, "d", 0.0, 9.0, "loading")
    assert describe({"": [*LOCK, *work, other]}) == (
        "Timeline: 4 tasks on 5 workers, "
        "at most 1 holding, 1 loading and 3 working at once"
    )


def test_description_of_waiting_only_counts_it():
    waits = [each for each in LOCK if each.kind == "waiting"]
    assert describe({"": waits}).endswith("at most 2 at once")


def test_labels_of_processes_and_threads_of_others():
    assert labels(POOL) == ["process 1", "process 2"]
    assert labels(LOCK) == ["thread 1", "thread 2", "thread 3"]
    assert labels(POOL[:1]) == ["process 1"]
    mixed = [*POOL, Span(72, 2, "e", 15.0, 16.0)]
    assert labels(mixed) == ["process 1", "process 2, thread 1", "process 2, thread 2"]


def test_labels_of_this_process():
    here = span("a", clock())
    other = here._replace(thread=-1, start=here.start + 1)
    child = here._replace(process=-1, start=here.start + 2)
    assert labels([here, other, child]) == ["main", "thread 1", "process 1"]


def test_thread_that_draws_is_not_main_for_that():
    found = []
    thread = threading.Thread(target=lambda: found.extend(labels([span("a", 0.0)])))
    thread.start()
    thread.join(LIMIT)
    assert found == ["thread 1"]


def test_panel_counts_from_its_first_start():
    shown = panel(POOL)
    assert [lane.label for lane in shown.lanes] == ["process 1", "process 2"]
    assert shown.seconds == 4.0
    assert [[each.start for each in row] for row in shown.rows] == [[0, 2.5], [0.5, 1]]
    assert panel([]) == ([], 0.0)


def test_wait_of_no_length_stays_in_the_row_of_what_follows():
    assert stack(LOCK[:2]) == [LOCK[:2]]


def test_outer_span_is_above_the_inner_one_of_the_same_start():
    inner, outer = Span(7, 1, "inner", 0.0, 1.0), Span(7, 1, "outer", 0.0, 9.0)
    assert stack([inner, outer]) == [[outer], [inner]]


@given(SPANS)
def test_rows_hold_each_span_once_and_no_overlap(spans):
    rows = stack(spans)
    assert sorted(each for row in rows for each in row) == sorted(spans)
    assert all(a.stop <= b.start for row in rows for a, b in pairwise(row))


def test_a_panel_calls_workers_as_it_is_told():
    spans = [Span(7, 1, "a", 0, 1), Span(7, 2, "b", 1, 2)]
    called = panel(spans, {(7, 2): "B: deposit"})
    assert [lane.label for lane in called.lanes] == ["thread 1", "B: deposit"]
