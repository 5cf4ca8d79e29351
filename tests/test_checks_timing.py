import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import mean, median
from timeit import Timer

import pytest

from lessons_src.checks import timing as check
from lessons_src.timing import count_primes, measure
from lessons_src.tools.experiment import compare

LIMIT = 60
LIMITS = [20_000, 10_000, 20_000, 10_000]


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def divided(cpu_clock, wall_clock=time.perf_counter):
    def cpu_share(task):
        wall, cpu = wall_clock(), cpu_clock()
        task()
        return (cpu_clock() - cpu) / (wall_clock() - wall)

    return cpu_share


def cpu_of_times():
    now = os.times()
    return now.user + now.system


@pytest.mark.parametrize(
    "cpu_share",
    [
        divided(time.process_time),
        divided(time.process_time_ns, time.perf_counter_ns),
        divided(time.process_time, time.monotonic),
        divided(cpu_of_times),
    ],
)
def test_exercise_1_accepts_the_cpu_of_the_process_by_the_wall(cpu_share):
    assert check.exercise_1(cpu_share).right


def test_exercise_1_accepts_measure():
    def cpu_share(task):
        measured = measure(task)
        return measured.process_cpu / measured.wall

    assert check.exercise_1(cpu_share).right


def test_exercise_1_refuses_the_empty_answer():
    assert refused(check.exercise_1(None), "no function yet")


def test_exercise_1_refuses_the_clock_of_one_thread():
    assert refused(check.exercise_1(divided(time.thread_time)), "none of it")


@pytest.mark.parametrize(
    "clocks",
    [
        (time.perf_counter, time.perf_counter),
        # Upside down: a wait has hardly any CPU to divide by
        (time.perf_counter, lambda: time.process_time() + time.perf_counter() / 1e6),
    ],
)
def test_exercise_1_refuses_the_wall_above_the_line(clocks):
    assert refused(check.exercise_1(divided(*clocks)), "only waits")


@pytest.fixture(params=[0.1, 0.05], ids=["in turns", "at once"])
def quick_threads(monkeypatch, request):
    """A tenth of a second of work in two threads, in turns or each on its core."""
    outer = measure(sum, [])._replace(process_cpu=0.1)
    outer = outer._replace(span=outer.span._replace(start=0.0, stop=request.param))

    def measured(share_of, cpu_share, task):
        return outer._replace(answer=cpu_share(lambda: None))

    monkeypatch.setattr(check, "measure", measured)


def test_exercise_1_refuses_cpu_seconds_that_are_not_divided(quick_threads):
    answers = iter([0.01, 0.1])

    def cpu_seconds(task):
        task()
        return next(answers)

    assert refused(check.exercise_1(cpu_seconds), "not yet a share")


def test_exercise_1_refuses_percent(quick_threads):
    answers = iter([0.1, 150])

    def percent(task):
        task()
        return next(answers)

    assert refused(check.exercise_1(percent), "not 150.00")


def test_exercise_1_refuses_a_task_that_is_run_for_each_clock():
    def cpu_share(task):
        times = []
        for clock in (time.process_time, time.perf_counter):
            start = clock()
            task()
            times.append(clock() - start)
        return times[0] / times[1]

    assert refused(check.exercise_1(cpu_share), "ran 2 times")


def test_exercise_1_refuses_a_function_that_returns_nothing():
    assert refused(check.exercise_1(lambda task: task()), "returns NoneType")


def test_exercise_1_refuses_what_is_no_number():
    assert refused(check.exercise_1(measure), "returns Measured, and not a number")


def test_exercise_1_refuses_a_function_that_forgets_the_task():
    assert refused(check.exercise_1(lambda task: 0.5), "ran 0 times")


@pytest.fixture
def reports(context):
    with context.Pool(2) as pool:
        return pool.map_async(partial(measure, count_primes), LIMITS).get(LIMIT)


def test_exercise_2_accepts_either_cpu_clock_of_the_workers(reports):
    by_process = sum(report.process_cpu for report in reports)
    by_thread = sum(report.thread_cpu for report in reports)
    assert check.exercise_2(reports, by_process).right
    assert check.exercise_2(iter(reports), by_thread).right


def test_exercise_2_refuses_the_empty_answer():
    assert refused(check.exercise_2(None, None), "no answer yet")


def test_exercise_2_refuses_a_bill_that_is_not_added_up(reports):
    assert refused(check.exercise_2(reports, None), "no answer yet")


