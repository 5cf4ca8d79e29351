import os
import signal
import sys
from multiprocessing import get_context

endings = {
    "returns": lambda: None,
    "sys.exit(3)": lambda: sys.exit(3),
    "raises an error": lambda: 1 / 0,
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
}
for name, ending in endings.items():
    process = get_context("fork").Process(target=ending)
    process.start()
    process.join()
    print(f"{name:<16}{process.exitcode:>4}")
