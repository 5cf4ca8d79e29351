"""Who ran when on a cluster: spans from Dask's own record, with a lane for each worker.

    client.get_task_stream() -> cluster_run -> draw(run.spans, names=run.names)

`spans.clock` counts from a moment of its own on each machine. Dask's workers ask the
scheduler for its time again and again, and write their record in that. It is right to
about the time that a message takes.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from lessons_src.tools.span_facts import Worker
from lessons_src.tools.spans import Span

# What Dask calls it, and what a timeline does
KINDS = {"compute": "working"}


class ClusterRun(NamedTuple):
    """What ran on a cluster: its spans, and what to call each lane."""

    spans: list[Span]
    names: dict[Worker, str]


def cluster_run(
    records: Iterable[Mapping[str, Any]], keys: Collection[str] | None = None
) -> ClusterRun:
    """Make spans of `records`, those of the tasks `keys` if given, host by host.

    In a span, `process` counts the hosts and `thread` the workers of a host. A task
    leaves a span for its work, and one for each "transfer" that it had to wait for.

    >>> bout = {"action": "compute", "start": 5.0, "stop": 6.0}
    >>> record = {"key": "bay", "worker": "tcp://10.0.0.7:80", "startstops": [bout]}
    >>> run = cluster_run([record])
    >>> run.names, run.spans[0].task, run.spans[0].seconds
    ({(1, 1): '10.0.0.7, worker 1'}, 'bay', 1.0)

    Parameters
    ----------
    records
        What `get_task_stream` of a Dask client returns. It begins to record at the
        first call.
    """
    chosen = [each for each in records if keys is None or each["key"] in keys]
    lanes = _lanes({each["worker"] for each in chosen})
    spans = []
    done: dict[tuple[str, Any], float] = {}
    for each in sorted(chosen, key=_first_start):
        who, lane = (each["worker"], each.get("thread")), lanes[each["worker"]]
        for bout in each["startstops"]:
            kind = KINDS.get(bout["action"], bout["action"])
            late = 0.0
            if kind == "working":
                # A thread does one task at a time: the clock was set in between
                late = max(0.0, done.get(who, bout["start"]) - bout["start"])
                done[who] = bout["stop"] + late
            start, stop = bout["start"] + late, bout["stop"] + late
            spans.append(Span(*lane, each["key"], start, stop, kind))
    names = {
        lane: f"{_host(address)}, worker {lane[1]}" for address, lane in lanes.items()
    }
    return ClusterRun(spans, names)


def _first_start(record: Mapping[str, Any]) -> float:
    return min(bout["start"] for bout in record["startstops"])


def _lanes(addresses: Iterable[str]) -> dict[str, Worker]:
    hosts: dict[str, list[str]] = {}
    for address in sorted(addresses):
        hosts.setdefault(_host(address), []).append(address)
    return {
        address: (number, place)
        for number, host in enumerate(hosts, 1)
        for place, address in enumerate(hosts[host], 1)
    }


def _host(address: str) -> str:
    return urlsplit(address).hostname or address
