# a cell with a pool
from multiprocessing import get_context


def greet(name):
    return f"hello {name}"


with get_context("spawn").Pool(1) as pool:
    answer = pool.apply_async(greet, ["Ada"])
    print("the pool has the task, now get() waits")
    print(answer.get())
