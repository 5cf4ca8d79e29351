"""The outputs of one cell, gathered from the messages of its kernel."""

import re
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import output_from_msg
from nbval.plugin import coalesce_streams

OUTPUTS = ("stream", "display_data", "execute_result", "error")
LIVE_WIDGET = "application/vnd.jupyter.widget-view+json"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Page:
    """What a reader sees below one cell."""

    def __init__(self) -> None:
        self._outputs: list[NotebookNode] = []
        self._displays: dict[str, list[NotebookNode]] = {}
        self._clear_before_next = False

    def take(self, message: dict[str, Any]) -> None:
        """Show `message` as JupyterLab would: append, replace, or clear."""
        kind, content = message["msg_type"], message["content"]
        if kind == "clear_output":
            self._clear_before_next = content["wait"]
            if not content["wait"]:
                self._outputs.clear()
        elif kind == "update_display_data":
            for output in self._displays.get(content["transient"]["display_id"], []):
                output.update(data=content["data"], metadata=content["metadata"])
        elif kind in OUTPUTS:
            self._append(message)

    def _append(self, message: dict[str, Any]) -> None:
        if self._clear_before_next:
            self._outputs.clear()
            self._clear_before_next = False
        output = output_from_msg(message)
        self._outputs.append(output)
        name = message["content"].get("transient", {}).get("display_id")
        if name:
            self._displays.setdefault(name, []).append(output)

    def outputs(self) -> list[NotebookNode]:
        r"""Return the outputs, streams merged and read as a terminal would (`\r`).

        A stream of which nothing is left to see, such as a progress bar that
        wiped itself out, is no output.
        """
        merged = coalesce_streams(self._outputs)
        return [
            output
            for output in merged
            if output.output_type != "stream" or output.text.strip(" \r")
        ]


def text_of(outputs: list[NotebookNode], name: str) -> str:
    """Return what `outputs` hold of the stream `name`."""
    return "".join(
        output.text
        for output in outputs
        if output.output_type == "stream" and output.name == name
    )


def error_of(outputs: list[NotebookNode]) -> str:
    """Return type and message of the exception among `outputs`, or nothing."""
    for output in outputs:
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}"
    return ""


def tags_of(cell: NotebookNode) -> list[str]:
    """Return the tags of `cell`."""
    return cell.metadata.get("tags", [])


def plain(text: str) -> str:
    r"""Return `text` without colours and without blanks around it.

    >>> plain("\x1b[31mValueError\x1b[39m: no\n")
    'ValueError: no'
    """
    return COLOUR.sub("", text).strip()
