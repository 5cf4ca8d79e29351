import os
import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from time import monotonic

import pytest

from lessons_src.checks import threads as check
from lessons_src.threads import in_threads, keep_outcome, make_calls, put_answer
from lessons_src.tools.chunks import merge_lists, split_list
from lessons_src.tools.naps import take_nap
from lessons_src.tools.timeline import Span

HERE = os.getpid()


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(check, "PATIENCE_SECONDS", 2)
    monkeypatch.setattr(check, "BUSY", 3)


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def spans(times, process=HERE, thread=None):
    return {
        host: Span(process, thread or number, host, *time)
        for number, (host, time) in enumerate(zip(check.HOSTS, times, strict=True), 1)
    }


AT_ONCE, BY_TURNS = [(0, 2), (0, 2), (1, 3)], [(0, 1), (1, 2), (2, 3)]


def test_exercise_1_accepts_threads_that_were_started_together():
    three = make_calls(dict.fromkeys(check.HOSTS, 1), 0.5)
    answers = {answer.task: answer for answer in in_threads(take_nap, three)}
    assert check.exercise_1(answers).right


def test_exercise_1_accepts_a_pool_and_any_order():
    assert check.exercise_1(dict(reversed(spans(AT_ONCE).items()))).right


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (None, "no answer yet"),
        ({}, "no answer of oslo"),
        (list(spans(AT_ONCE).values()), "a dict. Yours has the type list"),
        ({"oslo": spans(AT_ONCE)["oslo"]}, "no answer of rome"),
        (spans(AT_ONCE) | {"quito": 1}, "one answer for each"),
        (dict.fromkeys(check.HOSTS, spans(AT_ONCE)["oslo"]), "its own"),
        (spans(AT_ONCE, process=HERE + 1), "by other processes"),
        (spans(BY_TURNS), "took turns"),
        (spans(BY_TURNS, thread=7), "a thread of its own"),
        (dict.fromkeys(check.HOSTS), "what take_nap returns"),
        (dict.fromkeys(check.HOSTS, "OSLO"), "what take_nap returns"),
        (dict.fromkeys(make_calls({"oslo": 2}, 1)), "are the calls, not the hosts"),
        (5, "a dict. Yours has the type int"),
    ],
)
def test_exercise_1_refuses(answers, why):
    assert refused(check.exercise_1(answers), why)


def test_exercise_1_refuses_what_two_loops_did_not_make():
    answers = {}
    for call in make_calls(dict.fromkeys(check.HOSTS, 1), 0.01):
        thread = Thread(target=put_answer, args=(answers, take_nap, call))
        thread.start()
        thread.join()
    by_host = {call.name: span for call, span in answers.items()}
    assert refused(check.exercise_1(by_host), "took turns")


# Several right ways to call in halves


def halves_in_threads(worker, tasks):
    def call_half(half):
        return [worker(task) for task in half]

    return merge_lists(in_threads(call_half, split_list(tasks, 2)))


def halves_in_a_pool(worker, tasks):
    middle = (len(tasks) + 1) // 2
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(
            lambda half: list(map(worker, half)), [tasks[:middle], tasks[middle:]]
        )
        return merge_lists(parts)


