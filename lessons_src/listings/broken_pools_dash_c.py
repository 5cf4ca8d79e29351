# a program that is no file: python -c "..."
import subprocess
import sys

CODE = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

def worker(number, letter):
    return f"{number}{letter}"

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        print(type(pool.submit(worker, 1, "a").exception()).__name__)
"""
subprocess.run([sys.executable, "-c", CODE])
