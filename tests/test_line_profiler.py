import pickle
import sys

import pytest
from line_profiler import LineProfiler

from lessons_src import line_profiler as lesson
from lessons_src.line_profiler import (
    busiest,
    came_twice,
    count_guests,
    four_ways,
    guest_book,
    profiled,
    rank_counts,
    rank_pairs,
    rank_sorted,
    rank_tidied,
    report,
    sampled_or_recorded,
    speed_up,
    tidy,
)
from lessons_src.tools.chunks import split_list
from lessons_src.tools.experiment import Comparison
from lessons_src.tools.leash import run_code
from lessons_src.tools.profiles import line_hits
from lessons_src.tools.programs import program
from lessons_src.tools.recorded import RECORDED_LINE, transcript

LIMIT = 60
STEPS = [rank_pairs, rank_counts, rank_sorted, rank_tidied]
BOOK = guest_book(150)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("book", [BOOK, [], ["Ada"], ["b", "a", "A", " B "]])
def test_each_step_gives_the_answer_of_the_first(step, book):
    assert step(book) == rank_pairs(book)


def test_guests_who_came_equally_often_keep_the_order_of_the_book():
    assert rank_pairs(["b", "a", "c", "a"]) == [("a", 2), ("b", 1), ("c", 1)]


def most_hits(function, *callees, book=BOOK):
    profiler = LineProfiler(*callees)
    profiler(function)(book)
    stats = profiler.get_stats()
    return [max(line_hits(stats, each)).hits for each in (function, *callees)]


def test_the_hits_fall_from_n_times_n_to_n():
    size = len(BOOK)
    assert most_hits(rank_pairs) == [size * size + size]
    assert [most_hits(step) for step in STEPS[1:]] == [[size + 1]] * 3


def sorted_hits(function):
    rows = line_hits(profiled(function, BOOK), function)
    return sum(hits for hits, line in rows if "sorted(" in line)


def test_the_sorting_falls_from_n_times_to_once():
    assert [sorted_hits(step) for step in STEPS] == [len(BOOK), len(BOOK), 1, 1]


def test_the_letters_fall_to_those_of_the_different_spellings():
    def turns(names):
        return sum(len(name) + 1 for name in names)

    assert most_hits(rank_sorted, tidy)[1] == turns(BOOK)
    assert most_hits(rank_tidied, tidy)[1] == turns(set(BOOK)) < turns(BOOK)


def test_names_are_spelt_in_two_ways_and_mean_one_guest():
    book = guest_book(3000)
    assert len(set(book)) == 2 * len({tidy(name) for name in book})


def test_a_pool_counts_the_guests_that_a_loop_counts(context):
    with context.Pool(2) as pool:
        parts = pool.map_async(count_guests, split_list(BOOK, 3)).get(LIMIT)
    merged = {}
    for part in parts:
        for guest, visits in part.items():
            merged[guest] = merged.get(guest, 0) + visits
    assert sorted(merged.items()) == sorted(rank_tidied(BOOK))


def test_a_profiler_in_the_parent_sees_no_line_of_a_pool(context):
    profiler = LineProfiler(count_guests)
    with context.Pool(1) as pool, profiler:
        pool.map_async(count_guests, [BOOK]).get(LIMIT)
    assert line_hits(profiler.get_stats(), count_guests) == []


def test_the_wrapper_cannot_be_posted():
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(LineProfiler()(count_guests))


@pytest.mark.parametrize("step", [*STEPS, count_guests, tidy, came_twice])
def test_workers_survive_the_post(step):
    assert pickle.loads(pickle.dumps(step)) is step


def test_names_of_both_days_are_found_as_often_as_they_stand_in_the_first():
    assert came_twice(["a", "b", "a"], ["a", "a", "c"]) == ["a", "a"]


def test_a_speed_up_is_how_many_times_less_the_second_takes(monkeypatch):
    def compare(functions, repeats):
        assert repeats == 5
        return lesson_compare(functions, 1, iter([0, 8, 8, 10]).__next__)

    lesson_compare = lesson.compare
    monkeypatch.setattr(lesson, "compare", compare)
    assert speed_up(len, len, []) == 4


def test_the_sampler_finds_the_function_that_works_and_not_its_caller():
    pytest.importorskip("pyinstrument")
    assert busiest(report, guest_book(2000)) == "rank_pairs"


SAMPLED_WITH_A_SLOW_CLOCK = """
from lessons_src.line_profiler import busiest, guest_book, report
busiest(report, guest_book(2000))
from pyinstrument import stack_sampler
stack_sampler.timing_overhead = lambda: {"walltime": 1, "walltime_coarse": 1}
busiest(report, guest_book(2000))
"""


def test_the_sampler_does_not_warn_of_a_slow_clock():
    pytest.importorskip("pyinstrument")
    outcome = run_code(SAMPLED_WITH_A_SLOW_CLOCK, LIMIT)
    assert (outcome.exit_code, outcome.errors) == (0, "")


def rigged_compare(functions, repeats):
    assert list(functions) == ["sampled", "profiled"]
    return Comparison({"sampled": [2.0], "profiled": [20.0]})


def test_a_recorded_sampling_says_what_a_live_one_says(monkeypatch):
    pytest.importorskip("pyinstrument")
    monkeypatch.setattr(lesson, "compare", rigged_compare)
    live = sampled_or_recorded(guest_book(2000))
    assert live == transcript("line_profiler_sampling").rstrip()
    monkeypatch.setattr(lesson, "find_spec", lambda name: None)
    assert sampled_or_recorded([]) == RECORDED_LINE + live


def test_the_report_names_the_first_of_the_ranking():
    assert report(BOOK) == rank_pairs(BOOK)[0]


def test_the_programs_with_a_decorator_do_what_the_lesson_says():
    assert four_ways(LIMIT).splitlines() == [
        "python bare.py",
        "    NameError: name 'profile' is not defined; no profile",
        "kernprof -l bare.py",
        "    total: 12; profiled, hits: 1, 4, 3, 1",
        "python import.py",
        "    total: 12; no profile",
        "LINE_PROFILE=1 python import.py",
        "    total: 12; profiled, hits: 1, 4, 3, 1",
    ]


def test_a_profiled_program_leaves_no_file_in_this_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    four_ways(LIMIT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("core", ["legacy", "default"])
def test_two_threads_at_once_are_counted_by_the_older_core(core):
    env = {"LINE_PROFILER_CORE": "legacy"} if core == "legacy" else {}
    run = run_code(program("line_profiler_threads"), LIMIT, env=env)
    lost = core == "default" and sys.version_info >= (3, 12)
    assert run.output.splitlines() == [
        "1 at once: 100 of 100 turns were counted",
        f"2 at once: {100 if lost else 200} of 200 turns were counted",
    ]
    assert ("ValueError" in run.errors) == lost


def test_the_timer_is_finer_than_a_microsecond():
    assert LineProfiler().timer_unit < 1e-6
