import sys
from concurrent.futures import ThreadPoolExecutor


def ask(station):
    sys.exit(3)


with ThreadPoolExecutor(1) as pool:
    future = pool.submit(ask, "bay")

if error := future.exception():
    print("caught:", repr(error))
else:
    print(future.result())
print("the end")
