"""The exercise checks of lesson 12: rows in order, a plan, a device that comes back."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from queue import Empty, Queue
from typing import Any

from lessons_src.tools.verdict import Wrong, judged

NO_ANSWER = "There is no answer yet."
MACHINES = [
    (cores, free, each)
    for cores in (1, 2, 6, 8, 12)
    for free in (1, 2, 3, 5, 16, 100)
    for each in (1, 2, 3)
]
DEVICES, BORROWERS, TASKS = 2, 4, 24
# The first task keeps its device so long, for others to take it too if they can
FIRST_SECONDS = 0.3
# Who waits so long for a device, waits in vain
PATIENCE_SECONDS, LIMIT_SECONDS = 2, 20


@judged
def exercise_1(merge_by_number: Callable[..., Any]) -> str:
    """Check that `merge_by_number` puts rows in the order of the batches' numbers."""
    import numpy as np

    rows = np.arange(22.0).reshape(11, 2)[::-1].copy()
    # Eleven batches: as text, 10 would come before 2
    batches = [(number, rows[number : number + 1]) for number in range(11)]
    longer = [(0, rows[:4]), (1, rows[4:9]), (2, rows[9:])]
    for whole in (batches, longer):
        for arrived in (whole, whole[::-1], whole[1::2] + whole[::2]):
            found = merge_by_number(list(arrived))
            if found is None:
                raise Wrong(NO_ANSWER, "sorted(..., key=...), then np.concatenate.")
            _judge_rows(found, rows)
    return "The rows are in the order of the files, however the batches came."


def _judge_rows(found: Any, rows: Any) -> None:
    import numpy as np

    if not isinstance(found, np.ndarray):
        raise Wrong(
            f"There should be one array. Yours has the type {type(found).__name__}.",
            "np.concatenate makes one array of several.",
        )
    if found.shape != rows.shape:
        raise Wrong(
            f"The array should have the shape {rows.shape}, yours has {found.shape}."
        )
    if not np.array_equal(found, rows):
        raise Wrong(
            "The rows are there, but not in the order of the files.",
            "The number of a batch comes first in its pair. It is an int.",
        )


