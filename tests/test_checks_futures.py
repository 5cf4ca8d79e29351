import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait
from functools import partial

import pytest
import tenacity

from lessons_src.checks import futures as check
from lessons_src.tools.patience import ask_patiently


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    # Only who is wrong waits for it, or a right answer on a very busy machine
    monkeypatch.setattr(check, "PATIENCE_SECONDS", 2)


def refused(verdict, why):
    return not verdict.right and why in verdict.why


# Exercise 1


def by_exception_or_result(pool, worker, tasks):
    futures = [pool.submit(worker, task) for task in tasks]
    return [future.exception() or future.result() for future in futures]


def by_except(pool, worker, tasks):
    row = []
    for future in [pool.submit(worker, task) for task in tasks]:
        try:
            row.append(future.result())
        except (Exception, SystemExit) as error:
            row.append(error)
    return row


def by_caught_in_worker(pool, worker, tasks):
    def catch(task):
        try:
            return worker(task)
        except BaseException as error:
            return error

    return pool.map(catch, tasks)


def by_numbers(pool, worker, tasks):
    futures = {pool.submit(worker, task): n for n, task in enumerate(tasks)}
    found = {}
    for future in as_completed(futures):
        found[futures[future]] = future.exception() or future.result()
    return tuple(found[number] for number in range(len(tasks)))


@pytest.mark.parametrize(
    "map_all",
    [by_exception_or_result, by_except, by_caught_in_worker, by_numbers],
)
def test_exercise_1_accepts(map_all):
    assert check.exercise_1(map_all).right


def in_a_loop(pool, worker, tasks):
    row = []
    for task in tasks:
        try:
            row.append(worker(task))
        except BaseException as error:
            row.append(error)
    return row


def by_turns(pool, worker, tasks):
    row = []
    for task in tasks:
        future = pool.submit(worker, task)
        row.append(future.exception() or future.result())
    return row


def as_they_come(pool, worker, tasks):
    futures = [pool.submit(worker, task) for task in tasks]
    return [each.exception() or each.result() for each in as_completed(futures)]


def without_the_exit(pool, worker, tasks):
    row = []
    for future in [pool.submit(worker, task) for task in tasks]:
        try:
            row.append(future.result())
        except Exception as error:
            row.append(error)
    return row


def in_a_pool_of_ones_own(pool, worker, tasks):
    with ThreadPoolExecutor(5) as mine:
        return by_exception_or_result(mine, worker, tasks)


def changed(change):
    return lambda *given: change(by_exception_or_result(*given))


@pytest.mark.parametrize(
    ("map_all", "why"),
    [
        (lambda pool, worker, tasks: None, "no answer yet"),
        (lambda pool, worker, tasks: [], "should give 5 entries, not 0"),
        (lambda pool, worker, tasks: list(pool.map(worker, tasks)), "ValueError"),
        (in_a_loop, "asked a station itself"),
        (in_a_pool_of_ones_own, "Not all tasks ran in `pool`"),
        (by_turns, "took turns"),
        (without_the_exit, "SystemExit"),
        (changed(lambda row: None), "the type NoneType"),
        (changed(lambda row: dict(zip(check.ROW, row, strict=True))), "the type dict"),
        (changed(lambda row: row[::-1]), "In the place of 'bay' stands 30"),
        (changed(lambda row: row[:2] + row[4:]), "should give 5 entries, not 3"),
        (changed(lambda row: [*row[:2], None, *row[3:]]), "'atlantis' stands None"),
        (changed(lambda row: list(map(str, row))), "In the place of 'bay' stands '15'"),
        (
            changed(lambda row: [*row[:2], *map(repr, row[2:4]), row[4]]),
            "In the place of 'atlantis'",
        ),
        (
            lambda pool, worker, tasks: [pool.submit(worker, task) for task in tasks],
            "futures in your list",
        ),
        (lambda pool, worker, tasks: [pool.submit(worker(tasks[0]))], "itself"),
        (lambda pool, worker, tasks: pool.submit(worker, tasks).result(), "one task"),
    ],
)
def test_exercise_1_refuses(map_all, why):
    assert refused(check.exercise_1(map_all), why)


# Exercise 2


def by_as_completed(pool, worker, stations):
    futures = [pool.submit(worker, station) for station in stations]
    for future in as_completed(futures):
        if future.exception() is None:
            for other in futures:
                other.cancel()
            return future.result()
    return None


def by_shutdown(pool, worker, stations):
    futures = [pool.submit(worker, station) for station in stations]
    for future in as_completed(futures):
        try:
            answer = future.result()
        except ConnectionError:
            continue
        pool.shutdown(wait=False, cancel_futures=True)
        return answer
    return None


def by_wait(pool, worker, stations):
    waiting = {pool.submit(worker, station) for station in stations}
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        if good := [each for each in done if not each.exception()]:
            for other in waiting:
                other.cancel()
            return good[0].result()
    return None


@pytest.mark.parametrize("first_answer", [by_as_completed, by_shutdown, by_wait])
def test_exercise_2_accepts(first_answer):
    assert check.exercise_2(first_answer).right


def without_cancel(pool, worker, stations):
    futures = [pool.submit(worker, station) for station in stations]
    return next(f.result() for f in as_completed(futures) if not f.exception())


def by_shutdown_that_waits(pool, worker, stations):
    with pool:
        return without_cancel(pool, worker, stations)


def in_order(pool, worker, stations):
    futures = [pool.submit(worker, station) for station in stations]
    answers = [future.result() for future in futures if not future.exception()]
    return answers[0]


def the_very_first(pool, worker, stations):
    futures = [pool.submit(worker, station) for station in stations]
    return next(as_completed(futures)).result()


