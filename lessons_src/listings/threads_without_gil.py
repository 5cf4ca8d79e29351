import json

from lessons_src.threads import compute, in_threads
from lessons_src.tools.chunks import merge_lists
from lessons_src.tools.timeline import most_at_once

for _ in range(20):
    stretches = merge_lists(in_threads(compute, ["sum 1", "sum 2"]))
    # A busy machine may have given both threads one core
    if most_at_once(stretches) == 2:
        break
print("without a GIL: at most", most_at_once(stretches), "at once")
print(json.dumps(stretches))
