"""The reader is the scheduler: buttons, keys, and where each thread stands.

    a button, or a letter in the field  -> Game.press -> replay from the start -> shown

Each move runs the schedule anew, so nothing is left running between two clicks, and to
undo a move is to leave out a letter.
"""

import inspect
import textwrap
from collections.abc import Callable, Hashable
from functools import partial
from html import escape as escape_all
from types import CodeType
from typing import Any

import ipywidgets

from lessons_src.tools.scheduler_program import Program
from lessons_src.tools.scheduler_replay import Replay, Stand, replay

NEXT = "background: var(--jp-rendermime-table-row-hover-background, #cfe8fc)"
WRAP = {"flex_flow": "row wrap", "grid_gap": "0.5em 2em"}
GREY = "opacity: 0.6"
BOX = "margin: 0; padding: 4px 10px; line-height: 1.5; white-space: pre"
SIGNS = {"ready": "▶", "waiting": "‖", "done": "■", "failed": "✖"}

escape = partial(escape_all, quote=False)


class Game:
    """A `program` whose next step the reader chooses; a cell that ends in it shows it.

    Parameters
    ----------
    goal
        What to reach, in words.
    wanted
        The outcome that reaches it, or a function that tells whether one does.

    >>> def greet(shared):
    ...     shared["greeting"] = "hello"
    >>> game = Game(Program(dict, greet), "Say hello", "greeting='hello'")
    >>> game.press("A")
    >>> game.schedule, game.reached
    ('A', True)
    """

    def __init__(
        self,
        program: Program,
        goal: str = "",
        wanted: Hashable | Callable[[Hashable], Any] = None,
    ) -> None:
        self.program = program
        self.goal = goal
        self.wanted = wanted
        self.run = replay(program, "")
        self.message = ""
        self._build()
        self._show()

    @property
    def schedule(self) -> str:
        """The moves so far, a letter each."""
        return self.run.schedule

    @property
    def reached(self) -> bool:
        """Whether the run is over, and ended as the goal says."""
        outcome = self.run.outcome
        if outcome is None:
            return False
        return bool(
            self.wanted(outcome) if callable(self.wanted) else outcome == self.wanted
        )

    def press(self, name: str) -> None:
        """Let thread `name` do its next step, if it can."""
        self._go_to(self.schedule + name)

    def undo(self) -> None:
        """Take the last move back."""
        self._go_to(self.schedule[:-1])

    def start_over(self) -> None:
        """Take all moves back."""
        self._go_to("")

    def _go_to(self, schedule: str) -> None:
        try:
            self.run, self.message = replay(self.program, schedule), ""
        except ValueError as error:
            self.message = str(error)
        self._show()

    def _build(self) -> None:
        self._goal, self._values, self._news = (ipywidgets.HTML() for _ in range(3))
        self._sources = {name: ipywidgets.HTML() for name in self.program.names}
        self._buttons = {
            name: _button(f"{name}: next step", partial(self.press, name))
            for name in self.program.names
        }
        self._undo = _button("Undo", self.undo)
        self._over = _button("Start over", self.start_over)
        self._keys = ipywidgets.Text(
            description="Keys:", placeholder=self._hint(), layout={"width": "26em"}
        )
        self._keys.observe(self._on_keys, "value")
        threads = [
            ipywidgets.VBox([self._sources[name], self._buttons[name]])
            for name in self.program.names
        ]
        side_by_side = ipywidgets.HBox(threads, layout=WRAP)
        controls = ipywidgets.HBox([self._keys, self._undo, self._over], layout=WRAP)
        parts = [self._goal, side_by_side, self._values, controls, self._news]
        self.view = ipywidgets.VBox(parts)

    def _hint(self) -> str:
        letters = " or ".join(self.program.names)
        return f"type {letters}; Backspace takes it back"

    def _on_keys(self, change: dict[str, Any]) -> None:
        typed = "".join(change["new"].split()).upper()
        if typed != self.schedule:
            self._go_to(typed)

    def _show(self) -> None:
        goal = f"<b>Goal:</b> {escape(self.goal)}" if self.goal else ""
        self._goal.value = goal
        for name, stand in self.run.stands.items():
            self._sources[name].value = _source(self.program.title(name), stand)
            self._buttons[name].disabled = name not in self.run.ready
            self._buttons[name].button_style = "" if stand.state != "ready" else "info"
            self._buttons[name].tooltip = f"{name} {stand.state}: {stand.text}"
        self._values.value = _table(self.run)
        self._keys.value = self.schedule
        self._undo.disabled = self._over.disabled = not self.schedule
        self._news.value = f"<b>{escape(self._told())}</b>"

    def _told(self) -> str:
        outcome = self.run.outcome
        if self.message or outcome is None:
            return self.message
        if self.reached:
            return f"✔ You did it: {outcome}"
        return f"The end: {outcome}." + (" Undo, and try again." if self.goal else "")

    def _repr_mimebundle_(self, **named: Any) -> dict[str, Any]:
        # The text is what is compared, and what a page without a kernel shows
        return self.view._repr_mimebundle_(**named) | {"text/plain": repr(self)}

    def __repr__(self) -> str:
        lines = [f"Goal: {self.goal}"] if self.goal else []
        return "\n".join([*lines, repr(self.run), *filter(None, [self._told()])])


def _button(text: str, action: Callable[[], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(description=text)
    button.on_click(lambda _: action())
    return button


def _source(title: str, stand: Stand) -> str:
    """Return the function that a thread is in as HTML, with a sign at its next line."""
    lines, first = _lines(stand.code)
    shown = []
    for number, line in enumerate(lines, start=first):
        here = number == stand.line
        sign = SIGNS[stand.state] if here else " "
        style = f' style="{NEXT}"' if here and stand.state == "ready" else ""
        shown.append(f"<span{style}>{sign} {escape(line)}</span>")
    words = {"ready": "", "waiting": f"waits for {stand.text}", "done": "has ended"}
    note = words.get(stand.state, stand.text)
    sign = SIGNS[stand.state] if stand.line is None else ""
    head = f"<b>{escape(title)}</b> <i>{sign} {escape(note)}</i>"
    grey = "" if stand.state == "ready" else GREY
    code = "\n".join(shown)
    return f'<div style="{grey}">{head}<pre style="{BOX}">{code}</pre></div>'


def _lines(code: CodeType) -> tuple[list[str], int]:
    lines, first = inspect.getsourcelines(code)
    return textwrap.dedent("".join(lines)).splitlines(), first


def _table(run: Replay) -> str:
    before = run.steps[-2].values if len(run.steps) > 1 else run.values
    now = run.steps[-1].values if run.steps else run.values
    cells = []
    for name, value in now.items():
        text = escape(value)
        if before.get(name) != value:
            text = f"<b>{text}</b>"
        cells.append(f"{escape(name)} = <code>{text}</code>")
    return " &nbsp; ".join(cells)
