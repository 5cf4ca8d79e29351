"""Run one schedule and show it: a column a thread, and the values after each step."""

from collections.abc import Hashable
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple

from lessons_src.tools.scheduler_explore import ending_of
from lessons_src.tools.scheduler_program import Program
from lessons_src.tools.scheduler_run import Run
from lessons_src.tools.scheduler_state import shared_values, told
from lessons_src.tools.scheduler_thread import SteppedThread
from lessons_src.tools.timeline import Span, draw

if TYPE_CHECKING:
    from lessons_src.tools.picture import Picture

MOST_LETTERS = 44


class Step(NamedTuple):
    """What thread `name` did, and what the threads share after it, as texts.

    Parameters
    ----------
    waits_for
        What it waits for now, and who has it; "" when it went on.
    waited
        Whether it waited before this step.
    error
        What ended the thread, "" in most cases.
    """

    name: str
    text: str
    waits_for: str
    waited: bool
    error: str
    values: dict[str, str]


class Stand(NamedTuple):
    """Where a thread stands: "ready", "waiting", "done", or "failed".

    Parameters
    ----------
    line
        Number of its next line in the file, None when it has ended.
    text
        Its next statement; what it waits for; or the error that ended it.
    code
        The function that it is in, or was in.
    """

    state: str
    line: int | None
    text: str
    code: CodeType


class Replay:
    """A run in the order of `schedule`: `print` shows a table, `draw` a timeline.

    Parameters
    ----------
    values
        What the threads share at the beginning, as texts.
    steps
        A `Step` for each letter of the schedule.
    stands
        From the name of each thread to its `Stand` after the last step.
    outcome
        As in `explore`; None when the schedule ends before the run does.
    """

    def __init__(self, program: Program, schedule: str) -> None:
        self.program = program
        self.schedule = schedule
        with Run(program) as run:
            self.values = _values(run)
            self.steps = [_step(run, schedule, at) for at in range(len(schedule))]
            self.stands = {name: _stand(run, name) for name in program.names}
            self.outcome: Hashable | None = ending_of(run, len(schedule))
            self.ready = "" if self.outcome is not None else run.ready

    @property
    def spans(self) -> list[Span]:
        """The run as spans: each step takes one second, a wait lasts until its end."""
        threads = {name: at for at, name in enumerate(self.program.names, start=1)}
        spans, since = [], {}
        for at, step in enumerate(self.steps):
            worker = 0, threads[step.name]
            if step.waited and step.name in since:
                began = since.pop(step.name)
                spans.append(Span(*worker, step.text, began, at, "waiting"))
            spans.append(Span(*worker, step.text, at, at + 1))
            if step.waits_for:
                since[step.name] = at + 1
        # Who waits at the end waits on: at least for one more step
        end = len(self.steps) + 1
        for name, began in since.items():
            text = self.stands[name].text
            spans.append(Span(0, threads[name], text, began, end, "waiting"))
        return spans

    def draw(self, title: str = "") -> "Picture":
        """Draw the run as a timeline, a lane a thread and a second a step."""
        alt = f"Timeline: {self.schedule} of {self.program}"
        names = {(0, at): self.program.title(name) for at, name in self._numbered()}
        return draw(self.spans, title, alt, names=names, unit="steps")

    def _numbered(self) -> list[tuple[int, str]]:
        return list(enumerate(self.program.names, start=1))

    def __repr__(self) -> str:
        names = self.program.names
        rows = [["", *map(self.program.title, names), *self.values]]
        rows.append(["0", *[""] * len(names), *self.values.values()])
        for number, step in enumerate(self.steps, start=1):
            cells = [_cell(step) if name == step.name else "" for name in names]
            shown = [step.values.get(name, "") for name in self.values]
            rows.append([str(number), *cells, *shown])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
            )
            for row in rows
        ]
        return "\n".join([line.rstrip() for line in [*lines, *self._last_lines()]])

    def _last_lines(self) -> list[str]:
        if self.outcome is None:
            return [f"--> not at its end: {_listed(self.ready)} can go on"]
        stuck = [
            f"    {name} waits for {stand.text}"
            for name, stand in self.stands.items()
            if stand.state == "waiting"
        ]
        return [f"--> {self.outcome}", *stuck]


def replay(program: Program, schedule: str) -> Replay:
    """Run `program` in the order of `schedule`, a letter for each step.

    >>> class Account:
    ...     balance = 0
    >>> def deposit(account):
    ...     seen = account.balance
    ...     account.balance = seen + 10
    >>> replay(Program(Account, deposit, deposit), "ABBA")
       A: deposit                   B: deposit                   balance
    0                                                            0
    1  seen = account.balance                                    0
    2                               seen = account.balance       0
    3                               account.balance = seen + 10  10
    4  account.balance = seen + 10                               10
    --> balance=10

    The schedule may end before the run does.

    Raises
    ------
    ValueError
        When a letter names no thread, or one that cannot go on; the message says why.
    """
    return Replay(program, "".join(schedule.split()).upper())


def _step(run: Run, schedule: str, at: int) -> Step:
    name = schedule[at]
    if name not in run.threads:
        raise ValueError(
            f"there is no thread {name!r}, only {_listed(run.program.names)}"
        )
    if name not in run.ready:
        stand = _stand(run, name)
        why = f"waits for {stand.text}" if stand.state == "waiting" else "has ended"
        raise ValueError(f"step {at + 1}: thread {name} cannot go on, it {why}")
    thread = run.threads[name]
    text = thread.places[-1].text if thread.places else "..."
    waited = thread.wait is not None
    run.step(name)
    waits_for = _waits_for(run, thread)
    error = _error(thread)
    return Step(name, text, waits_for, waited, error, _values(run))


def _stand(run: Run, name: str) -> Stand:
    thread = run.threads[name]
    if thread.done:
        state, code = ("failed" if thread.error else "done"), run.program.code(name)
        return Stand(state, None, _error(thread), code)
    place = thread.places[-1]
    line, code = place.statement.line, place.frame.f_code
    if thread.is_ready:
        return Stand("ready", line, place.text, code)
    return Stand("waiting", line, _waits_for(run, thread), code)


def _waits_for(run: Run, thread: SteppedThread) -> str:
    if thread.wait is None:
        return ""
    primitive = thread.wait.primitive
    return f"{run.name_of(primitive)} ({primitive})"


def _error(thread: SteppedThread) -> str:
    if thread.error is None:
        return ""
    kind, text = type(thread.error).__name__, str(thread.error)
    return f"{kind}: {text}" if text else kind


def _values(run: Run) -> dict[str, str]:
    return {name: told(value) for name, value in shared_values(run.shared).items()}


def _cell(step: Step) -> str:
    text = step.text
    if len(text) > MOST_LETTERS:
        text = text[: MOST_LETTERS - 3] + "..."
    if step.waits_for:
        return f"{text}  ... waits"
    return f"{text}  !! {step.error}" if step.error else text


def _listed(names: str) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1:]]))
