import multiprocessing
import signal
from threading import Barrier

import pytest

from lessons_src.tools import pools


@pytest.fixture(params=multiprocessing.get_all_start_methods())
def context(request):
    return multiprocessing.get_context(request.param)


def test_a_warm_pool_is_a_pool(context):
    with pools.warm_pool(context, 2) as pool:
        assert pool.map_async(abs, [-1, 2, -3]).get(timeout=60) == [1, 2, 3]


def test_when_it_comes_all_workers_have_started_up(context):
    with pools.warm_pool(context, 2) as pool:
        assert pool._initargs[0].n_waiting == 0
        assert not pool._initargs[0].broken
        assert len(multiprocessing.active_children()) == 2


def test_an_interrupt_is_left_to_the_parent(context):
    with pools.warm_pool(context, 2) as pool:
        (reaction,) = pool.map_async(signal.getsignal, [signal.SIGINT]).get(timeout=60)
    assert reaction == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) != signal.SIG_IGN


def test_workers_that_do_not_come_up_are_an_error_and_leave_nothing(monkeypatch):
    monkeypatch.setattr(pools, "START_LIMIT_SECONDS", 0.01)
    monkeypatch.setattr(pools, "come_up", bool)
    context = multiprocessing.get_context()
    with pytest.raises(pools.BrokenBarrierError) as kept:
        pools.warm_pool(context, 1)
    assert kept.traceback
    assert multiprocessing.active_children() == []


def test_a_worker_whose_pool_did_not_come_up_goes_on():
    barrier = Barrier(2)
    barrier.abort()
    assert pools.line_up(barrier) is None
