import asyncio
import subprocess
import sys

import pytest

from lessons_src import gil_and_scaling_playground
from lessons_src.gil_and_scaling_playground import Playground, merge_waits, reason
from lessons_src.tools import playground_view
from lessons_src.tools.picture import Picture
from lessons_src.tools.playground_plan import ONE_OF, Settings, engines, plan
from lessons_src.tools.playground_run import Real
from lessons_src.tools.timeline import Span, most_at_once, order
from lessons_src.tools.timeline_layout import stack

QUICK = {"tasks": 4, "seconds": 0.05, "waiting": 60}


@pytest.fixture
def playground():
    made = Playground(**QUICK)
    made.cores, made.gil = 2, True
    return made


@pytest.fixture
def view(playground, monkeypatch):
    # matplotlib needs half a second for each
    monkeypatch.setattr(gil_and_scaling_playground, "draw", drawn_as_words)
    return playground._view


def drawn_as_words(panels, alt, names):
    bars = {name: [each[2:] for each in spans] for name, spans in panels.items()}
    return Picture(repr(bars).encode(), alt)


def rigged(monkeypatch, action):
    monkeypatch.setattr(gil_and_scaling_playground, "run_for_real", lambda *_: action())


@pytest.mark.parametrize("engine", engines())
def test_by_code_it_plans_and_runs(engine):
    playground = Playground(**QUICK, engine=engine)
    assert playground.real == []
    playground.run()
    assert order(playground.planned) == ["1", "2", "3", "4"]
    assert sorted(order(playground.real)) == ["1", "2", "3", "4"]


def test_a_given_context_is_used(context):
    playground = Playground(**QUICK, engine="processes", context=context)
    playground.run()
    assert len(playground.real) == 8


def test_a_change_makes_a_new_plan_and_drops_the_run(playground):
    playground.run()
    playground.change(tasks=2, engine="loop")
    assert order(playground.planned) == ["1", "2"]
    assert playground.real == []
    assert playground.remark == ""


def test_what_cannot_be_is_refused_and_changes_nothing(playground):
    with pytest.raises(ValueError, match="tasks must be from 1 to 40"):
        playground.change(tasks=0)
    assert playground.settings.tasks == 4
    with pytest.raises(TypeError, match="no setting 'colour'; there are: tasks, "):
        Playground(colour="red")


def test_what_takes_too_long_is_not_run(playground, monkeypatch):
    rigged(monkeypatch, lambda: pytest.fail("it was run"))
    playground.change(tasks=40, seconds=2.0)
    with pytest.raises(ValueError, match="lower the tasks or the seconds each"):
        playground.run()


def test_rows_compare_plan_and_run(playground):
    playground.change(tasks=2, seconds=1.0, waiting=0)
    playground._real = Real(plan(playground.settings, at_once=2), 0.25)
    assert playground.rows == [
        ("takes", "2.0 s", "1.0 s"),
        ("gained against the loop", "+0.0 s", "+1.0 s"),
        ("computing at once, at most", "2, in turns", "2"),
        ("cores kept busy", "1.0", "2.0"),
    ]
    assert playground.remark == (
        "Real: 1.0 s less than planned. Start-up, not drawn: 0.25 s."
    )


def test_cores_that_others_use_are_spoken_of(playground):
    playground.change(tasks=2, seconds=1.0, waiting=0, engine="loop")
    slow = [Span(1, 1, "1", 0.0, 2.0), Span(1, 1, "2", 2.0, 4.0)]
    playground._real = Real(slow, 0.0)
    assert playground.remark == (
        "Real: 2.0 s more than planned. Other programs may use these cores too."
    )


@pytest.mark.parametrize(
    ("settings", "gil", "words"),
    [
        ({"engine": "loop"}, True, "while it waits, nothing else runs"),
        ({"engine": "asyncio"}, True, "All waits overlap; one thread computes"),
        ({"engine": "threads"}, True, "take turns at computing: one GIL"),
        ({"engine": "threads"}, False, "compute at the same time: no GIL"),
        ({"engine": "processes"}, True, "each has its own GIL. Their waits overlap."),
        ({"engine": "processes", "workers": 4}, True, "Processes share 2 cores"),
        ({"engine": "threads", "waiting": 100}, True, "nothing to compute here"),
        ({"engine": "threads", "workers": 1}, True, "there is one worker"),
        ({"chunk": 8, "workers": 3}, True, "2 of 3 workers get none"),
    ],
)
def test_the_reason_is_told(settings, gil, words):
    assert words in reason(Settings(**settings), cores=2, gil=gil)


@pytest.mark.parametrize("engine", ONE_OF)
@pytest.mark.parametrize("waiting", [0, 50, 100])
def test_waits_are_said_to_overlap_only_where_they_do(engine, waiting):
    settings = Settings(waiting=waiting, engine=engine)
    overlap = most_at_once(plan(settings, 1), "waiting") > 1
    says_so = "overlap" in reason(settings, cores=1, gil=True)
    assert says_so == overlap or engine == "asyncio"


def test_few_waits_are_drawn_each_but_many_as_one():
    for tasks, bars, rows in [(8, 16, 8), (9, 10, 2)]:
        spans = plan(Settings(tasks=tasks, engine="asyncio"), 1)
        assert len(merge_waits(spans)) == bars
        assert len(stack(merge_waits(spans))) == rows
    threads = plan(Settings(tasks=40, workers=8), 1)
    assert merge_waits(threads) == threads


