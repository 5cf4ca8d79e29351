"""Show, read and run the small programs that the lessons run on a leash.

They stand in the folder `lessons_src/listings`, one file each. They are never
imported: some start processes, some hang, some are wrong on purpose.
"""

import textwrap
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

from lessons_src.tools.leash import Outcome, run_code


def program(name: str) -> str:
    """Return the text of the program `name`.

    >>> program("fork_two_returns").splitlines()[0]
    'import os'

    Raises
    ------
    FileNotFoundError
        When there is no such program.
    """
    file = resources.files("lessons_src") / "listings" / f"{name}.py"
    return file.read_text(encoding="utf-8")


def change(before: str, after: str) -> str:
    """Return the lines that lead from the program `before` to `after`.

    >>> print(change("frozen_without", "frozen_with").splitlines()[0])
    -from multiprocessing import get_context
    """
    from difflib import unified_diff

    pair = program(before).splitlines(), program(after).splitlines()
    # The first three lines name two files and a place
    lines = list(unified_diff(*pair, n=1, lineterm=""))[3:]
    return "\n".join(
        " ..." if line.startswith("@@") else line for line in lines if line.strip()
    )


def show_program(*names: str) -> None:
    """Display the programs `names`, highlighted, one below the other."""
    for name in names:
        _show("python", program(name))


def show_change(before: str, after: str) -> None:
    """Display the lines that lead from the program `before` to `after`."""
    _show("diff", change(before, after))


def run_programs(
    *names: str,
    limit: float,
    run: Callable[[str, float], Outcome] = run_code,
) -> dict[str, Outcome]:
    """Run the programs `names` at the same time, each on a leash of its own.

    Parameters
    ----------
    limit
        seconds, for each of them
    run
        `run_code`, or `run_cell` to run them as a notebook cell
    """
    with ThreadPoolExecutor(len(names)) as threads:
        outcomes = threads.map(run, map(program, names), [limit] * len(names))
        return dict(zip(names, outcomes, strict=True))


def report(outcomes: Mapping[str, Outcome], *names: str) -> str:
    """Say what the programs `names` printed and how they ended, from `outcomes`.

    >>> print(report({"nap": Outcome(0, None, "zzz", "", False, 5)}, "nap"))
    nap
        zzz
    --> ended with exit code 0
    """
    blocks = []
    for name in names:
        output = textwrap.indent(outcomes[name].output.rstrip(), "    ")
        blocks.append(f"{name}\n{output}\n--> {outcomes[name].ended}")
    return "\n\n".join(blocks)


def _show(language: str, text: str) -> None:
    from IPython.display import display

    text = text.rstrip()
    fence = f"```{language}\n{text}\n```"
    display({"text/plain": text, "text/markdown": fence}, raw=True)
