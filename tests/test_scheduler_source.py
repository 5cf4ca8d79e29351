import pytest

from lessons_src.tools.scheduler_source import Unreadable, outer_stores, statements

total = 0


def sample(bank):
    """Say what it does: no step."""
    for number in (1, 2):
        if number:
            continue
        else:
            bank.a = 1
    while True:
        try:
            bank.a = bank.a + 1
        except ValueError:
            pass
        finally:
            bank.a = 2
        break
    with bank.lock:
        return bank.a


# fmt: off
def match_and_two_on_a_line(bank):
    match bank.a:
        case 1:
            bank.b = 1; bank.c = 2  # noqa: E702
# fmt: on


def lines(function):
    return [each.text for each in dict.fromkeys(statements(function.__code__).values())]


def test_the_steps_of_a_function_are_its_statements():
    assert lines(sample) == [
        "for number in (1, 2):",
        "if number:",
        "bank.a = 1",
        lines(sample)[3],
        "bank.a = 2",
        "with bank.lock:",
        "return bank.a",
    ]
    assert lines(sample)[3].startswith("bank.a = ")


def test_two_statements_of_one_line_are_one_step():
    assert lines(match_and_two_on_a_line) == [
        "match bank.a:",
        "bank.b = 1; bank.c = 2  # noqa: E702",
    ]


def test_only_a_with_is_passed_a_second_time():
    found = statements(sample.__code__).values()
    assert {each.text for each in found if each.leaves} == {"with bank.lock:"}


def hiding(bank):
    for _ in range(3):
        bank.one()
    for _ in bank.items:
        bank.a = bank.one(bank.b)
    bank.a = bank.one() + bank.b
    bank.a += bank.one()
    bank.one(bank.two())
    bank.a = bank.b + 1
    bank.a = max(bank.b, len(bank.items))
    if bank.one():
        return bank.a
    with bank.lock, bank.one():
        return None


def test_what_keeps_a_value_out_of_sight_is_known():
    found = dict.fromkeys(statements(hiding.__code__).values())
    assert [each.text for each in found if each.hides] == [
        "for _ in bank.items:",
        "bank.a = bank.one() + bank.b",
        "bank.a += bank.one()",
        "bank.one(bank.two())",
        "if bank.one():",
        "return bank.a",
        "with bank.lock, bank.one():",
    ]


def sets_global(bank):
    global total
    total = bank
    del bank


def test_names_set_outside_of_the_function_are_found():
    outer = inner = 0

    def sets_outer():
        nonlocal outer
        mine = outer + inner
        outer = mine
        return lambda: mine

    assert outer_stores(sets_global.__code__) == ["total"]
    assert outer_stores(sets_outer.__code__) == ["outer"]
    assert outer_stores(sample.__code__) == []


def test_a_function_without_source_is_unreadable():
    world = {}
    # 3.13 keeps the text of `python -c`, under the name that exec gives to a text
    exec(compile("def nowhere():\n    pass\n", "<nowhere>", "exec"), world)
    with pytest.raises(Unreadable, match="the source of nowhere is not to be had"):
        statements(world["nowhere"].__code__)
