import json
import sys

from lessons_src.gil_and_scaling import Task, do, this_run
from lessons_src.threads import compute, in_threads
from lessons_src.tools.chunks import merge_lists
from lessons_src.tools.timeline import clock, most_at_once

sums = [Task(adds=2_000_000)] * 2
ways = {"loop": lambda: list(map(do, sums)), "threads": lambda: in_threads(do, sums)}
seconds = {name: [] for name in ways}
for _ in range(5):
    for name, way in ways.items():
        start = clock()
        way()
        seconds[name].append(clock() - start)

for _ in range(20):
    spans = merge_lists(in_threads(compute, ["sum 1", "sum 2"]))
    # A busy machine may have given both threads one core
    if sys._is_gil_enabled() or most_at_once(spans) == 2:
        break
ratio = min(seconds["threads"]) / min(seconds["loop"])
print(json.dumps({"where": this_run(), "ratio": ratio, "spans": spans}))
