import json
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import count

import pytest

from lessons_src import futures as lesson
from lessons_src.futures import (
    DEGREES,
    ROUND,
    EngineRun,
    Hold,
    Line,
    Meeting,
    Reading,
    all_at_the_end,
    as_they_come,
    ask_in_company,
    ask_rounds,
    counted,
    gather,
    has_sub_interpreters,
    lane_names,
    make_calls,
    make_engines,
    make_lines,
    map_ahead,
    map_in_window,
    run_engine,
    run_sub_interpreters,
    temperature,
    work_through,
)
from lessons_src.tools.naps import Nap, take_nap
from lessons_src.tools.patience import ask_patiently
from lessons_src.tools.programs import program, run_programs
from lessons_src.tools.recorded import RECORDED_LINE, transcript
from lessons_src.tools.spans import Span
from lessons_src.tools.timeline import most_at_once, workers

LIMIT = 60
FACTS = {
    "threads": "2 workers in our process, with our memory",
    "processes": "2 workers in other processes, with their own memory",
    "sub-interpreters": "2 workers in our process, with their own memory",
}


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def processes(context):
    with ProcessPoolExecutor(2, context) as pool:
        yield pool


def done_with(answer=None, error=None):
    future = Future()
    if error:
        future.set_exception(error)
    else:
        future.set_result(answer)
    return future


def test_a_call_takes_as_many_units_as_its_station():
    assert make_calls({"bay": 2, "cape": 0.5}, 0.5) == [
        Nap("bay", 1.0),
        Nap("cape", 0.25),
    ]


@pytest.mark.parametrize(
    ("degrees", "fahrenheit"), [("bay", 59), ("cape", 68), ("dune", 86), ("fell", 41)]
)
def test_a_temperature_is_known_in_two_units(degrees, fahrenheit):
    assert temperature(degrees) == DEGREES[degrees]
    assert temperature(degrees, "F") == fahrenheit


def test_a_station_that_is_not_there_has_no_temperature(processes):
    assert processes.submit(temperature, "bay").result(LIMIT) == 15
    with pytest.raises(ValueError, match="no station 'atlantis'"):
        processes.submit(temperature, "atlantis").result(LIMIT)


def test_a_hold_begins_and_stays_open_until_it_is_let_go(threads):
    hold = Hold()
    future = threads.submit(hold)
    assert hold.begun.wait(LIMIT)
    assert not future.done()
    hold.let_go()
    assert future.result(LIMIT) == "done"


def test_a_hold_knows_the_thread_that_ran_it(threads):
    hold = Hold()
    assert hold.thread is None
    hold.let_go()
    assert list(threads.map(hold, ["a name is no harm"])) == ["done"]
    assert hold.thread in threads._threads


def test_a_hold_that_is_forgotten_gives_up(monkeypatch):
    monkeypatch.setattr(lesson, "LIMIT_SECONDS", 0.01)
    assert Hold()() == "gave up"


@pytest.mark.parametrize("way", [as_they_come, all_at_the_end])
def test_each_way_brings_every_answer_once(threads, way):
    assert sorted(way(threads, abs, [-2, 3, -1])) == [1, 2, 3]


def test_answers_come_as_they_are_done(threads):
    hold = Hold()
    answers = as_they_come(threads, lambda task: task(), [hold, lambda: "quick"])
    assert next(answers) == "quick"
    hold.let_go()
    assert next(answers) == "done"


def test_nothing_comes_before_all_is_done(threads):
    hold, came = Hold(), []
    tasks = [hold, lambda: "quick"]

    def receive():
        came.extend(all_at_the_end(threads, lambda task: task(), tasks))

    receiver = threading.Thread(target=receive)
    receiver.start()
    assert hold.begun.wait(LIMIT)
    assert threads.submit(str).result(LIMIT) == ""
    assert came == []
    hold.let_go()
    receiver.join(LIMIT)
    assert sorted(came) == ["done", "quick"]


@pytest.fixture(scope="module")
def rounds():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesson, "PATIENCE_SECONDS", 0.3)
        return ask_rounds(0)


def test_the_titles_say_what_the_notebook_held(rounds):
    assert list(rounds) == [
        "map: 1 of 3 in hand when the slow one answers",
        "as_completed: 3 of 3 in hand when the slow one answers",
        "wait: 0 of 3 in hand when the slow one answers",
    ]


