import pytest

from lessons_src.tools.leash import Outcome
from lessons_src.tools.programs import (
    change,
    program,
    report,
    run_programs,
    show_change,
    show_program,
)

LIMIT = 60


@pytest.fixture
def shown(monkeypatch):
    calls = []

    def display(data, raw):
        calls.append(data)

    monkeypatch.setattr("IPython.display.display", display)
    return calls


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="no_such_program"):
        program("no_such_program")


def test_programs_are_shown_highlighted_in_the_order_given(shown):
    show_program("script", "article")
    texts = [program(name).rstrip() for name in ("script", "article")]
    assert [data["text/plain"] for data in shown] == texts
    assert shown[0]["text/markdown"] == f"```python\n{texts[0]}\n```"


def test_a_change_shows_the_lines_that_go_and_come_and_one_around_them():
    assert change("frozen_without", "frozen_with").splitlines() == [
        "-from multiprocessing import get_context",
        "+from multiprocessing import freeze_support, get_context",
        " ...",
        ' if __name__ == "__main__":',
        "+    freeze_support()",
        '     note("main starts")',
    ]


def test_no_change_is_no_lines():
    assert change("script", "script") == ""


def test_a_change_is_shown_as_a_diff(shown):
    show_change("frozen_without", "frozen_with")
    lines = change("frozen_without", "frozen_with")
    assert shown == [{"text/plain": lines, "text/markdown": f"```diff\n{lines}\n```"}]


def test_programs_run_at_the_same_time_and_each_keeps_its_own_outcome():
    from threading import Barrier

    both = Barrier(2)

    def run(code, limit):
        both.wait(LIMIT)
        return Outcome(0, None, code, "", False, limit)

    outcomes = run_programs("script", "article", limit=7, run=run)
    assert list(outcomes) == ["script", "article"]
    for name, outcome in outcomes.items():
        assert (outcome.output, outcome.limit) == (program(name), 7)


def test_a_program_runs_as_a_script_unless_told_otherwise():
    outcome = run_programs("script", limit=LIMIT)["script"]
    assert outcome.output == "['hello Ada', 'hello Bob', 'hello Cleo']\n"


def test_a_report_tells_only_of_the_programs_asked_for():
    hung = Outcome(None, None, "one\ntwo\n", "", True, 5)
    outcomes = {"a": hung, "b": Outcome(1, None, "", "", False, 5), "c": hung}
    assert report(outcomes, "b", "c").splitlines() == [
        "b",
        "",
        "--> ended with exit code 1",
        "",
        "c",
        "    one",
        "    two",
        "--> hung: stopped after 5 s",
    ]