def halves_like_a_zip(worker, tasks):
    answers = [None] * len(tasks)

    def call(first):
        for number in range(first, len(tasks), 2):
            answers[number] = worker(tasks[number])

    threads = [Thread(target=call, args=(first,), daemon=True) for first in (1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tuple(answers)


@pytest.mark.parametrize(
    "function", [halves_in_threads, halves_in_a_pool, halves_like_a_zip]
)
def test_exercise_2_accepts(function):
    verdict = check.exercise_2(function)
    assert verdict.right, verdict


# Likely wrong ways


def nothing(worker, tasks): ...


def a_loop(worker, tasks):
    return [worker(task) for task in tasks]


def start_halves(worker, tasks, join, cut=3, results=None):
    """The article's way: a shared list, threads, and some kind of join."""
    results = [] if results is None else results

    def call(half):
        for task in half:
            results.append(worker(task))

    threads = [
        Thread(target=call, args=(half,), daemon=True)
        for half in (tasks[:cut], tasks[cut:])
    ]
    for thread in threads:
        thread.start()
        if join == "in the loop":
            thread.join()
    if join == "last":
        thread.join()
    if join == "all":
        for thread in threads:
            thread.join()
    return results


def joins_the_last(worker, tasks):
    return start_halves(worker, tasks, "last")


def joins_in_the_loop(worker, tasks):
    return start_halves(worker, tasks, "in the loop")


def joins_none(worker, tasks):
    return start_halves(worker, tasks, None)


def as_they_come(worker, tasks):
    return start_halves(worker, tasks, "all")


def loses_the_middle(worker, tasks):
    return start_halves(worker, tasks[:3] + tasks[4:], "all")


def one_and_six(worker, tasks):
    return sorted(start_halves(worker, tasks, "all", cut=1))


def a_thread_each(worker, tasks):
    return in_threads(worker, tasks)


def half_by_itself(worker, tasks):
    thread_part = []
    thread = Thread(target=lambda: thread_part.extend(map(worker, tasks[3:])))
    thread.start()
    mine = [worker(task) for task in tasks[:3]]
    thread.join()
    return mine + thread_part


def loses_an_error(worker, tasks):
    answers = halves_in_threads(worker, tasks)
    thread = Thread(target=worker)
    thread.start()
    thread.join()
    return answers


def returns_nothing(worker, tasks):
    halves_in_threads(worker, tasks)


def two_lists(worker, tasks):
    return in_threads(lambda half: list(map(worker, half)), split_list(tasks, 2))


def a_dict(worker, tasks):
    return dict(zip(tasks, halves_in_threads(worker, tasks), strict=True))


def whole_halves(worker, tasks):
    return in_threads(worker, split_list(tasks, 2))


def forgets_the_comma(worker, tasks):
    for half in split_list(tasks, 2):
        thread = Thread(target=lambda half: list(map(worker, half)), args=half)
        thread.start()
        thread.join()


def raises(worker, tasks):
    raise KeyError("mine")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (None, "cannot use your answer"),
        (nothing, "no answer yet"),
        (a_loop, "had to wait for the other"),
        (joins_in_the_loop, "had to wait for the other"),
        (as_they_come, "not in the order"),
        (loses_the_middle, "Of 7 answers you lost 1, such as D"),
        (two_lists, "lists in your list"),
        (a_dict, "returned a dict"),
        (whole_halves, "error. TypeError: the worker wants one task, not ['a', 'b'"),
        (forgets_the_comma, "but 3 were given"),
        (one_and_six, "1 and 6 tasks"),
        (a_thread_each, "1 and 1 and 1"),
        (half_by_itself, "made some of the calls itself"),
        (loses_an_error, "ended with an error. TypeError"),
        (returns_nothing, "returned None"),
        (raises, "KeyError: 'mine'"),
        (lambda worker, tasks: 5, "cannot use your answer"),
    ],
)
def test_exercise_2_refuses(function, why):
    verdict = check.exercise_2(function)
    assert refused(verdict, why), verdict


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (joins_the_last, "you lost 3, such as A"),
        (joins_none, ", such as A"),
    ],
)
def test_exercise_2_refuses_who_does_not_wait(function, why, monkeypatch):
    # However late a busy machine lets the function return
    monkeypatch.setattr(check, "HEAD_START_SECONDS", 30)
    verdict = check.exercise_2(function)
    assert refused(verdict, why), verdict


def start(worker, tasks, daemon=False):
    answers, errors, threads = {}, {}, {}
    for task in tasks:
        args = answers, errors, worker, task
        threads[task] = Thread(target=keep_outcome, args=args, daemon=daemon)
        threads[task].start()
    return answers, errors, threads


def asks_the_threads(worker, tasks, limit):
    answers, errors, threads = start(worker, tasks, daemon=True)
    for thread in threads.values():
        thread.join(limit)
    return answers, errors, [task for task in tasks if threads[task].is_alive()]


def asks_the_dicts(worker, tasks, limit):
    answers, errors, threads = start(worker, tasks)
    for thread in threads.values():
        thread.join(limit)
    return [answers, errors, set(tasks) - answers.keys() - errors.keys()]


def asks_a_pool(worker, tasks, limit):
    pool = ThreadPoolExecutor(len(tasks))
    futures = {task: pool.submit(worker, task) for task in tasks}
    answers, errors, late = {}, {}, []
    for task, future in futures.items():
        try:
            answers[task] = future.result(limit)
        except TimeoutError:
            late.append(task)
        except ConnectionError as error:
            errors[task] = error
    pool.shutdown(wait=False)
    return answers, errors, late


