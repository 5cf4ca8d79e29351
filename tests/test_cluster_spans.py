from lessons_src.tools.cluster_spans import cluster_run
from lessons_src.tools.timeline import most_at_once


def record(key, worker, *bouts, thread=7):
    names = ("action", "start", "stop")
    startstops = [dict(zip(names, bout, strict=True)) for bout in bouts]
    return {"key": key, "worker": worker, "thread": thread, "startstops": startstops}


A1, A2, B1 = "tcp://10.0.0.2:1", "tcp://10.0.0.2:2", "tls://10.0.0.3:1"


def test_lanes_are_named_by_host_and_counted_in_each():
    records = [
        record(n, at, ("compute", n, n + 1)) for n, at in enumerate([B1, A2, A1])
    ]
    run = cluster_run(records)
    assert run.names == {
        (1, 1): "10.0.0.2, worker 1",
        (1, 2): "10.0.0.2, worker 2",
        (2, 1): "10.0.0.3, worker 1",
    }
    assert [(each.worker, each.task) for each in run.spans] == [
        ((2, 1), 0),
        ((1, 2), 1),
        ((1, 1), 2),
    ]


def test_only_the_tasks_that_were_asked_for_are_there():
    records = [record(key, A1, ("compute", 0, 1)) for key in "abc"]
    assert [each.task for each in cluster_run(records, {"b"}).spans] == ["b"]
    assert cluster_run([]) == ([], {})


def test_a_transfer_is_told_from_work():
    run = cluster_run([record("a", A1, ("transfer", 0, 1), ("compute", 1, 3))])
    assert [(each.kind, each.seconds) for each in run.spans] == [
        ("transfer", 1),
        ("working", 2),
    ]


def test_a_clock_that_is_set_back_makes_no_thread_work_twice_at_once():
    records = [
        record("b", A1, ("compute", 0.9, 1.9)),
        record("a", A1, ("compute", 0, 1)),
    ]
    run = cluster_run(records)
    assert [(each.task, each.start, each.stop) for each in run.spans] == [
        ("a", 0, 1),
        ("b", 1.0, 2.0),
    ]
    assert most_at_once(run.spans) == 1


def test_two_threads_of_a_worker_work_at_once():
    records = [record(n, A1, ("compute", 0, 1), thread=n) for n in (1, 2)]
    assert most_at_once(cluster_run(records).spans) == 2
