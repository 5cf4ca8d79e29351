import json
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from enum import IntEnum
from functools import partial
from multiprocessing import get_all_start_methods

import pytest

from lessons_src import broken_pools_tables as tables
from lessons_src.broken_pools import (
    CAUSES,
    DEEP_IN_C,
    PARCELS,
    POSIX_CAUSES,
    SURPRISES,
    Fate,
    Ran,
    Sealed,
    SlowDown,
    ask_server,
    break_seal,
    careful,
    fail_with_lock,
    last_error,
    open_on_record,
    open_parcel,
    open_slowly,
    open_unhurried,
    run_each,
    run_round,
    story_of,
)
from lessons_src.broken_pools_tables import (
    CELL,
    PROGRAMS,
    clue_table,
    executor_table,
    fates_of,
    lay_out,
    leashed,
    pool_table,
    run_bugs,
    start_table,
    told,
    try_causes,
    workers_for_one_task,
)
from lessons_src.tools.leash import run_code
from lessons_src.tools.programs import program
from lessons_src.tools.recorded import RECORDED_LINE, transcript
from lessons_src.tools.recovery import Failure, processes, run
from lessons_src.tools.timeline import Recorder, Span

LIMIT = 60
ANSWER = "apples unpacked"
NEXT = "eggs unpacked"
BROKEN = "BrokenProcessPool"
FRUIT = [parcel for parcel in PARCELS if parcel not in SURPRISES]
needs_signals = pytest.mark.skipif(
    "fork" not in get_all_start_methods(), reason="this system has no such signals"
)

# What `except` caught, what the executor gave, what the Pool gave
COSTS_ONE = {
    "an error": ("ValueError", "ValueError", "ValueError"),
    "asks for too much memory": ("MemoryError", "MemoryError", "MemoryError"),
    "recursion without end": ("RecursionError", "RecursionError", "RecursionError"),
    "sys.exit(3)": ("", "SystemExit", "never"),
    "KeyboardInterrupt": ("", "KeyboardInterrupt", "never"),
    "the task is a lambda": ("", "PicklingError", "PicklingError"),
    "answer cannot be pickled": ("", "TypeError", "MaybeEncodingError"),
    "error cannot be pickled": ("ValueError", "TypeError", "MaybeEncodingError"),
}
# What `except` caught, `__cause__`, exit code, stderr, the Pool's next task
BREAKS = {
    "answer cannot be unpickled": ("", "ValueError", -15, "", "never"),
    "error cannot be unpickled": ("SlowDown", "TypeError", -15, "", "never"),
    "argument cannot be unpickled": ("", "", 1, "ValueError", NEXT),
    "initializer fails": ("", "", 0, "ValueError", "never"),
    "os._exit(0)": ("", "", 0, "", NEXT),
}
# Exit code, signal and stderr
SIGNALS = {
    "killed, as out of memory": (-9, "SIGKILL", ""),
    "terminated": (-15, "SIGTERM", ""),
    "crash in C": (-11, "SIGSEGV", "Segmentation fault"),
    "abort in C++": (-6, "SIGABRT", "Aborted"),
    "CPU time used up": (-24, "SIGXCPU", ""),
    "closes all files": (None, "", ""),
}


@pytest.fixture(scope="module", params=get_all_start_methods())
def fates(request):
    return fates_of([*CAUSES, *POSIX_CAUSES], request.param)


def test_each_cause_is_tried(fates):
    assert list(fates) == [*CAUSES, *POSIX_CAUSES]
    assert {*COSTS_ONE, *BREAKS} == set(CAUSES)
    assert set(SIGNALS) == set(POSIX_CAUSES)


@pytest.mark.parametrize("name", COSTS_ONE)
def test_a_fault_that_costs_one_task(fates, name):
    caught, task, pool_task = COSTS_ONE[name]
    fate = fates[name]
    assert (fate.before, fate.careful, fate.task) == (ANSWER, caught, task)
    assert (fate.after, fate.exit_code, fate.why) == (NEXT, None, "")
    assert (fate.pool_task, fate.pool_after) == (pool_task, NEXT)


@pytest.mark.parametrize("name", BREAKS)
def test_a_fault_that_breaks_the_pool(fates, name):
    caught, why, code, stderr, pool_after = BREAKS[name]
    fate = fates[name]
    assert (fate.task, fate.after) == (BROKEN, BROKEN)
    assert (fate.careful, fate.why) == (caught, why)
    assert (fate.exit_code, fate.stderr) == (code, stderr)
    assert fate.signal == ("SIGTERM" if code < 0 else "")
    assert (fate.pool_task, fate.pool_after) == ("never", pool_after)


