import json
import os
import pickle
import subprocess
import sys
import threading
from itertools import pairwise
from multiprocessing import get_all_start_methods, get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons_src.tools.timeline import (
    Recorder,
    Span,
    blocked_by,
    clock,
    finish_order,
    idle_share,
    lanes,
    most_at_once,
    order,
    queued_behind,
    span,
    workers,
)
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


# Spans


def test_span_is_stamped_with_this_process_and_the_time_since_start():
    before = clock()
    made = span("task", before, "waiting")
    assert made.process == os.getpid()
    assert (made.task, made.start, made.kind) == ("task", before, "waiting")
    assert before <= made.stop <= clock()
    assert made.seconds == made.stop - made.start


def test_spans_of_one_thread_have_one_worker():
    assert span("a", clock()).worker == span("b", clock()).worker


def test_threads_one_after_the_other_are_different_workers():
    made = []
    for _ in range(20):
        thread = threading.Thread(target=lambda: made.append(span("task", clock())))
        thread.start()
        thread.join(LIMIT)
    assert len(workers(made)) == 20


def test_span_survives_pickling():
    assert pickle.loads(pickle.dumps(POOL)) == POOL


def make_span():
    return span("child", clock())


@pytest.mark.parametrize("method", get_all_start_methods())
def test_clock_is_shared_with_other_processes(method):
    with get_context(method).Pool(1) as pool:
        before = clock()
        child = pool.apply_async(make_span).get(LIMIT)
        after = clock()
    assert child.process != os.getpid()
    assert before < child.start <= child.stop < after


# Recorder


@pytest.fixture(params=["memory", "files"])
def recorder(request, tmp_path):
    folder = None if request.param == "memory" else tmp_path / "new" / "späns b"
    with Recorder(folder) as made:
        yield made


def record(recorder, tasks):
    for task in tasks:
        with recorder.span(task):
            pass


def test_recorder_keeps_spans_by_start_with_inner_spans(recorder):
    before = clock()
    with recorder.span("outer"), recorder.span("inner", kind="waiting"):
        pass
    after = clock()
    outer, inner = recorder.spans
    assert [outer.task, inner.task] == ["outer", "inner"]
    assert [outer.kind, inner.kind] == ["working", "waiting"]
    assert before <= outer.start <= inner.start <= inner.stop <= outer.stop <= after
    assert outer.worker == inner.worker == span("here", before).worker


def test_recorder_keeps_the_span_of_a_task_that_fails(recorder):
    with pytest.raises(ZeroDivisionError), recorder.span("fails"):
        _ = 1 / 0
    assert order(recorder.spans) == ["fails"]


def test_recorder_gives_back_any_task_name(recorder):
    tasks = ['"quoted"', "two\nlines", "größe 读", "\ud800", "]", ""]
    record(recorder, tasks)
    assert sorted(each.task for each in recorder.spans) == sorted(tasks)


