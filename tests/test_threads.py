import os
import pickle
import sys
import threading
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest

from lessons_src import threads as lesson
from lessons_src.threads import (
    Rejected,
    Server,
    WithoutGil,
    article_split,
    compute,
    in_threads,
    keep_outcome,
    make_calls,
    parse_server,
    put_answer,
    read_servers,
    run_without_gil,
    seconds_of,
    watch_until,
    without_gil,
)
from lessons_src.tools import machine, programs
from lessons_src.tools.chunks import merge_lists
from lessons_src.tools.leash import run_code
from lessons_src.tools.machine import free_threaded_python, gil_enabled
from lessons_src.tools.naps import Nap
from lessons_src.tools.programs import program, run_programs
from lessons_src.tools.recorded import RECORDED_LINE, transcript
from lessons_src.tools.thread_errors import collect_thread_errors
from lessons_src.tools.timeline import Span, most_at_once, workers

LIMIT = 60
HOSTS = ["cairo", "oslo", "rome", "lima", "delhi", "quito"]


def fail(task):
    raise KeyError(task)


def test_a_call_takes_as_many_units_as_its_host():
    assert make_calls({"oslo": 2, "rome": 0.5}, 0.5) == [
        Nap("oslo", 1.0),
        Nap("rome", 0.25),
    ]


def test_an_answer_is_put_under_its_task():
    answers = {}
    put_answer(answers, str.upper, "oslo")
    put_answer(answers, str.upper, "rome")
    assert answers == {"oslo": "OSLO", "rome": "ROME"}


def test_an_outcome_is_an_answer_or_an_error():
    answers, errors = {}, {}
    keep_outcome(answers, errors, str.upper, "oslo")
    keep_outcome(answers, errors, fail, "rome")
    assert answers == {"oslo": "OSLO"}
    assert {task: repr(error) for task, error in errors.items()} == {
        "rome": "KeyError('rome')"
    }


def test_all_tasks_run_at_once_each_in_a_thread_of_its_own():
    everyone = Barrier(5)

    def meet(task):
        everyone.wait(LIMIT)
        return threading.current_thread()

    threads = in_threads(meet, range(5))
    assert len(set(threads)) == 5
    assert not any(thread.is_alive() for thread in threads)
    assert threading.current_thread() not in threads


def test_the_answers_are_in_the_order_of_the_tasks_not_of_their_ends():
    last_is_done = Event()

    def answer(task):
        if task == 2:
            last_is_done.set()
        else:
            last_is_done.wait(LIMIT)
        return task * 10

    assert in_threads(answer, iter([0, 1, 2])) == [0, 10, 20]


def test_equal_tasks_have_an_answer_each():
    numbers = iter(range(3))
    assert sorted(in_threads(lambda _: next(numbers), ["a"] * 3)) == [0, 1, 2]
    assert in_threads(str, []) == []


def test_a_task_whose_worker_fails_has_no_answer():
    def answer(task):
        if task == "rome":
            raise ConnectionError("rome is down")
        return task.upper()

    with collect_thread_errors() as errors, pytest.raises(KeyError, match=r"^1$"):
        in_threads(answer, ["oslo", "rome"])
    assert [str(error) for error in errors] == ["rome is down"]


def test_the_seconds_of_spans_reach_from_the_first_start_to_the_last_stop():
    spans = [Span(1, 1, "a", 3.0, 3.5), Span(1, 2, "b", 2.0, 2.5)]
    assert seconds_of(spans) == 1.5
    assert seconds_of({1: spans[0]}.values()) == 0.5


def test_a_watcher_tidies_up_when_it_is_told_to_stop():
    stop, log = Event(), []
    watcher = Thread(target=watch_until, args=(stop, log), daemon=True)
    watcher.start()
    watcher.join(0.01)
    assert watcher.is_alive()
    stop.set()
    watcher.join(LIMIT)
    assert log == ["started", "tidied up"]


def stretches_seen(monkeypatch, readings):
    clock = iter(readings)
    monkeypatch.setattr(lesson, "clock", lambda: next(clock))
    found = compute("sum", rounds=len(readings) - 1)
    return [(each.task, each.start, each.stop) for each in found]


def test_a_gap_between_two_looks_at_the_clock_ends_a_stretch(monkeypatch):
    readings = [0, 0.0008, 0.0016, 0.0100, 0.0108, 0.0116]
    assert stretches_seen(monkeypatch, readings) == [
        ("sum", 0, 0.0016),
        ("sum", 0.0100, 0.0116),
    ]


def test_a_stretch_that_is_no_longer_than_a_gap_is_left_out(monkeypatch):
    readings = [0, 0.0008, 0.0100, 0.0108, 0.0116, 0.02]
    assert stretches_seen(monkeypatch, readings) == [("sum", 0.0100, 0.0116)]


def test_two_threads_compute_by_turns_as_long_as_there_is_a_gil():
    spans = merge_lists(in_threads(compute, ["sum 1", "sum 2"]))
    assert most_at_once(spans) <= (1 if gil_enabled() else 2)
    assert {span.task for span in spans} <= {"sum 1", "sum 2"}


def test_without_such_a_python_the_recorded_run_is_shown(monkeypatch):
    monkeypatch.setattr(machine, "free_threaded_python", lambda: None)
    free = without_gil()
    assert free.report == f"{RECORDED_LINE}without a GIL: at most 2 at once"
    assert most_at_once(free.stretches) == len(workers(free.stretches)) == 2


def test_on_one_core_the_recorded_run_is_shown(monkeypatch):
    monkeypatch.setattr(machine, "free_threaded_python", lambda: sys.executable)
    monkeypatch.setattr(machine, "cores_allowed", lambda: 1)
    assert without_gil().report.startswith(RECORDED_LINE)


