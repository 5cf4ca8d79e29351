import functools
import itertools
import textwrap

import nbformat
import pytest
from nbclient import NotebookClient

from lessons_src.tools import experiment
from lessons_src.tools.experiment import (
    Compared,
    Comparison,
    Row,
    Sweep,
    compare,
    seconds_taken,
    sweep,
)


class FakeWork:
    def __init__(self, **seconds):
        self.now = 0.0
        self.done = []
        self.plan = {value: iter(runs) for value, runs in seconds.items()}

    def clock(self):
        return self.now

    def measure(self, value):
        self.done.append(value)
        self.now += next(self.plan[value])


def test_each_value_gets_the_median_of_its_runs():
    work = FakeWork(one=[8, 80, 9], two=[3, 1, 2])
    swept = sweep(work.measure, ["one", "two"], clock=work.clock)
    assert swept.rows == [Row("one", 9, 1.0), Row("two", 2, 4.5)]
    assert (swept.name, swept.repeats) == ("workers", 3)


def test_the_values_take_turns():
    work = FakeWork(a=[1, 1], b=[1, 1])
    sweep(work.measure, ["a", "b"], repeats=2, clock=work.clock)
    assert work.done == ["a", "b", "a", "b"]


def test_a_value_given_twice_has_two_rows():
    work = FakeWork(a=[2, 4])
    swept = sweep(work.measure, ["a", "a"], repeats=1, clock=work.clock)
    assert swept.rows == [Row("a", 2, 1.0), Row("a", 4, 0.5)]


def test_a_range_is_swept_too():
    swept = sweep(str, range(1, 3), repeats=1)
    assert [row.value for row in swept.rows] == [1, 2]


def test_a_clock_that_does_not_tick_gives_no_error():
    swept = sweep(str, [1, 2], clock=lambda: 7.0)
    assert [row.speed_up for row in swept.rows] == [1.0, 1.0]


@pytest.mark.parametrize(("values", "repeats"), [([], 3), ([1], 0)])
def test_nothing_to_measure_is_an_error(values, repeats):
    with pytest.raises(ValueError, match="at least one"):
        sweep(str, values, repeats=repeats)


def test_an_error_of_the_work_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        sweep(lambda value: 1 / value, [1, 0])


def test_seconds_are_those_between_call_and_return():
    ticks = itertools.count(5, 2)
    assert seconds_taken(next, ticks, clock=lambda: next(ticks)) == 4


def test_the_table_lines_up():
    swept = Sweep("method", 3, [Row("spawn", 0.5, 1.0), Row("forkserver", 10, 0.05)])
    assert str(swept).splitlines() == [
        "    method  seconds  speed-up",
        "     spawn    0.500       1.0",
        "forkserver   10.000      0.05",
    ]


def test_the_picture_says_what_was_swept_and_no_seconds():
    rows = [Row(1, 0.4, 1.0), Row(2, 0.2, 2.0)]
    assert repr(Sweep("workers", 3, rows).draw()) == (
        "Speed-up over workers: 1, 2 (median of 3 runs each)"
    )
    assert repr(Sweep("workers", 1, rows).draw()) == (
        "Speed-up over workers: 1, 2 (one run each)"
    )


def lines_of(swept, **options):
    (axes,) = experiment._figure(swept, **options).axes
    return {
        line.get_label(): list(map(tuple, line.get_xydata())) for line in axes.lines
    }


def test_the_ideal_line_grows_with_the_value():
    swept = Sweep("workers", 1, [Row(2, 3.0, 1.0), Row(8, 1.5, 2.0)])
    assert lines_of(swept, ideal=True) == {
        "measured": [(2, 1.0), (8, 2.0)],
        "ideal": [(2, 1.0), (8, 4.0)],
    }


def test_without_the_ideal_line_the_values_stand_at_even_distances():
    swept = Sweep("chunk size", 1, [Row(1, 3.0, 1.0), Row(1000, 1.5, 2.0)])
    assert lines_of(swept, ideal=False) == {"measured": [(0, 1.0), (1, 2.0)]}


def test_values_that_are_no_numbers_have_no_ideal_line():
    swept = Sweep("start method", 1, [Row("fork", 1.0, 1.0), Row("spawn", 2.0, 0.5)])
    assert lines_of(swept, ideal=True) == {"measured": [(0, 1.0), (1, 0.5)]}


def test_each_point_carries_its_figure():
    swept = Sweep("workers", 1, [Row(1, 1.0, 1.0), Row(2, 4.0, 0.25)])
    (axes,) = experiment._figure(swept, ideal=True).axes
    assert [text.get_text() for text in axes.texts] == ["1.0", "0.25"]


def test_the_figure_of_a_low_point_does_not_stand_on_the_axis():
    swept = Sweep("interval", 1, [Row(0, 1.0, 1.0), Row(1, 0.01, 100.0)])
    (axes,) = experiment._figure(swept, ideal=False).axes
    low, high = (text.get_position()[1] for text in axes.texts)
    assert high < 0 < low


def functions_of(work):
    return {name: functools.partial(work.measure, name) for name in work.plan}


def test_each_function_gets_the_median_of_its_runs_and_its_ratio_to_the_first():
    work = FakeWork(loop=[8, 80, 9], map=[3, 1, 2], worse=[18, 18, 18])
    compared = compare(functions_of(work), repeats=3, clock=work.clock)
    assert compared.rows == [
        Compared("loop", 9, 1.0),
        Compared("map", 2, 2 / 9),
        Compared("worse", 18, 2.0),
    ]