def test_recorder_serves_many_threads_at_once(recorder):
    meet = threading.Barrier(8)

    def run(number):
        meet.wait(LIMIT)
        record(recorder, [f"{number}.{turn}" for turn in range(200)])

    threads = [threading.Thread(target=run, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len({each.task for each in recorder.spans}) == 1600
    assert len(workers(recorder.spans)) == 8


def test_recorder_opens_its_file_again_after_close(tmp_path):
    recorder = Recorder(tmp_path)
    record(recorder, ["before"])
    recorder.close()
    record(recorder, ["after"])
    recorder.close()
    assert order(recorder.spans) == ["before", "after"]
    assert len(list(tmp_path.iterdir())) == 1


def test_recorder_of_memory_refuses_to_be_sent_to_another_process():
    with pytest.raises(TypeError, match=r"give Recorder\(folder\)"):
        pickle.dumps(Recorder())


def test_unpickled_recorder_does_not_bring_a_deleted_folder_back(tmp_path):
    recorder = Recorder(tmp_path / "gone")
    sent = pickle.dumps(recorder)
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError):
        record(pickle.loads(sent), ["late"])


def test_recorder_finds_its_folder_from_another_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recorder = Recorder("spans")
    monkeypatch.chdir(tmp_path / "spans")
    record(recorder, ["task"])
    recorder.close()
    assert len(list((tmp_path / "spans").glob("*.jsonl"))) == 1


def test_reader_passes_over_a_torn_line(tmp_path):
    with Recorder(tmp_path) as recorder:
        record(recorder, ["whole"])
        [file] = tmp_path.iterdir()
        whole = file.read_bytes()
        for length in range(1, len(whole) - 1):
            file.write_bytes(whole + whole[:length])
            assert order(recorder.spans) == ["whole"]


def record_one(recorder, task):
    with recorder.span(task):
        return os.getpid()


@pytest.mark.parametrize("method", get_all_start_methods())
def test_every_process_records_into_its_own_file(method, tmp_path):
    tasks = [f"task {number}" for number in range(6)]
    with Recorder(tmp_path) as recorder:
        record(recorder, ["parent"])
        with get_context(method).Pool(2) as pool:
            jobs = [pool.apply_async(record_one, (recorder, task)) for task in tasks]
            processes = {job.get(LIMIT) for job in jobs}
        assert sorted(each.task for each in recorder.spans) == ["parent", *tasks]
        assert {each.process for each in recorder.spans} == {os.getpid(), *processes}
        assert len(list(tmp_path.iterdir())) == 1 + len(processes)


# For a worker that was given its recorder before it was forked
inherited = None


def record_inherited(task):
    return record_one(inherited, task)


@pytest.mark.skipif("fork" not in get_all_start_methods(), reason="needs fork")
def test_forked_child_leaves_the_open_file_of_its_parent_alone(tmp_path, monkeypatch):
    with Recorder(tmp_path) as recorder:
        monkeypatch.setattr(f"{__name__}.inherited", recorder)
        record(recorder, ["parent"])
        with get_context("fork").Pool(1) as pool:
            child = pool.apply_async(record_inherited, ("child",)).get(LIMIT)
        record(recorder, ["parent again"])
        assert order(recorder.spans) == ["parent", "child", "parent again"]
        mine = (tmp_path / f"{os.getpid()}.jsonl").read_bytes().splitlines()
        assert [json.loads(line)[2] for line in mine] == ["parent", "parent again"]
        assert (tmp_path / f"{child}.jsonl").exists()


def test_span_of_a_worker_killed_right_after_it_is_not_lost(tmp_path):
    code = """
import os, sys
from lessons_src.tools.timeline import Recorder
with Recorder(sys.argv[1]).span("last"):
    pass
os._exit(3)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, timeout=LIMIT).returncode == 3
    assert order(Recorder(tmp_path).spans) == ["last"]


def test_forgotten_recorder_closes_its_file_without_a_warning(tmp_path):
    code = """
import sys
from lessons_src.tools.timeline import Recorder
for folder in sys.argv[1:]:
    recorder = Recorder(folder)
    with recorder.span("task"):
        pass
"""
    folders = [str(tmp_path / "dropped"), str(tmp_path / "kept till exit")]
    command = [sys.executable, "-X", "dev", "-c", code, *folders]
    done = subprocess.run(command, timeout=LIMIT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_it_does_not_import_what_only_drawing_needs():
    code = "import sys, lessons_src.tools.timeline; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, timeout=LIMIT, capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "lessons_src.tools.recorder" in loaded
    assert not {"matplotlib", "numpy", "PIL", "IPython"} & set(loaded)


# Facts


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


# What a timeline says and where its bars go


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


@given(SPANS)
def test_rows_hold_each_span_once_and_no_overlap(spans):
    rows = stack(spans)
    assert sorted(each for row in rows for each in row) == sorted(spans)
    assert all(a.stop <= b.start for row in rows for a, b in pairwise(row))
