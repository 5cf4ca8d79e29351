import queue
import threading
import time
from contextlib import suppress
from threading import Event, Thread

import pytest

from lessons_src.checks import thread_subclasses as check
from lessons_src.thread_subclasses import LAST, AnswerThread, Clerk, HastyClerk


@pytest.fixture
def short_waits(monkeypatch):
    # Only for what is wrong: it sleeps longer than the check waits, on any machine
    monkeypatch.setattr(check, "LONG_PAUSE_SECONDS", 1.5)
    monkeypatch.setattr(check, "PATIENCE_SECONDS", 0.75)


@pytest.fixture
def short_limit(monkeypatch):
    monkeypatch.setattr(check, "LIMIT", 0.3)


def refused(verdict, why):
    return not verdict.right and why in verdict.why


class Counter(Thread):
    def __init__(self, text):
        super().__init__()
        self.text = text

    def run(self):
        self.answer = len(self.text.split())


class CounterOnAnswerThread(AnswerThread):
    def __init__(self, text):
        super().__init__(text.count, " ")

    def run(self):
        super().run()
        self.answer += 1


class CounterByTarget(Thread):
    def __init__(self, text):
        super().__init__(target=self.count, args=(text,), daemon=True)
        self.answer = 0

    def count(self, text):
        for _ in text.split():
            self.answer += 1


class CounterByProperty(Counter):
    def run(self):
        self.count = len(self.text.split())

    @property
    def answer(self):
        self.join()
        return self.count


@pytest.mark.parametrize(
    "kind", [Counter, CounterOnAnswerThread, CounterByTarget, CounterByProperty]
)
def test_exercise_1_accepts(kind):
    assert check.exercise_1(kind).right


class CountsTooEarly(Counter):
    def __init__(self, text):
        super().__init__(text)
        self.answer = len(text.split())


class StartsItself(Counter):
    def __init__(self, text):
        super().__init__(text)
        self.start()


class StartsAndJoinsItself(StartsItself):
    def __init__(self, text):
        super().__init__(text)
        self.join()


class NoInit(Thread):
    run = Counter.run


class HidesMethod(Counter):
    def __init__(self, text):
        super().__init__(text)
        self._bootstrap = text


class Returns(Counter):
    def run(self):
        return len(self.text.split())


class Letters(Counter):
    def run(self):
        self.answer = len(self.text)


class Start(Counter):
    def start(self):
        self.answer = len(self.text.split())


class NoSuper(Counter):
    def __init__(self, text):
        self.text = text


class Fails(Counter):
    def run(self):
        self.answer = len(self.words)


class ForgetsText(Counter):
    def __init__(self):
        super().__init__("hello")


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (None, "no class yet"),
        (Counter("hello"), "not a subclass"),
        (len, "not a subclass"),
        (int, "not a subclass"),
        (CountsTooEarly, "before anybody called start()"),
        (StartsItself, "starts itself"),
        (StartsAndJoinsItself, "starts itself"),
        (NoInit, "no __init__ of its own"),
        (HidesMethod, "_bootstrap is a method of Thread"),
        (Returns, "there is no answer"),
        (Letters, "has 6 words; answer is 18"),
        (Start, "started no thread"),
        (NoSuper, "super().__init__()"),
        (Fails, "AttributeError: 'Fails' object has no attribute 'words'"),
        (ForgetsText, "TypeError"),
    ],
)
def test_exercise_1_refuses(kind, why):
    assert refused(check.exercise_1(kind), why)


def test_exercise_1_refuses_a_thread_that_does_not_end(short_limit):
    gate = Event()

    class Waits(Counter):
        def run(self):
            gate.wait(60)

    verdict = check.exercise_1(Waits)
    gate.set()
    assert refused(verdict, "does not end")


class Ticker(Thread):
    def __init__(self, tick, pause):
        super().__init__()
        self.tick, self.pause = tick, pause
        self.stopping = Event()

    def run(self):
        while not self.stopping.wait(self.pause):
            self.tick()

    def stop(self):
        self.stopping.set()


class TicksFirst(Ticker):
    def run(self):
        while not self.stopping.is_set():
            self.tick()
            self.stopping.wait(self.pause)


class JoinsInStop(Ticker):
    def stop(self):
        self.stopping.set()
        self.join()


class LooksOften(Ticker):
    def run(self):
        while not self.stopping.is_set():
            self.tick()
            until = time.monotonic() + self.pause
            while not self.stopping.is_set() and time.monotonic() < until:
                time.sleep(0.005)


@pytest.mark.parametrize("kind", [Ticker, TicksFirst, JoinsInStop, LooksOften])
def test_exercise_2_accepts(kind):
    assert check.exercise_2(kind).right


class TicksOn(Ticker):
    def run(self):
        while True:
            self.tick()
            time.sleep(0.005)


class SleepsOn(Ticker):
    def run(self):
        while not self.stopping.is_set():
            time.sleep(self.pause)
            self.tick()


class TicksOnce(Ticker):
    def run(self):
        self.tick()


class IgnoresPause(Ticker):
    def run(self):
        while not self.stopping.wait(0.001):
            self.tick()


class NoTick(Ticker):
    def run(self):
        self.tok()


