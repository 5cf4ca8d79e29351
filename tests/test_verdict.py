import dataclasses
import inspect
import linecache
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from lessons_src.tools.chunks import merge_lists
from lessons_src.tools.verdict import Verdict, Wrong, judged


@judged
def call_it(answer, times=1):
    """Check that `answer` can be called."""
    for _ in range(times):
        answer()
    return "It can be called."


def reader_code(source):
    # Like a cell: its module is __main__, and its lines are known
    name = f"<cell {len(linecache.cache)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    names = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), names)
    return names["answer"]


def fail_with(error):
    names = {"__name__": "somewhere", "error": error}
    exec("def answer():\n    raise error", names)
    return names["answer"]


class TestVerdict:
    def test_right_is_true_and_shows_the_praise_only(self):
        verdict = Verdict(True, "All there.", hint="Never shown.")
        assert verdict
        assert repr(verdict) == "Right. All there."

    def test_not_yet_is_false_and_shows_why_and_the_hint(self):
        verdict = Verdict(False, "Two are missing.", hint="Count.")
        assert not verdict
        assert repr(verdict) == "Not yet. Two are missing.\nHint: Count."

    def test_without_a_hint_there_is_no_line_for_it(self):
        assert repr(Verdict(False, "Two are missing.")) == "Not yet. Two are missing."

    def test_without_praise_right_is_enough(self):
        assert repr(Verdict(True, "")) == "Right."

    def test_it_cannot_be_changed(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            Verdict(False, "").right = True

    def test_text_and_display_are_the_same(self):
        pretty = pytest.importorskip("IPython.lib.pretty").pretty
        verdict = Verdict(False, "No.", hint="Yes.")
        assert str(verdict) == pretty(verdict) == "Not yet. No.\nHint: Yes."


class TestJudged:
    def test_what_is_returned_is_the_praise(self):
        assert call_it(dict) == Verdict(True, "It can be called.")

    def test_a_check_may_return_nothing(self):
        assert judged(lambda answer: None)(1) == Verdict(True, "")

    def test_wrong_gives_why_and_hint(self):
        @judged
        def check(answer):
            raise Wrong("There is no answer yet.", hint="Write one.")

        expected = Verdict(False, "There is no answer yet.", hint="Write one.")
        assert check(None) == expected

    def test_name_text_and_arguments_of_the_check_stay(self):
        assert call_it.__name__ == "call_it"
        assert call_it.__doc__ == "Check that `answer` can be called."
        assert str(inspect.signature(call_it)) == "(answer, times=1)"
        assert call_it(answer=dict, times=2)

    @pytest.mark.parametrize(
        ("arguments", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"time": 2})]
    )
    def test_a_wrong_call_is_told_how_to_call(self, arguments, named):
        verdict = call_it(*arguments, **named)
        assert not verdict
        assert verdict.why == "The check is called like this: call_it(answer, times)"

    def test_the_call_of_the_reader_is_no_wrong_call_of_the_check(self):
        assert "TypeError" in call_it(lambda needed: None).why


class TestErrorsOfTheReader:
    def test_an_error_is_named_with_its_line(self):
        source = "def answer():\n    return helper()\n\ndef helper():\n    1 / 0\n"
        verdict = call_it(reader_code(source))
        assert verdict == Verdict(
            False,
            "Your code raised ZeroDivisionError: division by zero\nIn your line: 1 / 0",
        )

    def test_an_error_in_a_library_names_the_line_that_called_it(self):
        source = "import json\n\ndef answer():\n    json.loads('?')\n"
        why = call_it(reader_code(source)).why
        assert why.startswith("Your code raised JSONDecodeError: ")
        assert why.endswith("\nIn your line: json.loads('?')")

    def test_an_error_of_a_task_is_named_with_its_line(self):
        source = "def answer():\n    raise OSError('gone')\n"
        answer = reader_code(source)
        with ThreadPoolExecutor(1) as pool:
            why = call_it(pool.submit(answer).result).why
        assert why == (
            "Your code raised OSError: gone\nIn your line: raise OSError('gone')"
        )

    def test_without_a_known_line_the_error_is_enough(self):
        why = call_it(fail_with(ValueError("no"))).why
        assert why == "Your code raised ValueError: no"

    def test_an_error_without_a_message_is_its_name(self):
        assert call_it(fail_with(KeyError())).why == "Your code raised KeyError"

    def test_an_error_that_cannot_be_shown_is_its_name(self):
        class Rude(Exception):
            def __str__(self):
                raise RuntimeError

        assert call_it(fail_with(Rude())).why == "Your code raised Rude"

    def test_endless_recursion_is_an_error_like_any_other(self):
        why = call_it(reader_code("def answer():\n    answer()\n")).why
        assert why.startswith("Your code raised RecursionError")

    def test_sys_exit_does_not_leave_the_check(self):
        assert call_it(fail_with(SystemExit(3))).why == "Your code raised SystemExit: 3"

    def test_ctrl_c_does(self):
        with pytest.raises(KeyboardInterrupt):
            call_it(fail_with(KeyboardInterrupt()))

    def test_an_answer_of_the_wrong_kind_is_no_error_in_the_code_of_the_reader(self):
        why = call_it(7).why
        assert why.startswith("The check cannot use your answer. TypeError: 'int'")

    def test_nor_is_one_that_a_tool_of_the_check_cannot_use(self):
        why = judged(lambda answer: merge_lists(answer))(["ab"]).why
        assert why == (
            "The check cannot use your answer. TypeError: part 0 is a str, not a list"
        )

    def test_but_a_tool_that_the_reader_called_is(self):
        source = "def answer():\n    merge_lists(['ab'])\n"
        source = f"from lessons_src.tools.chunks import merge_lists\n{source}"
        why = call_it(reader_code(source)).why
        assert why.endswith("\nIn your line: merge_lists(['ab'])")


def test_wrong_can_travel_between_processes():
    wrong = pickle.loads(pickle.dumps(Wrong("why", hint="hint")))
    assert (wrong.why, wrong.hint) == ("why", "hint")