def waits_till_the_limit(worker, tasks, limit):
    answers, errors, threads = start(worker, tasks)
    end = monotonic() + limit
    for thread in threads.values():
        thread.join(max(0, end - monotonic()))
    return answers, errors, (task for task in tasks if threads[task].is_alive())


@pytest.mark.parametrize(
    "function", [asks_the_threads, asks_the_dicts, asks_a_pool, waits_till_the_limit]
)
def test_exercise_3_accepts(function):
    verdict = check.exercise_3(function)
    assert verdict.right, verdict


def on_a_busy_machine(limits):
    """Return a function that sees no call end within the first of its `limits`."""

    def collect(worker, tasks, limit):
        limits.append(limit)
        if len(limits) == 1:
            return {}, {}, tasks
        return asks_the_threads(worker, tasks, limit)

    return collect


def test_exercise_3_gives_a_busy_machine_a_longer_limit():
    limits = []
    verdict = check.exercise_3(on_a_busy_machine(limits))
    assert verdict.right, verdict
    assert limits == [check.LIMIT_SECONDS, check.LIMIT_SECONDS * check.BUSY]


def joins_each_at_once(worker, tasks, limit):
    answers, errors, late = {}, {}, []
    for task in tasks:
        args = answers, errors, worker, task
        thread = Thread(target=keep_outcome, args=args, daemon=True)
        thread.start()
        thread.join(limit)
        late += [task] if thread.is_alive() else []
    return answers, errors, late


def names_threads(worker, tasks, limit):
    answers, errors, threads = start(worker, tasks)
    for thread in threads.values():
        thread.join(limit)
    return answers, errors, [each for each in threads.values() if each.is_alive()]


def waits_for_all(worker, tasks, limit):
    answers, errors, threads = start(worker, tasks)
    for thread in threads.values():
        thread.join()
    return answers, errors, []


def trusts_join(worker, tasks, limit):
    answers, errors, threads = start(worker, tasks)
    late = [task for task in tasks if not threads[task].join(limit)]
    return answers, errors, late


def trusts_join_the_other_way(worker, tasks, limit):
    answers, errors, threads = start(worker, tasks)
    late = [task for task in tasks if threads[task].join(limit)]
    return answers, errors, late


def does_not_catch(worker, tasks, limit):
    answers, threads = {}, {}
    for task in tasks:
        threads[task] = Thread(target=put_answer, args=(answers, worker, task))
        threads[task].start()
    for thread in threads.values():
        thread.join(limit)
    return answers, {}, [task for task in tasks if threads[task].is_alive()]


def takes_errors_for_late(worker, tasks, limit):
    answers, _, _ = asks_the_threads(worker, tasks, limit)
    return answers, {}, [task for task in tasks if task not in answers]


def forgets_the_late(worker, tasks, limit):
    return asks_the_threads(worker, tasks, limit)[:2]


def loses_an_answer(worker, tasks, limit):
    answers, errors, late = asks_the_threads(worker, tasks, limit)
    return {"oslo": answers["oslo"]}, errors, late


def calls_itself(worker, tasks, limit):
    answers, errors = {}, {}
    for task in tasks:
        keep_outcome(answers, errors, worker, task)
    return answers, errors, []


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (None, "cannot use your answer"),
        (lambda worker, tasks, limit: None, "no answer yet"),
        (lambda worker, tasks, limit: ({}, {}, []), "those of oslo and of rome"),
        (waits_for_all, "waited for cairo"),
        (calls_itself, "waited for cairo"),
        (joins_each_at_once, "took turns"),
        (names_threads, "In yours are threads"),
        (trusts_join, "answered in time, and you call them late"),
        (trusts_join_the_other_way, "should be cairo"),
        (does_not_catch, "ended with an error. ConnectionError: lima is down"),
        (takes_errors_for_late, "should be that of lima"),
        (forgets_the_late, "three things"),
        (loses_an_answer, "those of oslo and of rome"),
        (lambda *given: 5, "three things"),
        (lambda *given: asks_the_threads(*given) and None, "returned None"),
    ],
)
def test_exercise_3_refuses(function, why):
    verdict = check.exercise_3(function)
    assert refused(verdict, why), verdict


@pytest.mark.parametrize("exercise", [check.exercise_2, check.exercise_3])
def test_the_hook_for_errors_in_threads_is_as_before(exercise):
    before = threading.excepthook
    exercise(raises)
    assert threading.excepthook is before
