from functools import partial

import pytest

from lessons_src.tools import source
from lessons_src.tools.source import show_source, source_of


class Greeter:
    def greet(self, name):
        return f"Hello {name}"


@pytest.fixture
def shown(monkeypatch):
    calls = []

    def display(data, raw):
        calls.append(data)

    monkeypatch.setattr("IPython.display.display", display)
    return calls


def test_a_source_is_shown_as_highlighted_python_and_as_bare_text(shown):
    assert show_source(Greeter) is None
    bare = source_of(Greeter)
    assert bare.startswith("class Greeter:")
    assert shown == [{"text/plain": bare, "text/markdown": f"```python\n{bare}\n```"}]


def test_several_objects_are_shown_as_one_block_in_the_order_given(shown):
    show_source(source_of, Greeter)
    assert shown[0]["text/plain"] == f"{source_of(source_of)}\n\n\n{source_of(Greeter)}"
    assert len(shown) == 1


def test_a_method_begins_at_the_margin():
    assert source_of(Greeter.greet).startswith("def greet(self, name):\n    return")
    assert source_of(Greeter().greet) == source_of(Greeter.greet)


def test_a_partial_shows_the_function_behind_it():
    assert source_of(partial(partial(source_of), source)) == source_of(source_of)


def test_a_module_is_shown_whole():
    assert source_of(source).startswith('"""Show the source')


def test_what_has_no_python_source_is_refused(shown):
    with pytest.raises(TypeError):
        show_source(len)
    assert shown == []