class TickerStartsItself(Ticker):
    def __init__(self, tick, pause):
        super().__init__(tick, pause)
        self.start()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (None, "no class yet"),
        (Thread, "no __init__ of its own"),
        (Counter, "no method stop()"),
        (Event, "not a subclass"),
        (TicksOn, "it ticks on"),
        (SleepsOn, "it sleeps on"),
        (TicksOnce, "did not tick 3 times"),
        (IgnoresPause, "ticks on without one"),
        (NoTick, "no attribute 'tok'"),
        (TickerStartsItself, "starts itself"),
    ],
)
def test_exercise_2_refuses(short_waits, kind, why):
    assert refused(check.exercise_2(kind), why)


class Patient(Clerk):
    def __init__(self, inbox, work):
        super().__init__(inbox, work)
        self.errors = []

    def run(self):
        while (task := self.inbox.get()) is not LAST:
            try:
                self.answers.append(self.work(task))
            except Exception as error:
                self.errors.append(error)


class PatientByTurns(Patient):
    def run(self):
        while True:
            try:
                task = self.inbox.get(timeout=0.01)
            except queue.Empty:
                continue
            if task is LAST:
                break
            try:
                self.answers.append(self.work(task))
            except OSError as error:
                self.errors.append(str(error))


class PatientWithoutClerk(Thread):
    def __init__(self, inbox, work):
        Thread.__init__(self)
        self.inbox, self.work = inbox, work
        self.answers, self.errors = [], []

    def run(self):
        for task in iter(self.inbox.get, LAST):
            self.do(task)

    def do(self, task):
        try:
            self.answers.append(self.work(task))
        except Exception as error:
            self.errors.append((task, error))


class PutsLastBack(Patient):
    def run(self):
        super().run()
        self.inbox.put(LAST)


RIGHT = [Patient, PatientByTurns, PatientWithoutClerk, PutsLastBack]


@pytest.mark.parametrize("kind", RIGHT)
def test_exercise_3_accepts(kind):
    assert check.exercise_3(kind).right


class TryAroundTheLoop(Patient):
    def run(self):
        try:
            Clerk.run(self)
        except ConnectionError as error:
            self.errors.append(error)


class GoesWhenEmpty(Patient):
    def run(self):
        while True:
            try:
                self.answers.append(self.work(self.inbox.get_nowait()))
            except queue.Empty:
                break


class GoesWhenTired(Patient):
    def run(self):
        with suppress(queue.Empty):
            while (task := self.inbox.get(timeout=60)) is not LAST:
                try:
                    self.answers.append(self.work(task))
                except ConnectionError as error:
                    self.errors.append(error)


class LooksIfEmpty(Patient):
    def run(self):
        while not self.inbox.empty():
            self.answers.append(self.work(self.inbox.get()))


class SharedLists(Patient):
    answers, errors = [], []

    def __init__(self, inbox, work):
        Thread.__init__(self)
        self.inbox, self.work = inbox, work


class SharedErrors(Patient):
    def __init__(self, inbox, work, errors=[]):  # noqa: B006
        super().__init__(inbox, work)
        self.errors = errors


class ErrorsAmongAnswers(Patient):
    def run(self):
        while (task := self.inbox.get()) is not LAST:
            try:
                self.answers.append(self.work(task))
            except Exception as error:
                self.answers.append(str(error))


class ErrorsForgotten(Patient):
    def run(self):
        while (task := self.inbox.get()) is not LAST:
            with suppress(Exception):
                self.answers.append(self.work(task))


class WorksOnLast(Patient):
    def run(self):
        while True:
            try:
                self.answers.append(self.work(self.inbox.get()))
            except Exception as error:
                self.errors.append(error)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (None, "no class yet"),
        (Patient(None, None), "not a subclass"),
        (Clerk, "let an error out: ConnectionError: Cairo"),
        (HastyClerk, "let an error out: ConnectionError: Cairo"),
        (TryAroundTheLoop, "answers are lost"),
        (GoesWhenEmpty, "4 of 4 answers are lost"),
        (GoesWhenTired, "4 of 4 answers are lost"),
        (LooksIfEmpty, "4 of 4 answers are lost"),
        (SharedLists, "not those of the loop"),
        (ErrorsAmongAnswers, "not those of the loop"),
        (SharedErrors, "there are 4 errors"),
        (ErrorsForgotten, "there are 0 errors"),
        (WorksOnLast, "LAST is no task"),
        (Counter, "TypeError"),
    ],
)
def test_exercise_3_refuses(kind, why):
    assert refused(check.exercise_3(kind), why)


def test_exercise_3_refuses_a_clerk_that_goes_on_after_last(short_limit, short_waits):
    gate = Event()

    class StaysOn(Patient):
        def run(self):
            super().run()
            gate.wait(60)

    verdict = check.exercise_3(StaysOn)
    gate.set()
    assert refused(verdict, "one of them works on")


class NeverTicks(Ticker):
    def run(self):
        self.stopping.wait()


def test_exercise_2_refuses_a_ticker_that_never_ticks(short_limit, short_waits):
    assert refused(check.exercise_2(NeverTicks), "did not tick")


def test_a_check_leaves_the_hook_for_errors_as_it_was():
    before = threading.excepthook
    check.exercise_1(Fails)
    check.exercise_2(NoTick)
    check.exercise_3(Clerk)
    assert threading.excepthook is before
