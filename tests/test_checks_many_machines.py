from functools import partial
from itertools import islice
from multiprocessing import get_context

import pytest
from distributed import as_completed, wait

from lessons_src.checks import many_machines as check
from lessons_src.many_machines import local_cluster


@pytest.fixture(scope="module")
def client():
    with local_cluster(2, get_context("spawn")) as client:
        yield client


@pytest.fixture
def impatient(monkeypatch):
    # For those who let the first task wait in vain; the others need their time
    monkeypatch.setattr(check, "PATIENCE_SECONDS", 0.2)


def refused(verdict, why):
    return not verdict.right and why in repr(verdict)


# Exercise 1


def by_submit(client, roll, count):
    return client.gather([client.submit(roll, pure=False) for _ in range(count)])


def by_executor(client, roll, count):
    with client.get_executor(pure=False) as pool:
        return [each.result() for each in [pool.submit(roll) for _ in range(count)]]


def by_map(client, roll, count):
    return client.gather(client.map(lambda _: roll(), range(count)))


def by_keys(client, roll, count):
    rolls = [client.submit(roll, key=f"roll {n}") for n in range(count)]
    return (future.result() for future in as_completed(rolls))


def one_by_one(client, roll, count):
    return [client.submit(roll, pure=False).result() for _ in range(count)]


@pytest.mark.parametrize(
    "roll_all", [by_submit, by_executor, by_map, by_keys, one_by_one]
)
def test_exercise_1_accepts(client, roll_all):
    verdict = check.exercise_1(client, roll_all)
    assert verdict.right, verdict


def purely(client, roll, count):
    return client.gather([client.submit(roll) for _ in range(count)])


def as_futures(client, roll, count):
    futures = [client.submit(roll, pure=False) for _ in range(count)]
    wait(futures)
    return futures


@pytest.mark.parametrize(
    ("roll_all", "why"),
    [
        (lambda client, roll, count: None, "no answer yet"),
        (purely, "rolled once, not 6 times"),
        (lambda client, roll, count: [roll() for _ in range(count)], "itself"),
        (lambda *given: by_submit(*given)[0], "a list of all 6"),
        (lambda *given: by_submit(*given)[:5], "a list of all 6"),
        (lambda *given: by_submit(*given) and None, "a list of all 6"),
        (lambda client, roll, count: by_submit(client, roll, 7), "7 times, not 6"),
        (as_futures, "You return a future"),
    ],
)
def test_exercise_1_refuses(client, roll_all, why):
    verdict = check.exercise_1(client, roll_all)
    assert refused(verdict, why), verdict


# Exercise 2


def by_scatter(client, look_up, atlas, stations):
    there = client.scatter(atlas)
    return client.gather([client.submit(look_up, there, name) for name in stations])


def by_broadcast(client, look_up, atlas, stations):
    there = client.scatter(atlas, broadcast=True)
    return client.gather(client.map(look_up, [there] * len(stations), stations))


def in_one_task(client, look_up, atlas, stations):
    def look_up_many(atlas, stations):
        return [look_up(atlas, station) for station in stations]

    return client.submit(look_up_many, atlas, stations).result()


@pytest.mark.parametrize("look_up_all", [by_scatter, by_broadcast, in_one_task])
def test_exercise_2_accepts(client, look_up_all):
    verdict = check.exercise_2(client, look_up_all)
    assert verdict.right, verdict


def with_each(client, look_up, atlas, stations):
    tasks = [client.submit(look_up, atlas, name, pure=False) for name in stations]
    return client.gather(tasks)


def at_home(client, look_up, atlas, stations):
    return [look_up(atlas, station) for station in stations]


def scattered_futures(client, look_up, atlas, stations):
    there = client.scatter(atlas)
    return [client.submit(look_up, there, name) for name in stations]


@pytest.mark.parametrize(
    ("look_up_all", "why"),
    [
        (lambda client, look_up, atlas, stations: None, "no answer yet"),
        (with_each, "unpacked 8 times, and there are 2 workers"),
        (at_home, "itself"),
        (scattered_futures, "You return a future"),
        (lambda *given: by_scatter(*given)[::-1], "The degrees should be"),
        (lambda *given: set(by_scatter(*given)), "The degrees should be"),
        (lambda client, look_up: None, "TypeError"),
    ],
)
def test_exercise_2_refuses(client, look_up_all, why):
    verdict = check.exercise_2(client, look_up_all)
    assert refused(verdict, why), verdict


# Exercise 3


def by_add(client, worker, tasks, size):
    submit = partial(client.submit, worker, pure=False)
    window = as_completed(map(submit, islice(tasks, size)))
    for future in window:
        yield future.result()
        for task in islice(tasks, 1):
            window.add(submit(task))


def by_wait(client, worker, tasks, size):
    waiting = {client.submit(worker, task) for task in islice(tasks, size)}
    answers = []
    while waiting:
        done, waiting = wait(waiting, return_when="FIRST_COMPLETED")
        answers += client.gather(list(done))
        waiting |= {client.submit(worker, task) for task in islice(tasks, len(done))}
    return answers


@pytest.mark.parametrize("run_in_window", [by_add, by_wait])
def test_exercise_3_accepts(client, run_in_window):
    verdict = check.exercise_3(client, run_in_window)
    assert verdict.right, verdict


def all_at_once(client, worker, tasks, size):
    return client.gather(client.map(worker, list(tasks)))


def in_turn(client, worker, tasks, size):
    return [client.submit(worker, task).result() for task in tasks]


def in_batches(client, worker, tasks, size):
    answers = []
    while batch := list(islice(tasks, size)):
        answers += client.gather(client.map(worker, batch))
    return answers


def one_too_many(client, worker, tasks, size):
    return by_add(client, worker, tasks, size + 1)


def without_the_last(client, worker, tasks, size):
    return list(by_add(client, worker, tasks, size))[:-1]


@pytest.mark.parametrize(
    ("run_in_window", "why"),
    [
        (lambda client, worker, tasks, size: None, "no answer yet"),
        (all_at_once, "tasks were on their way at once"),
        (one_too_many, "3 tasks were on their way at once"),
        (without_the_last, "a list of 8 answers"),
        (lambda c, worker, tasks, size: [worker(task) for task in tasks], "itself"),
        (lambda *given: list(by_add(*given)) and None, "a list of 8 answers"),
    ],
)
def test_exercise_3_refuses(client, run_in_window, why):
    verdict = check.exercise_3(client, run_in_window)
    assert refused(verdict, why), verdict


def test_exercise_3_asks_for_enough_workers(client, monkeypatch):
    monkeypatch.setattr(check, "SIZE", 3)
    verdict = check.exercise_3(client, by_add)
    assert refused(verdict, "This needs 3 workers; yours: 2."), verdict


@pytest.mark.parametrize("run_in_window", [in_turn, in_batches])
def test_exercise_3_refuses_who_waits_for_a_slow_task(client, run_in_window, impatient):
    verdict = check.exercise_3(client, run_in_window)
    assert refused(verdict, "meanwhile you handed in nothing"), verdict
