"""Lesson 12, Image features: a network in each worker, loaded once, for many batches.

files -> split -> batches -> | start_worker: the network, once a worker   |
                             | extract: reads and runs it, for each batch | -> Answer
"""

import os
import sys
from collections.abc import Iterable, Sequence
from multiprocessing import active_children
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

from lessons_src.tools.experiment import seconds_taken
from lessons_src.tools.pools import START_LIMIT_SECONDS, line_up
from lessons_src.tools.programs import run_programs
from lessons_src.tools.recorded import live_or_recorded
from lessons_src.tools.timeline import Span, clock, span

NETWORK = Path(__file__).with_suffix(".onnx")
FORK_PROGRAM = "image_features_fork"
MB = 1 << 20


class Answer(NamedTuple):
    """What came of one batch: a row of `features` for each file, and who ran when.

    `loading` is the span in which the network was loaded that ran it: two answers with
    the same one had the same network.
    """

    features: Any
    loading: Span
    working: Span


def read_image(file: str | Path) -> Any:
    """Return the pixels of `file`, as bytes: blue, green, red.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is empty, or no image.
    """
    import cv2
    import numpy as np

    # On Windows cv2.imread fails where a path is not ASCII; Python reads them all
    data = Path(file).read_bytes()
    if not data:
        raise ValueError("an empty file")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("not an image")
    return pixels


class Extractor:
    """The network, loaded; OpenCV may use so many `threads` in this process."""

    def __init__(self, threads: int = 1) -> None:
        start = clock()
        import cv2

        cv2.setNumThreads(threads)
        # From bytes: OpenCV, too, cannot open every path on Windows
        self.network = cv2.dnn.readNetFromONNX(_bytes_of(NETWORK))
        self.loading = span("network", start, "loading")

    def run(self, images: Sequence[Any]) -> tuple[Any, Any]:
        """Return features and scores of `images`, a row for each."""
        import cv2

        self.network.setInput(cv2.dnn.blobFromImages(images))
        return self.network.forward(["features", "scores"])

    def extract(self, files: Sequence[Path]) -> Answer:
        """Read `files`, and return their features."""
        start = clock()
        features, _ = self.run([read_image(file) for file in files])
        return Answer(features, self.loading, span(files[0].stem, start))


def _bytes_of(file: Path) -> Any:
    import numpy as np

    return np.frombuffer(file.read_bytes(), np.uint8)


_extractor: Extractor | None = None


def start_worker(threads: int = 1) -> None:
    """Load the network, for all batches of this worker: an initializer."""
    global _extractor
    _extractor = Extractor(threads)


def extract(files: Sequence[Path]) -> Answer:
    """Return the features of `files`, by the network of this worker."""
    return _extractor.extract(files)


def load_and_extract(files: Sequence[Path]) -> Answer:
    """Load a network for these `files` alone (wrong on purpose)."""
    return Extractor().extract(files)


def extract_one(file: Path) -> Any:
    """Return the features of one `file`."""
    return extract([file]).features[0]


def merge(answers: Iterable[Any]) -> Any:
    """Put the features of all `answers` into one array, in their order."""
    import numpy as np

    return np.concatenate([answer.features for answer in answers])


def spans_of(answers: Iterable[Answer]) -> list[Span]:
    """Return who loaded when, each load once, and who worked when."""
    answers = list(answers)
    loads = dict.fromkeys(answer.loading for answer in answers)
    return [*loads, *(answer.working for answer in answers)]


def plain_bar() -> dict[str, Any]:
    """Return how `tqdm` draws a bar of text, without rate and time, where we print."""
    count = "{l_bar}{bar}| {n_fmt}/{total_fmt}"
    return {"file": sys.stdout, "ascii": " #", "ncols": 60, "bar_format": count}


def count_networks(answers: Iterable[Answer]) -> int:
    """Count the networks that worked for `answers`."""
    return len({answer.loading for answer in answers})


def start_in_line(everyone: Barrier) -> None:
    """Do as `start_worker` does, then wait until `everyone` is ready."""
    start_worker()
    line_up(everyone)


def warm_seconds(
    context: BaseContext, batches: list[list[Path]], workers: int
) -> float:
    """Return the seconds for `batches` by so many `workers`, who are ready before."""
    everyone = context.Barrier(workers + 1)
    with context.Pool(workers, start_in_line, [everyone]) as pool:
        everyone.wait(START_LIMIT_SECONDS)
        return seconds_taken(pool.map, extract, batches, 1)


def cpu_of_workers() -> float:
    """Return the CPU seconds that the child processes of this one have used so far."""
    import psutil

    used = [psutil.Process(child.pid).cpu_times() for child in active_children()]
    return sum(times.user + times.system for times in used)


def count_threads(files: Sequence[Path]) -> int:
    """Extract `files`; return how many threads this process has by then."""
    import psutil

    extract(files)
    return psutil.Process().num_threads()


def own_memory(files: Sequence[Path]) -> int:
    """Extract `files`; return the bytes that would be free without this process."""
    import psutil

    extract(files)
    return psutil.Process().memory_full_info().uss


def run_fork_program(limit: float) -> str:
    """Return what the program `FORK_PROGRAM` prints, or printed on Linux."""

    def run_it() -> str:
        return run_programs(FORK_PROGRAM, limit=limit)[FORK_PROGRAM].output

    # macOS has fork too, but its own libraries do not survive it
    live = sys.platform == "linux" and hasattr(os, "fork")
    return live_or_recorded(FORK_PROGRAM, run_it, live).rstrip()


def workers_that_fit(free: int, each: int, cores: int) -> int:
    """Return how many workers of `each` bytes to start: one a core, if memory allows.

    >>> workers_that_fit(free=1000, each=300, cores=8)
    3
    >>> workers_that_fit(free=1000, each=300, cores=2)
    2
    >>> workers_that_fit(free=1000, each=4000, cores=2)
    0
    """
    return min(cores, free // each)
