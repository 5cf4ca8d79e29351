"""What keeps the frozen programs from starting themselves without end.

Every process counts how deep it stands in the environment, which its children
inherit, and adds one byte to a file that all of them share.
"""

import os
from pathlib import Path

DEEPEST = 3
MOST_STARTS = 20

if "FROZEN_LOG" not in os.environ:
    print("Set FROZEN_LOG to the name of a file.")
    os._exit(2)

LOG = Path(os.environ["FROZEN_LOG"])
STARTS = LOG.with_suffix(".starts")
DEPTH = int(os.environ.get("FROZEN_DEPTH", "0")) + 1
os.environ["FROZEN_DEPTH"] = str(DEPTH)

with STARTS.open("ab") as starts:
    starts.write(b".")
if DEPTH > DEEPEST or STARTS.stat().st_size > MOST_STARTS:
    os._exit(2)


def note(event):
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"depth {DEPTH}: {event}\n")


def stop_if_too_deep():
    if DEPTH == DEEPEST:
        note("the brake ends the program")
        os._exit(2)
