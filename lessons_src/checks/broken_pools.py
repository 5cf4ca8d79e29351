"""The exercise checks of lesson 11: read a broken pool, mend an error, share blame."""

import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from lessons_src.broken_pools import Ran
from lessons_src.broken_pools_tables import lay_out
from lessons_src.tools.verdict import Wrong, judged


class Incident(NamedTuple):
    """What a broken pool left behind, some night; `exit_codes` of all its workers."""

    cause: str
    exit_codes: str
    stderr: str


INCIDENTS = {
    "A": Incident("-", "-15 -9 -15", "-"),
    "B": Incident("TypeError: NotFound() lacks 1 argument", "-15 -15", "-"),
    "C": Incident("-", "1 -15", "Can't get attribute 'resize'"),
    "D": Incident("-", "-15 -11", "Segmentation fault"),
}
CURES = {
    1: "move the function from the notebook into a module",
    2: "find the C library that crashes",
    3: "use fewer workers, or smaller tasks",
    4: "mend the exception class",
}
RIGHT_CURES = {"A": 3, "B": 4, "C": 1, "D": 2}
READ_AGAIN = {
    "A": "The odd one out among its exit codes is a signal. Who sends that one?",
    "B": "Nobody died by himself; it has a `__cause__`.",
    "C": "What could not be found, and where are functions found?",
    "D": "That line does not come from Python code.",
}
MESSAGE, RESPONSE = "too many requests", 429
ITEMS = 64
MOST_POOLS = 24


def incidents() -> str:
    """Lay out the four incidents of exercise 1, then the cures."""
    rows = [("", "__cause__", "exit codes", "stderr")]
    rows += [(name, *incident) for name, incident in INCIDENTS.items()]
    cures = "\n".join(f"{number}: {cure}" for number, cure in CURES.items())
    return f"{lay_out(rows)}\n\n{cures}"


@judged
def exercise_1(answer: Mapping[str, int]) -> str:
    """Check that each incident of `answer` has the number of its cure."""
    if not answer or any(number is None for number in answer.values()):
        raise Wrong("There is no answer yet.", "Begin with `__cause__`: is there one?")
    if set(answer) != set(RIGHT_CURES):
        raise Wrong("There should be a cure for each of A, B, C and D.")
    for incident, right in RIGHT_CURES.items():
        if answer[incident] not in CURES:
            raise Wrong(f"{answer[incident]!r} is not the number of a cure.")
        if answer[incident] != right:
            raise Wrong(
                f"{incident} would happen again after that.", READ_AGAIN[incident]
            )
    return "Four incidents, and none will happen twice."


@judged
def exercise_2(kind: type[Exception]) -> str:
    """Check that an error of the class `kind` survives the post as it was."""
    if kind is None:
        raise Wrong(
            "There is no answer yet.",
            "`__reduce__` returns what unpickling is to call, and its arguments.",
        )
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise Wrong("The answer should be the class itself, a kind of Exception.")
    sent = kind(MESSAGE, response=RESPONSE)
    if (str(sent), getattr(sent, "response", None)) != (MESSAGE, RESPONSE):
        raise Wrong(
            f"Before it travels, str(error) is {str(sent)!r} and its response "
            f"{getattr(sent, 'response', None)!r}.",
            f"They should be {MESSAGE!r} and {RESPONSE}, as with SlowDown.",
        )
    got = _travelled(sent)
    if type(got) is not kind:
        raise Wrong(f"What came out is a {type(got).__name__}, not this class.")
    if str(got) != MESSAGE:
        raise Wrong(f"The message came out as {str(got)!r}.", "What is in args?")
    if getattr(got, "response", None) != RESPONSE:
        raise Wrong("The response was lost on the way.", "Send it, too.")
    return "The error comes out as it went in, and breaks no pool."


def _travelled(sent: Exception) -> Any:
    try:
        packed = pickle.dumps(sent)
    except Exception as error:
        raise Wrong(
            f"It cannot even be pickled. {type(error).__name__}: {error}",
            "`__reduce__` returns two things: a function that can be imported, or a "
            "partial of one, and the tuple of its arguments.",
        ) from None
    try:
        return pickle.loads(packed)
    except Exception as error:
        raise Wrong(
            f"It cannot be unpickled. {type(error).__name__}: {error}",
            "Unpickling calls what `__reduce__` names. By default that is "
            "kind(*error.args), without the response.",
        ) from None


@judged
def exercise_3(run_halves: Callable[..., Ran]) -> str:
    """Check that `run_halves` clears the innocent, with few pools."""
    if run_halves is None:
        raise Wrong("There is no answer yet.", "Begin with one round of all tasks.")
    most = 0
    for bombs in ((), (5,), (0,), (ITEMS - 1,), (20, 41)):
        most = max(most, _pools_for(run_halves, set(bombs)))
    return f"Never more than {most} pools for {ITEMS} tasks; one each would be {ITEMS}."


def _pools_for(run_halves: Callable[..., Ran], bombs: set[int]) -> int:
    tasks = {n: "bomb" if n in bombs else f"parcel {n}" for n in range(ITEMS)}
    pools: list[Rehearsal] = []

    def make_pool() -> Rehearsal:
        if len(pools) > 4 * ITEMS:
            raise Wrong(
                "It makes pools without end.",
                "Stop where a task was alone in its pool, and where there is none.",
            )
        pools.append(Rehearsal())
        return pools[-1]

    ran = run_halves(str.upper, dict(tasks), make_pool)
    if not isinstance(ran, Ran):
        raise Wrong(f"It returns a {type(ran).__name__}, not a Ran.")
    _refuse_blame(ran, tasks, bombs)
    if len(pools) > MOST_POOLS:
        raise Wrong(
            f"It made {len(pools)} pools for {len(bombs)} bomb in {ITEMS} tasks.",
            "Run the suspects in two halves, and the suspects of each half likewise.",
        )
    return len(pools)


def _refuse_blame(ran: Ran, tasks: Mapping[int, str], bombs: set[int]) -> None:
    if wrong := set(ran.broken) - bombs:
        raise Wrong(
            f"Task {min(wrong)} is innocent and still stands under `broken`.",
            "Who got an answer at last is no suspect any more.",
        )
    if missing := bombs - set(ran.broken):
        raise Wrong(f"Task {min(missing)} is a bomb and not under `broken`.")
    wanted = {n: task.upper() for n, task in tasks.items() if n not in bombs}
    if missing := wanted.keys() - ran.answers.keys():
        raise Wrong(f"The answer of task {min(missing)} is lost.")
    if ran.answers != wanted or ran.errors:
        raise Wrong("Some answers are not those of a plain loop.")


class Rehearsal(Executor):
    """A pool without processes: a bomb breaks it, with all that was not done.

    The task before the bomb falls too, as if another worker were still at it. So the
    first one that fell is not always the guilty one.
    """

    def __init__(self) -> None:
        self.broken = False
        self._before: Future | None = None

    def submit(self, worker: Callable[[Any], Any], task: Any) -> Future:
        """Do `task` at once, or break."""
        if self.broken:
            raise BrokenProcessPool("not usable anymore")
        future: Future = Future()
        if task == "bomb":
            self.broken = True
            for fallen in filter(None, (self._before, future)):
                # What it had been given is forgotten
                Future.__init__(fallen)
                fallen.set_exception(BrokenProcessPool("terminated abruptly"))
        else:
            future.set_result(worker(task))
        self._before = future
        return future
