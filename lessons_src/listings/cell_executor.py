# a cell with an executor
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def greet(name):
    return f"hello {name}"


with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
    answer = pool.submit(greet, "Ada")
    print("result() raised", type(answer.exception()).__name__)
