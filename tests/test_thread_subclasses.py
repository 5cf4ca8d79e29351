import pickle
import sys
from contextlib import redirect_stdout
from queue import Queue
from threading import Barrier, Event, Thread, get_ident

import pytest

from lessons_src import thread_subclasses as lesson
from lessons_src.thread_subclasses import (
    DEGREES,
    LAST,
    AnswerThread,
    Clerk,
    HastyClerk,
    MyThread,
    ResultThread,
    Station,
    StreamInTurns,
    closed_at_rest,
    closed_at_work,
    measure,
    nap_together,
    start_and_join,
    system_writes,
    work_off,
)
from lessons_src.tools.leash import run_code
from lessons_src.tools.naps import Nap
from lessons_src.tools.programs import program
from lessons_src.tools.thread_errors import collect_thread_errors
from lessons_src.tools.timeline import most_at_once, workers

LIMIT = 60
BOTH = [AnswerThread, ResultThread]


@pytest.mark.parametrize("kind", BOTH)
def test_started_threads_bring_the_answers_of_the_loop(kind):
    threads = [kind(measure, city) for city in DEGREES]
    start_and_join(threads)
    assert [thread.answer for thread in threads] == list(map(measure, DEGREES))


@pytest.mark.parametrize("kind", BOTH)
def test_run_runs_in_the_caller_and_start_does_not(kind):
    thread = kind(get_ident)
    thread.run()
    assert thread.answer == get_ident()
    assert thread.ident is None
    start_and_join([thread])
    assert thread.answer == thread.ident
    assert thread.answer != get_ident()


@pytest.mark.parametrize("kind", BOTH)
def test_a_subclass_may_set_its_field_after_super(kind):
    class CityThread(kind):
        def __init__(self):
            super().__init__(lambda: self.city)
            self.city = "Oslo"

    thread = CityThread()
    start_and_join([thread])
    assert thread.answer == "Oslo"


def test_an_answer_thread_lets_its_error_out_and_join_is_silent():
    thread = AnswerThread(measure, "Cairo")
    with collect_thread_errors() as errors:
        start_and_join([thread])
    assert list(map(repr, errors)) == ["ConnectionError('Cairo does not answer')"]
    assert thread.answer is None


def test_each_join_of_a_result_thread_raises_the_same_error():
    thread = ResultThread(measure, "Cairo")
    with collect_thread_errors() as errors:
        thread.start()
        for _ in range(3):
            with pytest.raises(ConnectionError, match="Cairo") as raised:
                thread.join(LIMIT)
            assert raised.value is thread.error
    assert errors == []


def test_the_raised_error_leads_to_the_line_that_failed():
    thread = ResultThread(measure, "Cairo")
    thread.start()
    with pytest.raises(ConnectionError) as raised:
        thread.join(LIMIT)
    assert raised.traceback[-1].name == "measure"


def test_sys_exit_in_a_result_thread_arrives_at_join():
    def leave():
        raise SystemExit(3)

    thread = ResultThread(leave)
    thread.start()
    with pytest.raises(SystemExit):
        thread.join(LIMIT)


def test_an_error_of_one_result_thread_is_not_that_of_another():
    bad, good = ResultThread(measure, "Cairo"), ResultThread(measure, "Oslo")
    good.start()
    bad.start()
    with pytest.raises(ConnectionError):
        bad.join(LIMIT)
    good.join(LIMIT)
    assert good.error is None


def test_a_join_that_is_over_too_early_raises_nothing():
    gate = Event()
    thread = ResultThread(gate.wait, LIMIT)
    thread.start()
    assert thread.join(0) is None
    assert thread.is_alive()
    gate.set()
    assert thread.join(LIMIT) is None
    assert (thread.answer, thread.is_alive()) == (True, False)


def test_all_threads_are_started_before_the_first_is_waited_for():
    meet = Barrier(3)
    threads = [AnswerThread(meet.wait, LIMIT) for _ in range(3)]
    start_and_join(iter(threads))
    assert sorted(thread.answer for thread in threads) == [0, 1, 2]


def test_naps_taken_together_are_all_begun_at_one_moment():
    everyone = Barrier(3)
    naps = [Nap(city, 0) for city in DEGREES]
    threads = [AnswerThread(nap_together, everyone, nap) for nap in naps]
    start_and_join(threads)
    spans = [thread.answer for thread in threads]
    assert [span.task for span in spans] == list(DEGREES)
    assert (len(workers(spans)), most_at_once(spans)) == (3, 3)


def test_a_station_is_stopped_in_the_middle_of_its_pause():
    station = Station("Oslo", pause=10 * LIMIT)
    station.start()
    assert station.has_measured.wait(LIMIT)
    assert station.is_alive()
    station.stop()
    station.join(LIMIT)
    assert (station.is_alive(), station.readings) == (False, [4])


def test_a_station_goes_on_measuring_until_it_is_stopped():
    station = Station("Rome", pause=0)
    station.start()
    for _ in range(3):
        assert station.has_measured.wait(LIMIT)
        station.has_measured.clear()
    station.stop()
    station.join(LIMIT)
    assert len(station.readings) >= 3
    assert set(station.readings) == {18}


def test_a_station_that_is_stopped_before_it_starts_measures_nothing():
    station = Station("Oslo", pause=LIMIT)
    station.stop()
    start_and_join([station])
    assert (station.name, station.readings) == ("station Oslo", [])


