# a cell with a process
from multiprocessing import get_context


def greet(name):
    return f"hello {name}"


child = get_context("spawn").Process(target=greet, args=["Ada"])
child.start()
child.join()
print("join() returned, and no error in sight")
print("only the exit code tells:", child.exitcode)
