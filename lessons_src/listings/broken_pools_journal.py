import os
import sys
from functools import partial

from lessons_src.broken_pools import open_on_record
from lessons_src.tools.recovery import processes, stream
from lessons_src.tools.timeline import Recorder

if __name__ == "__main__":
    method, folder = sys.argv[1:]
    worker = partial(open_on_record, Recorder(f"{folder}/marks"))
    parcels = [f"parcel {number}" for number in range(20)]
    answers = stream(
        worker,
        parcels,
        executor=processes(2, method),
        journal=f"{folder}/journal",
        ordered=True,
    )
    for count, (_, answer) in enumerate(answers, start=1):
        print(answer)
        if count == 5:
            os._exit(9)  # as if somebody had pulled the plug
