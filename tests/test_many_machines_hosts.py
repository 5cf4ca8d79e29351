"""Lesson 14 beyond one machine: each host a network of its own, with a cable to cut.

    host "scheduler" ---+
    host "a" -----------+--- switch: a bridge in a namespace of its own
    host "b" -----------+

A host is a network namespace, which needs Linux, `ip` and root. Nothing of this
machine's own network is changed. COURSE_MUST_MAKE_HOSTS=1 makes the skip a failure, and
COURSE_RECORD_HOSTS=1 keeps the cut for the lesson, at the pace of a picture.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from lessons_src.futures import temperature
from lessons_src.many_machines import Notes, recorded_cut, tasks_by_lane, wait_until
from lessons_src.tools.cluster_spans import ClusterRun, cluster_run
from lessons_src.tools.spans import Span

RECORDED = Path(__file__).parent.parent / "lessons_src/recorded/many_machines_hosts.txt"

LIMIT, TASKS = 60, 12
# A host is struck in the middle of this task of its own
STRUCK_AT = 3
RECORD = "COURSE_RECORD_HOSTS" in os.environ
NAP_SECONDS = 1 if RECORD else 0.02
SCHEDULER, A, B = "10.77.0.1", "10.77.0.2", "10.77.0.3"
HOSTS = {"scheduler": SCHEDULER, "a": A, "b": B}
PORT = 8786
# A worker that is silent so long is given up
SETTINGS = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "6s"}


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=LIMIT)


def why_there_are_no_hosts():
    if shutil.which("ip") is None:
        return "there is no command `ip` (package iproute2), so no second host"
    name = f"course-{uuid4().hex[:8]}"
    try:
        ip("netns", "add", name)
        try:
            ip("-n", name, "link", "add", "cable", "type", "veth", "peer", "end")
            ip("-n", name, "link", "add", "switch", "type", "bridge")
        finally:
            ip("netns", "del", name)
    except (subprocess.SubprocessError, OSError) as error:
        said = (getattr(error, "stderr", b"") or b"").decode().strip()
        return f"this system lets us make no hosts: {said or error}"
    return ""


class Hosts:
    """Hosts on one switch, by name; all is gone when the block ends."""

    def __init__(self, stack):
        self.stack, self.mark = stack, uuid4().hex[:8]
        self.switch = self.space("switch")
        ip("-n", self.switch, "link", "add", "switch", "type", "bridge")
        ip("-n", self.switch, "link", "set", "switch", "up")
        for name, address in HOSTS.items():
            self.plug_in(self.space(name), name, address)

    def space(self, name):
        space = self.space_of(name)
        ip("netns", "add", space)
        self.stack.callback(ip, "netns", "del", space)
        return space

    def space_of(self, name):
        return f"course-{self.mark}-{name}"

    def plug_in(self, space, name, address):
        far = ["peer", "name", f"to-{name}", "netns", self.switch]
        ip("-n", space, "link", "add", "cable", "type", "veth", *far)
        ip("-n", space, "addr", "add", f"{address}/24", "dev", "cable")
        ip("-n", space, "link", "set", "cable", "up")
        ip("-n", space, "link", "set", "lo", "up")
        plug = ["set", f"to-{name}"]
        ip("-n", self.switch, "link", *plug, "master", "switch")
        ip("-n", self.switch, "link", *plug, "up")

    def cut_off(self, name):
        ip("-n", self.switch, "link", "set", f"to-{name}", "down")

    def start(self, name, *words, log):
        """Run Python with `words` on the host `name`, until the block ends."""
        command = ["ip", "netns", "exec", self.space_of(name), sys.executable, *words]
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | SETTINGS,
                cwd=log.parent,
            )
        self.stack.callback(finish, process)
        return process


def finish(process):
    process.kill()
    process.wait(LIMIT)


@pytest.fixture(scope="module")
def possible():
    if why := why_there_are_no_hosts():
        if os.environ.get("COURSE_MUST_MAKE_HOSTS"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture
def hosts(possible):
    with ExitStack() as stack:
        yield Hosts(stack)


def station(number):
    return ["bay", "cape", "dune", "fell"][number % 4]


# What runs on the hosts: this file, as a program, for its functions travel by value


def ask_on_host(folder, nap_seconds, number):
    """Answer with the degrees and the host; the third on each host waits at a gate."""
    from distributed import get_worker

    host = get_worker().address.split("//")[1].split(":")[0]
    notes = Notes(folder)
    notes.add(f"{number} on {host}")
    time.sleep(nap_seconds)
    if notes.add(f"begun on {host}") == STRUCK_AT:
        notes.wait_for("struck")
    # Who was cut off works on: nobody shall hear of it
    notes.add(f"done on {host}")
    return temperature(station(number)), host


def ask_all(folder, nap_seconds):
    """Be the client: hand in all tasks, and write down what comes of them."""
    import logging

    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with Client(f"tcp://{SCHEDULER}:{PORT}", timeout=LIMIT) as client:
        client.wait_for_workers(2, LIMIT)
        client.get_task_stream()
        numbers = range(TASKS)
        keys = list(map(str, numbers))
        worker = partial(ask_on_host, folder, nap_seconds)
        answers = client.gather(client.map(worker, numbers, key=keys, pure=False))
        run = cluster_run(client.get_task_stream(), keys)
        names = list(run.names.items())
        found = [answers, len(client.nthreads()), run.spans, names]
    Path(folder, "found.json").write_text(json.dumps(found))


@contextmanager
def batch(hosts, folder):
    """Start the cluster and its client; give the workers and the notes, in the middle.

    In the middle: each host has ended two tasks, and begun a third.
    """
    notes = Notes(str(folder))
    hosts.start(
        "scheduler",
        *("-m", "distributed.cli.dask_scheduler", "--host", SCHEDULER),
        *("--port", str(PORT), "--no-dashboard"),
        log=folder / "scheduler.log",
    )
    workers = {
        name: hosts.start(
            name,
            *("-m", "distributed.cli.dask_worker", f"tcp://{SCHEDULER}:{PORT}"),
            *("--host", HOSTS[name], "--nthreads", "1", "--no-nanny"),
            *("--no-dashboard", "--local-directory", str(folder)),
            log=folder / f"{name}.log",
        )
        for name in ("a", "b")
    }
    words = __file__, str(folder), str(NAP_SECONDS)
    client = hosts.start("scheduler", *words, log=folder / "client.log")
    for host in (A, B):
        began = partial(notes.count, f"begun on {host}")
        assert wait_until(lambda: began() == STRUCK_AT), logs_in(folder)  # noqa: B023
    assert notes.count(f"done on {A}") == notes.count(f"done on {B}") == STRUCK_AT - 1
    yield workers, notes
    notes.add("struck")
    assert client.wait(LIMIT) == 0, logs_in(folder)


def logs_in(folder):
    return "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))


def found_in(folder):
    """Return the degrees, the hosts, the workers left, and the tasks by host."""
    answers, workers, spans, names = json.loads((folder / "found.json").read_text())
    degrees, hosts = zip(*answers, strict=True)
    run = ClusterRun([Span(*each) for each in spans], dict(map(as_lane, names)))
    return list(degrees), set(hosts), workers, by_host(run)


def as_lane(pair):
    lane, name = pair
    return tuple(lane), name


def by_host(run):
    named = tasks_by_lane(run)
    return {name.partition(",")[0]: tasks for name, tasks in named.items()}


IN_A_LOOP = [temperature(station(number)) for number in range(TASKS)]
ALL_TASKS = sorted(map(str, range(TASKS)))


def test_one_host_is_cut_off_in_the_middle_and_all_answers_are_right(hosts, tmp_path):
    with batch(hosts, tmp_path) as (workers, notes):
        hosts.cut_off("b")
        assert workers["b"].poll() is None
    assert_a_did_it_all(tmp_path, notes)
    if RECORD:
        _, _, *run = json.loads((tmp_path / "found.json").read_text())
        RECORDED.write_text(json.dumps(run) + "\n", encoding="utf-8")


def test_one_host_is_killed_in_the_middle_and_all_answers_are_right(hosts, tmp_path):
    with batch(hosts, tmp_path) as (workers, notes):
        finish(workers["b"])
    assert_a_did_it_all(tmp_path, notes)


def test_two_hosts_share_the_work(hosts, tmp_path):
    with batch(hosts, tmp_path) as (_, notes):
        pass
    degrees, answered_by, workers, tasks = found_in(tmp_path)
    assert degrees == IN_A_LOOP
    assert (answered_by, workers) == ({A, B}, 2)
    assert set(tasks[A] + tasks[B]) <= set(ALL_TASKS)
    assert sum(notes.count(f"done on {host}") for host in (A, B)) == TASKS


def assert_a_did_it_all(folder, notes):
    degrees, answered_by, workers, tasks = found_in(folder)
    assert degrees == IN_A_LOOP
    assert (answered_by, workers) == ({A}, 1)
    assert_story_of_the_cut(tasks)
    # Two tasks that b had ended, the one that it was at, and those that it did for
    # nobody after the cut, ran again on a
    on_b = [n for n in range(TASKS) if notes.count(f"{n} on {B}")]
    assert len(on_b) >= STRUCK_AT
    assert all(notes.count(f"{number} on {A}") == 1 for number in on_b)


def assert_story_of_the_cut(tasks):
    # The scheduler may miss a line of the record, but no answer
    assert set(tasks[A]) <= set(ALL_TASKS)
    assert len(tasks[B]) == STRUCK_AT - 1


def test_the_recorded_cut_tells_the_same_story():
    tasks = by_host(recorded_cut())
    assert_story_of_the_cut(tasks)
    assert sorted(tasks[A]) == ALL_TASKS


if __name__ == "__main__":
    ask_all(sys.argv[1], float(sys.argv[2]))
