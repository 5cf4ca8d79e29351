"""The playground's widgets: fields, a button, words, a picture; no mouse is needed.

a field -> playground.change -> words at once, the picture when no more keys come
the button -> playground.run -> words and picture of the real run
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from lessons_src.tools.playground_plan import LIMITS, engines, refusal

if TYPE_CHECKING:
    import ipywidgets

# So long may keys come one after the other before a picture is drawn
REST_SECONDS = 0.25
FIELDS = {
    "tasks": ("Tasks", 1),
    "seconds": ("Seconds each", 0.05),
    "waiting": ("Waiting, %", 10),
    "workers": ("Workers", 1),
    "chunk": ("Chunk size", 1),
    "engine": ("Engine", 0),
}
NARROW = {"width": "auto"}
HINT = "Tab: go on. Arrow keys: change. Space: press."
STYLE = """<style>
.course-playground, .course-playground .widget-html-content,
.course-playground label, .course-playground input, .course-playground select,
.course-playground button, .course-playground table {
  font-size: 17px !important; line-height: 1.4 !important; }
.course-playground label, .course-playground input, .course-playground select,
.course-playground button { height: 32px; }
.course-playground .widget-text { flex: none; }
.course-playground .widget-text input { width: 76px; flex: none; }
.course-playground .widget-toggle-buttons { display: flex; width: auto; }
.course-playground .widget-toggle-button.mod-active {
  font-weight: bold; box-shadow: inset 0 -4px var(--jp-brand-color1, #1976d2); }
.course-playground :disabled { opacity: 0.4; }
.course-playground :focus, .course-playground .widget-text input:focus {
  outline: 3px solid #e69f00 !important; outline-offset: 1px; }
.course-playground label { line-height: 32px !important; }
.course-playground td, .course-playground th { padding: 0 14px 0 0; text-align: left; }
.course-playground th { font-weight: normal; }
.course-playground td { font-weight: bold; }
.course-playground input { scroll-margin: 5px 0 560px; }
.course-playground button { scroll-margin: 45px 0 520px; }
.course-playground img { max-width: 100%; max-height: 60vh; }
</style>"""


class View:
    """The widgets of a `playground`, all in `box`."""

    def __init__(self, playground: Any) -> None:
        import ipywidgets

        self.playground, self.busy = playground, False
        self.fields = {name: self._field(name) for name in FIELDS}
        self.button = ipywidgets.Button(description="Run", button_style="primary")
        self.button.on_click(self._press)
        self.news, self.words, self.picture = (ipywidgets.HTML() for _ in range(3))
        wrap = ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 16px")
        *numbers, engine = self.fields.values()
        rows = [numbers, [engine, self.button, self.news]]
        boxes = [ipywidgets.HBox(row, layout=wrap) for row in rows]
        parts = [ipywidgets.HTML(STYLE), *boxes, self.words, self.picture]
        self.box = ipywidgets.VBox(parts)
        self.box.add_class("course-playground")
        self._drawing: asyncio.TimerHandle | None = None
        self._show()
        self._draw()

    def _field(self, name: str) -> "ipywidgets.DOMWidget":
        import ipywidgets

        said, step = FIELDS[name]
        value = getattr(self.playground.settings, name)
        shared = {
            "description": said,
            "value": value,
            "style": {"description_width": "initial"},
        }
        if name == "engine":
            # JupyterLab takes the arrow keys from a list and from a slider
            shared["style"]["button_width"] = "auto"
            field = ipywidgets.ToggleButtons(options=engines(), **shared)
        else:
            least, most = LIMITS[name]
            whole = isinstance(least, int)
            kind = ipywidgets.BoundedIntText if whole else ipywidgets.BoundedFloatText
            field = kind(min=least, max=most, step=step, **shared, layout=NARROW)
        field.observe(partial(self._change, name), "value")
        return field

    def _change(self, name: str, change: dict[str, Any]) -> None:
        self.playground.change(**{name: change["new"]})
        self._show()
        if self._drawing:
            self._drawing.cancel()
        self._drawing = _later(REST_SECONDS, self._draw)

    def _press(self, _: object) -> None:
        if self.busy:
            return
        self.busy = True
        seconds = self.playground.planned_seconds
        # Not disabled: it would lose the focus, and without a mouse that is a long way
        self.button.description, self.button.button_style = "Running ...", ""
        self.news.value = f"Running for about {seconds:.1f} s ..."
        try:
            self.playground.run()
            said = ""
        except KeyboardInterrupt:
            said = "Stopped."
        except (ValueError, TimeoutError) as error:
            said = str(error)
        except Exception as error:
            said = f"The run failed: {type(error).__name__}: {error}"
        self._show(said)
        self._draw()
        # Presses that came meanwhile are still to be handed over, and do nothing
        _later(REST_SECONDS, self._release)

    def _release(self) -> None:
        self.busy = False
        self.button.description, self.button.button_style = "Run", "primary"

    def _show(self, said: str = "") -> None:
        shown, settings = self.playground, self.playground.settings
        for name in ("workers", "chunk"):
            self.fields[name].disabled = not settings.hands_out
        said = said or refusal(settings, shown.planned_seconds) or HINT
        self.news.value = f'<span role="status">{escape(said)}</span>'
        columns = [("", "planned", "real"), *shown.rows]
        names, *values = zip(*columns, strict=True)
        head = "".join(f"<th>{name}</th>" for name in names)
        body = "".join(
            f"<tr><th>{run}</th>{''.join(f'<td>{told}</td>' for told in line)}</tr>"
            for run, *line in values[: 1 + bool(shown.real)]
        )
        table = f"<tr>{head}</tr>{body}"
        words = f"<b>{escape(shown.reason)}</b><table>{table}</table>{shown.remark}"
        self.words.value = words

    def _draw(self) -> None:
        self._drawing = None
        drawn = self.playground.picture
        png = b64encode(drawn.png).decode()
        image = f'<img alt="{escape(drawn.alt)}" src="data:image/png;base64,{png}">'
        self.picture.value = image


def _later(seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle | None:
    """Do `action` in `seconds`, when no message is waiting; at once without a loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return action()
    return loop.call_later(seconds, action)
