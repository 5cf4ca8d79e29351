import pytest
from line_profiler import LineProfiler

from lessons_src.checks import line_profiler as check
from lessons_src.checks.line_profiler import PAGE
from lessons_src.line_profiler import (
    came_twice,
    count_guests,
    guest_book,
    profiled,
    rank_pairs,
    rank_sorted,
    rank_tidied,
    tidy,
)
from lessons_src.tools.chunks import split_list
from lessons_src.tools.profiles import ProfiledWorker, merge_stats

LIMIT = 60


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def stats_of(function, *callees, book=PAGE, runs=1):
    profiler = LineProfiler(*callees)
    wrapper = profiler(function)
    for _ in range(runs):
        wrapper(book)
    return profiler.get_stats()


def by_with_block():
    profiler = LineProfiler(rank_tidied, tidy)
    with profiler:
        rank_tidied(PAGE)
    return profiler.get_stats()


def by_module():
    import lessons_src.line_profiler as lesson

    profiler = LineProfiler()
    profiler.add_module(lesson)
    with profiler:
        rank_tidied(PAGE)
    return profiler.get_stats()


@pytest.mark.parametrize(
    "answer", [lambda: stats_of(rank_tidied, tidy), by_with_block, by_module]
)
def test_exercise_1_accepts_any_way_to_profile_both(answer):
    verdict = check.exercise_1(answer())
    assert verdict.right
    assert f"{len(set(PAGE))} times" in verdict.why


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda: None, "no answer yet"),
        (lambda: LineProfiler(tidy), "the profiler itself"),
        (lambda: stats_of(rank_tidied), "inside tidy were not counted"),
        (lambda: stats_of(tidy, book="Ada"), "Not a line of rank_tidied"),
        (lambda: LineProfiler(tidy, rank_tidied).get_stats(), "Not a line of rank"),
        (lambda: stats_of(rank_sorted, tidy), "You profiled rank_sorted"),
        (lambda: stats_of(rank_pairs, tidy), "Not a line of rank_tidied"),
        (lambda: stats_of(rank_tidied, tidy, runs=2), "several runs"),
        (lambda: stats_of(rank_tidied, tidy, book=guest_book(50)), "50 names were"),
        (lambda: stats_of(rank_tidied, tidy, book=guest_book(4000)), "4000 names were"),
        (lambda: 216, "of type int, and not a profile"),
        (lambda: rank_tidied(PAGE), "of type list, and"),
        (lambda: ProfiledWorker(rank_tidied, tidy)(PAGE), "of type Profiled, and"),
    ],
)
def test_exercise_1_refuses(answer, why):
    assert refused(check.exercise_1(answer()), why)


def test_exercise_1_refuses_hits_of_tidy_from_elsewhere():
    profiler = LineProfiler()
    wrapper = profiler(rank_tidied)
    profiler.add_function(tidy)
    wrapper(PAGE)
    with profiler:
        tidy("Ada")
    assert refused(check.exercise_1(profiler.get_stats()), "by others too")


def by_set(monday, tuesday):
    there = set(tuesday)
    return [name for name in monday if name in there]


def by_dict(monday, tuesday):
    there = dict.fromkeys(tuesday)
    again = []
    for name in monday:
        if name in there:
            again.append(name)
    return again


def by_filter(monday, tuesday):
    return list(filter(set(tuesday).__contains__, monday))


def by_bisection(monday, tuesday):
    from bisect import bisect_left

    there = sorted(tuesday)

    def found(name):
        place = bisect_left(there, name)
        return place < len(there) and there[place] == name

    return [name for name in monday if found(name)]


def by_counter(monday, tuesday):
    from collections import Counter

    times = Counter(tuesday)
    return [name for name in monday if times[name]]


def by_common_names(monday, tuesday):
    both = set(monday) & set(tuesday)
    return [name for name in monday if name in both]


@pytest.mark.parametrize(
    "function",
    [by_set, by_dict, by_filter, by_bisection, by_counter, by_common_names],
)
def test_exercise_2_accepts_what_does_not_compare_all_pairs(function):
    assert check.exercise_2(function).right


def by_in_list(monday, tuesday):
    return [name for name in monday if name in tuesday]


def by_set_in_the_loop(monday, tuesday):
    again = []
    for name in monday:
        there = set()
        for other in tuesday:
            there.add(other)
        if name in there:
            again.append(name)
    return again


