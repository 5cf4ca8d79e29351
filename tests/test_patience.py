import pickle

import pytest

from lessons_src.tools.patience import ask_patiently


class Rigged:
    """Raise one error after the other, then answer."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def ask(self):
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def ask(pauses):
    return ask_patiently.retry_with(sleep=pauses.append)


@pytest.mark.parametrize("busy", [0, 1, 2, 3])
def test_who_is_busy_is_asked_again_after_growing_pauses(ask, pauses, busy):
    assert ask(Rigged(*[ConnectionError("busy")] * busy)) == "answer"
    assert pauses == [0.01, 0.02, 0.04][:busy]


def test_the_fourth_try_is_the_last_and_its_error_comes_out(ask, pauses):
    errors = [ConnectionError(number) for number in range(1, 6)]
    with pytest.raises(ConnectionError, match=r"^4$"):
        ask(Rigged(*errors))
    assert pauses == [0.01, 0.02, 0.04]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)], ids=repr)
def test_any_other_error_is_not_tried_again(ask, pauses, error):
    line = Rigged(error)
    with pytest.raises(type(error)):
        ask(line)
    assert (pauses, line.errors) == ([], [])


def test_it_survives_the_post():
    assert pickle.loads(pickle.dumps(ask_patiently)) == ask_patiently