def test_all_runs_are_kept_in_the_order_in_which_they_were_made():
    work = FakeWork(loop=[8, 80, 9], map=[3, 1, 2])
    compared = compare(functions_of(work), repeats=3, clock=work.clock)
    assert compared.runs == {"loop": [8, 80, 9], "map": [3, 1, 2]}


def test_the_functions_take_turns():
    work = FakeWork(a=[1, 1], b=[1, 1])
    compare(functions_of(work), repeats=2, clock=work.clock)
    assert work.done == ["a", "b", "a", "b"]


def test_five_runs_are_made_of_each_unless_one_says_otherwise():
    assert [len(runs) for runs in compare({"a": list, "b": dict}).runs.values()] == [
        5,
        5,
    ]


def test_to_compare_on_a_clock_that_does_not_tick_gives_no_error():
    compared = compare({"a": list, "b": dict}, clock=lambda: 7.0)
    assert [row.ratio for row in compared.rows] == [1.0, 1.0]


@pytest.mark.parametrize(("functions", "repeats"), [({}, 3), ({"a": list}, 0)])
def test_nothing_to_compare_is_an_error(functions, repeats):
    with pytest.raises(ValueError, match="at least one"):
        compare(functions, repeats)


def test_an_error_of_a_compared_function_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        compare({"good": list, "bad": lambda: 1 / 0})


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (90.0, "90.0 s"),
        (1.0, "1.0 s"),
        (0.0625, "62.5 ms"),
        (2.5e-5, "25.0 µs"),
        (5e-8, "50.0 ns"),
        (0.0, "0.0 ns"),
    ],
)
def test_seconds_are_told_in_a_unit_that_suits_them(seconds, told):
    line = str(Comparison({"work": [seconds]})).splitlines()[1]
    assert line.removeprefix("work").removesuffix("1.00").strip() == told


def test_the_table_of_a_comparison_lines_up():
    compared = Comparison({"a": [0.5, 0.5], "list comprehension": [0.25, 0.25]})
    assert str(compared).splitlines() == [
        "name                  median  ratio",
        "a                   500.0 ms   1.00",
        "list comprehension  250.0 ms   0.50",
    ]


def test_the_picture_of_a_comparison_says_what_was_compared_and_no_seconds():
    compared = Comparison({"loop": [0.5, 0.6], "map": [0.25, 0.2]})
    assert repr(compared.draw()) == "Seconds of loop, map (2 runs each)"
    assert repr(Comparison({"loop": [0.5]}).draw()) == "Seconds of loop (one run each)"


def test_the_picture_shows_each_run_and_each_median_on_an_axis_from_zero():
    compared = Comparison({"loop": [0.2, 0.5, 0.4], "map": [0.1, 0.1, 0.3]})
    (axes,) = experiment._dots(compared).axes
    shown = [list(map(tuple, line.get_xydata())) for line in axes.lines]
    assert shown == [
        [(200, 0), (500, 0), (400, 0)],
        [(400, -0.3), (400, 0.3)],
        [(100, 1), (100, 1), (300, 1)],
        [(100, 0.7), (100, 1.3)],
    ]
    assert [text.get_text() for text in axes.texts] == ["1.00", "0.25"]
    assert axes.get_xlim()[0] == 0


def test_a_clock_that_has_not_ticked_makes_a_picture_too():
    (axes,) = experiment._dots(Comparison({"loop": [0.0, 0.0]})).axes
    assert axes.get_xlim() == (0, 1)


def test_the_ratio_beside_the_slowest_median_stays_inside_the_frame():
    compared = Comparison({"loop": [0.0009] * 3, "map": [0.001] * 3})
    figure = experiment._dots(compared)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    frame = axes.get_window_extent()
    assert [text.get_text() for text in axes.texts] == ["1.00", "1.11"]
    assert all(text.get_window_extent().x1 < frame.x1 for text in axes.texts)


class Listener(NotebookClient):
    def process_message(self, message, cell, cell_index):
        self.heard = [*getattr(self, "heard", []), message]
        return super().process_message(message, cell, cell_index)


@pytest.fixture(scope="module")
def swept_in_a_notebook():
    code = """
        from lessons_src.tools.experiment import sweep
        print("before")
        sweep(str, [1, 2]).draw()
    """
    cell = nbformat.v4.new_code_cell(textwrap.dedent(code))
    client = Listener(nbformat.v4.new_notebook(cells=[cell]), timeout=60)
    client.execute()
    return client.heard, client.nb.cells[0].outputs


def test_in_a_notebook_the_bar_goes_from_none_to_all_runs(swept_in_a_notebook):
    messages, _ = swept_in_a_notebook
    updates = [m for m in messages if m["msg_type"] == "update_display_data"]
    bars = [update["content"]["data"].get("text/plain", "") for update in updates]
    assert [f"| {done}/6 " in bar for done, bar in enumerate(bars[:7])] == [True] * 7
    assert bars[7:] == [""]


def test_the_bar_leaves_nothing_in_the_notebook(swept_in_a_notebook):
    _, outputs = swept_in_a_notebook
    left = [output for output in outputs if output.get("data") != {}]
    assert [output.output_type for output in left] == ["stream", "execute_result"]
    assert left[0].text == "before\n"
