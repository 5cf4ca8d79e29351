import queue
import threading

import pytest

from lessons_src.tools import scheduler
from lessons_src.tools.scheduler import DEADLOCK, Program, explore
from lessons_src.tools.scheduler_locks import Outside

PYTHONS = {
    "Lock": threading.Lock,
    "RLock": threading.RLock,
    "Semaphore": threading.Semaphore,
    "Event": threading.Event,
    "Condition": threading.Condition,
    "Queue": queue.Queue,
}
# What one thread does to each: method and arguments, one after the other
STORIES = [
    ("Lock", [], "acquire locked release locked"),
    ("Lock", [], "acquire acquire:False acquire:True,0 release"),
    ("Lock", [], "release"),
    ("Lock", [], "__enter__ locked __exit__:0,0,0 locked"),
    ("RLock", [], "acquire acquire release release release"),
    ("RLock", [], "__enter__ acquire:False release __exit__:0,0,0 release"),
    ("Semaphore", [2], "acquire acquire acquire:False release acquire:True,0"),
    ("Semaphore", [], "acquire release:2 acquire acquire acquire:False release:0"),
    ("Semaphore", [-1], ""),
    ("Semaphore", [0], "acquire:False release __enter__ __exit__:0,0,0 acquire"),
    ("Event", [], "is_set set is_set wait clear is_set wait:0"),
    ("Condition", [], "notify"),
    ("Condition", [], "notify_all"),
    ("Condition", [], "wait"),
    ("Condition", [], "acquire notify notify_all wait:0 release release"),
    ("Condition", [], "acquire wait_for:yes wait_for:no,0 __enter__ release"),
    ("Queue", [], "empty full put:5 qsize get empty get:False"),
    ("Queue", [1], "put:5 full put:6,False put_nowait:7 get get_nowait"),
    ("Queue", [], "put:5 get task_done join task_done"),
]


def word(text):
    known = {"False": False, "True": True, "yes": lambda: "yes", "no": lambda: 0}
    return known[text] if text in known else int(text)


def told(make, arguments, story):
    """Tell what came of each call: its result, or its error."""
    try:
        thing = make(*arguments)
    except ValueError as error:
        return [repr(error)]
    results = []
    for call in story.split():
        method, _, words = call.partition(":")
        given = [word(each) for each in words.split(",")] if words else []
        try:
            results.append(getattr(thing, method)(*given))
        except Exception as error:
            results.append(repr(error))
    return results


@pytest.mark.parametrize(("name", "arguments", "story"), STORIES)
def test_a_drop_in_does_what_pythons_own_does(name, arguments, story):
    ours = told(getattr(scheduler, name), arguments, story)
    assert ours == told(PYTHONS[name], arguments, story)


@pytest.mark.parametrize("name", PYTHONS)
def test_a_drop_in_is_missing_nothing_that_people_use(name):
    rare = {
        "shutdown",
        "mutex",
        "all_tasks_done",
        "not_empty",
        "not_full",
        "is_shutdown",
    }
    rare |= {"notifyAll", "isSet", "locked", "acquire_lock", "release_lock"}
    rare |= {"locked_lock", "queue", "unfinished_tasks"}
    public = {each for each in dir(PYTHONS[name]()) if each[0] != "_"} - rare
    assert public <= set(dir(getattr(scheduler, name)()))


def test_to_wait_outside_of_a_run_is_an_error_at_once():
    lock = scheduler.Lock()
    lock.acquire()
    with pytest.raises(Outside, match="a Lock would wait for ever"):
        lock.acquire()
    with pytest.raises(Outside, match="a Queue"):
        scheduler.Queue().get()


class Shared:
    def __init__(self):
        self.lock, self.again = scheduler.Lock(), scheduler.RLock()
        self.room = scheduler.Semaphore(1)
        self.ready = scheduler.Event()
        self.called = scheduler.Condition()
        self.queue = scheduler.Queue(maxsize=1)
        self.inside, self.most = 0, 0
        self.seen = []


def visit(shared):
    with shared.room:
        shared.inside += 1
        shared.most = max(shared.most, shared.inside)
        shared.inside -= 1


def outcomes(outcome, *functions):
    found = explore(Program(Shared, *functions, outcome=outcome))
    assert found.complete
    return set(found.outcomes)


def test_a_semaphore_lets_in_as_many_as_it_has_room_for():
    assert outcomes(lambda shared: shared.most, visit, visit) == {1}


def wait(shared):
    shared.ready.wait()
    shared.seen.append("went on")


def set_it(shared):
    shared.seen.append("set")
    shared.ready.set()


