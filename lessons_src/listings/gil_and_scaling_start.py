import json
import os
import sys
import tempfile
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from time import perf_counter

# It stands for a library: it notes that it was imported, and takes its time
LIBRARY = """
import time
with open({log!r}, "a") as log:
    log.write("imported ")
time.sleep({seconds})
def work():
    pass
"""


class SubInterpreter(Thread):
    """It is started and joined as a process is, and is no process."""

    exitcode = None

    def run(self):
        from concurrent import interpreters

        one = interpreters.create()
        one.exec(f"import sys; sys.path[:] = {sys.path}; import library")
        one.exec("library.work()")
        one.close()
        self.exitcode = 0


def start_four(method, preload, seconds):
    if method == "sub-interpreter":
        make = SubInterpreter
    else:
        context = get_context(method)
        make = context.Process
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        text = LIBRARY.format(log=str(log), seconds=seconds)
        Path(folder, "library.py").write_text(text, encoding="utf-8")
        sys.path.append(folder)
        # A fork server does not look at our sys.path
        found = [folder, os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, found))
        if preload:
            context.set_forkserver_preload(["library"])
        library = import_module("library")
        # The first two may have to start a server; the clock is on for the others
        for _ in range(2):
            start = perf_counter()
            two = [make(target=library.work) for _ in range(2)]
            for process in two:
                process.start()
            for process in two:
                process.join()
            taken = perf_counter() - start
        imports = len(log.read_text(encoding="utf-8").split())
    return imports, taken, [process.exitcode for process in two]


if __name__ == "__main__":
    print(json.dumps(start_four(sys.argv[1], sys.argv[2] == "preload", sys.argv[3])))
