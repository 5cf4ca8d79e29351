import io
import logging
import os
import subprocess
import sys
import threading
import warnings

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from nbconvert import HTMLExporter
from PIL import Image

from lessons_src.tools.picture import Picture, new_figure, picture, quiet_matplotlib

LIMIT = 120
LOGGER = logging.getLogger("matplotlib")
ALT = 'Two "tasks" & more\non 2 workers'


@pytest.fixture
def small():
    figure = new_figure(2, 1)
    figure.subplots().plot([1, 2], [1, 2], color="#0072B2")
    return picture(figure, ALT)


def test_picture_is_a_png_that_carries_its_text(small):
    with Image.open(io.BytesIO(small.png)) as image:
        assert (image.format, image.size) == ("PNG", (200, 100))
        assert image.text["Description"] == ALT


def test_picture_is_saved_as_it_is(small, tmp_path):
    small.save(tmp_path / "small.png")
    assert (tmp_path / "small.png").read_bytes() == small.png


def test_notebook_gets_the_image_and_its_text(small):
    data, metadata = DisplayFormatter().format(small)
    assert data == {"image/png": small.png, "text/plain": ALT}
    assert metadata == {"image/png": {"alt": ALT}}
    assert repr(small) == str(small) == ALT


def test_html_page_of_nbconvert_has_the_text_where_its_template_asks_for_it():
    output = nbformat.v4.new_output("display_data")
    output.data, output.metadata = Picture(b"", "who ran")._repr_mimebundle_()
    output.data["image/png"] = ""
    cell = nbformat.v4.new_code_cell("draw(spans)", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    assert 'alt="who ran"' in page


def test_quiet_is_over_after_it_and_after_an_error(caplog):
    caplog.set_level(logging.INFO, logger="matplotlib")
    filters = warnings.filters[:]
    with pytest.raises(ZeroDivisionError), quiet_matplotlib():
        assert LOGGER.level == logging.ERROR
        _ = 1 / 0
    assert (LOGGER.level, warnings.filters[:]) == (logging.INFO, filters)


def test_quiet_of_two_threads_is_over_after_both(caplog):
    caplog.set_level(logging.INFO, logger="matplotlib")
    entered, leave = threading.Event(), threading.Event()

    def draw_too():
        with quiet_matplotlib():
            entered.set()
            leave.wait(LIMIT)

    other = threading.Thread(target=draw_too)
    with quiet_matplotlib():
        other.start()
        entered.wait(0.3)
    leave.set()
    other.join(LIMIT)
    assert entered.is_set()
    assert LOGGER.level == logging.INFO


# The timer that announces the font cache does so at once, as on a slow machine
FRESH_MACHINE = """
import threading

class Timer:
    def __init__(self, seconds, function):
        self.start = function
    def cancel(self):
        pass

threading.Timer = Timer
from lessons_src.tools.picture import new_figure, picture
figure = new_figure(2, 1)
figure.subplots().set_title("\\u8bfb")
print(picture(figure, "drawn"))
"""


@pytest.mark.parametrize("folder", ["fresh", "file/that/is/no/folder"])
def test_fresh_or_locked_machine_is_no_reason_to_speak(tmp_path, folder):
    (tmp_path / "file").touch()
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path / folder)}
    command = [sys.executable, "-c", FRESH_MACHINE]
    done = subprocess.run(
        command, timeout=LIMIT, capture_output=True, text=True, env=environment
    )
    assert (done.stdout, done.stderr) == ("drawn\n", "")
