from functools import partial

import pytest

from lessons_src.broken_pools import Ran, SlowDown, run_each, run_round
from lessons_src.checks import broken_pools as check

RIGHT = {"A": 3, "B": 4, "C": 1, "D": 2}


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def test_exercise_1_accepts_the_four_cures():
    assert check.exercise_1(RIGHT).right
    assert check.exercise_1(dict(reversed(RIGHT.items()))).right


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "no answer yet"),
        ({}, "no answer yet"),
        (dict.fromkeys("ABCD"), "no answer yet"),
        (RIGHT | {"A": None}, "no answer yet"),
        ({"A": 3}, "a cure for each"),
        (RIGHT | {"E": 1}, "a cure for each"),
        (RIGHT | {"B": 5}, "5 is not the number"),
        (RIGHT | {"B": "4"}, "'4' is not the number"),
        *((RIGHT | {name: RIGHT[name] % 4 + 1}, f"{name} would") for name in RIGHT),
        (7, "cannot use your answer"),
    ],
)
def test_exercise_1_refuses(answer, why):
    assert refused(check.exercise_1(answer), why)


def test_the_incidents_and_the_cures_are_told():
    lines = check.incidents().splitlines()
    assert [line[0] for line in lines[1:5]] == list("ABCD")
    assert [line[0] for line in lines[6:]] == list("1234")


class ByReduce(SlowDown):
    def __reduce__(self):
        return partial(type(self), response=self.response), self.args


class ByState(Exception):
    def __init__(self, message, response=None):
        super().__init__(message)
        self.response = response


class ByArguments(Exception):
    def __init__(self, message, response):
        super().__init__(message, response)
        self.response = response

    def __str__(self):
        return self.args[0]


class ByHelper(SlowDown):
    def __reduce__(self):
        return remake, (self.args[0], self.response)


def remake(message, response):
    return ByHelper(message, response=response)


@pytest.mark.parametrize("kind", [ByReduce, ByState, ByArguments, ByHelper])
def test_exercise_2_accepts_an_error_that_travels(kind):
    verdict = check.exercise_2(kind)
    assert verdict.right, verdict


class WithoutResponse(Exception):
    def __init__(self, message, response=None):
        super().__init__(message)


class CallsALambda(SlowDown):
    def __reduce__(self):
        return lambda: CallsALambda("x", response=429), ()


class ReturnsItself(SlowDown):
    def __reduce__(self):
        return ReturnsItself("x", response=429)


class PassesResponseByPlace(SlowDown):
    def __reduce__(self):
        return type(self), (*self.args, self.response)


class LosesResponse(SlowDown):
    def __reduce__(self):
        return partial(type(self), response=0), self.args


class LosesMessage(Exception):
    def __init__(self, message="", *, response=None):
        super().__init__()
        self.message, self.response = message, response

    def __str__(self):
        return self.message

    def __reduce__(self):
        return partial(type(self), response=self.response), ()


class BecomesAnother(SlowDown):
    def __reduce__(self):
        return partial(ByReduce, response=self.response), self.args


class ShowsTheTuple(Exception):
    def __init__(self, message, response):
        super().__init__(message, response)
        self.response = response


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (None, "no answer yet"),
        (SlowDown("x", response=1), "the class itself"),
        (dict, "the class itself"),
        (SlowDown, "cannot be unpickled"),
        (ValueError, "cannot use your answer"),
        (WithoutResponse, "its response None"),
        (ShowsTheTuple, "str(error) is \"('too many requests', 429)\""),
        (CallsALambda, "cannot even be pickled"),
        (ReturnsItself, "cannot even be pickled"),
        (PassesResponseByPlace, "cannot be unpickled"),
        (LosesResponse, "response was lost"),
        (LosesMessage, "message came out as ''"),
        (BecomesAnother, "What came out is a ByReduce"),
    ],
)
def test_exercise_2_refuses(kind, why):
    verdict = check.exercise_2(kind)
    assert refused(verdict, why), verdict


def halves(worker, tasks, make_pool):
    ran = run_round(worker, tasks, make_pool)
    if len(tasks) == 1:
        return ran
    suspects = sorted(ran.broken)
    ran.broken.clear()
    middle = len(suspects) // 2
    for part in filter(None, (suspects[:middle], suspects[middle:])):
        half = halves(worker, {n: tasks[n] for n in part}, make_pool)
        for mine, found in zip(ran, half, strict=True):
            mine.update(found)
    return ran


def halves_in_a_loop(worker, tasks, make_pool):
    ran, waiting = Ran({}, {}, {}), [dict(tasks)]
    while waiting:
        part = waiting.pop()
        found = run_round(worker, part, make_pool)
        ran.answers.update(found.answers)
        ran.errors.update(found.errors)
        suspects = list(found.broken)
        if len(part) == 1:
            ran.broken.update(found.broken)
        elif suspects:
            middle = (len(suspects) + 1) // 2
            for some in (suspects[:middle], suspects[middle:]):
                if some:
                    waiting.append({n: part[n] for n in some})
    return ran


