# the worker stands below the guard
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

if __name__ == "__main__":

    def worker(number, letter):
        return f"{number}{letter}"

    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        print(type(pool.submit(worker, 1, "a").exception()).__name__)