def test_a_live_run_says_what_the_recorded_one_says():
    python = free_threaded_python()
    if python is None or machine.cores_allowed() < 2:
        pytest.skip("no free-threaded Python with two cores here")
    free = without_gil()
    recorded = transcript("threads_without_gil").splitlines()[0]
    assert free.report == recorded
    assert most_at_once(free.stretches) == 2


def test_a_program_without_gil_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(programs, "program", lambda name: "raise SystemExit('rigged')")
    with pytest.raises(ChildProcessError, match=r"exit code 1: rigged$"):
        run_without_gil(sys.executable)


def test_the_program_without_gil_can_import_the_course(monkeypatch):
    def prints_its_search_path(name):
        return "import os; print(os.environ['PYTHONPATH'])"

    monkeypatch.setattr(programs, "program", prints_its_search_path)
    folders = run_without_gil(sys.executable).strip().split(os.pathsep)
    assert any(Path(each, "lessons_src", "threads.py").exists() for each in folders)


@pytest.mark.parametrize(
    "line", ["oslo 8002", "oslo  8002\n", "oslo\t8002", "  oslo 8002  ", "oslo 08002"]
)
def test_any_white_space_may_stand_around_a_host_and_a_port(line):
    assert parse_server(line) == Server("oslo", 8002)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "nothing there"),
        (" \t\n", "nothing there"),
        ("lima", "no port"),
        ("lima eighty", "port 'eighty' is no number"),
        ("lima -80", "port '-80' is no number"),
        ("lima 8_0", "port '8_0' is no number"),
        ("lima \u0668\u0660", "port '\u0668\u0660' is no number"),
        ("lima 0", "port 0 is not in 1 to 65535"),
        ("lima 65536", "port 65536 is not in 1 to 65535"),
        ("lima 80 81", "3 words instead of 2"),
    ],
)
def test_a_line_that_is_no_server_says_why(line, why):
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_server(line)


def test_the_first_and_the_last_port_will_do():
    assert [parse_server(f"lima {port}").port for port in (1, 65535)] == [1, 65535]


@pytest.mark.parametrize(
    "line", ["oslo  8002\n", "oslo\t8002\n", "\n", "lima\n", "a b"]
)
def test_the_article_understands_one_blank_only(line):
    assert article_split("oslo 8002\n") == Server("oslo", 8002)
    with pytest.raises((ValueError, IndexError)):
        article_split(line)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "servers.txt"
    path.write_text("cairo 81\noslo  82\nrome\t83\n\nlima\nquito 87", encoding="utf-8")
    return path


def test_no_line_of_a_file_is_lost(file):
    servers, rejected = read_servers(file)
    assert servers == [
        Server("cairo", 81),
        Server("oslo", 82),
        Server("rome", 83),
        Server("quito", 87),
    ]
    assert rejected == [
        Rejected(4, "", "nothing there"),
        Rejected(5, "lima", "no port"),
    ]


def test_what_the_article_does_not_understand_is_not_lost_either(file):
    servers, rejected = read_servers(str(file), article_split)
    assert [server.host for server in servers] == ["cairo", "quito"]
    assert [line.number for line in rejected] == [2, 3, 4, 5]


def test_a_file_as_windows_writes_it_is_read_too(tmp_path):
    path = tmp_path / "servers.txt"
    path.write_bytes(b"\xef\xbb\xbfcairo 81\r\nlima\r\n")
    servers, rejected = read_servers(path)
    assert servers == [Server("cairo", 81)]
    assert rejected == [Rejected(2, "lima", "no port")]


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_servers(tmp_path / "none.txt")


@pytest.mark.filterwarnings("error")
def test_the_file_is_closed(file):
    read_servers(file)
    file.unlink()


def run_halves(name, tmp_path):
    path = tmp_path / "servers.txt"
    path.write_text("".join(f"{host} 80\n" for host in HOSTS), encoding="utf-8")
    run = run_code(program(name), LIMIT, path)
    assert (run.exit_code, run.errors) == (0, "")
    return run.output.splitlines()


def test_who_joins_the_last_thread_only_loses_the_slow_half(tmp_path):
    last_half = [f"{host} 80" for host in HOSTS[3:]]
    assert run_halves("threads_halves", tmp_path) == [*last_half, "ok"]


def test_who_joins_every_thread_loses_nothing(tmp_path):
    halves = [f"{host} 80" for host in HOSTS[3:] + HOSTS[:3]]
    assert run_halves("threads_halves_joined", tmp_path) == [*halves, "ok"]


def test_a_script_drops_its_daemons_and_waits_for_its_other_threads():
    names = "threads_daemon", "threads_no_daemon"
    dropped, waited = run_programs(*names, limit=LIMIT).values()
    assert (dropped.output, dropped.errors, dropped.exit_code) == ("", "", 0)
    assert waited.output.count("tidied up") == 3
    assert (waited.errors, waited.exit_code) == ("", 0)


def test_the_error_of_a_thread_stays_in_the_thread():
    run = run_code(program("threads_error"), LIMIT)
    assert (run.output, run.exit_code) == ("all calls done\n", 0)
    assert run.last_error_line == "ConnectionError: oslo does not answer"


@pytest.mark.parametrize(
    "thing",
    [
        put_answer,
        keep_outcome,
        compute,
        watch_until,
        Server("oslo", 80),
        Rejected(1, "", "nothing there"),
        WithoutGil("", [Span(1, 1, "a", 0, 1)]),
    ],
)
def test_workers_and_records_can_be_pickled(thing):
    assert pickle.loads(pickle.dumps(thing)) == thing
