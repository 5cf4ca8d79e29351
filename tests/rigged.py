"""Notebooks made for a test, and what our plugin says of them."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from authoring.normal import as_text, normalise


def code(source, *outputs, count=1, tags=()):
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(
        source, outputs=list(outputs), execution_count=count, metadata=metadata
    )


def prose(source):
    return new_markdown_cell(source)


def value(text):
    return new_output("execute_result", {"text/plain": text}, execution_count=1)


def printed(text, name="stdout"):
    return new_output("stream", text=text, name=name)


def picture(text, png="AAAA"):
    return new_output("display_data", {"text/plain": text, "image/png": png})


def raised(name, message):
    return new_output("error", ename=name, evalue=message, traceback=[])


def notebook_of(*cells):
    notebook = new_notebook(cells=list(cells))
    notebook = nbformat.from_dict(notebook)
    normalise(notebook)
    return notebook


def write(path, *cells):
    path.write_text(as_text(notebook_of(*cells)), encoding="utf-8")


class Reports:
    """A plugin that keeps how each item ended and what was said of it."""

    def __init__(self):
        self.outcomes = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = (report.outcome, report.longreprtext)


def run_pytest(folder, *options):
    """Run our plugin over the notebooks in `folder`: exit code and outcomes."""
    reports = Reports()
    inner = ["-p", "notebook_proof", "-p", "no:timeout", "-p", "no:cacheprovider"]
    where = [f"--rootdir={folder}", "-c", str(folder / "pytest.ini"), str(folder)]
    (folder / "pytest.ini").write_text("[pytest]\n")
    code = pytest.main([*inner, *where, *options], plugins=[reports])
    return code, reports.outcomes
