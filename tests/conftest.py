"""What several tests share: each start method, and nothing left behind."""

import copyreg
import threading
import uuid
from multiprocessing import get_all_start_methods, get_context

import hypothesis
import psutil
import pytest

from authoring.processes import described, end, left_behind

# No clock decides, and each run tries the same examples
hypothesis.settings.register_profile("course", deadline=None, derandomize=True)
hypothesis.settings.load_profile("course")

THREAD_GRACE_SECONDS = 3
# Threads that their libraries keep by design
HOUSEKEEPING = (
    *("asyncio_", "QueueFeederThread", "Dask-Offload"),
    *("pytest_timeout", "hypothesis"),
)
HOUSEKEEPERS = ("tqdm", "zmq", "_pytest")


@pytest.fixture(params=get_all_start_methods())
def start_method(request):
    return request.param


@pytest.fixture
def context(start_method):
    return get_context(start_method)


@pytest.fixture(scope="session", autouse=True)
def mark():
    # Found again in each process that a test starts, orphans too
    with pytest.MonkeyPatch.context() as patch:
        mark = uuid.uuid4().hex
        patch.setenv("COURSE_MARK", mark)
        yield mark


@pytest.fixture(autouse=True)
def errors_pickled_as_by_python_alone():
    # Whoever imports `distributed` has its way of packing errors in the whole process
    for kind, pack in list(copyreg.dispatch_table.items()):
        if issubclass(kind, BaseException) and pack.__module__.startswith("tblib"):
            del copyreg.dispatch_table[kind]


@pytest.fixture(autouse=True)
def nothing_left_behind(mark):
    # What a fixture of a wider scope started is its own business
    processes = set(psutil.pids())
    threads = set(threading.enumerate())
    yield
    left = left_behind(psutil.Process(), mark, processes)
    wrong = [described(process) for process in left]
    end(left)
    wrong += [str(thread) for thread in threads_left_behind(threads)]
    if wrong:
        pytest.fail("left behind: " + "; ".join(wrong), pytrace=False)


def threads_left_behind(known):
    strangers = [
        thread
        for thread in threading.enumerate()
        if thread not in known and not is_housekeeping(thread)
    ]
    for thread in strangers:
        thread.join(THREAD_GRACE_SECONDS)
    return [thread for thread in strangers if thread.is_alive()]


def is_housekeeping(thread):
    return (
        isinstance(thread, threading._DummyThread)
        or thread.name.startswith(HOUSEKEEPING)
        or type(thread).__module__.startswith(HOUSEKEEPERS)
    )