def test_each_round_is_answered_and_waited_for(rounds):
    for spans in rounds.values():
        answered = [each.task for each in spans if each.kind == "working"]
        waited = [each for each in spans if each.kind == "waiting"]
        assert sorted(answered) == sorted(each.task for each in waited) == sorted(ROUND)
        assert len(workers(waited)) == 1
        assert most_at_once(waited) == 1


def test_answers_and_errors_are_gathered_by_task():
    error, exit_ = ValueError("no"), SystemExit(3)
    futures = {
        done_with(1): "one",
        done_with(0): "zero",
        done_with(error=error): "bad",
        done_with(error=exit_): "exit",
    }
    assert gather(futures) == (
        {"one": 1, "zero": 0},
        {"bad": error, "exit": exit_},
    )
    assert gather({}) == ({}, {})


def test_what_is_drawn_is_counted():
    drawn = []
    items = counted("abc", drawn)
    assert drawn == []
    assert (next(items), drawn) == ("a", ["a"])
    assert (list(items), drawn) == (["b", "c"], ["a", "b", "c"])


@pytest.mark.parametrize("way", [map_in_window, map_ahead])
@pytest.mark.parametrize("size", [1, 3])
def test_a_window_is_so_many_tasks_ahead_even_of_an_endless_list(threads, way, size):
    drawn = []
    answers = way(threads, abs, counted(count(), drawn), size)
    for number in range(5):
        assert next(answers) == number
        assert len(drawn) == number + 1 + size


@pytest.mark.parametrize("way", [map_in_window, map_ahead])
@pytest.mark.parametrize("tasks", [[], [-1], [-3, 1, -2, 5, 4]])
def test_a_window_gives_all_answers_in_order(threads, way, tasks):
    assert list(way(threads, abs, tasks, 2)) == [abs(task) for task in tasks]


def test_a_window_serves_processes_too(processes):
    assert list(map_ahead(processes, temperature, DEGREES, 2)) == [15, 20, 30, 5]


def test_python_itself_makes_the_window_where_it_can(threads):
    answers = map_ahead(threads, abs, [1, 2], 1)
    of_ours = answers.__name__ == "map_in_window"
    assert of_ours == (sys.version_info < (3, 14))
    assert list(answers) == [1, 2]


def test_a_line_is_busy_as_often_as_it_was_told():
    line = Line("bay", busy=2)
    for number in (1, 2):
        with pytest.raises(ConnectionError, match=f"^try {number}: bay is busy$"):
            line.ask()
    assert line.ask() == Reading("bay", 15, 3)


def test_a_line_to_nowhere_says_so_at_the_first_try():
    with pytest.raises(ValueError, match=r"^try 1: no station 'atlantis'$"):
        Line("atlantis").ask()


def test_a_worker_of_any_process_asks_patiently(processes):
    asked = {
        processes.submit(ask_patiently, each): each.station for each in make_lines()
    }
    answers, errors = gather(asked)
    assert answers == {"bay": Reading("bay", 15, 1), "cape": Reading("cape", 20, 3)}
    assert {name: str(error) for name, error in errors.items()} == {
        "atlantis": "try 1: no station 'atlantis'",
        "dune": "try 4: dune is busy",
    }


def test_lines_are_made_anew():
    first, second = make_lines(), make_lines()
    first[0].ask()
    assert (first[0].tries, second[0].tries) == (1, 0)


def test_who_meets_waits_until_all_have_come(tmp_path, threads):
    meeting = Meeting(str(tmp_path), 2)
    early = threads.submit(meeting.attend, "early")
    with pytest.raises(TimeoutError):
        early.result(0.1)
    meeting.attend("late")
    early.result(LIMIT)
    meeting.attend("third")


def test_a_meeting_to_which_nobody_comes_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(lesson, "LIMIT_SECONDS", 0.01)
    Meeting(str(tmp_path), 2).attend("alone")
    assert [file.name for file in tmp_path.iterdir()] == ["alone"]


def test_a_call_in_company_hangs_its_name_on_the_board(tmp_path):
    lesson.BOARD.clear()
    made = ask_in_company(Meeting(str(tmp_path), 1), Nap("bay", 0))
    assert (made.task, made.process, lesson.BOARD) == ("bay", os.getpid(), ["bay"])


def test_a_worker_that_does_not_retry_does_not_wait_for_tenacity():
    code = "import sys, lessons_src.futures; print('tenacity' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_work_is_gone_through_in_the_order_of_the_calls(threads):
    calls = make_calls({"bay": 2, "cape": 1}, 0.01)
    assert [each.task for each in work_through(threads, take_nap, calls)] == [
        "bay",
        "cape",
    ]


