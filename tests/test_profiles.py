import pickle
from functools import partial

import pytest
from line_profiler import LineProfiler, LineStats

from lessons_src.line_profiler import count_guests, guest_book, tidy
from lessons_src.tools.profiles import (
    LineHits,
    Profiled,
    ProfiledWorker,
    hit_table,
    line_hits,
    merge_stats,
    table,
    time_share,
)
from lessons_src.tools.spans import Span

LIMIT = 60
PAGES = [guest_book(30), guest_book(20), guest_book(10)]


def add_up(numbers):
    total = 0
    for number in numbers:
        total += number
    return total


def sequential_stats():
    profiler = LineProfiler(tidy)
    wrapper = profiler(count_guests)
    for page in PAGES:
        wrapper(page)
    return profiler.get_stats()


@pytest.mark.parametrize("function", [count_guests, tidy])
def test_a_pool_counts_the_hits_that_a_loop_counts(context, function):
    worker = ProfiledWorker(count_guests, tidy)
    with context.Pool(2) as pool:
        runs = pool.map_async(worker, PAGES, 1).get(LIMIT)
    merged = merge_stats(runs)
    assert line_hits(merged, function) == line_hits(sequential_stats(), function)


def test_each_run_brings_the_answer_of_its_own_task(context):
    with context.Pool(2) as pool:
        runs = pool.map_async(ProfiledWorker(count_guests), PAGES, 1).get(LIMIT)
    assert [run.answer for run in runs] == list(map(count_guests, PAGES))
    turns = [line_hits(run.stats, count_guests)[2].hits for run in runs]
    assert turns == [30, 20, 10]
    assert {run.span.task for run in runs} == {"count_guests"}
    assert all(run.span.start <= run.span.stop for run in runs)


def test_starmap_hands_over_several_arguments(context):
    with context.Pool(1) as pool:
        calls = [("3", 4), ("3", 5)]
        runs = pool.starmap_async(ProfiledWorker(int), calls).get(LIMIT)
    assert [run.answer for run in runs] == [3, 3]


def test_a_call_that_raises_raises_and_the_next_one_is_counted(context):
    with context.Pool(1) as pool:
        worker = ProfiledWorker(count_guests)
        with pytest.raises(TypeError):
            pool.apply_async(worker, (None,)).get(LIMIT)
        run = pool.apply_async(worker, (["Ada"],)).get(LIMIT)
    assert [hits for hits, _ in line_hits(run.stats, count_guests)] == [1, 2, 1, 1, 1]


def test_the_profiler_is_off_again_afterwards():
    worker = ProfiledWorker(add_up)
    first, second = worker([1]), worker([1, 2])
    assert [line_hits(run.stats, add_up)[1].hits for run in (first, second)] == [2, 3]


def test_a_partial_is_profiled_by_the_function_it_calls():
    run = ProfiledWorker(partial(add_up, [1, 2]))()
    assert run.answer == 3
    assert line_hits(run.stats, add_up)[2].hits == 2


def test_the_lines_that_ran_are_returned_with_their_text():
    assert line_hits(ProfiledWorker(add_up)([3, 4]).stats, add_up) == [
        LineHits(1, "    total = 0"),
        LineHits(3, "    for number in numbers:"),
        LineHits(2, "        total += number"),
        LineHits(1, "    return total"),
    ]


def test_a_wrapper_stands_for_the_function_it_wraps():
    profiler = LineProfiler()
    wrapper = profiler(add_up)
    wrapper([1])
    stats = profiler.get_stats()
    assert line_hits(stats, wrapper) == line_hits(stats, add_up)


@pytest.mark.parametrize("ask", [line_hits, hit_table, time_share])
def test_a_function_that_was_not_named_is_an_error(ask):
    stats = ProfiledWorker(count_guests)(["Ada"]).stats
    with pytest.raises(LookupError, match="tidy was not profiled"):
        ask(stats, tidy)


def test_a_function_that_was_named_and_did_not_run_has_no_lines():
    stats = LineProfiler(add_up).get_stats()
    assert line_hits(stats, add_up) == []
    assert hit_table(stats, add_up) == "     Hits  Line"


def test_a_table_shows_the_lines_of_one_function():
    stats = ProfiledWorker(count_guests, tidy)(["Ada"]).stats
    assert hit_table(stats, tidy) == table(line_hits(stats, tidy))


def stats_of(times):
    code = add_up.__code__
    first = code.co_firstlineno
    key = (code.co_filename, first, "add_up")
    lines = [(first + 1 + place, 1, time) for place, time in enumerate(times)]
    return LineStats({key: lines}, 1e-9)


def test_the_share_of_some_lines_is_their_part_of_the_functions_time():
    stats = stats_of([10, 20, 30, 40])
    assert time_share(stats, add_up, "for number", "total +=") == 0.5
    assert time_share(stats, add_up, "return") == 0.4


@pytest.mark.parametrize(
    ("hottest", "starred"), [(0, []), (1, [2]), (2, [0, 2]), (9, [0, 1, 2, 3])]
)
def test_the_lines_that_took_the_most_time_get_a_star(hottest, starred):
    stats = stats_of([30, 10, 40, 20])
    shown = hit_table(stats, add_up, hottest)
    assert shown == table(line_hits(stats, add_up), starred)
    assert shown.count("*") == len(starred)


def test_a_text_that_stands_in_no_line_is_an_error():
    with pytest.raises(LookupError, match="'while' in it"):
        time_share(stats_of([1, 1, 1, 1]), add_up, "for", "while")


def test_merged_times_are_added_up():
    runs = [
        Profiled(None, stats_of(times), Span(1, 1, "add_up", 0, 1))
        for times in ([1, 2, 3, 4], [10, 20, 30, 40])
    ]
    (lines,) = merge_stats(iter(runs)).timings.values()
    assert [(hits, time) for _, hits, time in lines] == [
        (2, 11),
        (2, 22),
        (2, 33),
        (2, 44),
    ]


def test_to_merge_does_not_change_the_parts():
    runs = [ProfiledWorker(add_up)([1]) for _ in range(2)]
    before = pickle.dumps([run.stats.timings for run in runs])
    merge_stats(runs)
    assert pickle.dumps([run.stats.timings for run in runs]) == before


def test_nothing_merged_is_an_empty_table():
    assert merge_stats([]).timings == {}


def test_a_worker_and_what_it_returns_survive_the_post():
    worker = pickle.loads(pickle.dumps(ProfiledWorker(count_guests, tidy)))
    assert (worker.worker, worker.callees) == (count_guests, (tidy,))
    run = worker(["Ada"])
    assert pickle.loads(pickle.dumps(run)) == run
