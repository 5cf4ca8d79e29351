"""Run a notebook afresh and store what its cells gave."""

import copy
from pathlib import Path

from nbformat import NotebookNode

from authoring.compare import same
from authoring.house import read
from authoring.kernel import Kernel, KernelFailed, wrong_while_running
from authoring.normal import DRAWN_BY, normalise, source_mark, write

CELL_SECONDS = 60


class RefreshFailed(Exception):
    """A notebook does not run as it should; its file was left alone."""


def refresh(path: Path, redraw: bool = False) -> bool:
    """Run the notebook at `path` and store its outputs; False if nothing changed.

    What equals the stored output is kept, since times and pictures differ at each
    run; `redraw` takes the new one all the same.

    Raises
    ------
    RefreshFailed
        At the first cell that fails or complains, or for what comes after the last.
    """
    stored = read(path)
    notebook = copy.deepcopy(stored)
    normalise(notebook)
    _run(notebook, path.parent)
    for old, new in zip(stored.cells, notebook.cells, strict=True):
        if new.cell_type == "code":
            _mark_pictures(new)
            if not redraw and _still_holds(old, new):
                _keep_outputs(old, new)
    normalise(notebook)
    return write(notebook, path)


def _run(notebook: NotebookNode, folder: Path) -> None:
    try:
        kernel = Kernel(folder)
    except KernelFailed as failure:
        raise RefreshFailed(f"no kernel: {failure}") from failure
    try:
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for count, cell in enumerate(code, start=1):
            cell.outputs = _outputs(kernel, cell, count)
            cell.execution_count = count
        wrong = kernel.finish()
    finally:
        kernel.kill()
    if wrong:
        raise RefreshFailed("after the last cell: " + "\n  ".join(wrong))


def _outputs(kernel: Kernel, cell: NotebookNode, count: int) -> list[NotebookNode]:
    try:
        outputs = kernel.run(cell.source, CELL_SECONDS)
    except KernelFailed as failure:
        raise RefreshFailed(f"In [{count}]: {failure}\n{cell.source}") from failure
    wrong = wrong_while_running(kernel, cell, outputs)
    if wrong:
        what = "\n  ".join(wrong)
        raise RefreshFailed(f"In [{count}]: {what}\n\n{cell.source}")
    for output in outputs:
        if output.output_type == "execute_result":
            output.execution_count = count
    return outputs


def _mark_pictures(cell: NotebookNode) -> None:
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            output.metadata[DRAWN_BY] = source_mark(cell)


def _still_holds(old: NotebookNode, new: NotebookNode) -> bool:
    return same(old.outputs, new.outputs) and _pictures(old) == _pictures(new)


def _pictures(cell: NotebookNode) -> list[str]:
    return [
        output.metadata.get(DRAWN_BY, "")
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def _keep_outputs(old: NotebookNode, new: NotebookNode) -> None:
    new.outputs = old.outputs
    for output in new.outputs:
        if output.output_type == "execute_result":
            output.execution_count = new.execution_count
