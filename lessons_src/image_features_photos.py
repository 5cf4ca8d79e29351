"""Lesson 12, Image features: 13 photographs of scikit-image, cut into 624 files.

photograph -> 6 rows x 8 columns of tiles -> folder/coffee-00.png ... coffee-47.png
              left 70 %: 6 columns, the network saw it; right 30 %: held out
"""

import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from lessons_src.image_features import Extractor, read_image
from lessons_src.tools.picture import Picture

TILE, ROWS, COLUMNS, SEEN_COLUMNS = 64, 6, 8, 6
SEEN_SHARE = 0.7
# Side of a tile in a picture
SHOWN = 96
# Of a large photograph, the middle
MOST_PIXELS = 512


class Photo(NamedTuple):
    """A picture that scikit-image ships, and who lets us use it."""

    file: str
    source: str


# As the docstrings of `skimage.data` tell it
PHOTOS = {
    "astronaut": Photo("astronaut.png", "NASA, public domain"),
    "brick": Photo("brick.png", "CC0Textures, CC0"),
    "camera": Photo("camera.png", "Lav Varshney, CC0"),
    "cat": Photo("chelsea.png", "Stefan van der Walt, CC0"),
    "coffee": Photo("coffee.png", "Rachel Michetti, CC0"),
    "coins": Photo("coins.png", "Brooklyn Museum, no known restrictions"),
    "galaxies": Photo("hubble_deep_field.jpg", "NASA, public domain"),
    "grass": Photo("grass.png", "linolafett, CC0"),
    "gravel": Photo("gravel.png", "CC0Textures, CC0"),
    "retina": Photo("retina.jpg", "Wikimedia Commons, CC0"),
    "rocket": Photo("rocket.jpg", "SpaceX, public domain"),
    "tissue": Photo("ihc.png", "CMMI, no known restrictions"),
    "writing": Photo("text.png", "Wikipedia, public domain"),
}


def read_photo(name: str) -> Any:
    """Return the pixels of the photograph `name`, of a large one its middle.

    Returns
    -------
        Array of bytes, shape (height, width, 3), blue before green before red.
    """
    # The package itself would import SciPy, and ask a server for what is not shipped
    folder = Path(find_spec("skimage").origin).parent / "data"
    pixels = read_image(folder / PHOTOS[name].file)
    height, width = pixels.shape[:2]
    top, left = (max(0, (side - MOST_PIXELS) // 2) for side in (height, width))
    return pixels[top : top + MOST_PIXELS, left : left + MOST_PIXELS]


def regions(pixels: Any) -> tuple[Any, Any]:
    """Cut `pixels` into the left part, which was seen, and the right, held out."""
    border = round(pixels.shape[1] * SEEN_SHARE)
    return pixels[:, :border], pixels[:, border:]


def tiles(pixels: Any) -> Iterator[Any]:
    """Yield 36 tiles of what was seen of `pixels`, then 12 of what was held out.

    Neighbours may overlap in a small photograph; the two parts never do.
    """
    for part, columns in zip(
        regions(pixels), (SEEN_COLUMNS, COLUMNS - SEEN_COLUMNS), strict=True
    ):
        for left in places(part.shape[1], columns):
            for top in places(part.shape[0], ROWS):
                yield part[top : top + TILE, left : left + TILE]


def places(length: int, number: int) -> list[int]:
    """Return where `number` tiles begin that are spread evenly over `length`.

    >>> places(128, 3)
    [0, 32, 64]
    """
    return [n * (length - TILE) // (number - 1) for n in range(number)]


def write_tiles(folder: str | Path) -> list[Path]:
    """Write the tiles of all photographs to `folder`; return their files, in order."""
    import cv2

    files = []
    for name in PHOTOS:
        for number, tile in enumerate(tiles(read_photo(name))):
            file = Path(folder, f"{name}-{number:02}.png")
            # cv2.imwrite cannot write to every folder on Windows, Python can
            file.write_bytes(cv2.imencode(".png", tile)[1].tobytes())
            files.append(file)
    return files


def photo_of(file: Path) -> str:
    """Return the photograph from which `file` was cut.

    >>> photo_of(Path("coffee-07.png"))
    'coffee'
    """
    return file.stem.rpartition("-")[0]


def is_held_out(file: Path) -> bool:
    """Whether `file` was cut from the part that the network has never seen.

    >>> is_held_out(Path("coffee-35.png")), is_held_out(Path("coffee-36.png"))
    (False, True)
    """
    return int(file.stem.rpartition("-")[2]) >= ROWS * SEEN_COLUMNS


def spoil(folder: str | Path) -> list[Path]:
    """Leave three bad files in `folder`, and return them; the last is not there."""
    corrupt, empty, missing = (
        Path(folder, f"{name}.png") for name in ("corrupt", "empty", "missing")
    )
    # What a server says instead of sending the picture, saved under its name
    corrupt.write_text("<html><title>404 Not Found</title></html>", encoding="utf-8")
    empty.touch()
    return [corrupt, empty, missing]


def most_alike(
    features: Any, files: Sequence[Path], number: int = 5
) -> list[list[Path]]:
    """Return, for each held-out one of `files`, itself and the `number` most alike.

    These are among the tiles that the network learned from. Alike are two rows of
    `features` that point in the same direction.
    """
    import numpy as np

    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.maximum(lengths, 1e-9)
    asked = np.array(list(map(is_held_out, files)))
    seen = [file for file in files if not is_held_out(file)]
    likeness = directions[asked] @ directions[~asked].T
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :number]
    queries = filter(is_held_out, files)
    return [
        [query, *(seen[n] for n in row)]
        for query, row in zip(queries, nearest, strict=True)
    ]


def show_tiles(rows: Sequence[Sequence[Path]], alt: str, gap: bool = False) -> Picture:
    """Show the tiles of `rows`, each with its photograph's name.

    Parameters
    ----------
    gap
        Whether the first tile of each row stands apart from the others.
    """
    from PIL import Image, ImageDraw, ImageFont

    across, down, space = SHOWN + 8, SHOWN + 22, 24 if gap else 0
    size = across * max(map(len, rows)) + space, down * len(rows)
    sheet, font = Image.new("RGB", size, "white"), ImageFont.load_default(13)
    pen = ImageDraw.Draw(sheet)
    for row, files in enumerate(rows):
        for column, file in enumerate(files):
            left, top = across * column + space * (column > 0) + 4, down * row + 2
            with Image.open(file) as tile:
                sheet.paste(tile.resize((SHOWN, SHOWN)), (left, top))
            pen.text((left, top + SHOWN), photo_of(file), "black", font)
    drawn = io.BytesIO()
    sheet.quantize(256).save(drawn, "PNG", optimize=True)
    return Picture(drawn.getvalue(), alt)


def recognise(extractor: Extractor, files: Sequence[Path]) -> list[str]:
    """Return from which photograph each of `files` was cut, as `extractor` sees it."""
    _, scores = extractor.run([read_image(file) for file in files])
    names = list(PHOTOS)
    return [names[best] for best in scores.argmax(axis=1)]


def count_recognised(extractor: Extractor, files: Sequence[Path]) -> int:
    """Count those of `files` that `extractor` gives to the right photograph."""
    found = recognise(extractor, files)
    return sum(map(str.__eq__, found, map(photo_of, files)))
