import os
import sys
import threading
from multiprocessing import get_context

level = 10


def usable(number):
    try:
        os.fstat(number)
    except OSError:
        return "no"
    return "yes"


def look(pipe):
    loaded = "yes" if "decimal" in sys.modules else "no"
    pipe.send([level, loaded, usable(100), threading.active_count()])


if __name__ == "__main__":
    import decimal

    level = 9
    os.dup2(1, 100)  # one more open file, under a number that nobody else takes
    done = threading.Event()
    threading.Thread(target=done.wait).start()
    context = get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    child = context.Process(target=look, args=(theirs,))
    child.start()
    theirs.close()
    print(f"{sys.argv[1]:<12}", *(f"{fact:>8}" for fact in ours.recv()))
    child.join()
    done.set()
