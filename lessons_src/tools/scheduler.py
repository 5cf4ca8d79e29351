"""Run real threads in every order, in one order, or in the order of your clicks.

    Program(make, function, function)     what the threads share, and what each does
    explore(program)                      every order: how often each outcome came
    replay(program, "ABBA")               one order, line by line
    play(program, "Lose a deposit", 10)   the reader decides who runs next

The threads are real, but only one runs at a time, for one step: one statement of the
functions of the program, and of other functions and methods from the same cell or
module that they call. (The locks of `with a, b:` are taken in a step each.) So a step
is whole here, while Python may switch threads in the middle of a line, too: write as
two lines what you want to see parted. What threads
wait for comes from here, `Lock` to `Queue`; anything else that blocks is refused.

frontrun (on the Python Package Index) also explores the orders of threads, for tests:
it needs no drop-ins, since its own launcher replaces Python's locks, it goes from
bytecode to bytecode, skips orders that cannot differ and stops at the first failure.
This one is for learning: it works in a cell of any notebook, it counts every order, and
it lets a person be the scheduler.

This is the front door; the rooms are `scheduler_program`, `scheduler_locks`,
`scheduler_source`, `scheduler_state`, `scheduler_thread`, `scheduler_run`,
`scheduler_explore`, `scheduler_replay` and `scheduler_play`.
"""

from typing import TYPE_CHECKING, Any

from lessons_src.tools.scheduler_explore import (
    DEADLOCK,
    ENDLESS,
    Ending,
    Exploration,
    explore,
    switches,
)
from lessons_src.tools.scheduler_locks import (
    Condition,
    Event,
    Lock,
    Queue,
    RLock,
    Semaphore,
)
from lessons_src.tools.scheduler_program import Program, Uncontrolled
from lessons_src.tools.scheduler_replay import Replay, replay

if TYPE_CHECKING:
    from lessons_src.tools.scheduler_play import Game

__all__ = [
    "DEADLOCK",
    "ENDLESS",
    "Condition",
    "Ending",
    "Event",
    "Exploration",
    "Lock",
    "Program",
    "Queue",
    "RLock",
    "Replay",
    "Semaphore",
    "Uncontrolled",
    "explore",
    "play",
    "replay",
    "switches",
]


def play(program: Program, goal: str = "", wanted: Any = None) -> "Game":
    """Let the reader be the scheduler of `program`, with buttons in the notebook.

    Parameters
    ----------
    goal
        What to reach, in words, such as "Lose a deposit".
    wanted
        The outcome that reaches it, or a function that tells whether one does.
    """
    # ipywidgets and IPython are for those who play, not for those who explore
    from lessons_src.tools.scheduler_play import Game

    return Game(program, goal, wanted)
