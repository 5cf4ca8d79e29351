import json

import pytest
from rigged import code, picture, printed, prose, raised, value, write

from authoring import __main__ as command
from authoring import house
from authoring import refresh as refreshing
from authoring.compare import sanitized
from authoring.house import find, head_of, read, stem_of
from authoring.kernel import KernelFailed
from authoring.normal import as_text, normalise
from authoring.refresh import RefreshFailed, refresh


class ScriptedKernel:
    """Gives for each source the outputs that a test laid down."""

    answers, wrong_at_the_end = {}, []

    def __init__(self, folder):
        self.ended = False

    def run(self, source, limit):
        answer = self.answers.get(source, [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def terminal_news(self):
        return ""

    def late_news(self):
        return []

    def finish(self):
        return self.wrong_at_the_end

    def kill(self):
        pass


@pytest.fixture
def answers(monkeypatch):
    monkeypatch.setattr(refreshing, "Kernel", ScriptedKernel)
    monkeypatch.setattr(ScriptedKernel, "answers", {})
    monkeypatch.setattr(ScriptedKernel, "wrong_at_the_end", [])
    return ScriptedKernel.answers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "01_one.ipynb"


def outputs(path, number=0):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    return cells[number].outputs


def test_a_fresh_run_is_stored_once_and_then_left_alone(path):
    drawing = (
        "from IPython.display import Image\nimport base64, os\n"
        "png = base64.b64encode(os.urandom(9)).decode()\n"
        "display({'image/png': png, 'text/plain': 'a line'}, raw=True)"
    )
    write(path, code(drawing, count=None), code("%time 1 + 1", count=7))
    assert refresh(path)
    first = path.read_bytes()
    assert not refresh(path)
    assert path.read_bytes() == first
    assert [cell.execution_count for cell in read(path).cells] == [1, 2]
    assert outputs(path, 1)[1]["data"] == {"text/plain": "2"}


def test_a_cell_that_fails_is_named_and_the_file_left_alone(path):
    write(path, code("zero = 0"), prose("Text"), code("1 / zero", value("2")))
    before = path.read_bytes()
    with pytest.raises(RefreshFailed, match=r"In \[2\]: raised ZeroDivisionError"):
        refresh(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_times_are_kept_and_answers_replaced(path, answers):
    answers["time"] = [printed("Wall time: 2 s\n")]
    answers["answer"] = [value("2")]
    write(path, code("time", printed("Wall time: 1 s\n")), code("answer", value("1")))
    assert refresh(path)
    assert outputs(path, 0)[0].text == "Wall time: 1 s\n"
    assert outputs(path, 1)[0]["data"] == {"text/plain": "2"}


@pytest.mark.parametrize(
    "times", ["2 s ± 1.5 ms", "2.09 \u03bcs ± 568 ns", "1e+03 ns ± 2 \u00b5s"]
)
def test_the_times_of_timeit_are_not_compared_and_its_runs_are(times):
    line = f"{times} per loop (mean ± std. dev. of 7 runs, 1,000 loops each)\n7 runs"
    assert sanitized(line) == "TIMEIT\n7 runs"


def test_a_picture_is_kept_while_source_and_text_stay(path, answers):
    answers["draw"] = [picture("a line", png="AAAA")]
    write(path, code("draw"))
    assert refresh(path)
    answers["draw"] = [picture("a line", png="BBBB")]
    assert not refresh(path)
    assert refresh(path, redraw=True)
    assert outputs(path)[0]["data"]["image/png"].strip() == "BBBB"


def test_a_picture_is_new_when_its_text_is(path, answers):
    answers["draw"] = [picture("a line", png="AAAA")]
    write(path, code("draw"))
    refresh(path)
    answers["draw"] = [picture("a curve", png="BBBB")]
    assert refresh(path)
    assert outputs(path)[0]["data"]["image/png"].strip() == "BBBB"


def test_a_picture_is_new_when_its_source_is(path, answers):
    answers["draw"] = [picture("a line", png="AAAA")]
    write(path, code("draw"))
    refresh(path)
    answers["draw in red"] = [picture("a line", png="BBBB")]
    notebook = read(path)
    notebook.cells[0].source = "draw in red"
    path.write_text(as_text(notebook), encoding="utf-8")
    assert refresh(path)
    assert outputs(path)[0]["data"]["image/png"].strip() == "BBBB"


def test_a_picture_that_came_is_stored(path, answers):
    answers["draw"] = [picture("a line", png="AAAA")]
    plain = picture("a line")
    del plain["data"]["image/png"]
    write(path, code("draw", plain))
    assert refresh(path)
    assert "image/png" in outputs(path)[0]["data"]


@pytest.mark.parametrize(
    ("answer", "tags", "said"),
    [
        ([raised("ValueError", "no")], [], "raised ValueError: no"),
        ([], ["raises-exception"], "tagged raises-exception, but raised nothing"),
        ([printed("oh", "stderr")], [], "wrote on stderr: oh"),
        (KernelFailed("the kernel died"), [], "the kernel died"),
    ],
)
def test_what_would_fail_the_proof_fails_the_refresh(path, answers, answer, tags, said):
    answers["it"] = answer
    write(path, code("it", tags=tags))
    with pytest.raises(RefreshFailed, match=rf"In \[1\]: .*{said}"):
        refresh(path)


def test_an_error_that_is_expected_is_stored(path, answers):
    answers["it"] = [raised("ValueError", "no")]
    write(path, code("it", tags=["raises-exception"]))
    assert refresh(path)
    assert outputs(path)[0].ename == "ValueError"


def test_what_is_wrong_at_the_end_fails_the_refresh(path, answers, monkeypatch):
    monkeypatch.setattr(ScriptedKernel, "wrong_at_the_end", ["left running: x"])
    write(path, code("it"))
    with pytest.raises(RefreshFailed, match="after the last cell: left running: x"):
        refresh(path)


def test_what_an_editor_left_is_dropped_and_what_a_lesson_needs_is_kept():
    cell = code("1 + 1 \n\n", value("2"), tags=["solution"])
    cell.metadata.update(
        jupyter={"source_hidden": True, "outputs_hidden": False},
        execution={"iopub.status.busy": "2026"},
        collapsed=False,
    )
    cell.outputs[0]["data"]["application/vnd.jupyter.widget-view+json"] = {"x": 1}
    file = json.loads(json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 5}))
    notebook = house.nbformat.from_dict(
        file | {"metadata": {"widgets": {}, "language_info": {"version": "3.11.7"}}}
    )
    normalise(notebook)
    kept = notebook.cells[0]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert kept.metadata == {"tags": ["solution"], "jupyter": {"source_hidden": True}}
    assert kept.source == "1 + 1"
    assert kept.outputs[0]["data"] == {"text/plain": "2"}
    assert as_text(notebook).startswith('{\n "cells": [\n  {\n   "cell_type"')
    assert as_text(notebook).endswith("}\n")


@pytest.fixture
def three(tmp_path, monkeypatch):
    for name in ("00_start_here", "01_process_pool", "02_pool"):
        write(tmp_path / f"{name}.ipynb", prose(f"# {name}"))
    monkeypatch.setattr(house, "NOTEBOOKS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "word", ["01", "process_pool", "01_process_pool", "notebooks/01_process_pool.ipynb"]
)
def test_a_notebook_goes_by_number_stem_or_file(three, word):
    assert find(word) == three / "01_process_pool.ipynb"


@pytest.mark.parametrize("word", ["9", "0", "pro", "no.ipynb"])
def test_an_unknown_notebook_is_an_error_that_lists_the_known_ones(three, word):
    with pytest.raises(ValueError, match=r"00_start_here, 01_process_pool, 02_pool"):
        find(word)


def test_the_head_of_a_lesson_is_read_from_its_first_cell(three):
    text = "# 07 Bars\n\nSee\nmore.\n\n**Minutes:** 30 · **You need:** nothing"
    write(three / "07_bars.ipynb", prose(text))
    head = head_of(read(three / "07_bars.ipynb"))
    assert head == ("07", "Bars", "See more.", 30)
    assert stem_of(three / "07_bars.ipynb") == "bars"


def test_the_command_names_each_notebook_and_fails_if_one_does(three, answers, capsys):
    write(three / "00_start_here.ipynb", code("it"))
    answers["it"] = [raised("ValueError", "no")]
    assert command.main(["refresh"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("00_start_here.ipynb (")
    assert lines[0].endswith("left as it was, for it does not run:")
    assert lines[1] == "In [1]: raised ValueError: no"
    assert lines[-2].startswith("01_process_pool.ipynb (")
    assert lines[-1].endswith("unchanged")


def test_the_command_says_what_it_does_not_know(three, capsys):
    assert command.main(["refresh", "42"]) == 2
    assert "no single notebook is called '42'" in capsys.readouterr().err


def test_the_command_tells_whether_the_table_is_old(monkeypatch, capsys):
    monkeypatch.setattr(command.table, "is_current", lambda: False)
    assert command.main(["table", "--check"]) == 1
    assert "run python -m authoring table" in capsys.readouterr().err
    monkeypatch.setattr(command.table, "is_current", lambda: True)
    assert command.main(["table", "--check"]) == 0
