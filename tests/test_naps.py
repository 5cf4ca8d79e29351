import os
import pickle

import pytest

from lessons_src.tools import naps
from lessons_src.tools.naps import Nap, take_nap
from lessons_src.tools.pools import warm_pool

LIMIT = 60


def test_a_nap_sleeps_as_long_as_asked_within_its_span(monkeypatch):
    slept = []
    monkeypatch.setattr(naps, "clock", lambda: len(slept))
    monkeypatch.setattr(naps.time, "sleep", slept.append)
    monkeypatch.setattr(naps, "span", lambda *span: (*span, list(slept)))
    assert take_nap(Nap("task 7", 0.25)) == ("task 7", 0, [0.25])


def test_a_pool_takes_each_nap_once_and_not_in_the_parent(context):
    tasks = [Nap(f"task {number}", 0.01) for number in range(3)]
    with warm_pool(context, 2) as pool:
        spans = pool.map_async(take_nap, tasks, 1).get(LIMIT)
    assert [span.task for span in spans] == [take_nap(task).task for task in tasks]
    assert all(span.seconds >= 0.005 for span in spans)
    assert os.getpid() not in {span.process for span in spans}


@pytest.mark.parametrize("thing", [Nap("task 0", 0.5), take_nap])
def test_a_nap_survives_a_pickle(thing):
    assert pickle.loads(pickle.dumps(thing)) == thing