def test_exercise_2_refuses_time_on_the_wall(reports):
    total = sum(report.wall for report in reports)
    assert refused(check.exercise_2(reports, total), "time on the wall")


def test_exercise_2_refuses_bills_that_are_not_added_up(reports):
    bills = [report.process_cpu for report in reports]
    assert refused(check.exercise_2(reports, bills), "a single number")


def test_exercise_2_refuses_the_clock_of_the_notebook(reports):
    assert refused(check.exercise_2(reports, time.process_time()), "not the sum")


def test_exercise_2_refuses_the_work_of_the_notebook():
    reports = [measure(count_primes, limit) for limit in LIMITS]
    total = sum(report.process_cpu for report in reports)
    assert refused(check.exercise_2(reports, total), "notebook did the work")


def test_exercise_2_refuses_the_threads_of_the_notebook():
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(partial(measure, count_primes), LIMITS))
    total = sum(report.thread_cpu for report in reports)
    assert refused(check.exercise_2(reports, total), "notebook did the work")


def test_exercise_2_refuses_answers_without_a_report():
    answers = list(map(count_primes, LIMITS))
    assert refused(check.exercise_2(answers, 1.0), "what measure returns")


def test_exercise_2_refuses_reports_out_of_order(reports):
    assert refused(check.exercise_2(reports[::-1], 1.0), "in order")


def bench(average, in_turns=True):
    def medians(functions, rounds, clock):
        taken = {name: [] for name in functions}
        turns = list(functions) * rounds if in_turns else sorted([*functions] * rounds)
        for name in turns:
            start = clock()
            functions[name]()
            taken[name].append(clock() - start)
        return {name: average(seconds) for name, seconds in taken.items()}

    return medians


def test_exercise_3_accepts_medians_of_runs_in_turns():
    assert check.exercise_3(bench(median)).right


def test_exercise_3_accepts_our_own_bench():
    def medians(functions, rounds, clock):
        rows = compare(functions, rounds, clock).rows
        return {row.name: row.seconds for row in rows}

    assert check.exercise_3(medians).right


def test_exercise_3_accepts_rounds_that_go_back_and_forth():
    def medians(functions, rounds, clock):
        taken = {name: [] for name in functions}
        for number in range(rounds):
            for name in list(functions)[:: 1 - number % 2 * 2]:
                start = clock()
                functions[name]()
                taken[name].append(clock() - start)
        return {name: median(seconds) for name, seconds in taken.items()}

    assert check.exercise_3(medians).right


def test_exercise_3_refuses_the_empty_answer():
    assert refused(check.exercise_3(None), "no function yet")


def test_exercise_3_refuses_one_after_the_other():
    assert refused(check.exercise_3(bench(median, in_turns=False)), "all its runs")


@pytest.mark.parametrize("average", [mean, max, lambda seconds: seconds[-3]])
def test_exercise_3_refuses_what_one_busy_round_spoils(average):
    assert refused(check.exercise_3(bench(average)), "One busy round")


@pytest.mark.parametrize("average", [min, lambda seconds: seconds[0]])
def test_exercise_3_refuses_the_best_run(average):
    assert refused(check.exercise_3(bench(average)), "the best run")


def test_exercise_3_refuses_a_clock_of_ones_own():
    def medians(functions, rounds, clock):
        return bench(median)(functions, rounds, time.perf_counter)

    assert refused(check.exercise_3(medians), "were measured as")


def test_exercise_3_refuses_a_single_round():
    def medians(functions, rounds, clock):
        return bench(median)(functions, 1, clock)

    assert refused(check.exercise_3(medians), "2 runs, not 5 of each")


def test_exercise_3_refuses_a_number_of_rounds_of_ones_own():
    def medians(functions, rounds, clock):
        return bench(median)(functions, 5, clock)

    assert refused(check.exercise_3(medians), "10 runs, not 3 of each")


def test_exercise_3_accepts_another_timer():
    def medians(functions, rounds, clock):
        timers = {name: Timer(call, timer=clock) for name, call in functions.items()}
        turns = [{n: t.timeit(1) for n, t in timers.items()} for _ in range(rounds)]
        return {name: median(turn[name] for turn in turns) for name in functions}

    assert check.exercise_3(medians).right


@pytest.mark.parametrize("shape", [sorted, lambda found: list(found.values())])
def test_exercise_3_refuses_a_list_of_names_or_seconds(shape):
    def medians(functions, rounds, clock):
        return shape(bench(median)(functions, rounds, clock))

    assert refused(check.exercise_3(medians), "a dict")
