"""Show the transcript of a run where this system cannot run the thing itself."""

from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable

RECORDED_LINE = "(recorded on Linux: this system cannot run it)\n"


def transcript(name: str) -> str:
    """Return the recorded transcript `name`.

    Raises
    ------
    ValueError
        If there is no such transcript; the message names those there are.
    """
    texts = _transcripts()
    if name not in texts:
        known = ", ".join(sorted(texts)) or "none"
        raise ValueError(f"no transcript is named {name!r}; there are: {known}")
    return texts[name].read_text(encoding="utf-8")


def live_or_recorded(name: str, run: Callable[[], str], live: bool) -> str:
    """Return what `run` returns if `live`, else a note and the transcript `name`.

    >>> live_or_recorded("fork", lambda: "child 0, parent 1", live=True)
    'child 0, parent 1'
    """
    if live:
        return run()
    return RECORDED_LINE + transcript(name)


def _transcripts() -> dict[str, Traversable]:
    folder = resources.files("lessons_src") / "recorded"
    if not folder.is_dir():
        return {}
    return {
        entry.name.removesuffix(".txt"): entry
        for entry in folder.iterdir()
        if entry.name.endswith(".txt")
    }
