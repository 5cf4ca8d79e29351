"""A picture for a notebook cell that people and tests can also read as text.

new_figure -> drawn on with matplotlib -> picture(figure, alt) -> shown, or saved
"""

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 100
COLOURS = 64

# matplotlib and the settings of `quiet_matplotlib` belong to the whole process
_drawing = threading.RLock()


class Picture:
    """A PNG image and the text that stands for it.

    A notebook shows the image; `repr`, tests and screen readers get `alt`.
    """

    def __init__(self, png: bytes, alt: str) -> None:
        self.png = png
        self.alt = alt

    def save(self, path: str | Path) -> None:
        """Write the image to the PNG file `path`."""
        Path(path).write_bytes(self.png)

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, bytes | str], dict[str, dict[str, str]]]:
        bundle = {"image/png": self.png, "text/plain": self.alt}
        return bundle, {"image/png": {"alt": self.alt}}


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of `width` and `height` in inches, for any thread.

    It knows nothing of pyplot, so nothing stays open and no window appears.
    """
    with quiet_matplotlib():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure((width, height), DOTS_PER_INCH, facecolor="white")
        FigureCanvasAgg(figure)
    return figure


def picture(figure: "Figure", alt: str) -> Picture:
    """Return `figure` as a small picture that `alt` stands for."""
    from PIL import Image, PngImagePlugin

    drawn, small = io.BytesIO(), io.BytesIO()
    with quiet_matplotlib():
        figure.savefig(drawn, format="png")
    description = PngImagePlugin.PngInfo()
    description.add_itxt("Description", alt)
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(small, "PNG", optimize=True, pnginfo=description)
    return Picture(small.getvalue(), alt)


@contextmanager
def quiet_matplotlib() -> Iterator[None]:
    """Keep what matplotlib has to say about this machine out of the cell.

    On a fresh machine it says that it builds its font cache, in a home that cannot
    be written that it takes another folder, and of a letter that no font has.
    """
    logger = logging.getLogger("matplotlib")
    with _drawing, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        before = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)
