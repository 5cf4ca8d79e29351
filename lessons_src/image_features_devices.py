"""Lesson 12, Image features: one device for each worker, by a queue of their numbers.

queue: 0, 1, 2 -> | take_device: one number, for good | -> extract_on_device -> Placed
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple

from lessons_src.image_features import extract, start_worker
from lessons_src.tools.recovery import processes

DEVICE_SECONDS, LIMIT_SECONDS = 2, 60
BOMB = "bomb"

_device: int | None = None
_everyone: Barrier | None = None


class NoDeviceError(RuntimeError):
    """A worker came too late: all devices were taken."""


class Placed(NamedTuple):
    """The `features` of a batch, and which process ran it on which device."""

    features: Any
    process: int
    device: int


def take_device(devices: Queue, everyone: Barrier | None = None) -> None:
    """Take a number out of `devices`, for good, and load the network: an initializer.

    A real one would load it on that device.
    """
    global _device, _everyone
    try:
        _device = devices.get(timeout=DEVICE_SECONDS)
    except Empty:
        # An error here, and a Pool would start one new worker after the other
        _device = None
    _everyone = everyone
    start_worker()


def own_device() -> int:
    """Return the number of this worker's device.

    Raises
    ------
    NoDeviceError
        If there was none left.
    """
    if _device is None:
        raise NoDeviceError("no device was left for this worker")
    return _device


def say_device(_: object = None) -> tuple[int, int]:
    """Wait until every worker has such a task; return worker and device."""
    _everyone.wait(LIMIT_SECONDS)
    return os.getpid(), own_device()


def extract_on_device(files: Sequence[Path] | str) -> Placed:
    """Extract `files` on the device of this worker; a `BOMB` ends the process."""
    if files == BOMB:
        os._exit(7)
    device = own_device()
    return Placed(extract(files).features, os.getpid(), device)


def fill_queue(devices: Iterable[int], context: BaseContext) -> Queue:
    """Return a queue, for processes of `context`, that holds the numbers `devices`."""
    queue = context.Queue()
    for device in devices:
        queue.put(device)
    return queue


def device_pools(devices: Sequence[int], method: str) -> Callable[[], Executor]:
    """Return what makes a pool, a worker for each of `devices`, with a full queue."""

    def make_pool() -> Executor:
        queue = fill_queue(devices, get_context(method))
        return processes(len(devices), method, take_device, (queue,))()

    return make_pool


def none_shared(pairs: Iterable[tuple[int, int]]) -> bool:
    """Whether each worker has one device in `pairs`, and each device one worker.

    >>> none_shared([(701, 0), (702, 1), (701, 0)]), none_shared([(701, 0), (702, 0)])
    (True, False)
    """
    pairs = set(pairs)
    workers, devices = zip(*pairs, strict=True)
    return len(set(workers)) == len(set(devices)) == len(pairs)
