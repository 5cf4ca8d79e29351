import os
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from lessons_src.tools.scaling import (
    Point,
    Scaling,
    bare_seconds,
    measure_scaling,
)
from lessons_src.tools.timeline import clock


def note(folder, item):
    (folder / f"{item} by {os.getpid()}").touch()


def prepare(folder):
    (folder / f"prepared {os.getpid()}").touch()


def fail(item):
    raise ValueError(f"item {item}")


def leave(item):
    os._exit(3)


def leave_early(place):
    os._exit(3)


def nap(seconds):
    time.sleep(seconds)


def listed(folder, word):
    return sorted(path.name for path in Path(folder).iterdir() if word in path.name)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_bare_processes_do_each_item_once_and_share_them_evenly(
    number, context, tmp_path
):
    bare_seconds(
        partial(note, tmp_path),
        range(6),
        context,
        number,
        initializer=prepare,
        initargs=[tmp_path],
    )
    done = [name.split(" by ") for name in listed(tmp_path, " by ")]
    assert [item for item, _ in done] == list("012345")
    by_process = {process: 0 for _, process in done}
    for _, process in done:
        by_process[process] += 1
    assert list(by_process.values()) == [6 // number] * number
    assert len(listed(tmp_path, "prepared")) == number


def test_seconds_hold_the_work_and_not_the_start(context):
    before = clock()
    seconds = bare_seconds(nap, [0.2], context, 1, initializer=nap, initargs=[0.3])
    passed = clock() - before
    assert 0.2 <= seconds <= passed - 0.3


@pytest.mark.parametrize("worker", [fail, leave])
def test_a_worker_that_fails_is_an_error_that_says_why(worker, context):
    why = {fail: "ValueError: item 0", leave: "ended without an answer"}[worker]
    with pytest.raises(RuntimeError, match=why):
        bare_seconds(worker, [0], context, 1)


# Less than the minute for which those who are ready would wait
@pytest.mark.timeout(40)
@pytest.mark.parametrize("initializer", [fail, leave_early])
def test_an_initializer_that_fails_keeps_nobody_waiting(initializer, context):
    with pytest.raises(RuntimeError, match=r"ValueError: item 7|without an answer"):
        bare_seconds(nap, [0, 0], context, 2, initializer=initializer, initargs=[7])


@pytest.mark.timeout(40)
def test_one_that_dies_frees_those_who_wait_for_it(context, tmp_path):
    first = partial(leave_if_first, tmp_path)
    with pytest.raises(RuntimeError, match="without an answer"):
        bare_seconds(nap, [0, 0, 0], context, 3, initializer=first)


def leave_if_first(folder):
    try:
        (folder / "first").mkdir()
    except FileExistsError:
        return
    os._exit(3)


def test_engine_and_bare_processes_take_turns(context, tmp_path, monkeypatch):
    turns = []

    def run(number):
        turns.append(("engine", number))
        return 1.0

    def bare(worker, items, context, number, **options):
        turns.append(("bare", number))
        return 0.9 / number

    monkeypatch.setattr("lessons_src.tools.scaling.bare_seconds", bare)
    scaling = measure_scaling(run, nap, [0], (1, 2), context=context, repeats=2)
    assert turns == [("engine", 1), ("bare", 1), ("engine", 2), ("bare", 2)] * 2
    assert scaling.rows == [Point(1, 1.0, 0.9, 1.0), Point(2, 1.0, 0.9, 2.0)]


def test_medians_count(monkeypatch):
    seconds = iter([9.0, 2.0, 1.0])
    monkeypatch.setattr("lessons_src.tools.scaling.bare_seconds", lambda *a, **k: 4.0)
    scaling = measure_scaling(
        lambda number: next(seconds), nap, [0], [1], context=get_context()
    )
    assert scaling.rows == [Point(1, 2.0, 2.0, 1.0)]


@pytest.mark.parametrize(
    ("items", "workers", "repeats"), [([], [1], 1), ([0], [2], 1), ([0], [1], 0)]
)
def test_nothing_to_measure_is_an_error(items, workers, repeats):
    with pytest.raises(ValueError, match="1 as first"):
        measure_scaling(
            float, nap, items, workers, context=get_context(), repeats=repeats
        )


def test_a_drawing_names_what_it_shows():
    scaling = Scaling(3, [Point(1, 2.1, 0.95, 1.0), Point(2, 1.25, 1.6, 1.9)])
    shown = scaling.draw({"no limit": float})
    assert repr(shown) == (
        "Speed-up over workers: 1, 2 (median of 3 runs each), "
        "beside bare processes, no limit"
    )
    assert shown.png.startswith(b"\x89PNG")
    assert "one run each" in repr(Scaling(1, scaling.rows).draw())