@judged
def exercise_2(plan: Callable[[int, int, int], tuple[int, int]]) -> str:
    """Check that `plan` keeps as many cores busy as memory allows, and no more."""
    for cores, free, each in MACHINES:
        machine = f"{cores} cores, {free} GB free, {each} GB a worker"
        found = plan(cores, free, each)
        if found is None:
            raise Wrong(NO_ANSWER, "Try each number of workers that fits.")
        if not _is_plan(found):
            raise Wrong(f"A plan is two whole numbers; yours is {found!r}.")
        _judge_plan(tuple(found), machine, cores, free // each)
    return f"{len(MACHINES)} machines, none overrun, and no core idle that could work."


def _is_plan(found: Any) -> bool:
    return (
        isinstance(found, tuple | list)
        and len(found) == 2
        and all(isinstance(number, Integral) and number >= 0 for number in found)
    )


def _judge_plan(found: tuple[int, ...], machine: str, cores: int, most: int) -> None:
    workers, threads = found
    best = best_plan(cores, most)
    if workers == best[0] == 0:
        return
    if workers > most:
        raise Wrong(f"{machine}: {workers} workers do not fit into the memory.")
    if workers * threads > cores:
        raise Wrong(f"{machine}: {workers} x {threads} threads are too many.")
    if workers * threads < best[0] * best[1]:
        raise Wrong(
            f"{machine}: {workers} x {threads} leaves cores idle.",
            f"{best[0]} x {best[1]} would keep {best[0] * best[1]} busy.",
        )
    if workers < best[0]:
        raise Wrong(
            f"{machine}: {best[0]} x {best[1]} keeps as many cores busy as"
            f" {workers} x {threads}, with more workers."
        )


def best_plan(cores: int, most_workers: int) -> tuple[int, int]:
    """Return workers and threads of each that keep most of `cores` busy.

    >>> best_plan(8, 3), best_plan(8, 20), best_plan(8, 0)
    ((2, 4), (8, 1), (0, 0))
    """
    plans = [(n, cores // n) for n in range(1, min(cores, most_workers) + 1)]
    return max(plans, key=lambda each: (each[0] * each[1], each[0]), default=(0, 0))


@judged
def exercise_3(borrow: Callable[..., Any]) -> str:
    """Check that `borrow` shares no device, and returns it after an error too."""
    rig = _Desk()
    with ThreadPoolExecutor(BORROWERS) as pool:
        futures = [
            pool.submit(borrow, rig.devices, rig.work, task) for task in range(TASKS)
        ]
        ends = [(future.exception(LIMIT_SECONDS), future) for future in futures]
    _refuse_desk(rig)
    for task, (error, future) in enumerate(ends):
        if rig.fails(task):
            if not isinstance(error, KeyError):
                raise Wrong("What a task raises should come out of `borrow`.")
        elif error is not None:
            raise error
        elif future.result() != rig.answer(task):
            raise Wrong(
                f"`borrow` should return {rig.answer(task)!r}, not {future.result()!r}."
            )
    return f"{TASKS} tasks on {DEVICES} devices, some with errors; both are back."


def _refuse_desk(rig: "_Desk") -> None:
    if rig.devices.taken == 0 and not rig.ran:
        raise Wrong(NO_ANSWER, "devices.get(), then work, then devices.put().")
    if rig.strange:
        raise Wrong(f"A task was given the device {rig.strange[0]!r}.")
    if rig.devices.starved:
        raise Wrong(
            "A worker waited for a device in vain.",
            "Some tasks raise an error. Where must `put` stand to run all the same?",
        )
    if rig.shared:
        raise Wrong(
            "Two tasks had the same device at once.", "Return it when work is over."
        )
    if sorted(rig.ran) != list(range(TASKS)):
        calls = f"{TASKS} tasks were run in {len(rig.ran)} calls"
        raise Wrong(f"Each task should run once; {calls}.")
    if left := rig.devices.missing():
        raise Wrong(f"These devices did not come back, or not once: {left}.")


class _Devices(Queue):
    """A queue of devices in which nobody waits for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.taken, self.starved = 0, False
        for device in range(DEVICES):
            self.put(device)

    def get(self, block: bool = True, timeout: float | None = None) -> int:
        if self.starved:
            # Not `Empty`: who asks again until there is a device would never end
            raise LookupError("no device comes back")
        try:
            device = super().get(timeout=PATIENCE_SECONDS)
        except Empty:
            self.starved = True
            raise
        self.taken += 1
        return device

    def missing(self) -> list[int]:
        there = sorted(self.queue, key=repr)
        return [n for n in range(DEVICES) if there.count(n) != 1] or there[DEVICES:]


class _Desk:
    """Work on borrowed devices, which notes who has which; every fifth task fails."""

    def __init__(self) -> None:
        self.devices = _Devices()
        self.ran: list[int] = []
        self.strange: list[Any] = []
        self.shared = False
        self._busy: list[Any] = []
        self._crowded = threading.Event()
        self._lock = threading.Lock()

    def fails(self, task: int) -> bool:
        return task % 5 == 2

    def answer(self, task: int) -> str:
        return f"task {task} done"

    def work(self, task: int, device: Any) -> str:
        with self._lock:
            first = not self.ran
            self.ran.append(task)
            if device not in range(DEVICES):
                self.strange.append(device)
            self.shared |= device in self._busy
            self._busy.append(device)
            if len(self._busy) > DEVICES:
                self._crowded.set()
        if first:
            self._crowded.wait(FIRST_SECONDS)
        with self._lock:
            self._busy.remove(device)
        if self.fails(task):
            raise KeyError(task)
        return self.answer(task)
