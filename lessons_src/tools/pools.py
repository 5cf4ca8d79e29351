"""Open a pool whose workers are all up, so that its timeline shows tasks only."""

import signal
from contextlib import suppress
from multiprocessing.context import BaseContext
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError

START_LIMIT_SECONDS = 60


def warm_pool(context: BaseContext, size: int) -> Pool:
    """Open `context.Pool(size)`, and come back when all its workers are up.

    Raises
    ------
    threading.BrokenBarrierError
        When they are not up after a minute.
    """
    everyone = context.Barrier(size + 1)
    pool = context.Pool(size, come_up, [everyone])
    try:
        everyone.wait(START_LIMIT_SECONDS)
    except BaseException:
        pool.terminate()
        raise
    return pool


def come_up(everyone: Barrier) -> None:
    """Leave interrupts to the parent, and `line_up` with `everyone`."""
    # Cut off in the middle of an answer, a worker would hold up the end of its pool
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line_up(everyone)


def line_up(everyone: Barrier) -> None:
    """Wait until `everyone` has come to this point."""
    # A pool whose initializer raises would start new workers for ever
    with suppress(BrokenBarrierError):
        everyone.wait(START_LIMIT_SECONDS)
