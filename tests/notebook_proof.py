"""A pytest plugin: each notebook is run under each chosen start method.

nbval collects, compares and reports; the kernel is our own, because nbval's lets some
faults pass (`test_proof.py` shows each):

    notebooks/01_process_pool.ipynb::spawn::Cell 3
    notebooks/01_process_pool.ipynb::spawn::after the last cell
"""

import itertools
import multiprocessing
import os
from collections import defaultdict

import pytest
from nbval.plugin import (
    IPyNbCell,
    IPyNbFile,
    NbCellError,
    bcolors,
    coalesce_streams,
    find_comment_markers,
    find_metadata_tags,
    nocolors,
)

from authoring.compare import kinds, sanitize_rules
from authoring.house import read
from authoring.kernel import Kernel, KernelFailed, wrong_while_running
from authoring.page import tags_of, text_of

MODES = ("fork", "spawn", "forkserver", "windows")
CHOSEN = pytest.StashKey[list[str]]()


def pytest_addoption(parser):
    parser.getgroup("notebooks").addoption(
        "--start-method",
        action="append",
        metavar="METHOD",
        help="run the notebooks with this start method as the default of their "
        "kernel: fork, spawn, forkserver, windows (spawn, and nothing that Windows "
        "lacks), several with commas, or all; default: spawn",
    )


def modes_here():
    methods = set(multiprocessing.get_all_start_methods())
    here = methods if os.name == "nt" else methods | {"windows"}
    return [mode for mode in MODES if mode in here]


def chosen_modes(wanted):
    words = [word for words in wanted or ["spawn"] for word in words.split(",")]
    if unknown := [word for word in words if word not in (*MODES, "all")]:
        raise pytest.UsageError(
            f"--start-method: {unknown[0]!r} is none of {', '.join(MODES)}, all"
        )
    here = modes_here()
    if lacking := [word for word in words if word not in (*here, "all")]:
        raise pytest.UsageError(
            f"--start-method: this system cannot do {lacking[0]!r}, "
            f"only {', '.join(here)}"
        )
    return here if "all" in words else [mode for mode in MODES if mode in words]


def pytest_configure(config):
    if config.option.nbval or config.option.nbval_lax:
        raise pytest.UsageError("plain pytest runs the notebooks: leave out --nbval")
    config.stash[CHOSEN] = chosen_modes(config.option.start_method)


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".ipynb":
        return NotebookFile.from_parent(parent, path=file_path)
    return None


def pytest_terminal_summary(terminalreporter):
    # From the reports: the notebooks may have run in other processes of pytest
    reports = itertools.chain(*terminalreporter.stats.values())
    nodes = [report.nodeid for report in reports if hasattr(report, "when")]
    ran = [mode for mode in MODES if any(f".ipynb::{mode}::" in each for each in nodes)]
    if not ran:
        return
    line = f"notebooks ran under {', '.join(ran)}"
    if left_out := [mode for mode in modes_here() if mode not in ran]:
        line += f"; left out: {', '.join(left_out)}"
        line += " (python -m pytest notebooks --start-method=all runs them)"
    if lacking := [mode for mode in MODES if mode not in modes_here()]:
        line += f"; this system cannot do: {', '.join(lacking)}"
    terminalreporter.write_line(line)


class NotebookFile(pytest.File):
    def collect(self):
        for mode in self.config.stash[CHOSEN]:
            yield NotebookRun.from_parent(
                self, path=self.path, name=mode, nodeid=f"{self.nodeid}::{mode}"
            )


class NotebookRun(IPyNbFile):
    """One notebook in one kernel."""

    over = ""

    def collect(self):
        self.sanitize_patterns.update(sanitize_rules())
        code = [cell for cell in read(self.path).cells if cell.cell_type == "code"]
        for number, cell in enumerate(code, start=1):
            options = defaultdict(bool, find_metadata_tags(cell.metadata))
            options.setdefault("check", True)
            yield NotebookCell.from_parent(
                self,
                name=f"Cell {number}",
                cell_num=number,
                cell=cell,
                options=options,
            )
        yield AfterTheLastCell.from_parent(self, name="after the last cell")

    def setup(self):
        self.kernel = Kernel(self.path.parent, self.name)

    def teardown(self):
        if self.kernel is not None:
            self.kernel.kill()
            self.kernel = None


class NotebookCell(IPyNbCell):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        colourful = self.config.get_terminal_writer().hasmarkup
        self.colors = bcolors if colourful else nocolors

    def setup(self):
        if self.parent.over:
            pytest.xfail(f"the notebook was over: {self.parent.over}")

    def runtest(self):
        wrong = wrong_as_stored(self.cell)
        kernel, limit = self.parent.kernel, self.config.option.nbval_cell_timeout
        try:
            outputs = kernel.run(self.cell.source, limit)
        except KernelFailed as failure:
            self.parent.over = f"Cell {self.cell_num}: {failure}"
            self.raise_cell_error(str(failure))
        self.test_outputs = outputs
        wrong += wrong_while_running(kernel, self.cell, outputs)
        if wrong:
            self.raise_cell_error("\n".join(wrong), traceback_of(outputs))
        if self.options["check"]:
            self.compare_with_stored(outputs)

    def compare_with_stored(self, outputs):
        stored = coalesce_streams(self.cell.outputs)
        if not self.compare_outputs(outputs, stored):
            difference = "\n".join(self.comparison_traceback)
            self.raise_cell_error("Cell outputs differ", difference)
        if kinds(stored) != kinds(outputs):
            self.raise_cell_error(
                f"Cell outputs differ in form: stored {kinds(stored)}, "
                f"now {kinds(outputs)}"
            )

    def repr_failure(self, excinfo):
        error = excinfo.value
        if not isinstance(error, NbCellError):
            return super().repr_failure(excinfo)
        # The first line is what the summary quotes
        parts = [f"{self.name}: {error}", error.source, error.inner_traceback]
        return "\n\n".join(filter(None, parts))

    def reportinfo(self):
        return self.path, 0, f"{self.parent.name}::{self.name}"


class AfterTheLastCell(pytest.Item):
    """What only shows at the end: lost errors, and what was left behind."""

    def setup(self):
        if self.parent.over:
            pytest.xfail(f"the notebook was over: {self.parent.over}")

    def runtest(self):
        wrong = self.parent.kernel.finish()
        if wrong:
            raise NbCellError("after the last", "\n".join(wrong), "")

    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, NbCellError):
            return f"After the last cell: {excinfo.value}"
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, 0, f"{self.parent.name}::{self.name}"


def wrong_as_stored(cell):
    """Return why nbval would not really compare `cell`, whatever it gives."""
    wrong = []
    if cell.execution_count is None:
        wrong.append("has no execution count: nobody ran it, nothing would be compared")
    if "nbval-skip" in tags_of(cell):
        wrong.append("is tagged nbval-skip: each cell is to be run")
    if dict(find_comment_markers(cell.source)):
        wrong.append("has a comment that steers nbval: only tags may")
    if text_of(cell.outputs, "stderr"):
        wrong.append("has something on stderr among its stored outputs")
    return wrong


def traceback_of(outputs):
    return "\n".join(
        line
        for output in outputs
        if output.output_type == "error"
        for line in output.traceback
    )
