"""The values that threads share: as text to show, and as a key to compare.

Two runs are at the same point when their keys are equal. A value that cannot be
compared for sure, such as a generator, makes the point one of its own.
"""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

from lessons_src.tools.scheduler_locks import Primitive

PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis))
NAMED = (FunctionType, BuiltinFunctionType, ModuleType, type)
MOST_LETTERS = 40


class Opaque(Exception):
    """A value cannot be compared."""


class Key:
    """Makes keys of values that stand in one common state.

    The same object, met twice, is told by its number: two lists that are equal are
    not one list.

    >>> twice, once = [[1]] * 2, [[1], [1]]
    >>> Key()(twice) == Key()(once), Key()([[1], [1]]) == Key()(once)
    (False, True)
    """

    def __init__(self) -> None:
        self._met: dict[int, int] = {}
        # As long as they are kept, no other object gets their identity
        self._kept: list[Any] = []

    def __call__(self, value: Any) -> Hashable:
        """Return the key of `value`.

        Raises
        ------
        Opaque
            When it holds something that cannot be compared.
        """
        kind = type(value)
        if kind in PLAIN:
            return kind, value
        if isinstance(value, NAMED):
            return id(value)
        if id(value) in self._met:
            return "met", self._met[id(value)]
        self._met[id(value)] = len(self._met)
        self._kept.append(value)
        return kind, self._parts(kind, value)

    def _parts(self, kind: type, value: Any) -> Hashable:
        if kind in (list, deque) or isinstance(value, tuple):
            return tuple(map(self, value))
        if kind is dict:
            return self.entries(value)
        if kind in (set, frozenset) and all(type(each) in PLAIN for each in value):
            return frozenset(value)
        if isinstance(value, MethodType):
            return id(value.__func__), self(value.__self__)
        if isinstance(value, BaseException):
            return self(value.args)
        if kind is object:
            # A sentinel: all that counts is which one it is
            return ()
        # Whatever is not written in Python has a __new__ of its own, or no __dict__
        plain = kind.__new__ is object.__new__ and hasattr(value, "__dict__")
        if plain or kind is SimpleNamespace:
            return self.entries(vars(value)), self.entries(class_values(kind))
        raise Opaque(f"a {kind.__name__} cannot be compared")

    def entries(self, mapping: Mapping[Any, Any]) -> Hashable:
        """Return the key of what `mapping` holds, whichever mapping it is."""
        return tuple((self(name), self(value)) for name, value in mapping.items())


def class_values(kind: type) -> dict[str, Any]:
    """Return the data that stand in the class `kind` itself, such as defaults."""
    return {
        name: value
        for each in reversed(kind.__mro__[:-1])
        for name, value in vars(each).items()
        if not name.startswith("__")
        and not callable(value)
        and not hasattr(value, "__get__")
    }


def shared_values(shared: Any) -> dict[str, Any]:
    """Return the values of `shared` by name: its attributes, or the entries of a dict.

    >>> class Bank:
    ...     balance = 0
    >>> shared_values(Bank())
    {'balance': 0}
    """
    if isinstance(shared, dict):
        return {str(key): value for key, value in shared.items()}
    if hasattr(shared, "__dict__"):
        every = class_values(type(shared)) | vars(shared)
        return {name: each for name, each in every.items() if name[0] != "_"}
    return {"shared": shared}


def told(value: Any) -> str:
    """Return `value` as a short text that is the same on each run.

    >>> class Fork:
    ...     def __init__(self):
    ...         self.clean = True
    >>> told([Fork(), "salt"])
    "[Fork(clean=True), 'salt']"
    """
    text = _told(value)
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 3] + "..."


def _told(value: Any) -> str:
    kind = type(value)
    if kind in (list, deque):
        return f"[{', '.join(map(_told, value))}]"
    if kind is tuple:
        return f"({', '.join(map(_told, value))}{',' * (len(value) == 1)})"
    if kind is dict:
        pairs = (f"{_told(key)}: {_told(value[key])}" for key in value)
        return f"{{{', '.join(pairs)}}}"
    if kind in (set, frozenset):
        return f"{{{', '.join(sorted(map(_told, value)))}}}"
    if isinstance(value, FunctionType | type):
        return value.__name__
    if kind.__repr__ is object.__repr__:
        parts = (f"{key}={_told(each)}" for key, each in shared_values(value).items())
        return f"{kind.__name__}({', '.join(parts)})"
    return repr(value)


def find(shared: Any, wanted: Callable[[Any], bool]) -> list[tuple[str, Any]]:
    """Return name and value of each `wanted` value in `shared`.

    >>> find({"forks": ["left", "right"]}, lambda value: value == "right")
    [('forks[1]', 'right')]
    """
    found: list[tuple[str, Any]] = []
    _search(shared, "", wanted, found, set())
    return found


def _search(
    value: Any, name: str, wanted: Callable, found: list, seen: set[int]
) -> None:
    if name and wanted(value):
        found.append((name, value))
    if id(value) in seen or isinstance(value, (*PLAIN, *NAMED, Primitive)):
        return
    seen.add(id(value))
    if isinstance(value, list | tuple):
        inner = {f"{name}[{number}]": each for number, each in enumerate(value)}
    elif isinstance(value, dict):
        inner = {f"{name}[{k!r}]" if name else str(k): v for k, v in value.items()}
    elif hasattr(value, "__dict__"):
        every = class_values(type(value)) | vars(value)
        inner = {f"{name}.{k}".lstrip("."): each for k, each in every.items()}
    else:
        return
    for inner_name, each in inner.items():
        _search(each, inner_name, wanted, found, seen)