def one_alone_and_the_rest(worker, tasks, make_pool):
    ran = run_round(worker, tasks, make_pool)
    first, *rest = sorted(ran.broken) or [None]
    if len(tasks) == 1 or first is None:
        return ran
    ran.broken.clear()
    for part in filter(None, ([first], rest)):
        some = {n: tasks[n] for n in part}
        found = one_alone_and_the_rest(worker, some, make_pool)
        for mine, more in zip(ran, found, strict=True):
            mine.update(more)
    return ran


def evens_and_odds(worker, tasks, make_pool):
    if not tasks:
        return Ran({}, {}, {})
    ran = run_round(worker, tasks, make_pool)
    if len(tasks) == 1:
        # Its second try
        return run_round(worker, tasks, make_pool)
    answers, broken, suspects = dict(ran.answers), {}, list(ran.broken)
    for part in (suspects[::2], suspects[1::2]):
        found = evens_and_odds(worker, {n: tasks[n] for n in part}, make_pool)
        answers |= found.answers
        broken |= found.broken
    return Ran(answers, {}, broken)


@pytest.mark.parametrize(
    "run_halves", [halves, halves_in_a_loop, one_alone_and_the_rest, evens_and_odds]
)
def test_exercise_3_accepts_halves(run_halves):
    verdict = check.exercise_3(run_halves)
    assert verdict.right, verdict


def one_pool_each(worker, tasks, make_pool):
    return run_each(worker, tasks.values(), make_pool)


def blames_the_first(worker, tasks, make_pool):
    ran = run_round(worker, tasks, make_pool)
    guilty = {}
    while ran.broken:
        first, *rest = sorted(ran.broken)
        guilty[first] = ran.broken[first]
        ran.broken.clear()
        if rest:
            found = run_round(worker, {n: tasks[n] for n in rest}, make_pool)
            for mine, more in zip(ran, found, strict=True):
                mine.update(more)
    return ran._replace(broken=guilty)


def halves_of_nothing(worker, tasks, make_pool):
    ran = run_round(worker, tasks, make_pool)
    if len(tasks) == 1:
        return ran
    suspects = sorted(ran.broken)
    middle = len(suspects) // 2
    for part in (suspects[:middle], suspects[middle:]):
        halves_of_nothing(worker, {n: tasks[n] for n in part}, make_pool)
    return ran


def one_round(worker, tasks, make_pool):
    return run_round(worker, tasks, make_pool)


def for_ever(worker, tasks, make_pool):
    ran = run_round(worker, tasks, make_pool)
    while ran.broken:
        ran = run_round(worker, {n: tasks[n] for n in ran.broken}, make_pool)
    return ran


def keeps_the_suspects(worker, tasks, make_pool):
    ran = run_round(worker, tasks, make_pool)
    found = halves(worker, tasks, make_pool)
    ran.answers.update(found.answers)
    return ran


def forgets_the_guilty(worker, tasks, make_pool):
    ran = halves(worker, tasks, make_pool)
    ran.broken.clear()
    return ran


def forgets_the_first_round(worker, tasks, make_pool):
    ran = run_round(worker, tasks, make_pool)
    left = {n: tasks[n] for n in ran.broken}
    return halves(worker, left, make_pool) if left else ran


def numbers_anew(worker, tasks, make_pool):
    ran = halves(worker, tasks, make_pool)
    return ran._replace(answers=dict(enumerate(ran.answers.values())))


def answers_only(worker, tasks, make_pool):
    return halves(worker, tasks, make_pool).answers


@pytest.mark.parametrize(
    ("run_halves", "why"),
    [
        (None, "no answer yet"),
        (7, "cannot use your answer"),
        (one_pool_each, "pools for 1 bomb"),
        (blames_the_first, "is innocent and still"),
        (halves_of_nothing, "without end"),
        (one_round, "is innocent and still"),
        (for_ever, "without end"),
        (keeps_the_suspects, "is innocent and still"),
        (forgets_the_guilty, "is a bomb and not"),
        (forgets_the_first_round, "answer of task 0 is lost"),
        (numbers_anew, "not those of a plain loop"),
        (answers_only, "returns a dict"),
        (lambda worker, tasks, make_pool: None, "returns a NoneType"),
    ],
)
def test_exercise_3_refuses(run_halves, why):
    verdict = check.exercise_3(run_halves)
    assert refused(verdict, why), verdict


def test_a_rehearsal_breaks_at_the_bomb_and_takes_the_task_before_it_along():
    ran = run_round(
        str.upper, dict(enumerate(["a", "b", "bomb", "c"])), check.Rehearsal
    )
    assert ran.answers == {0: "A"}
    assert set(ran.broken) == {1, 2, 3}