def by_set_inside_a_line(monday, tuesday):
    return [name for name in monday if name in set(tuesday)]


def by_dict_inside_a_loop(monday, tuesday):
    again = []
    for name in monday:
        if name in dict.fromkeys(tuesday):
            again.append(name)
    return again


def by_yield(monday, tuesday):
    for name in monday:
        if name in tuesday:
            yield name


def by_count(monday, tuesday):
    return [name for name in monday if tuesday.count(name)]


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (None, "no answer yet"),
        (came_twice, "one of your lines has 160,400 hits"),
        (by_set_in_the_loop, "one of your lines has"),
        (by_in_list, "160,000 names were compared"),
        (by_count, "160,000 names were compared"),
        (by_set_inside_a_line, "put into sets 160,400 times"),
        (by_dict_inside_a_loop, "put into sets 160,400 times"),
        (by_yield, "returns a generator, and came_twice a list"),
        (lambda monday, tuesday: set(monday) & set(tuesday), "returns a set"),
        (lambda monday, tuesday: tuple(monday), "returns a tuple"),
        (lambda monday, tuesday: None, "returns None"),
        (lambda monday, tuesday: sorted({*monday} & {*tuesday}), "returns"),
        (lambda monday, tuesday: list({*monday} & {*tuesday}), "returns"),
        (lambda monday, tuesday: [n for n in tuesday if n in {*monday}], "returns"),
        (lambda monday, tuesday: monday, "returns"),
        (lambda monday: monday, "TypeError"),
        (["Ada"], "TypeError"),
    ],
)
def test_exercise_2_refuses(function, why):
    verdict = check.exercise_2(function)
    assert refused(verdict, why), verdict


def test_exercise_2_counts_each_answer_anew():
    assert not check.exercise_2(by_in_list).right
    assert check.exercise_2(by_set).right


def runs_of(worker, parts, process=7):
    runs = [worker(part) for part in parts]
    return [run._replace(span=run.span._replace(process=process)) for run in runs]


WORKER = ProfiledWorker(count_guests)
HALVES = split_list(PAGE, 2)


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_exercise_3_accepts_what_a_pool_brings(context, parts):
    with context.Pool(2) as pool:
        worker = ProfiledWorker(count_guests, tidy)
        runs = pool.map_async(worker, split_list(PAGE, parts)).get(LIMIT)
    verdict = check.exercise_3(runs, merge_stats(runs))
    assert verdict.right
    assert f"in {parts} parts" in verdict.why


def test_exercise_3_accepts_tables_that_were_added_by_hand_in_any_order():
    first, second = runs_of(WORKER, HALVES)
    assert check.exercise_3(iter([second, first]), second.stats + first.stats).right


RUNS = runs_of(WORKER, HALVES)
# Each name for a part: then its letters are counted
LETTERS = runs_of(WORKER, PAGE)


@pytest.mark.parametrize(
    ("runs", "stats", "why"),
    [
        (None, None, "no answer yet"),
        (RUNS, None, "no answer yet"),
        ([], merge_stats([]), "a list of Profiled"),
        (list(map(count_guests, HALVES)), merge_stats(RUNS), "a list of Profiled"),
        (merge_stats(RUNS), RUNS, "runs comes first"),
        (RUNS, RUNS[0].stats, "stats counts 250 names, and the runs 500"),
        (RUNS, merge_stats(RUNS + RUNS[:1]), "stats counts 750 names, and the"),
        (RUNS * 2, merge_stats(RUNS * 2), "parts have 1000 names, and page has 500"),
        (RUNS[:1] * 3, merge_stats(RUNS), "parts have 750 names"),
        (LETTERS, merge_stats(LETTERS), f"parts have {sum(map(len, PAGE))} names"),
        (RUNS, [run.stats for run in RUNS], "one LineStats"),
        (RUNS, merge_stats([]), "Not a line of count_guests"),
        (RUNS, profiled(tidy, "Ada"), "Not a line of count_guests"),
        (runs_of(WORKER, [PAGE]), merge_stats(runs_of(WORKER, [PAGE])), "one part"),
        (list(map(WORKER, HALVES)), merge_stats(RUNS), "did the work itself"),
        (5, merge_stats(RUNS), "cannot use your answer"),
    ],
)
def test_exercise_3_refuses(runs, stats, why):
    assert refused(check.exercise_3(runs, stats), why)
