"""Cut work into chunks and put the answers together again."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key")
Value = TypeVar("Value")


def split_list(items: Sequence[Item], parts: int) -> list[Sequence[Item]]:
    """Cut `items` into `parts` neighbouring chunks of nearly equal size.

    >>> split_list([1, 2, 3, 4, 5, 6, 7], 3)
    [[1, 2], [3, 4], [5, 6, 7]]

    Chunks are slices: of a list they are lists, of an array they are arrays.
    Sizes differ by at most one, so with more parts than items some chunks are
    empty. To have none of those, ask for `min(parts, len(items))`.

    >>> split_list(["a", "b"], 3)
    [[], ['a'], ['b']]

    Raises
    ------
    ValueError
        If `parts` is less than 1: all items would be lost without a word.
    TypeError
        If `parts` is no whole number, or `items` cannot be sliced, as a
        generator, a set or a dict cannot.
    """
    count = _whole_number(parts)
    if count < 1:
        raise ValueError(f"parts must be 1 or more, not {count}")
    _refuse_unsliceable(items)
    length = len(items)
    return [
        items[i * length // count : (i + 1) * length // count] for i in range(count)
    ]


def merge_lists(lists: Iterable[Sequence[Item]]) -> list[Item]:
    """Put the items of all `lists` into one list, in order.

    >>> merge_lists([[1, 2], [], [3]])
    [1, 2, 3]

    A string is refused, because its characters would pass for items.

    >>> merge_lists(["ab", "cd"])
    Traceback (most recent call last):
    TypeError: part 0 is a str, not a list

    Raises
    ------
    TypeError
        If a part is not a list, a tuple, an array or the like.
    """
    merged: list[Item] = []
    for number, part in enumerate(lists):
        if isinstance(part, str | bytes) or not _is_sequence(part):
            raise TypeError(f"part {number} is a {type(part).__name__}, not a list")
        merged.extend(part)
    return merged


def merge_dicts(dicts: Iterable[Mapping[Key, Value]]) -> dict[Key, Value]:
    """Put the entries of all `dicts` into one dict, in order.

    >>> merge_dicts([{"a": 1}, {"b": 2}])
    {'a': 1, 'b': 2}
    >>> merge_dicts([{"a": 1}, {"a": 2}])
    Traceback (most recent call last):
    ValueError: part 1 has the key 'a', and so has part 0

    Raises
    ------
    ValueError
        If two parts have the same key: one value would silently be lost.
    TypeError
        If a part is not a dict.
    """
    merged: dict[Key, Value] = {}
    origins: dict[Key, int] = {}
    for number, part in enumerate(dicts):
        if not isinstance(part, Mapping):
            raise TypeError(f"part {number} is a {type(part).__name__}, not a dict")
        for key, value in part.items():
            if key in origins:
                raise ValueError(
                    f"part {number} has the key {key!r}, and so has part {origins[key]}"
                )
            origins[key] = number
            merged[key] = value
    return merged


def _whole_number(parts: int) -> int:
    try:
        return operator.index(parts)
    except TypeError:
        raise TypeError(f"parts must be a whole number, not {parts!r}") from None


def _is_sequence(thing: Any) -> bool:
    kind = type(thing)
    sized = hasattr(kind, "__len__") and hasattr(kind, "__getitem__")
    return sized and not isinstance(thing, Mapping)


def _refuse_unsliceable(items: Any) -> None:
    try:
        sliceable = _is_sequence(items) and items[:0] is not None
    except TypeError:
        # A deque has a length and an index, but no slices
        sliceable = False
    if not sliceable:
        raise TypeError(
            f"a {type(items).__name__} cannot be cut into slices: "
            "pass list(...) of it, or list(....items()) of a dict"
        )
