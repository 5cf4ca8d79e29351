import sys
from concurrent.futures import ThreadPoolExecutor


def ask(station):
    sys.exit(3)


with ThreadPoolExecutor(1) as pool:
    future = pool.submit(ask, "bay")

try:
    print(future.result())
except Exception as error:
    print("caught:", error)
print("the end")
