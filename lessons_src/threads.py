"""Lesson 04, Threads: calls to servers that wait, and what brings their answers home.

the notebook   start, start, start ... join, join, join -> answers, errors
thread 1             worker(task) -> answers[task]
thread 2                    worker(task) -> errors[task]
"""

import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple, TypeVar

from lessons_src.tools.naps import Nap
from lessons_src.tools.timeline import Span, clock, span

Task = TypeVar("Task")
Answer = TypeVar("Answer")

GAP_SECONDS = 0.001
ROUNDS = 20_000
PROGRAM_SECONDS, HOUR_SECONDS = 60, 3600
WITHOUT_GIL = "threads_without_gil"


class Server(NamedTuple):
    """Where to call: a host and its port."""

    host: str
    port: int


class Rejected(NamedTuple):
    """A line of a file that names no server, its number, and why not."""

    number: int
    line: str
    why: str


class ServerFile(NamedTuple):
    """All lines of a file: those that name `servers`, and those `rejected`."""

    servers: list[Server]
    rejected: list[Rejected]


class WithoutGil(NamedTuple):
    """What two computing threads did in a Python without a GIL."""

    report: str
    stretches: list[Span]


def make_calls(hosts: dict[str, float], unit: float) -> list[Nap]:
    """Make a call to each of `hosts`: a nap of so many `unit` seconds.

    >>> make_calls({"oslo": 2, "rome": 1}, 0.5)
    [Nap(name='oslo', seconds=1.0), Nap(name='rome', seconds=0.5)]
    """
    return [Nap(host, length * unit) for host, length in hosts.items()]


def put_answer(answers: dict, worker: Callable, task: Any) -> None:
    """Put what `worker` returns for `task` into `answers`."""
    answers[task] = worker(task)


def keep_outcome(answers: dict, errors: dict, worker: Callable, task: Any) -> None:
    """Put what `worker` returns for `task` into `answers`, its error into `errors`."""
    try:
        answers[task] = worker(task)
    except Exception as error:
        errors[task] = error


def in_threads(worker: Callable[[Task], Answer], tasks: Iterable[Task]) -> list[Answer]:
    """Run `worker` on `tasks`, each in a thread; return the answers in their order.

    >>> in_threads(len, ["oslo", "lima", "cairo"])
    [4, 4, 5]

    Raises
    ------
    KeyError
        If there is no answer to the task of that number: its thread let out an error.
    """
    answers: dict[int, Answer] = {}

    def answer(number: int, task: Task) -> None:
        answers[number] = worker(task)

    threads = [Thread(target=answer, args=each) for each in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(threads))]


def seconds_of(spans: Collection[Span]) -> float:
    """Return the seconds from the first start to the last stop of `spans`.

    >>> seconds_of([Span(1, 1, "a", 0, 2), Span(1, 2, "b", 1, 4)])
    4
    """
    return max(each.stop for each in spans) - min(each.start for each in spans)


def watch_until(stop: Event, log: list[str]) -> None:
    """Stand for a thread that lives long: wait for `stop`, and write it to `log`."""
    log.append("started")
    try:
        stop.wait(HOUR_SECONDS)
    finally:
        log.append("tidied up")


def compute(task: str, rounds: int = ROUNDS) -> list[Span]:
    """Add numbers for `rounds`, and return the stretches in which this thread ran.

    It looks at the clock all the time. When it finds that more than `GAP_SECONDS`
    went by since its last look, it did not run in between. Shorter stretches are
    left out, so that two of them overlap only if two threads really ran at once.
    """
    stretches = []
    begun = seen = clock()
    for _ in range(rounds):
        sum(range(500))
        now = clock()
        if now - seen > GAP_SECONDS:
            stretches.append(span(task, begun)._replace(stop=seen))
            begun = now
        seen = now
    stretches.append(span(task, begun)._replace(stop=seen))
    return [each for each in stretches if each.seconds > GAP_SECONDS]


def without_gil() -> WithoutGil:
    """Let two threads `compute` in a Python without a GIL, if there is one here.

    Where there is none, or only one core, return what was recorded on Linux.
    """
    from lessons_src.tools.machine import cores_allowed, free_threaded_python
    from lessons_src.tools.recorded import live_or_recorded

    python = free_threaded_python()
    live = python is not None and cores_allowed() > 1
    text = live_or_recorded(WITHOUT_GIL, lambda: run_without_gil(python), live)
    report, _, stretches = text.rstrip().rpartition("\n")
    return WithoutGil(report, [Span(*fields) for fields in json.loads(stretches)])


def run_without_gil(python: str) -> str:
    """Return what the program `threads_without_gil` prints, run by `python`.

    Raises
    ------
    ChildProcessError
        If it fails; the message is its last line of errors.
    """
    from lessons_src.tools.leash import run_code
    from lessons_src.tools.programs import program

    # The other interpreter has no course installed
    path = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    run = run_code(program(WITHOUT_GIL), PROGRAM_SECONDS, env=path, python=python)
    if run.exit_code != 0:
        raise ChildProcessError(f"{run.ended}: {run.last_error_line}")
    return run.output


def article_split(line: str) -> Server:
    r"""Take `line` apart as the article does.

    >>> article_split("oslo 8002\n")
    Server(host='oslo', port=8002)
    """
    # wrong on purpose: only one blank between two words is understood
    return Server(line.split(" ")[0], int(line.split(" ")[1]))


def read_servers(path: str | Path, parse: Callable | None = None) -> ServerFile:
    """Read a server from each line of the file `path`, by `parse_server` or `parse`.

    No line is lost: those that name no server come back with their reason.
    """
    parse = parse or parse_server
    servers, rejected = [], []
    # Some editors of Windows write three bytes more at the front of a file
    with Path(path).open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            try:
                servers.append(parse(line))
            except (ValueError, LookupError) as error:
                rejected.append(Rejected(number, line.rstrip("\n"), str(error)))
    return ServerFile(servers, rejected)


def parse_server(line: str) -> Server:
    """Return the server that `line` names, or raise a ValueError that says why not.

    >>> parse_server("rome 8003")
    Server(host='rome', port=8003)
    """
    match line.split():
        case [host, port] if port.isascii() and port.isdigit():
            if 0 < int(port) < 2**16:
                return Server(host, int(port))
            raise ValueError(f"port {port} is not in 1 to 65535")
        case [_, port]:
            raise ValueError(f"port {port!r} is no number")
        case []:
            raise ValueError("nothing there")
        case [_]:
            raise ValueError("no port")
        case words:
            raise ValueError(f"{len(words)} words instead of 2")