def its_future(pool, worker, stations):
    futures = [pool.submit(worker, station) for station in stations]
    return next(each for each in as_completed(futures) if not each.exception())


def its_error(pool, worker, stations):
    futures = [pool.submit(worker, station) for station in stations]
    return next(as_completed(futures)).exception()


@pytest.mark.parametrize(
    ("first_answer", "why"),
    [
        (lambda pool, worker, stations: None, "no answer yet"),
        (without_cancel, "4 stations that you did not need"),
        (in_order, "waited for a station that is slow"),
        (lambda pool, worker, s: next(pool.map(worker, s)), "waited for a station"),
        (lambda pool, worker, s: worker(s[0]), "waited for a station"),
        (by_shutdown_that_waits, "waited for a station"),
        (the_very_first, "ConnectionError: ill is down"),
        (its_future, "returned a future"),
        (its_error, "not ConnectionError('ill is down')"),
        (lambda pool, worker, s: pool.submit(worker, s).result(), "one task"),
    ],
)
def test_exercise_2_refuses(first_answer, why):
    assert refused(check.exercise_2(first_answer), why)


# Exercise 3


def kindly(line, sleep, **changed):
    settings = {
        "retry": tenacity.retry_if_exception_type(ConnectionError),
        "stop": tenacity.stop_after_attempt(5),
        "wait": tenacity.wait_exponential(multiplier=0.02, max=0.1),
        "sleep": sleep,
        "reraise": True,
    }
    return tenacity.Retrying(**settings | changed)(line.ask)


def by_hand(line, sleep):
    pause = 0.02
    for _ in range(4):
        try:
            return line.ask()
        except ConnectionError:
            sleep(pause)
            pause = min(2 * pause, 0.1)
    return line.ask()


def by_the_lessons_own(line, sleep):
    five = tenacity.stop_after_attempt(5)
    growing = tenacity.wait_exponential(multiplier=0.02, max=0.1)
    ask = ask_patiently.retry_with(stop=five, wait=growing, sleep=sleep)
    return ask(line)


def by_decorator(line, sleep):
    @tenacity.retry(
        retry=tenacity.retry_if_not_exception_type(ValueError),
        stop=tenacity.stop_after_attempt(5),
        wait=tenacity.wait_exponential(multiplier=0.02, max=0.1),
        sleep=sleep,
        reraise=True,
    )
    def ask():
        return line.ask()

    return ask()


@pytest.mark.parametrize(
    "ask_kindly", [kindly, by_hand, by_decorator, by_the_lessons_own]
)
def test_exercise_3_accepts(ask_kindly):
    assert check.exercise_3(ask_kindly).right


@pytest.mark.parametrize(
    ("ask_kindly", "why"),
    [
        (lambda line, sleep: None, "no answer yet"),
        (lambda line, sleep: line.ask(), "was asked 1 times, not 5"),
        (lambda line, sleep: line.ask() and None, "should give its reading"),
        (lambda line, sleep: line, "should give its reading"),
        (partial(kindly, retry=tenacity.retry_if_exception_type()), "asked 5 times"),
        (partial(kindly, stop=tenacity.stop_after_attempt(4)), "4 times, not 5"),
        (partial(kindly, reraise=False), "came a RetryError"),
        (lambda line, sleep: kindly(line, lambda pause: None), "No pause went"),
        (
            partial(kindly, wait=tenacity.wait_fixed(0.02)),
            "Your pauses are 0.02, 0.02, 0.02, 0.02",
        ),
        (
            partial(kindly, wait=tenacity.wait_exponential(0.02)),
            "Your pauses are 0.02, 0.04, 0.08, 0.16; they should be 0.02",
        ),
        (partial(kindly, wait=tenacity.wait_none()), "Your pauses are 0, 0, 0, 0"),
        (lambda line, sleep: kindly(line, sleep) and sleep(1), "give its reading"),
        (lambda line: line.ask(), "TypeError"),
    ],
)
def test_exercise_3_refuses(ask_kindly, why):
    assert refused(check.exercise_3(ask_kindly), why)


def after_each_try(line, sleep):
    """Pause after the last try, too, which is in vain."""
    try:
        return by_hand(line, sleep)
    except ConnectionError:
        sleep(0.1)
        raise


def swallow(line, sleep):
    try:
        return kindly(line, sleep)
    except ValueError:
        return None


def late(line, sleep):
    found = kindly(line, sleep)
    return found if found.tries == 1 else None


def for_ever(line, sleep):
    while True:
        try:
            return line.ask()
        except Exception:
            sleep(0.02)


def without_a_limit(line, sleep):
    return kindly(line, sleep, stop=tenacity.stop_never)


@pytest.mark.parametrize(
    ("ask_kindly", "why"),
    [
        (for_ever, "atlantis, which does not exist, was asked for ever"),
        (
            lambda line, sleep: tenacity.Retrying(sleep=sleep)(line.ask),
            "atlantis, which does not exist, was asked for ever",
        ),
        (without_a_limit, "dune, which is busy, was asked for ever"),
        (after_each_try, "5 tries have 4 pauses between them, not"),
        (swallow, "For atlantis came a NoneType"),
        (late, "third try brought a reading"),
    ],
)
def test_exercise_3_refuses_what_is_nearly_right(ask_kindly, why):
    assert refused(check.exercise_3(ask_kindly), why)


def test_a_busy_machine_does_no_harm():
    def slow_to_submit(pool, worker, tasks):
        futures = []
        for task in tasks:
            futures.append(pool.submit(worker, task))
            time.sleep(0.2)
        return [future.exception() or future.result() for future in futures]

    assert check.exercise_1(slow_to_submit).right