def test_the_picture_is_described_in_words_that_are_the_same_everywhere(playground):
    playground.change(workers=8)
    told = "4 tasks of 0.05 s, 60 % waiting; threads, 8 workers, chunk size 1"
    assert playground.picture.alt == f"planned: {told}"
    playground.run()
    assert playground.picture.alt == f"planned: {told}\nreal: {told}"


def test_both_panels_say_how_long_and_name_the_same_workers(playground, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        gil_and_scaling_playground, "draw", lambda *each, **named: drawn.append(named)
    )
    playground.change(tasks=2, seconds=1.0, waiting=0)
    real = [Span(70, 8, "1", 5.0, 6.5), Span(70, 9, "2", 5.0, 6.0)]
    playground._real = Real(real, 0.0)
    assert playground.picture is None
    assert drawn[0]["names"] == {
        (1, 1): "thread 1",
        (2, 1): "thread 2",
        (70, 8): "thread 1",
        (70, 9): "thread 2",
    }


def test_each_field_plans_anew(view, playground):
    for name, value in {
        "tasks": 6,
        "seconds": 0.5,
        "waiting": 0,
        "workers": 3,
        "chunk": 2,
        "engine": "processes",
    }.items():
        before = view.picture.value, view.words.value
        view.fields[name].value = value
        assert getattr(playground.settings, name) == value
        assert (view.picture.value, view.words.value) != before
    assert playground.settings == Settings(6, 0.5, 0, 3, "processes", 2)


def test_where_nothing_is_handed_out_two_fields_are_grey(view):
    def grey():
        return [name for name, field in view.fields.items() if field.disabled]

    for engine in engines():
        view.fields["engine"].value = engine
        wanted = ["workers", "chunk"] if engine in ("loop", "asyncio") else []
        assert grey() == wanted


def test_the_button_runs_and_shows_the_real_run(view, playground):
    assert "<th>real</th>" not in view.words.value
    before = view.picture.value
    view.button.click()
    assert len(order(playground.real)) == 4
    assert "<th>real</th>" in view.words.value
    assert "Start-up, not drawn" in view.words.value
    assert "real: 4 tasks" in view.picture.value
    assert view.picture.value != before
    assert (view.busy, view.button.description) == (False, "Run")


def test_while_it_runs_it_says_so_and_a_second_press_does_nothing(view, monkeypatch):
    seen = []

    def press_again():
        seen.append((view.button.description, view.news.value))
        view.button.click()
        return Real([], 0.0)

    rigged(monkeypatch, press_again)
    view.button.click()
    assert seen == [("Running ...", "Running for about 0.1 s ...")]


def test_presses_that_waited_for_the_end_of_the_run_do_nothing(view, monkeypatch):
    runs = []

    def note():
        runs.append("a run")
        return Real([], 0.0)

    async def kernel():
        # In a kernel they are handed over one after the other, by its loop
        for _ in range(3):
            asyncio.get_running_loop().call_soon(view.button.click)
        await asyncio.sleep(0.01)
        assert view.busy
        while view.busy:
            await asyncio.sleep(0.01)

    rigged(monkeypatch, note)
    asyncio.run(asyncio.wait_for(kernel(), 60))
    assert runs == ["a run"]
    view.button.click()
    assert len(runs) == 2


def test_many_changes_in_a_row_are_drawn_once(view, playground, monkeypatch):
    drawn = []
    monkeypatch.setattr(playground_view, "REST_SECONDS", 0.01)
    monkeypatch.setattr(view, "_draw", lambda: drawn.append(playground.settings.tasks))

    async def hold_the_key():
        for tasks in range(5, 15):
            view.fields["tasks"].value = tasks
        assert "<td>1.0 s</td>" not in view.words.value
        assert drawn == []
        await asyncio.sleep(0.5)

    asyncio.run(hold_the_key())
    assert drawn == [14]


def test_what_takes_too_long_is_said_before_it_is_run(view, monkeypatch):
    rigged(monkeypatch, lambda: pytest.fail("it was run"))
    view.fields["seconds"].value = 2.0
    view.fields["tasks"].value = 40
    assert "lower the tasks or the seconds each" in view.news.value
    view.button.click()
    assert "lower the tasks or the seconds each" in view.news.value
    view.fields["tasks"].value = 2
    assert "lower" not in view.news.value


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("no <more>"), "The run failed: OSError: no &lt;more&gt;"),
        (TimeoutError("not all workers came up"), ">not all workers came up"),
        (KeyboardInterrupt(), "Stopped."),
    ],
)
def test_an_error_is_told_in_words(view, playground, monkeypatch, error, said):
    def fail():
        raise error

    rigged(monkeypatch, fail)
    view.button.click()
    assert said in view.news.value
    assert playground.real == []
    assert not view.busy


def test_a_page_without_a_kernel_shows_text_and_picture(playground):
    data, metadata = playground._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == repr(playground)
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == playground.picture.alt


def test_the_text_is_the_same_on_each_machine(playground):
    settings = "4 tasks of 0.05 s, 60 % waiting; threads, 2 workers, chunk size 1"
    assert repr(playground) == f"Playground: {settings}"
    playground.run()
    assert repr(playground) == f"Playground: {settings}"
    assert repr(Playground(engine="asyncio")) == (
        "Playground: 8 tasks of 0.4 s, 50 % waiting; asyncio"
    )


def test_workers_import_no_widgets_and_no_pictures():
    code = (
        "import sys, lessons_src.tools.playground_run\n"
        "print(sorted({'ipywidgets', 'matplotlib', 'IPython'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
