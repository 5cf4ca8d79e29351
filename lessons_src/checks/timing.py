"""The exercise checks of lesson 08: shares of a core, bills and fair comparisons."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isclose
from numbers import Real

from lessons_src.timing import BusyMachine, Measured, count_primes, measure, wait, work
from lessons_src.tools.verdict import Wrong, judged

WAIT_SECONDS = 0.2
WORK_SECONDS = 0.05
QUICK_SECONDS = 0.5
TRIES = 5
LIMITS = (20_000, 10_000, 20_000, 10_000)
ROUNDS = 5
TASKS = {"short": 1, "long": 2}


@judged
def exercise_1(cpu_share: Callable[[Callable[[], object]], float]) -> str:
    """Check that `cpu_share` tells waiting, work and the work of threads apart."""
    if cpu_share is None:
        raise Wrong("There is no function yet.", "Two clocks, before and after task().")
    share = _share_of(cpu_share, lambda: wait(WAIT_SECONDS))
    if not 0 <= share < 0.3:
        raise Wrong(
            f"A task that only waits has the share {share:.2f}.",
            "CPU seconds divided by seconds on the wall.",
        )
    mine, ours, seconds = _both_shares(cpu_share)
    right = 0.6 < mine / ours < 1.6
    if not right and isclose(mine, seconds, rel_tol=0.2):
        raise Wrong(
            "Those are CPU seconds, and not yet a share.",
            "Divide them by the seconds on the wall.",
        )
    if mine < ours / 10:
        raise Wrong(
            "Two threads were at work, and none of it was counted.",
            "thread_time counts the calling thread only.",
        )
    if not right:
        raise Wrong(
            f"Two threads at work have the share {ours:.2f}, not {mine:.2f}.",
            "CPU seconds divided by seconds on the wall.",
        )
    return "Close to 0 for waiting, and the work of all threads is counted."


@judged
def exercise_2(reports: Iterable[Measured], total: float) -> str:
    """Check the `reports` out of the pool, and the `total` of their CPU seconds."""
    if reports is None or total is None:
        raise Wrong("There is no answer yet.", "partial(measure, count_primes)")
    reports = list(reports)
    if not all(isinstance(report, Measured) for report in reports):
        raise Wrong("A report should be what measure returns.", "Which worker is it?")
    if [report.answer for report in reports] != list(map(count_primes, LIMITS)):
        raise Wrong("The answers are not those of the loop, in order.")
    if any(report.span.process == os.getpid() for report in reports):
        raise Wrong("The notebook did the work itself.", "Let a pool map it.")
    if not isinstance(total, Real):
        raise Wrong("total should be a single number.", "Add them up.")
    bills = [
        sum(report.process_cpu for report in reports),
        sum(report.thread_cpu for report in reports),
    ]
    if isclose(total, sum(report.wall for report in reports)):
        raise Wrong("That is time on the wall.", "A report has process_cpu too.")
    if not any(isclose(total, bill, abs_tol=1e-9) for bill in bills):
        raise Wrong("total is not the sum of what the workers used.", "process_cpu")
    return f"{len(reports)} answers, and the CPU that no clock of the notebook counts."


@judged
def exercise_3(medians: Callable[..., Mapping[str, float]]) -> str:
    """Check that `medians` compares fairly on machines that are busy at times."""
    if medians is None:
        raise Wrong("There is no function yet.", "Two loops: rounds outside.")
    found, machine = _medians_on(medians, BusyMachine())
    if not isinstance(found, Mapping) or set(found) != set(TASKS):
        raise Wrong("The answer should be a dict with the names of the functions.")
    _refuse_other_counts(medians)
    if dict(found) != TASKS:
        raise Wrong(
            f"Tasks of {TASKS} seconds were measured as {dict(found)}.",
            "Use the clock that you are given: end minus start.",
        )
    if machine.runs[0] == machine.runs[1]:
        raise Wrong(
            "One function had all its runs before the next one had any.",
            "Let them take turns: the loop over the rounds is the outer one.",
        )
    _refuse_other_averages(medians)
    return "They take turns, and a busy moment spoils no median."


def _share_of(
    cpu_share: Callable[[Callable[[], object]], float], task: Callable[[], object]
) -> float:
    runs = []
    share = cpu_share(lambda: runs.append(task()))
    if len(runs) != 1:
        raise Wrong(f"The task ran {len(runs)} times.", "Call task() once.")
    if not isinstance(share, Real):
        kind = type(share).__name__
        raise Wrong(f"cpu_share returns {kind}, and not a number.", "return cpu / wall")
    return share


def _both_shares(
    cpu_share: Callable[[Callable[[], object]], float],
) -> tuple[float, float, float]:
    """Return the share that the reader finds for two threads, ours, and the seconds.

    When it took less than half a second, CPU seconds cannot pass for their share.
    """
    for _ in range(TRIES):
        outer = measure(_share_of, cpu_share, _work_in_threads)
        if outer.wall < QUICK_SECONDS:
            break
    return outer.answer, outer.process_cpu / outer.wall, outer.process_cpu


def _work_in_threads() -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, [WORK_SECONDS] * 2))


def _medians_on(
    medians: Callable[..., Mapping[str, float]],
    machine: BusyMachine,
    rounds: int = ROUNDS,
) -> tuple[Mapping[str, float], BusyMachine]:
    functions = {
        name: lambda seconds=seconds: machine.run(seconds)
        for name, seconds in TASKS.items()
    }
    return medians(functions, rounds, machine.clock), machine


def _refuse_other_counts(medians: Callable[..., Mapping[str, float]]) -> None:
    for rounds in (ROUNDS, ROUNDS - 2):
        _, machine = _medians_on(medians, BusyMachine(), rounds)
        if len(machine.runs) != rounds * len(TASKS):
            wanted = f"{rounds} of each of {len(TASKS)} functions"
            raise Wrong(
                f"{len(machine.runs)} runs, not {wanted}.",
                "Each runs `rounds` times, no more and no less.",
            )


def _refuse_other_averages(medians: Callable[..., Mapping[str, float]]) -> None:
    one_round_busy, _ = _medians_on(medians, BusyMachine(busy=[5, 6], slow=10))
    if dict(one_round_busy) != TASKS:
        raise Wrong(
            f"One busy round of {ROUNDS}, and your answer is {dict(one_round_busy)}.",
            "statistics.median, not the mean and not the worst.",
        )
    mostly_busy: Sequence[int] = range(3, 11)
    found, _ = _medians_on(medians, BusyMachine(busy=mostly_busy))
    if dict(found) != {name: 3 * seconds for name, seconds in TASKS.items()}:
        raise Wrong("That is the best run, or one of them.", "Take the median.")
