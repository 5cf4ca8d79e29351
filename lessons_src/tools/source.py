"""Show the source of a worker in the notebook, highlighted, instead of pasting it."""

import functools
import inspect
import textwrap
from typing import Any


def show_source(*objects: Any) -> None:
    """Display the source of `objects` (functions, classes, modules) as one block.

    A `functools.partial` shows the function it calls.

    Raises
    ------
    TypeError, OSError
        When an object has no Python source, such as `len`.
    """
    from IPython.display import display

    source = source_of(*objects)
    fence = f"```python\n{source}\n```"
    display({"text/plain": source, "text/markdown": fence}, raw=True)


def source_of(*objects: Any) -> str:
    """Return the source of `objects`, with two blank lines between them.

    >>> print(source_of(source_of).splitlines()[0])
    def source_of(*objects: Any) -> str:
    """
    return "\n\n\n".join(map(_source, objects))


def _source(thing: Any) -> str:
    function = thing.func if isinstance(thing, functools.partial) else thing
    return textwrap.dedent(inspect.getsource(function)).rstrip()
