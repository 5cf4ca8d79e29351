"""The judge, on every kind of mark, and the sizes of chunks."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons_src.tools.recovery_chunks import LARGEST_CHUNK, Chunk, Sizes, judge
from lessons_src.tools.recovery_marks import BETWEEN_ITEMS, Mark

MINE, OTHER = 7, 8
NOT_BEGUN = Mark()


def at(position):
    return Mark(process=MINE, position=position)


def verdict(mark, dead=(), alone=False, count=3, deaths=0, sees_workers=True):
    items = [f"item {n}" for n in range(count)]
    chunk = Chunk(10, items, alone=alone, deaths=deaths, mark=mark)
    return judge(chunk, set(dead), sees_workers)


def names(chunks):
    return [(each.name, each.alone) for each in chunks]


@pytest.mark.parametrize(
    ("mark", "dead", "again", "guilty", "reruns"),
    [
        # Not begun: goes again as it is
        (NOT_BEGUN, [OTHER], [("items 10 to 12", False)], None, 0),
        # Another worker died: what had begun begins again
        (at(1), [OTHER], [("items 10 to 12", False)], None, 2),
        (at(BETWEEN_ITEMS), [OTHER], [("items 10 to 12", False)], None, 3),
        # Its own worker died: the marked item is at fault
        (at(0), [MINE], [("items 11 to 12", False)], "item 10", 0),
        (at(1), [MINE], [("item 10", False), ("item 12", False)], "item 11", 1),
        (at(2), [MINE, OTHER], [("items 10 to 11", False)], "item 12", 2),
        # Its own worker died, but at which item?
        (at(BETWEEN_ITEMS), [MINE], [("items 10 to 12", True)], None, 3),
        # Nobody knows who died: the marked item runs alone, not blamed yet
        (
            at(1),
            [],
            [("item 11", True), ("item 10", False), ("item 12", False)],
            None,
            1,
        ),
        (at(BETWEEN_ITEMS), [], [("items 10 to 12", True)], None, 3),
    ],
)
def test_the_judge_says_what_goes_again_and_whom_to_blame(
    mark, dead, again, guilty, reruns
):
    said = verdict(mark, dead)
    assert names(said.again) == again
    assert (said.guilty and said.guilty.name) == guilty
    assert said.guilty is None or said.guilty.alone
    assert said.reruns == reruns


def test_alone_a_death_is_its_own_even_if_nobody_knows_who_died():
    assert verdict(at(1), alone=True).guilty.name == "item 11"
    assert verdict(at(0), alone=True, count=1).guilty.name == "item 10"


def test_a_chunk_that_dies_alone_between_items_is_halved():
    said = verdict(at(BETWEEN_ITEMS), [MINE], alone=True)
    assert names(said.again) == [("item 10", True), ("items 11 to 12", True)]
    assert said.guilty is None
    lone = verdict(at(BETWEEN_ITEMS), [MINE], alone=True, count=1)
    assert lone.guilty.name == "item 10"


def test_a_death_before_the_item_was_known_counts_for_it():
    first = verdict(at(BETWEEN_ITEMS), [MINE])
    (suspect,) = first.again
    assert suspect.deaths == 1
    suspect.mark = at(2)
    assert judge(suspect, {MINE}, True).guilty.deaths == 1


def test_where_marks_cannot_be_seen_no_mark_does_not_mean_not_begun():
    # As on another machine: alone first, then in halves, until one is left
    (chunk,) = verdict(NOT_BEGUN, sees_workers=False).again
    assert chunk.alone
    halves = judge(chunk, set(), False).again
    assert names(halves) == [("item 10", True), ("items 11 to 12", True)]
    assert judge(halves[0], set(), False).guilty.name == "item 10"


CASES = [
    (position, dead, alone, count, sees)
    for position, dead, alone, count, sees in product(
        [BETWEEN_ITEMS, 0, 1, 2],
        [(), (MINE,), (OTHER,)],
        [True, False],
        [1, 3],
        [True, False],
    )
    if position < count
]


@pytest.mark.parametrize(("position", "dead", "alone", "count", "sees"), CASES)
def test_no_item_is_lost_or_doubled(position, dead, alone, count, sees):
    said = verdict(at(position), dead, alone, count, sees_workers=sees)
    chunks = [*said.again, *([said.guilty] if said.guilty else [])]
    numbers = [
        n for each in chunks for n in range(each.start, each.start + len(each.items))
    ]
    assert sorted(numbers) == list(range(10, 10 + count))
    assert all(
        item == f"item {number - 10}"
        for each in chunks
        for number, item in enumerate(each.items, each.start)
    )


@given(
    st.lists(st.floats(1e-9, 10), min_size=1, max_size=30),
    st.one_of(st.none(), st.integers(1, 5000)),
    st.integers(1, 8),
)
def test_sizes_stay_between_one_and_the_largest(seconds_each, total, workers):
    sizes = Sizes(None, workers, total)
    drawn, last = 0, 1
    for seconds in seconds_each:
        size = sizes.next(drawn)
        assert 1 <= size <= LARGEST_CHUNK
        assert size <= 4 * last
        sizes.learn(size, size * seconds)
        drawn, last = drawn + size, max(size, last)


def test_a_size_that_was_told_stays():
    sizes = Sizes(7, 2, 100)
    sizes.learn(7, 1e-6)
    assert sizes.next(99) == 7


def test_sizes_shrink_when_items_get_slow():
    sizes = Sizes(None, 2, None)
    for _ in range(4):
        sizes.learn(sizes.next(0), 1e-6)
    assert sizes.next(0) == 256
    assert sizes.cheap
    sizes.learn(256, 256 * 0.05)
    assert sizes.next(0) == 2
    assert not sizes.cheap