def test_sub_interpreters_come_with_python_3_14():
    assert has_sub_interpreters() == (sys.version_info >= (3, 14))


def lives_up_to(name, run):
    waited, *worked = run.spans
    assert run.report == f"{name:17}{FACTS[name]}"
    assert (waited.task, waited.kind) == ("all", "waiting")
    assert [each.task for each in worked] == ["bay", "cape", "dune"]
    assert len(workers(worked)) == most_at_once(worked) == 2
    assert waited.start < min(each.start for each in worked)
    assert max(each.stop for each in worked) < waited.stop


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_an_engine_lives_up_to_its_facts(context, name):
    calls = make_calls({"bay": 1, "cape": 1, "dune": 1}, 0.01)
    lesson.BOARD.append("left from before")
    lives_up_to(name, run_engine(name, make_engines(context)[name], calls))


@pytest.mark.skipif(not has_sub_interpreters(), reason="they come with Python 3.14")
def test_sub_interpreters_live_up_to_their_facts():
    calls = make_calls({"bay": 1, "cape": 1, "dune": 1}, 0.01)
    lives_up_to("sub-interpreters", run_sub_interpreters(calls))


def test_the_recorded_run_says_what_a_live_one_says():
    report, spans = transcript("futures_sub_interpreters").splitlines()
    waited, *worked = (Span(*fields) for fields in json.loads(spans))
    assert report == f"sub-interpreters {FACTS['sub-interpreters']}"
    assert [each.task for each in worked] == ["bay", "cape", "dune", "fell"]
    assert len(workers(worked)) == 2
    assert {each.process for each in worked} == {waited.process}


def test_where_there_are_none_the_recorded_run_is_shown(monkeypatch):
    monkeypatch.setattr(lesson, "has_sub_interpreters", lambda: False)
    run = run_sub_interpreters([])
    assert run.report.startswith(RECORDED_LINE)
    assert run.report.endswith(FACTS["sub-interpreters"])
    assert [each.kind for each in run.spans] == ["waiting", *["working"] * 4]


def test_lanes_are_named_after_their_engine():
    here, other = Span(1, 1, "all", 0, 9, "waiting"), Span(2, 1, "all", 0, 9, "waiting")
    first, second = Span(1, 7, "bay", 1, 2), Span(1, 8, "cape", 2, 3)
    runs = {
        "processes": EngineRun("", [here, second, first]),
        "sub-interpreters": EngineRun("", [other, Span(2, 9, "bay", 1, 2)]),
    }
    assert lane_names(runs) == {
        (1, 1): "notebook",
        (1, 7): "process 1",
        (1, 8): "process 2",
        (2, 1): "notebook",
        (2, 9): "sub-interpreter 1",
    }


def test_a_task_that_exits_ends_who_asks_unless_it_is_asked_for_its_error():
    runs = run_programs("futures_exit", "futures_exit_asked", limit=LIMIT)
    exits, asked = runs.values()
    assert (exits.exit_code, exits.output, exits.errors) == (3, "", "")
    assert (asked.exit_code, asked.errors) == (0, "")
    assert asked.output == "caught: SystemExit(3)\nthe end\n"


def test_the_article_tries_again_what_fails_again():
    run = run_programs("futures_article", limit=LIMIT)["futures_article"]
    assert (run.exit_code, run.errors) == (0, "")
    assert sorted(run.output.splitlines()) == [
        "(1, 'a', 'x') failed: Something went wrong!",
        "(1, 'a', 'x') failed: Something went wrong!",
        "2 b y done",
        "3 c z done",
        "4 d w done",
        "Retrying failed task...",
    ]


def test_the_two_exits_differ_in_how_they_ask_only():
    one, other = map(program, ["futures_exit", "futures_exit_asked"])
    assert one.partition("\n\ntry")[0] == other.partition("\n\nif")[0]


@pytest.mark.parametrize(
    "thing",
    [
        Reading("bay", 15, 1),
        Meeting("here", 2),
        EngineRun("facts", [Span(1, 1, "bay", 0, 1)]),
        temperature,
    ],
)
def test_records_and_workers_survive_the_post(thing):
    assert pickle.loads(pickle.dumps(thing)) == thing


def test_lines_and_meeting_workers_survive_the_post():
    line = Line("bay", 2)
    line.tries = 1
    assert vars(pickle.loads(pickle.dumps(line))) == vars(line)
    worker = pickle.loads(pickle.dumps(partial(ask_in_company, Meeting("here", 2))))
    assert (worker.func, worker.args) == (ask_in_company, (Meeting("here", 2),))
