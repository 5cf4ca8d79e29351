# an import that succeeds in the parent only
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

if __name__ == "__mp_main__":
    sys.path.clear()  # stands for a folder or a setting that the child lacks
import wave


def worker(number, letter):
    return f"{number}{letter}"


if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        print(type(pool.submit(worker, 1, "a").exception()).__name__)
