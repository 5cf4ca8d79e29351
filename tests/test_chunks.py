from collections import ChainMap, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons_src.tools.chunks import merge_dicts, merge_lists, split_list

ITEMS = st.lists(st.integers())
PARTS = st.integers(min_value=1, max_value=60)
DICTS = st.dictionaries(st.integers(), st.text())


class TestSplitList:
    @given(ITEMS, PARTS)
    def test_merging_undoes_splitting(self, items, parts):
        assert merge_lists(split_list(items, parts)) == items

    @given(ITEMS, PARTS)
    def test_there_are_as_many_chunks_as_wanted(self, items, parts):
        assert len(split_list(items, parts)) == parts

    @given(ITEMS, PARTS)
    def test_sizes_differ_by_at_most_one(self, items, parts):
        sizes = [len(chunk) for chunk in split_list(items, parts)]
        assert max(sizes) - min(sizes) <= 1

    @given(ITEMS, PARTS)
    def test_no_chunk_is_empty_if_there_are_no_more_parts_than_items(
        self, items, parts
    ):
        chunks = split_list(items, min(parts, len(items)) or 1)
        assert all(chunks) or items == []

    def test_the_cuts_are_those_of_the_article(self):
        assert split_list(list(range(7)), 3) == [[0, 1], [2, 3], [4, 5, 6]]

    def test_more_parts_than_items_give_empty_chunks(self):
        assert split_list([1], 2) == [[], [1]]
        assert split_list([], 2) == [[], []]

    def test_chunks_do_not_share_the_list(self):
        items = [1, 2]
        split_list(items, 1)[0].append(3)
        assert items == [1, 2]

    @pytest.mark.parametrize(
        ("items", "chunks"),
        [
            ((1, 2, 3), [(1,), (2, 3)]),
            (range(4), [range(2), range(2, 4)]),
            ("abc", ["a", "bc"]),
        ],
    )
    def test_chunks_are_of_the_kind_that_was_split(self, items, chunks):
        assert split_list(items, 2) == chunks

    def test_an_array_is_split_into_arrays(self):
        numpy = pytest.importorskip("numpy")
        chunks = split_list(numpy.arange(6).reshape(3, 2), 2)
        assert [chunk.tolist() for chunk in chunks] == [[[0, 1]], [[2, 3], [4, 5]]]

    @pytest.mark.parametrize("parts", [0, -1])
    def test_fewer_than_one_part_would_lose_everything(self, parts):
        with pytest.raises(ValueError, match=f"parts must be 1 or more, not {parts}"):
            split_list([1, 2], parts)

    @pytest.mark.parametrize("parts", [2.0, "2", None])
    def test_parts_is_a_whole_number(self, parts):
        with pytest.raises(TypeError, match="parts must be a whole number, not "):
            split_list([1, 2], parts)

    @pytest.mark.parametrize(
        ("items", "kind"),
        [
            ((n for n in [1, 2]), "generator"),
            ({1, 2}, "set"),
            ({0: 1}, "dict"),
            (deque([1]), "deque"),
            (7, "int"),
            (None, "NoneType"),
        ],
    )
    def test_what_cannot_be_sliced_is_refused_with_the_cure(self, items, kind):
        message = rf"a {kind} cannot be cut into slices: pass list\(\.\.\.\)"
        with pytest.raises(TypeError, match=message):
            split_list(items, 2)


class TestMergeLists:
    def test_order_is_kept(self):
        assert merge_lists([[3], [], [1, 2]]) == [3, 1, 2]

    def test_nothing_gives_nothing(self):
        assert merge_lists([]) == []

    def test_a_generator_of_tuples_and_ranges_will_do(self):
        parts = [(1, 2), range(3, 5)]
        assert merge_lists(part for part in parts) == [1, 2, 3, 4]

    def test_the_items_stay_as_they_are(self):
        assert merge_lists([["ab"], ["cd", "e"]]) == ["ab", "cd", "e"]

    @pytest.mark.parametrize(
        ("part", "kind"),
        [("ab", "str"), (b"ab", "bytes"), ({"a": 1}, "dict"), (None, "NoneType")],
    )
    def test_a_part_that_is_no_list_is_refused_and_named(self, part, kind):
        with pytest.raises(TypeError, match=f"part 1 is a {kind}, not a list"):
            merge_lists([["ab"], part])

    def test_a_string_in_place_of_the_lists_is_refused(self):
        with pytest.raises(TypeError, match="part 0 is a str"):
            merge_lists("ab")


class TestMergeDicts:
    @given(DICTS, PARTS)
    def test_merging_undoes_splitting(self, entries, parts):
        chunks = map(dict, split_list(list(entries.items()), parts))
        assert list(merge_dicts(chunks).items()) == list(entries.items())

    @given(DICTS, DICTS)
    def test_a_key_twice_is_an_error_and_else_nothing_is_lost(self, first, second):
        if first.keys() & second.keys():
            with pytest.raises(ValueError, match="part 1 has the key"):
                merge_dicts([first, second])
        else:
            assert merge_dicts([first, second]) == {**first, **second}

    def test_the_key_and_its_parts_are_named(self):
        message = "^part 3 has the key 'k2', and so has part 1$"
        with pytest.raises(ValueError, match=message):
            merge_dicts([{}, {"k1": 1, "k2": 1}, {}, {"k2": 1}])

    def test_a_key_twice_is_an_error_though_the_values_are_equal(self):
        with pytest.raises(ValueError, match="part 1 has the key 'a'"):
            merge_dicts([{"a": None}, {"a": None}])

    def test_any_mapping_will_do(self):
        assert merge_dicts([ChainMap({"a": 1}), {"b": 2}]) == {"a": 1, "b": 2}

    @pytest.mark.parametrize("part", [None, "ab", [("a", 1)]])
    def test_a_part_that_is_no_dict_is_refused_and_named(self, part):
        with pytest.raises(TypeError, match=r"part 1 is a \w+, not a dict"):
            merge_dicts([{}, part])