@pytest.mark.parametrize("size", [1, 2, 5, 9])
@pytest.mark.parametrize("tasks", [[], [1], list(range(20))])
def test_a_crew_does_each_task_once_and_goes_home(size, tasks):
    answers = work_off(tasks, lambda task: task * task, size)
    assert sorted(answers) == [task * task for task in tasks]


def test_one_clerk_keeps_the_order_of_its_inbox():
    assert work_off("BCA", str.lower, 1) == ["b", "c", "a"]


def test_each_clerk_takes_one_last_and_no_more():
    inbox = Queue()
    for task in ("A", LAST, "B", LAST, "C"):
        inbox.put(task)
    clerks = [Clerk(inbox, str.lower) for _ in range(2)]
    start_and_join(clerks)
    assert sorted(clerks[0].answers + clerks[1].answers) == ["a", "b"]
    assert inbox.get_nowait() == "C"


def test_a_clerk_that_waits_at_an_empty_inbox_is_woken_by_close():
    clerk = Clerk(Queue(), str.lower)
    clerk.start()
    clerk.close()
    clerk.join(LIMIT)
    assert (clerk.is_alive(), clerk.answers) == (False, [])


@pytest.mark.parametrize(
    ("kind", "done", "left"), [(Clerk, "ABCDE", 0), (HastyClerk, "A", 4)]
)
def test_a_clerk_finishes_what_is_queued_and_a_hasty_one_drops_it(kind, done, left):
    clerk = closed_at_work(kind, "ABCDE")
    assert ("".join(clerk.answers), clerk.inbox.qsize()) == (done, left)
    assert not clerk.is_alive()


@pytest.mark.parametrize(
    ("kind", "done", "left"), [(Clerk, "", "FG"), (HastyClerk, "F", "G")]
)
def test_close_wakes_a_waiting_clerk_and_not_a_hasty_one(kind, done, left):
    clerk = closed_at_rest(kind, "FG")
    assert ("".join(clerk.answers), "".join(clerk.inbox.queue)) == (done, left)
    assert not clerk.is_alive()


def test_a_field_named_stop_with_an_underscore_is_taken_up_to_3_12():
    assert hasattr(Thread(), "_stop") == (sys.version_info < (3, 13))


def print_numbers(stream, numbers):
    with redirect_stdout(stream):
        threads = [MyThread(number) for number in numbers]
        for thread in threads:
            thread.join(LIMIT)


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        ([45, 5, 5, 45], "455\n\n"),
        ([45, 5, 45, 5], "455\n\n"),
        ([5, 45, 45, 5], "545\n\n"),
        ([45, 45, 5, 5], "45\n5\n"),
        ([5, 5, 45, 45], "5\n45\n"),
    ],
)
def test_the_turns_decide_what_two_prints_leave_on_the_stream(turns, text):
    stream = StreamInTurns(turns)
    print_numbers(stream, [45, 5])
    assert stream.text == text
    writes = [span.task for span in stream.spans if span.kind == "working"]
    assert [int(task.partition(":")[0]) for task in writes] == turns


def test_the_article_is_reproduced_to_the_letter():
    stream = StreamInTurns([1, 1, 2, 2, 3, 3, 4, 4, 45, 5, 5, 45])
    print_numbers(stream, [1, 2, 3, 4, 45, 5])
    assert stream.text == "1\n2\n3\n4\n455\n\n"
    assert len(workers(stream.spans)) == 6
    assert most_at_once(stream.spans, "working") == 1


def test_a_write_that_has_no_turn_is_refused_in_its_thread(monkeypatch):
    monkeypatch.setattr(lesson, "LIMIT", 0.01)
    with collect_thread_errors() as errors:
        print_numbers(StreamInTurns([45]), [45])
    assert list(map(str, errors)) == [r"no turn for 45 to write '\n'"]
    assert isinstance(errors[0], TimeoutError)


def test_print_sends_the_line_end_apart_only_where_nothing_is_kept():
    def printed(stream):
        print(45, file=stream)

    assert system_writes(printed, unbuffered=True) == [b"45", b"\n"]
    assert system_writes(printed, unbuffered=False) == [b"45\n"]


@pytest.mark.parametrize("unbuffered", [True, False])
def test_a_whole_line_goes_out_in_one_piece(unbuffered):
    pieces = system_writes(lambda out: out.write("45\n"), unbuffered=unbuffered)
    assert pieces == [b"45\n"]


def test_the_article_prints_all_its_digits_when_it_is_a_program():
    code = (
        "from lessons_src.thread_subclasses import MyThread\n"
        "for i in [1, 2, 3, 4, 45, 5]:\n"
        "    MyThread(i)\n"
    )
    run = run_code(code, LIMIT)
    assert (run.ended, run.errors) == ("ended with exit code 0", "")
    assert sorted(run.output.replace("\n", "")) == list("1234455")


def test_the_field_is_missing_in_the_thread_and_there_in_the_end():
    run = run_code(program("thread_subclasses_field"), LIMIT)
    error = "AttributeError: 'CityThread' object has no attribute 'city'"
    assert run.last_error_line == error
    assert run.output == "main goes on, and now there is Oslo\n"
    assert run.exit_code == 0


def test_the_worker_survives_the_post(context):
    assert pickle.loads(pickle.dumps(measure)) is measure
    with context.Pool(1) as pool:
        answers = pool.map_async(measure, DEGREES).get(LIMIT)
    assert answers == list(DEGREES.values())