@needs_signals
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_breaks_the_pool(fates, name):
    fate = fates[name]
    assert (fate.before, fate.careful, fate.why) == (ANSWER, "", "")
    assert (fate.task, fate.after) == (BROKEN, BROKEN)
    assert (fate.pool_task, fate.pool_after) == ("never", NEXT)
    assert (fate.exit_code, fate.signal, fate.stderr) == SIGNALS[name]


@needs_signals
def test_the_recorded_fates_are_those_of_a_run(fates):
    recorded = [
        Fate(*json.loads(line))
        for line in transcript("broken_pools_fates").splitlines()
    ]
    assert recorded == [fates[name] for name in POSIX_CAUSES]


def test_a_system_without_signals_shows_recorded_fates_below_a_note(monkeypatch):
    monkeypatch.setattr(tables, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr(tables, "CAUSES", {"an error": CAUSES["an error"]})
    fates = try_causes("spawn")
    assert [fate.recorded for fate in fates.values()] == [False] + [True] * 6
    for table in (executor_table, pool_table):
        lines = table(fates.values()).splitlines()
        assert lines[1].startswith("an error")
        assert lines[2] == RECORDED_LINE.rstrip()
        assert len(lines) == 9


def test_recursion_in_c_depends_on_the_python():
    (fate,) = fates_of(DEEP_IN_C, "spawn").values()
    assert fate.task == (BROKEN if sys.version_info < (3, 12) else "RecursionError")


def fate_of(name="a cause", **changed):
    fate = Fate(name, ANSWER, "", BROKEN, "", BROKEN, -9, "SIGKILL", "never", NEXT)
    return fate._replace(**changed)


def test_an_executor_table_says_what_works():
    error = fate_of("an error", careful="ValueError", task="ValueError", after=NEXT)
    assert executor_table([error, fate_of("a kill")]).splitlines() == [
        "cause     try/except         result() raised    the pool then",
        "an error  caught ValueError  ValueError         works",
        "a kill                       BrokenProcessPool  broken",
    ]


def test_a_clue_table_has_those_whose_worker_ended():
    whole = fate_of("an error", exit_code=None)
    assert clue_table([whole, fate_of("a kill", stderr="Aborted")]).splitlines() == [
        "cause   __cause__  exit code  signal   stderr",
        "a kill  -          -9         SIGKILL  Aborted",
    ]


def test_recorded_clues_can_be_told_where_their_signals_are_unknown(monkeypatch):
    monkeypatch.setattr(tables, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.setattr(tables, "CAUSES", {})
    windows = IntEnum("Signals", {"SIGSEGV": 11, "SIGTERM": 15})
    monkeypatch.setattr("signal.Signals", windows)
    note, *rows = clue_table(try_causes("spawn").values()).splitlines()[1:]
    assert note == RECORDED_LINE.rstrip()
    assert [row.split()[-2] for row in rows] == [
        "SIGKILL",
        "SIGTERM",
        "Segmentation",
        "SIGABRT",
        "SIGXCPU",
    ]


def test_a_program_that_is_not_done_in_time_says_so(monkeypatch):
    monkeypatch.setattr(tables, "LEASH_SECONDS", 0.01)
    with pytest.raises(RuntimeError, match="cause, an error: "):
        leashed("cause", "spawn", ["an error"])


def test_a_program_that_fails_says_why():
    with pytest.raises(RuntimeError, match="KeyError: 'no such cause'"):
        leashed("cause", "spawn", ["no such cause"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        ("Traceback\n  File 'x'\nValueError: no\n", "ValueError"),
        ("ValueError: no\n\nDuring that\n\nKeyError: 3\nmore\n", "KeyError"),
        ("json.decoder.JSONDecodeError: Expecting value", "JSONDecodeError"),
        ("RuntimeError", "RuntimeError"),
        ("Fatal Python error: Aborted\n\nCurrent thread", "Aborted"),
        ("Process 12 terminated abruptly with exit code -9", ""),
        ("    raise ValueError: no", ""),
    ],
)
def test_the_last_error_is_found(text, name):
    assert last_error(text) == name


def test_columns_are_as_wide_as_their_widest_cell():
    assert lay_out([("a", "b"), ("long", "c")]) == "a     b\nlong  c"


def test_only_the_program_with_its_guard_runs():
    header, *rows = start_table().splitlines()
    assert header.split() == ["program", "result()", "raised", "stderr"]
    assert len(rows) == len([*PROGRAMS, CELL])
    assert [BROKEN in row for row in rows] == [False] + [True] * 5
    assert [row.split()[-1] for row in rows] == [
        "-",
        "RuntimeError",
        "AttributeError",
        "ModuleNotFoundError",
        "AttributeError",
        "AttributeError",
    ]


@pytest.mark.parametrize("parcel", FRUIT)
def test_fruit_is_unpacked(parcel):
    assert open_parcel(parcel) == f"{parcel} unpacked"


@pytest.mark.parametrize(
    ("parcel", "error"),
    [("rock", ValueError), ("exit", SystemExit), ("busy line", SlowDown)],
)
def test_a_surprise_is_an_error(parcel, error):
    with pytest.raises(error):
        open_parcel(parcel)


def test_a_pool_opens_what_the_loop_opens(context):
    with ProcessPoolExecutor(2, context) as pool:
        futures = [pool.submit(open_parcel, parcel) for parcel in FRUIT]
        assert [f.result(LIMIT) for f in futures] == list(map(open_parcel, FRUIT))


def test_the_bomb_ends_its_worker(context):
    process = context.Process(target=open_parcel, args=("bomb",))
    process.start()
    process.join(LIMIT)
    assert process.exitcode == 7


def test_a_recorded_parcel_leaves_a_span(context, tmp_path):
    recorder = Recorder(tmp_path)
    with ProcessPoolExecutor(1, context) as pool:
        worker = partial(open_on_record, recorder)
        assert pool.submit(worker, "apples").result(LIMIT) == ANSWER
    assert [(span.task, span.kind) for span in recorder.spans] == [
        ("apples", "working")
    ]


def test_the_bomb_waits_until_all_the_others_are_busy(context, tmp_path):
    marks = Recorder(tmp_path)
    slowly = partial(open_slowly, marks)
    with ProcessPoolExecutor(3, context) as pool:
        assert pool.submit(slowly, "apples").result(LIMIT) == ANSWER
        futures = {name: pool.submit(slowly, name) for name in PARCELS[1:]}
        lost = {name: future.exception(LIMIT) for name, future in futures.items()}
    assert {type(error) for error in lost.values()} == {BrokenProcessPool}
    kinds = {span.task: span.kind for span in story_of(marks.spans, 1e9)}
    assert kinds == {
        "apples": "working",
        "books": "cut off",
        "bomb": "died",
        "cups": "cut off",
    }


def test_a_story_ends_what_is_done_when_it_was_done():
    marks = [
        Span(7, 1, "apples", 1, 1, "begun"),
        Span(7, 1, "apples", 2, 2, "done"),
        Span(8, 1, "books", 2, 2, "begun"),
    ]
    assert story_of(iter(marks), 5) == [
        Span(7, 1, "apples", 1, 2, "working"),
        Span(8, 1, "books", 2, 5, "cut off"),
    ]


def test_careful_lets_pass_what_is_no_exception():
    with pytest.raises(SystemExit):
        careful(sys.exit, 3)
    assert careful(ask_server) == ("caught", "SlowDown")


def test_a_slow_down_cannot_be_unpickled():
    error = SlowDown("too many requests", response=429)
    sent = pickle.dumps(error)
    with pytest.raises(TypeError, match="response"):
        pickle.loads(sent)


def test_a_sealed_thing_can_be_pickled_and_not_unpickled():
    sent = pickle.dumps(Sealed())
    with pytest.raises(ValueError, match="nobody can open this"):
        pickle.loads(sent)


def test_an_error_with_a_lock_cannot_be_pickled():
    with pytest.raises(ValueError) as caught:
        fail_with_lock()
    with pytest.raises(TypeError):
        pickle.dumps(caught.value)


MIXED = ["apples", "rock", "bomb", "books", "exit", "cups", "sealed box", "eggs"]


@pytest.mark.parametrize("size", [1, 3])
def test_the_honest_version_loses_nothing_and_blames_the_guilty(context, size):
    ran = run_each(open_parcel, MIXED, partial(ProcessPoolExecutor, size, context))
    assert {n: ran.answers[n] for n in sorted(ran.answers)} == {
        n: f"{parcel} unpacked" for n, parcel in enumerate(MIXED) if n in (0, 3, 5, 7)
    }
    assert {n: type(error) for n, error in ran.errors.items()} == {
        1: ValueError,
        4: SystemExit,
    }
    causes = {n: last_error(str(error.__cause__)) for n, error in ran.broken.items()}
    assert causes == {2: "", 6: "ValueError"}


@pytest.mark.parametrize("tries", [0, 1, 3])
def test_a_bomb_is_tried_as_often_as_allowed(context, tries):
    pools = []

    def make_pool():
        pools.append(ProcessPoolExecutor(1, context))
        return pools[-1]

    ran = run_each(open_parcel, ["bomb"], make_pool, tries)
    assert set(ran.broken) == {0}
    assert len(pools) == 1 + tries


def test_items_may_be_a_generator_and_may_be_none():
    threads = partial(ThreadPoolExecutor, 2)
    assert run_each(str.upper, (each for each in "ab"), threads).answers == {
        0: "A",
        1: "B",
    }
    assert run_each(str.upper, [], threads) == Ran({}, {}, {})


def test_a_round_keeps_what_was_not_handed_in_as_broken():
    class BreaksAtOnce(ThreadPoolExecutor):
        def submit(self, worker, task):
            raise BrokenProcessPool("not usable anymore")

    ran = run_round(str.upper, {3: "a", 5: "b"}, BreaksAtOnce)
    assert (ran.answers, ran.errors, set(ran.broken)) == ({}, {}, {3, 5})


@pytest.fixture(scope="module", params=get_all_start_methods())
def bugs(request):
    return run_bugs(request.param)


KEYS_LOST = "output {'k': 'K'}, left []"
BUGS = {
    "start": [
        "IndentationError: unindent does not match any outer indentation level",
        "NameError: name 'worker' is not defined",
    ],
    "tasks": [
        "TypeError: 'int' object is not iterable",
        "output {}, left ['a', 'l', 'i', 'c', 'e']",
        KEYS_LOST,
        KEYS_LOST,
    ],
    "lost": [
        "TypeError: string indices must be integers, not 'str'",
        "KeyError: 'error'",
        "SystemExit: 1",
        "output {'apples': 'APPLES'}, left []",
        "output {}, left ['apples', 'bad']",
        "output {'a': 'A', 'b': 'B'}, left ['bomb', 'c', 'd', 'e', 'f', 'g']",
    ],
    "said": [
        "chunk 2 failed with error: 'bad'",
        "chunk 0 failed with error: 'bad'",
        "left after each round: ['bad'], ['bad'], ['bad'], ['bad']",
        "first [[1, 2], [3]], then []",
        "ZeroDivisionError",
    ],
}


@pytest.mark.parametrize("group", BUGS)
def test_the_article_loses_and_mistakes_what_the_lesson_says(bugs, group):
    assert list(bugs[group].values()) == BUGS[group]


@needs_signals
def test_fork_starts_all_workers_for_one_task():
    assert workers_for_one_task() == transcript("broken_pools_workers").strip()
    assert workers_for_one_task() == "output {'workers': 20}, left []"


def test_a_system_without_fork_shows_the_recorded_count(monkeypatch):
    monkeypatch.setattr(tables, "get_all_start_methods", lambda: ["spawn"])
    assert workers_for_one_task().startswith(RECORDED_LINE)


def test_bugs_are_told_one_below_the_other():
    assert told({"a": "1", "b": "2"}) == "a\n    1\nb\n    2"


def test_programs_run_side_by_side_keep_their_order():
    runs = leashed("bugs", get_all_start_methods()[0], ["said", "start"])
    assert [list(json.loads(run.output)) for run in runs] == [
        list(run_bugs_of("said")),
        list(run_bugs_of("start")),
    ]


def run_bugs_of(group):
    (done,) = leashed("bugs", get_all_start_methods()[0], [group])
    return json.loads(done.output)


def test_a_killed_program_goes_on_from_its_journal(start_method, tmp_path):
    killed = run_code(program("broken_pools_journal"), LIMIT, start_method, tmp_path)
    parcels = [f"parcel {number}" for number in range(20)]
    wanted = [open_parcel(parcel) for parcel in parcels]
    assert (killed.exit_code, killed.output.splitlines()) == (9, wanted[:5])
    marks = Recorder(f"{tmp_path}/marks")
    report = run(
        partial(open_on_record, marks),
        parcels,
        executor=processes(2, start_method),
        journal=f"{tmp_path}/journal",
    )
    opened = [span.task for span in marks.spans]
    assert report.results == wanted
    assert report.resumed >= 5
    assert [opened.count(parcel) for parcel in parcels[:5]] == [1] * 5


def test_recovery_names_all_six_surprises(start_method):
    parcels = [each for pair in zip(SURPRISES, "abcdef", strict=True) for each in pair]
    engine = processes(2, start_method)
    report = run(open_unhurried, parcels, executor=engine, timeout=1)
    failed = {failure.item: type(failure.error).__name__ for failure in report.failures}
    assert failed == {
        "bomb": "WorkerDied",
        "rock": "ValueError",
        "exit": "SystemExit",
        "sealed box": "ValueError",
        "busy line": "SlowDown",
        "glue": "ItemTimeoutError",
    }
    good = [each for each in report.results if not isinstance(each, Failure)]
    assert good == [f"{each} unpacked" for each in "abcdef"]


@pytest.mark.parametrize(
    "thing",
    [
        fate_of(),
        Ran({0: "a"}, {}, {}),
        open_parcel,
        open_slowly,
        open_unhurried,
        open_on_record,
        careful,
        ask_server,
        break_seal,
        fail_with_lock,
    ],
)
def test_records_and_workers_survive_the_post(thing):
    assert pickle.loads(pickle.dumps(thing)) == thing
