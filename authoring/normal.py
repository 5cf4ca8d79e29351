"""The one form in which a notebook is kept: what differs from it is noise in a diff."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from authoring.page import LIVE_WIDGET

NOTEBOOK_METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
# Set beside each stored picture, so that a picture older than its code is noticed:
# no test can compare the pixels
DRAWN_BY = "drawn_by"


def normalise(notebook: NotebookNode) -> None:
    """Drop from `notebook` all that an editor or a widget left, in place."""
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        _normalise_cell(cell)


def _normalise_cell(cell: NotebookNode) -> None:
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
    tags = cell.metadata.get("tags")
    metadata = {"tags": tags} if tags else {}
    if hidden:
        metadata["jupyter"] = {"source_hidden": True}
    cell.metadata = nbformat.from_dict(metadata)
    cell.source = cell.source.rstrip()
    for output in cell.get("outputs", []):
        if "data" in output:
            output.data.pop(LIVE_WIDGET, None)


def source_mark(cell: NotebookNode) -> str:
    """Return a short digest of the source of `cell`."""
    return hashlib.sha256(cell.source.encode()).hexdigest()[:8]


def as_text(notebook: NotebookNode) -> str:
    """Return `notebook` as the text of its file."""
    split = nbformat.v4.rwbase.split_lines(nbformat.from_dict(notebook))
    return (
        json.dumps(split, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
        + "\n"
    )


def write(notebook: NotebookNode, path: Path) -> bool:
    """Put `notebook` at `path` in one step; False when it stood there already."""
    nbformat.validate(notebook)
    text = as_text(notebook).encode("utf-8")
    if path.exists() and path.read_bytes() == text:
        return False
    # In the same folder, for only there can it take the other's place in one step
    handle, draft = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return True
