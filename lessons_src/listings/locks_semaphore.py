from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Semaphore

printers, pair = Semaphore(2), Barrier(2)
printing, at_once = [], []


def print_page(page):
    with printers:
        printing.append(page)
        at_once.append(len(printing))
        pair.wait()  # goes on when a second page is in
        printing.remove(page)


with ThreadPoolExecutor(4) as threads:
    list(threads.map(print_page, "ABCD"))

print("pages at once, at most:", max(at_once))
