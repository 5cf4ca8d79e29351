# the article's main program, with its guard
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context


def worker(number, letter):
    return f"{number}{letter}"


if __name__ == "__main__":
    tasks = [(1, "a"), (2, "b"), (3, "c")]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        futures = [pool.submit(worker, *task) for task in tasks]
        for future in as_completed(futures):
            print(type(future.exception()).__name__)
