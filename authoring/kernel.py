"""A kernel that is watched: its cells, its terminal, its processes, its end."""

import ast
import json
import tempfile
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
from jupyter_client.manager import KernelManager
from nbformat import NotebookNode
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

from authoring.page import OUTPUTS, Page, error_of, plain, tags_of, text_of
from authoring.processes import (
    described,
    end,
    end_all,
    left_alive,
    left_behind,
)
from authoring.surroundings import KERNEL_ARGUMENTS, kernel_environment

START_SECONDS = 60
POLL_SECONDS = 0.2
# After an interrupt, and for what a notebook may still say after its last cell
GRACE_SECONDS = 5
QUIET_SECONDS = 0.3


class KernelFailed(Exception):
    """The kernel cannot go on: it died, or a cell took too long."""


class Kernel:
    """Run cells in a fresh kernel of this interpreter, started in `folder`.

    Parameters
    ----------
    mode
        `fork`, `spawn`, `forkserver` or `windows`; None: the system's default.
    """

    def __init__(self, folder: Path, mode: str | None = None) -> None:
        self._own = tempfile.TemporaryDirectory(
            prefix="kernel-", ignore_cleanup_errors=True
        )
        own = Path(self._own.name)
        self._mark = uuid.uuid4().hex
        self._terminal = own / "terminal.txt"
        self._terminal_read = 0
        self._late: list[str] = []
        self._manager = KernelManager(
            kernel_name=CURRENT_ENV_KERNEL_NAME,
            kernel_spec_manager=NbvalKernelspecManager(),
            connection_file=str(own / "connection.json"),
        )
        try:
            self._start(folder, kernel_environment(own, self._mark, mode))
        except BaseException:
            self.kill()
            raise

    def _start(self, folder: Path, environment: dict[str, str]) -> None:
        with self._terminal.open("ab") as terminal:
            self._manager.start_kernel(
                extra_arguments=list(KERNEL_ARGUMENTS),
                env=environment,
                cwd=str(folder),
                stdout=terminal,
                stderr=terminal,
            )
        self._client = self._manager.client()
        self._client.start_channels()
        try:
            self._client.wait_for_ready(timeout=START_SECONDS)
        except RuntimeError as error:
            raise KernelFailed(f"{error}\n{self.terminal_news()}") from error
        self._wait_until_heard()
        # On Windows the process that we started is only a launcher of the kernel's
        self._process = psutil.Process(self._ask("take_stock()"))

    def _wait_until_heard(self) -> None:
        """Wait for a first message: those sent before we are subscribed are lost."""
        for _ in range(START_SECONDS):
            if self._read_until_idle(self._client.kernel_info(), Page(), limit=1):
                return
        raise KernelFailed(f"the kernel said nothing for {START_SECONDS} s")

    def run(self, source: str, limit: float) -> list[NotebookNode]:
        """Run `source` as a cell and return its outputs.

        Parameters
        ----------
        limit
            Seconds, after which the cell is interrupted.

        Raises
        ------
        KernelFailed
            When the kernel died, or the cell did not end within `limit`.
        """
        page = Page()
        asked = self._client.execute(source, allow_stdin=False, stop_on_error=False)
        if not self._read_until_idle(asked, page, limit):
            self._manager.interrupt_kernel()
            self._read_until_idle(asked, page, GRACE_SECONDS)
            where = error_of(page.outputs()) or "and could not be interrupted"
            raise KernelFailed(f"the cell ran longer than {limit:g} s: {where}")
        return page.outputs()

    def _read_until_idle(self, asked: str, page: Page, limit: float) -> bool:
        """Fill `page` with the answers to `asked`; False when `limit` is over."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            message = self._next_message(POLL_SECONDS)
            if message is None:
                self._check_alive()
            elif message["parent_header"].get("msg_id") != asked:
                self._note_late(message)
            elif message["msg_type"] != "status":
                page.take(message)
            elif message["content"]["execution_state"] == "idle":
                return True
        return False

    def _next_message(self, limit: float) -> dict[str, Any] | None:
        try:
            return self._client.get_iopub_msg(timeout=limit)
        except Empty:
            return None

    def _check_alive(self) -> None:
        if not self._manager.is_alive():
            raise KernelFailed(f"the kernel died {self.terminal_news()}".strip())

    def _note_late(self, message: dict[str, Any]) -> None:
        if message["msg_type"] in OUTPUTS:
            page = Page()
            page.take(message)
            for output in page.outputs():
                self._late.append(_summary(output))

    def late_news(self) -> list[str]:
        """Return what came, since last asked, from cells that had already ended."""
        news, self._late = self._late, []
        return news

    def terminal_news(self) -> str:
        """Return what was printed, since last asked, where no reader looks."""
        with self._terminal.open("rb") as terminal:
            terminal.seek(self._terminal_read)
            news = terminal.read()
        self._terminal_read += len(news)
        return news.decode("utf-8", errors="replace")

    def _ask(self, question: str) -> Any:
        """Evaluate `question`, a call of `in_kernel/course_watch.py`, in the kernel."""
        call = f"__import__('json').dumps(__import__('course_watch').{question})"
        asked = self._client.execute("", silent=True, user_expressions={"it": call})
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                reply = self._client.get_shell_msg(timeout=POLL_SECONDS)
            except Empty:
                self._check_alive()
                continue
            if reply["parent_header"].get("msg_id") == asked:
                return _answer(reply["content"]["user_expressions"]["it"])
        raise KernelFailed("the kernel does not answer any more")

    def finish(self) -> list[str]:
        """End the kernel and return all that was wrong after the last cell."""
        try:
            wrong = list(self._ask("wrong_after_the_last_cell()"))
            self._hear_the_last_messages()
            wrong += [f"came after its cell had ended: {it}" for it in self.late_news()]
            wrong += self._end_what_is_left_behind()
            wrong += self._leave()
            said = plain(self.terminal_news())
            if said:
                wrong.append(f"printed where no reader looks: {said}")
        except KernelFailed as failure:
            return [str(failure)]
        finally:
            self.kill()
        return wrong

    def _hear_the_last_messages(self) -> None:
        until = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < until:
            message = self._next_message(QUIET_SECONDS)
            if message is None:
                return
            self._note_late(message)

    def _end_what_is_left_behind(self) -> list[str]:
        processes = left_behind(self._process, self._mark)
        wrong = [f"left running: {described(process)}" for process in processes]
        end(processes)
        return wrong

    def _leave(self) -> list[str]:
        """Let the kernel end as a script does, with all that is done at exit.

        A shutdown request would interrupt it, and end its children by force.
        """
        self._ask("leave()")
        until = time.monotonic() + GRACE_SECONDS
        while self._manager.is_alive():
            if time.monotonic() > until:
                return [f"the kernel did not end within {GRACE_SECONDS} s"]
            time.sleep(POLL_SECONDS / 4)
        return [
            f"outlived the kernel: {described(process)}"
            for process in left_alive(self._mark)
        ]

    def kill(self) -> None:
        """End the kernel, and all that it started, at once."""
        if hasattr(self, "_client"):
            self._client.stop_channels()
        if self._manager.has_kernel:
            self._manager.shutdown_kernel(now=True)
        end_all(self._mark)
        self._own.cleanup()


def wrong_while_running(
    kernel: Kernel, cell: NotebookNode, outputs: list[NotebookNode]
) -> list[str]:
    """Return a sentence for each thing that was wrong when `cell` gave `outputs`."""
    error, tagged = error_of(outputs), "raises-exception" in tags_of(cell)
    stderr, terminal = plain(text_of(outputs, "stderr")), plain(kernel.terminal_news())
    wrong = [f"printed by a cell that had ended: {it}" for it in kernel.late_news()]
    if error and not tagged:
        wrong.append(f"raised {error}")
    if tagged and not error:
        wrong.append("is tagged raises-exception, but raised nothing")
    if stderr:
        wrong.append(f"wrote on stderr: {stderr}")
    if terminal:
        wrong.append(f"printed where no reader looks: {terminal}")
    return wrong


def _answer(result: dict[str, Any]) -> Any:
    if result["status"] == "error":
        raise KernelFailed(f"{result['ename']}: {result['evalue']}")
    # The text is the repr of a string of JSON
    return json.loads(ast.literal_eval(result["data"]["text/plain"]))


def _summary(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return f"{output.name}: {plain(output.text)}"
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return f"{output.output_type}: {output.data.get('text/plain', '')}"