def seen(shared):
    return " ".join(map(str, shared.seen))


def test_who_waits_for_an_event_goes_on_after_it_is_set():
    assert outcomes(seen, wait, set_it) == {"set went on"}
    assert outcomes(seen, wait) == {DEADLOCK}


def produce(shared):
    for item in (1, 2, 3):
        shared.queue.put(item)


def consume(shared):
    for _ in range(3):
        shared.seen.append(shared.queue.get())


def test_a_queue_keeps_the_order_and_its_size():
    assert outcomes(seen, produce, consume) == {"1 2 3"}
    assert outcomes(seen, produce) == {DEADLOCK}


def take_twice(shared):
    with shared.lock:  # noqa: SIM117
        with shared.lock:
            shared.seen.append("twice")


def take_again(shared):
    with shared.again:  # noqa: SIM117
        with shared.again:
            shared.seen.append("twice")


def test_a_thread_cannot_take_a_lock_twice_but_an_rlock():
    assert outcomes(seen, take_twice) == {DEADLOCK}
    assert outcomes(seen, take_again) == {"twice"}


def hold_again(shared):
    shared.again.acquire()
    shared.seen.append("held")


def release_again(shared):
    try:
        shared.again.release()
    except RuntimeError as error:
        shared.seen.append(str(error))


def release_lock(shared):
    if shared.lock.locked():
        shared.lock.release()


def hold_lock(shared):
    shared.lock.acquire()
    shared.lock.acquire()
    shared.seen.append("released by another one")


def test_any_thread_may_release_a_lock_but_only_its_owner_an_rlock():
    refused = "cannot release un-acquired lock"
    assert outcomes(seen, hold_again, release_again) == {
        f"held {refused}",
        f"{refused} held",
    }
    assert outcomes(seen, hold_lock, release_lock) == {
        DEADLOCK,
        "released by another one",
    }


def ask_for_a_while(shared):
    shared.seen.append(shared.lock.acquire(timeout=1))


def hold_for_a_while(shared):
    with shared.lock:
        shared.inside += 1


def test_a_wait_with_a_limit_may_be_given_up_or_not():
    assert outcomes(seen, ask_for_a_while, hold_for_a_while) == {
        "True",
        "False",
        DEADLOCK,
    }


def wait_called(shared):
    with shared.called:
        shared.called.wait()
        shared.seen.append("called")


def wait_called_for_a_while(shared):
    with shared.called:
        shared.seen.append(shared.called.wait(timeout=1))


def wait_for_seen(shared):
    with shared.called:
        shared.called.wait_for(lambda: shared.inside)
        shared.seen.append("inside")


def call(shared):
    with shared.called:
        shared.inside = 1
        shared.called.notify()


def call_all(shared):
    with shared.called:
        shared.inside = 1
        shared.called.notify_all()


def test_a_call_that_nobody_waits_for_is_lost():
    assert outcomes(seen, wait_called, call) == {"called", DEADLOCK}
    assert outcomes(seen, wait_for_seen, call) == {"inside"}


def test_notify_wakes_one_and_notify_all_each():
    two = [wait_called, wait_called]
    assert outcomes(seen, *two, call) == {DEADLOCK}
    assert outcomes(seen, *two, call_all) == {"called called", DEADLOCK}


def test_a_condition_is_waited_for_with_a_limit():
    assert outcomes(seen, wait_called_for_a_while, call) == {"True", "False"}


def test_a_condition_gives_back_an_rlock_however_often_it_was_taken():
    def wait_deep(shared):
        with shared.called:
            wait_called(shared)

    assert outcomes(seen, wait_deep, call) == {"called", DEADLOCK}


def test_a_condition_works_with_a_plain_lock_too():
    def make():
        shared = Shared()
        shared.called = scheduler.Condition(scheduler.Lock())
        return shared

    found = explore(Program(make, wait_called, call, outcome=seen))
    assert set(found.outcomes) == {"called", DEADLOCK}


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (scheduler.Lock(), "free"),
        (scheduler.Semaphore(2), "2 free"),
        (scheduler.Event(), "not set"),
        (scheduler.Condition(), "free, waiting: nobody"),
        (scheduler.Queue(), "[]"),
    ],
)
def test_each_tells_how_it_is(thing, text):
    assert repr(thing) == text


def test_an_rlock_tells_by_whom_and_how_often_it_is_held():
    lock = scheduler.RLock()
    lock.acquire()
    assert repr(lock) == "held by main"
    lock.acquire()
    assert repr(lock) == "held by main (2 times)"
