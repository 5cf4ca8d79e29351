import asyncio
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from lessons_src.checks import gil_and_scaling as check
from lessons_src.gil_and_scaling import amdahl, serial_share
from lessons_src.gil_and_scaling_sharing import (
    by_shared_memory,
    cut,
    sum_mapped,
    sum_numbers,
    sum_shared,
)


def refused(verdict, why):
    return not verdict.right and why in verdict.why


# Exercise 1


def by_the_laws(speed_up, workers, more):
    return amdahl(serial_share(speed_up, workers), more)


def by_hand(speed_up, workers, more):
    # seconds(n) = alone + shared / n, of a program that takes one second
    shared = (1 - 1 / speed_up) / (1 - 1 / workers)
    return np.float64(1 / (1 - shared + shared / more))


@pytest.mark.parametrize("expect", [by_the_laws, by_hand])
def test_exercise_1_accepts(expect):
    assert check.exercise_1(expect).right


@pytest.mark.parametrize(
    ("expect", "why"),
    [
        (lambda s, w, m: None, "no answer yet"),
        (lambda s, w, m: s * m / w, "as if all could be shared"),
        (lambda s, w, m: m, "it should be"),
        (lambda s, w, m: amdahl(1 - s / w, m), "it should be"),
        (lambda s, w, m: serial_share(s, w), "it should be"),
        (lambda s, w, m: f"{by_the_laws(s, w, m):.1f}", "not a number"),
        (lambda s, w, m: s / 0, "ZeroDivisionError"),
        (lambda s: s, "TypeError"),
    ],
)
def test_exercise_1_rejects(expect, why):
    assert refused(check.exercise_1(expect), why)


# Exercise 2


def by_plan(pool, array, parts):
    with by_shared_memory(array, parts) as plan:
        return sum(pool.map(plan.worker, plan.tasks))


def by_block_of_ones_own(pool, array, parts):
    memory = SharedMemory(create=True, size=array.nbytes)
    block = np.ndarray(array.shape, array.dtype, memory.buf)
    block[:] = array
    del block
    futures = [
        pool.submit(sum_shared, memory.name, part) for part in cut(len(array), parts)
    ]
    total = np.int64(sum(future.result() for future in futures))
    memory.close()
    memory.unlink()
    return total


def by_file(pool, array, parts):
    with TemporaryDirectory() as folder:
        path = Path(folder, "array.npy")
        np.save(path, array)
        worker = partial(sum_mapped, str(path))
        return sum(pool.map(worker, cut(len(array), parts), chunksize=2))


def by_list_of_parts(pool, array, parts):
    with by_shared_memory(array, parts) as plan:
        return list(pool.map(plan.worker, plan.tasks))


@pytest.mark.parametrize(
    "add_up", [by_plan, by_block_of_ones_own, by_file, by_list_of_parts]
)
def test_exercise_2_accepts(add_up):
    assert check.exercise_2(add_up).right


def at_home(pool, array, parts):
    return int(array.sum())


def by_post(pool, array, parts):
    return sum(pool.map(sum_numbers, np.array_split(array, parts)))


def in_one_piece(pool, array, parts):
    with by_shared_memory(array, 1) as plan:
        return sum(pool.map(plan.worker, plan.tasks))


def without_the_last(pool, array, parts):
    with by_shared_memory(array, parts) as plan:
        return sum(pool.map(plan.worker, plan.tasks[:-1]))


def without_unlink(pool, array, parts):
    memory = SharedMemory(create=True, size=array.nbytes)
    np.ndarray(array.shape, array.dtype, memory.buf)[:] = array
    worker = partial(sum_shared, memory.name)
    total = sum(pool.map(worker, cut(len(array), parts)))
    memory.close()
    return total


def in_a_pool_of_ones_own(pool, array, parts):
    with ProcessPoolExecutor(1, pool._mp_context) as mine:
        return by_plan(mine, array, parts)


@pytest.mark.parametrize(
    ("add_up", "why"),
    [
        (lambda pool, array, parts: None, "no answer yet"),
        (at_home, "nothing to do"),
        (in_a_pool_of_ones_own, "nothing to do"),
        (by_post, "You posted 8,00"),
        (in_one_piece, "one letter"),
        (without_the_last, "The sum is"),
        (without_unlink, "still there"),
        (lambda pool, array, parts: array[parts * len(array)], "IndexError"),
    ],
)
def test_exercise_2_rejects(add_up, why):
    assert refused(check.exercise_2(add_up), why)


def test_exercise_2_leaves_no_block_after_an_error():
    names = []

    def fails(pool, array, parts):
        memory = SharedMemory(create=True, size=array.nbytes)
        names.append(memory.name)
        memory.close()
        return array.no_such_thing

    assert refused(check.exercise_2(fails), "AttributeError")
    with pytest.raises(FileNotFoundError):
        SharedMemory(*names)


def test_exercise_2_puts_back_what_it_listens_to():
    before = SharedMemory.__init__
    check.exercise_2(at_home)
    assert SharedMemory.__init__ is before


# Exercise 3


async def by_semaphore(call, numbers, at_once):
    turn = asyncio.Semaphore(at_once)

    async def call_in_turn(number):
        async with turn:
            return await call(number)

    return await asyncio.gather(*map(call_in_turn, numbers))


async def by_workers(call, numbers, at_once):
    answers, left = {}, list(reversed(numbers))

    async def work():
        while left:
            number = left.pop()
            answers[number] = await call(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    return tuple(answers[number] for number in numbers)


async def by_batches(call, numbers, at_once):
    answers = []
    for first in range(0, len(numbers), at_once):
        answers += await asyncio.gather(*map(call, numbers[first : first + at_once]))
    return answers


@pytest.mark.parametrize("call_all", [by_semaphore, by_workers, by_batches])
def test_exercise_3_accepts(call_all):
    assert check.exercise_3(call_all).right


async def nothing(call, numbers, at_once):
    return None


async def all_at_once(call, numbers, at_once):
    return await asyncio.gather(*map(call, numbers))


async def one_by_one(call, numbers, at_once):
    return [await call(number) for number in numbers]


async def as_they_come(call, numbers, at_once):
    answers = list(await by_semaphore(call, numbers, at_once))
    return answers[::-1]


async def forgets_them(call, numbers, at_once):
    await by_semaphore(call, numbers, at_once)


async def never_ends(call, numbers, at_once):
    await asyncio.Event().wait()


async def calls_nobody(call, numbers, at_once):
    return await call(-1)


@pytest.mark.parametrize(
    ("call_all", "why"),
    [
        (nothing, "no answer yet"),
        (all_at_once, "200 calls were open at once"),
        (one_by_one, "At most 1 of 10"),
        (as_they_come, "not all answers"),
        (forgets_them, "not all answers"),
        (calls_nobody, "ValueError"),
        (lambda call, numbers, at_once: None, "should be a coroutine"),
    ],
)
def test_exercise_3_rejects(call_all, why):
    assert refused(check.exercise_3(call_all), why)


def test_exercise_3_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(check, "PATIENCE_SECONDS", 0.05)
    assert refused(check.exercise_3(never_ends), "did not come to an end")
