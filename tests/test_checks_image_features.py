import queue
import threading

import numpy as np
import pytest

from lessons_src.checks import image_features as check
from lessons_src.image_features import workers_that_fit


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def by_key(pairs):
    in_order = sorted(pairs, key=lambda pair: pair[0])
    return np.concatenate([rows for _, rows in in_order])


def by_dict(pairs):
    rows = dict(pairs)
    return np.vstack([rows[number] for number in range(len(rows))])


def by_place(pairs):
    found = list(pairs)
    places = [None] * len(found)
    for number, rows in found:
        places[number] = rows
    return np.concatenate(places)


def in_place(pairs):
    pairs.sort(key=lambda pair: pair[0])
    return np.array([row for _, rows in pairs for row in rows])


@pytest.mark.parametrize("merge", [by_key, by_dict, by_place, in_place])
def test_exercise_1_accepts_rows_in_order(merge):
    verdict = check.exercise_1(merge)
    assert verdict.right, verdict


def as_they_came(pairs):
    return np.concatenate([rows for _, rows in pairs])


def by_number_as_text(pairs):
    in_order = sorted(pairs, key=lambda pair: str(pair[0]))
    return np.concatenate([rows for _, rows in in_order])


def by_rows(pairs):
    in_order = sorted((rows for _, rows in pairs), key=lambda rows: rows[0, 0])
    return np.concatenate(in_order)


def backwards(pairs):
    return by_key(pairs)[::-1]


@pytest.mark.parametrize(
    ("merge", "why"),
    [
        (lambda pairs: None, "no answer yet"),
        (None, "cannot use your answer"),
        (sorted, ""),
        (as_they_came, "not in the order"),
        (by_number_as_text, "not in the order"),
        (by_rows, "not in the order"),
        (backwards, "not in the order"),
        (lambda pairs: by_key(list(pairs)[1:]), "the shape (11, 2)"),
        (lambda pairs: [rows for _, rows in pairs], "the type list"),
        (lambda pairs: by_key(pairs).ravel(), "the shape (11, 2)"),
    ],
)
def test_exercise_1_refuses(merge, why):
    verdict = check.exercise_1(merge)
    assert refused(verdict, why), verdict


def search(cores, free, each):
    best = (0, 0)
    for workers in range(1, workers_that_fit(free, each, cores) + 1):
        threads = cores // workers
        if workers * threads >= best[0] * best[1]:
            best = (workers, threads)
    return best


def all_pairs(cores, free, each):
    plans = [
        (workers * threads, workers, threads)
        for workers in range(cores + 1)
        for threads in range(cores + 1)
        if workers * threads <= cores and workers * each <= free
    ]
    return max(plans)[1:]


