"""Lesson 13: what it costs to start a process, and what a Python without a GIL does.

    this notebook -> a program on a leash -> one line of JSON -> facts, and a picture

The programs are `listings/gil_and_scaling_start.py` and `gil_and_scaling_free.py`.
"""

import json
from collections.abc import Callable
from functools import partial
from multiprocessing import get_all_start_methods
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lessons_src.gil_and_scaling import sub_interpreters
from lessons_src.tools.experiment import Comparison
from lessons_src.tools.leash import run_code
from lessons_src.tools.machine import cores_allowed, free_threaded_python
from lessons_src.tools.programs import program
from lessons_src.tools.recorded import RECORDED_LINE, live_or_recorded
from lessons_src.tools.span_facts import most_at_once
from lessons_src.tools.spans import Span

if TYPE_CHECKING:
    from lessons_src.tools.picture import Picture

START, FREE = "gil_and_scaling_start", "gil_and_scaling_free"
PROGRAM_SECONDS = 60
# Method and preload; then how long the import of its library takes
WAYS = {
    "fork": ("fork", ""),
    "spawn": ("spawn", ""),
    "forkserver": ("forkserver", ""),
    "forkserver, preload": ("forkserver", "preload"),
    "sub-interpreter": ("sub-interpreter", ""),
}
LIBRARY_SECONDS = {"light": 0, "heavy": 0.2}


class Starts(NamedTuple):
    """How often each way to start four workers imported a library, and what it cost.

    `seconds` are those of the last two workers, by way and weight of the library;
    `stored` names the ways whose figures were recorded on another machine.
    """

    imports: dict[str, int]
    seconds: dict[str, float]
    stored: list[str]

    def __str__(self) -> str:
        words = {1: "once", 2: "twice"}
        return "\n".join(
            (RECORDED_LINE if way in self.stored else "")
            + f"{way:20}imported {words.get(count, f'{count} times')}"
            for way, count in self.imports.items()
        )

    def draw(self) -> "Picture":
        """Draw the seconds."""
        marked = {
            name + (" (stored)" if name.partition(":")[0] in self.stored else ""): [
                each
            ]
            for name, each in self.seconds.items()
        }
        drawn = Comparison(marked).draw()
        drawn.alt = "Seconds to start two workers, each way, light and heavy"
        return drawn


class WithoutGil(NamedTuple):
    """What two threads that compute did with the GIL on, and with the GIL off.

    `where` says in which Python, when and on how many cores; `ratios` are the seconds
    of two threads as a share of the loop's.
    """

    where: str
    ratios: dict[str, float]
    stretches: dict[str, list[Span]]

    @property
    def report(self) -> str:
        """Say how many threads ran at once, each way."""
        return "\n".join(
            f"{name}: at most {most_at_once(spans)} at once"
            for name, spans in self.stretches.items()
        )

    def draw(self) -> "Picture":
        """Draw which thread ran when, each way."""
        from lessons_src.tools.timeline import draw

        panels = {
            f"{name}: two threads take {self.ratios[name]:.2f} of a loop's time": spans
            for name, spans in self.stretches.items()
        }
        return draw(panels, self.where, alt="Two threads compute, GIL on and GIL off")


def start_up() -> Starts:
    """Start four workers in each way that this system has, on a leash.

    The figures of the other ways were recorded.
    """
    imports, seconds, stored = {}, {}, []
    methods = [
        *get_all_start_methods(),
        *(["sub-interpreter"] if sub_interpreters() else []),
    ]
    for way, (method, preload) in WAYS.items():
        live = method in methods
        run = partial(run_start, method, preload)
        name = "_".join(filter(None, [START, method.replace("-", "_"), preload]))
        found = json.loads(live_or_recorded(name, run, live).splitlines()[-1])
        imports[way] = found["heavy"][0]
        seconds |= {f"{way}: {weight}": found[weight][1] for weight in LIBRARY_SECONDS}
        stored += [] if live else [way]
    return Starts(imports, seconds, stored)


def run_start(method: str, preload: str) -> str:
    """Return what `START` prints, for a light and a heavy library, as one JSON line."""
    found = {
        weight: json.loads(_output(START, method, preload, str(nap)))
        for weight, nap in LIBRARY_SECONDS.items()
    }
    return json.dumps(found)


def without_gil() -> WithoutGil:
    """Let two threads compute in a free-threaded Python, with its GIL on and off.

    If there is none here, or only one core, return what was recorded.
    """
    python = free_threaded_python()
    live = python is not None and cores_allowed() > 1
    text = live_or_recorded(FREE, lambda: run_without_gil(python), live)
    found = json.loads(text.splitlines()[-1])
    where = found.pop("where") + ("" if live else " (stored run)")
    ratios = {name: ratio for name, (ratio, _) in found.items()}
    stretches = {
        name: [Span(*fields) for fields in spans] for name, (_, spans) in found.items()
    }
    return WithoutGil(where, ratios, stretches)


def run_without_gil(python: str) -> str:
    """Return what `FREE` prints with the GIL on and off in `python`, as a JSON line."""
    # The other interpreter has no course installed
    path = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    run: Callable[..., str] = partial(_output, FREE, python=python)
    found = {
        f"GIL {word}": json.loads(run(env={**path, "PYTHON_GIL": gil}))
        for word, gil in {"on": "1", "off": "0"}.items()
    }
    where = {each.pop("where") for each in found.values()}.pop()
    pairs = {name: [each["ratio"], each["spans"]] for name, each in found.items()}
    return json.dumps({"where": where, **pairs})


def _output(name: str, *arguments: str, **options: object) -> str:
    run = run_code(program(name), PROGRAM_SECONDS, *arguments, **options)
    if run.exit_code != 0:
        raise ChildProcessError(f"{run.ended}: {run.last_error_line}")
    return run.output
