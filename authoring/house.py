"""Where things are in the course, and how a lesson's first cell is read.

The number of a notebook is the reading order, the stem is the identity:
`notebooks/01_process_pool.ipynb` is lesson `process_pool`.
"""

import re
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
README = ROOT / "README.md"
SANITIZE_RULES = ROOT / "tests" / "nbval_sanitize.cfg"

TITLE = re.compile(r"^# (?P<number>\d\d) (?P<title>.+)$", re.MULTILINE)
MINUTES = re.compile(r"^\*\*Minutes:\*\* (?P<minutes>\d+)", re.MULTILINE)


class Head(NamedTuple):
    """What the first cell of a lesson says."""

    number: str
    title: str
    promise: str
    minutes: int


def notebooks() -> list[Path]:
    """Return the notebooks of the course in reading order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def stem_of(notebook: Path) -> str:
    """Return the name that `notebook` shares with its module, checks and tests.

    >>> stem_of(Path("notebooks/01_process_pool.ipynb"))
    'process_pool'
    """
    return notebook.stem.partition("_")[2]


def find(word: str) -> Path:
    """Return the one notebook that `word` names: a number, a stem, or a file.

    Raises
    ------
    ValueError
        When none, or more than one, goes by that name.
    """
    wanted = Path(word).name
    found = [
        path
        for path in notebooks()
        if wanted in (path.name, path.stem, path.name[:2], stem_of(path))
    ]
    if len(found) != 1:
        names = ", ".join(path.stem for path in notebooks()) or "none yet"
        raise ValueError(f"no single notebook is called {word!r}; there are: {names}")
    return found[0]


def read(path: Path) -> NotebookNode:
    """Read the notebook at `path`, with each source and text as one string."""
    return nbformat.read(path, as_version=4)


def head_of(notebook: NotebookNode) -> Head:
    """Read number, title, promise and minutes off the first cell of `notebook`.

    Raises
    ------
    ValueError
        When the first cell lacks one of them, naming it.
    """
    text = notebook.cells[0].source if notebook.cells else ""
    title, minutes = TITLE.search(text), MINUTES.search(text)
    if not title:
        raise ValueError("the first cell lacks a title such as '# 01 Process pools'")
    if not minutes:
        raise ValueError("the first cell lacks a line such as '**Minutes:** 40'")
    promise = text[title.end() : minutes.start()].strip()
    if not promise or "\n\n" in promise:
        raise ValueError("the first cell lacks its one-paragraph promise")
    return Head(
        title["number"], title["title"], " ".join(promise.split()), int(minutes[1])
    )
