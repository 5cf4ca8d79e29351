import io
import subprocess
import sys
import threading

import pytest
from PIL import Image

from lessons_src.tools.picture import new_figure
from lessons_src.tools.spans import Span
from lessons_src.tools.timeline import draw
from lessons_src.tools.timeline_bars import LOOKS, MORE_LOOKS, choose_looks, write_tasks

LIMIT = 60
SPANS = [
    Span(71, 1, "a", 10.0, 12.0),
    Span(72, 1, "b", 10.5, 11.0, "waiting"),
    Span(72, 1, "b", 11.0, 14.0, "holding"),
]


def pixels(picture):
    with Image.open(io.BytesIO(picture.png)) as image:
        return image.convert("RGB")


def count_colour(picture, colour):
    wanted = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
    image = pixels(picture)
    colours = {colour: count for count, colour in image.getcolors(image.size[0] ** 2)}
    near = (
        count
        for colour, count in colours.items()
        if max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= 3
    )
    return sum(near)


def test_picture_is_small_and_as_wide_as_a_projector_wants():
    picture = draw(SPANS, title="Who ran")
    assert pixels(picture).width == 900
    assert len(picture.png) < 30_000


ODD = {
    "nothing": [],
    "no panel": {},
    "an empty panel": {"loop": SPANS, "empty": []},
    "an iterator": iter(SPANS),
    "no length": [Span(1, 1, "zero", 1.0, 1.0)],
    "no name": [Span(1, 1, "", 0.0, 1.0), Span(1, 1, "", 1.0, 1.0)],
    "formula": [Span(1, 1, "$x", 0, 1), Span(1, 1, r"\frac{1}{2}$ $", 1, 2)],
    "letters": [Span(1, 1, "two\nlines 读", 0, 1, "阅")],
    "flashes": [Span(1, 1, f"{start}", start, start + 1e-6) for start in range(200)],
    "crowd": [Span(process, 1, "task " * 50, 0, 1e-7) for process in range(60)],
    "kinds": [Span(1, 1, kind, 0, 9, kind) for kind in "abcdefghijkl"],
}


@pytest.mark.parametrize("spans", ODD.values(), ids=ODD)
@pytest.mark.filterwarnings("error")
def test_anything_can_be_drawn_without_a_warning(spans):
    assert pixels(draw(spans, title="$ title _ 读")).width == 900


def test_title_and_panels_take_room():
    low = pixels(draw(SPANS)).height
    assert pixels(draw(SPANS, title="Who ran")).height > low
    assert pixels(draw({"one": SPANS, "two": SPANS})).height > 2 * low - 100


def test_many_lanes_are_compressed():
    def height(lanes):
        return pixels(draw([Span(lane, 1, "a", 0, 1) for lane in range(lanes)])).height

    assert height(24) == pytest.approx(height(12), abs=2)
    assert height(6) < height(12)


def test_each_kind_shows_its_colour():
    picture = draw(SPANS)
    for kind in ("working", "holding"):
        assert count_colour(picture, LOOKS[kind].face) > 3000
    assert count_colour(picture, MORE_LOOKS[0].face) == 0


def test_flash_is_seen_beside_a_very_long_span():
    without = [Span(1, 1, "long", 0, 1000), Span(1, 2, "short", 0, 500)]
    flash = Span(1, 2, "", 750.0, 750.0)
    blue = LOOKS["working"].face
    assert count_colour(draw([*without, flash]), blue) > (
        count_colour(draw(without), blue) + 20
    )


def test_each_kind_has_a_look_of_its_own_and_hatch_or_outline_tell_it():
    looks = choose_looks({*LOOKS, "a", "b", "c", "d"})
    assert list(looks)[:3] == ["working", "waiting", "holding"]
    assert len({look.face for look in looks.values()}) == 7
    assert len({(look.hatch, look.outline) for look in looks.values()}) == 7


def test_text_is_the_facts_or_what_it_was_told():
    facts = "Timeline: 2 tasks on 2 workers, at most 1 holding and 1 working at once"
    assert repr(draw(SPANS)) == facts
    assert repr(draw(iter(SPANS))) == facts
    assert repr(draw({"a": SPANS, "b": SPANS[:1]})).splitlines() == [
        facts.replace("Timeline", "a"),
        "b: 1 task on 1 worker, at most 1 at once",
    ]
    assert repr(draw(SPANS, alt="Two tasks")) == "Two tasks"


def written(row, seconds):
    """Return the words on a row and the second at which each begins."""
    figure = new_figure(10, 1)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, seconds), ylim=(0.5, -0.5))
    write_tasks(axes, 0, row, LOOKS, 10)
    extents = [text.get_window_extent() for text in axes.texts]
    places = [axes.transData.inverted().transform(extent) for extent in extents]
    return {
        text.get_text(): (float(place[0][0]), float(place[1][0]))
        for text, place in zip(axes.texts, places, strict=True)
    }


def test_task_is_written_into_its_bar_if_it_fits():
    [(task, (left, right))] = written([Span(1, 1, "task 1", 2, 8)], 10).items()
    assert task == "task 1"
    assert 2 < left < right < 8


def test_task_is_written_beside_a_short_bar_if_there_is_room():
    row = [Span(1, 1, "task 1", 2, 2.1), Span(1, 1, "task 2", 5, 9)]
    left, right = written(row, 10)["task 1"]
    assert 2.1 < left < right < 5


def test_task_without_room_is_shortened_or_left_out():
    name = "resize the photograph of the harbour"
    row = [
        Span(1, 1, name, 0, 1),
        Span(1, 1, name, 1, 1.05),
        Span(1, 1, "next", 1.05, 10),
    ]
    words = written(row, 10)
    [short] = set(words) - {"next"}
    assert short.endswith("…")
    assert name.startswith(short[:-1])
    assert 0 < words[short][0] < words[short][1] < 1


def test_drawing_works_in_many_threads_at_once():
    drawn = []
    threads = [
        threading.Thread(target=lambda: drawn.append(draw(SPANS).png)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len(drawn) == 4
    assert len(set(drawn)) == 1


def test_drawing_knows_nothing_of_pyplot():
    code = """
import sys
from lessons_src.tools.timeline import Span, draw
draw([Span(1, 1, "a", 0, 1)])
print("matplotlib.pyplot" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, timeout=LIMIT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_the_axis_counts_what_it_is_told():
    spans = [Span(1, 1, "a", 0, 2)]
    assert draw(spans).png == draw(spans, unit="seconds").png
    assert draw(spans).png != draw(spans, unit="steps").png