def as_list(cores, free, each):
    return list(check.best_plan(cores, free // each))


def by_divisors(cores, free, each):
    fitting = [n for n in range(1, cores + 1) if cores % n == 0 and n * each <= free]
    workers = np.max(fitting) if fitting else 0
    return workers, cores // workers if workers else 0


@pytest.mark.parametrize("plan", [search, all_pairs, as_list, by_divisors])
def test_exercise_2_accepts_the_best_plan(plan):
    verdict = check.exercise_2(plan)
    assert verdict.right, verdict


def test_the_best_plan_is_that_of_a_search_of_all_pairs():
    for cores, free, each in check.MACHINES:
        workers, threads = all_pairs(cores, free, each)
        if workers:
            assert check.best_plan(cores, free // each) == (workers, threads)


def workers_first(cores, free, each):
    workers = min(cores, free // each)
    return (workers, cores // workers) if workers else (0, 0)


def fewest_workers(cores, free, each):
    best = (0, 0)
    for workers in range(1, min(cores, free // each) + 1):
        if workers * (cores // workers) > best[0] * best[1]:
            best = (workers, cores // workers)
    return best


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (lambda cores, free, each: None, "no answer yet"),
        (lambda cores, free, each: cores, "two whole numbers"),
        (lambda cores, free, each: (1.0, 1), "two whole numbers"),
        (lambda cores, free, each: (-1, -cores), "two whole numbers"),
        (lambda cores, free, each: (cores, 1), "do not fit into the memory"),
        (lambda cores, free, each: (min(1, free // each), cores + 1), "too many"),
        (lambda cores, free, each: (min(cores, free // each), 1), "cores idle"),
        (lambda cores, free, each: (0, 0), "cores idle"),
        (workers_first, "cores idle"),
        (fewest_workers, "with more workers"),
        (lambda cores, free, each: (1, 1), "do not fit"),
    ],
)
def test_exercise_2_refuses(plan, why):
    verdict = check.exercise_2(plan)
    assert refused(verdict, why), verdict


def with_finally(devices, work, task):
    device = devices.get()
    try:
        return work(task, device)
    finally:
        devices.put(device)


def with_except(devices, work, task):
    device = devices.get(timeout=5)
    try:
        answer = work(task, device)
    except BaseException:
        devices.put(device)
        raise
    devices.put(device)
    return answer


def in_a_loop(devices, work, task):
    while True:
        try:
            device = devices.get_nowait()
        except queue.Empty:
            threading.Event().wait(0.001)
            continue
        try:
            return work(task, device)
        finally:
            devices.put(device)


@pytest.mark.parametrize("borrow", [with_finally, with_except, in_a_loop])
def test_exercise_3_accepts_a_device_that_comes_back(borrow):
    verdict = check.exercise_3(borrow)
    assert verdict.right, verdict


def keeps(devices, work, task):
    return work(task, devices.get())


def keeps_and_asks_for_ever(devices, work, task):
    while True:
        try:
            return work(task, devices.get_nowait())
        except queue.Empty:
            threading.Event().wait(0.001)


def forgets_after_an_error(devices, work, task):
    device = devices.get()
    answer = work(task, device)
    devices.put(device)
    return answer


def returns_too_early(devices, work, task):
    device = devices.get()
    devices.put(device)
    return work(task, device)


def takes_none(devices, work, task):
    return work(task, 0)


def takes_its_own_number(devices, work, task):
    device = devices.get()
    try:
        return work(task, task)
    finally:
        devices.put(device)


def returns_twice(devices, work, task):
    device = devices.get()
    try:
        return work(task, device)
    finally:
        devices.put(device)
        devices.put(device)


def swallows(devices, work, task):
    device = devices.get()
    try:
        return work(task, device)
    except KeyError:
        return None
    finally:
        devices.put(device)


def tries_again(devices, work, task):
    for last in (False, True):
        device = devices.get()
        try:
            return work(task, device)
        except KeyError:
            if last:
                raise
        finally:
            devices.put(device)


def returns_the_device(devices, work, task):
    device = devices.get()
    try:
        work(task, device)
        return device
    finally:
        devices.put(device)


@pytest.mark.parametrize(
    ("borrow", "why"),
    [
        (lambda devices, work, task: None, "no answer yet"),
        (None, "no answer yet"),
        (returns_too_early, "same device at once"),
        (takes_none, "same device at once"),
        (takes_its_own_number, "was given the device"),
        (returns_twice, ""),
        (swallows, "should come out"),
        (tries_again, "should run once"),
        (returns_the_device, "should return 'task"),
    ],
)
def test_exercise_3_refuses(borrow, why):
    verdict = check.exercise_3(borrow)
    assert refused(verdict, why), verdict


@pytest.mark.parametrize(
    "borrow", [keeps, keeps_and_asks_for_ever, forgets_after_an_error]
)
def test_exercise_3_ends_where_a_device_is_lost(borrow, monkeypatch):
    monkeypatch.setattr(check, "PATIENCE_SECONDS", 0.2)
    verdict = check.exercise_3(borrow)
    assert refused(verdict, "in vain"), verdict
