import queue
from concurrent.futures import ThreadPoolExecutor

loaves = queue.Queue()


def bake():
    for loaf in range(6):
        loaves.put(loaf)
    for _ in "AB":
        loaves.put(None)  # to a seller: no more comes


def sell():
    sold = []
    while (loaf := loaves.get()) is not None:
        sold.append(loaf)
    return sold


with ThreadPoolExecutor(3) as threads:
    sellers = [threads.submit(sell) for _ in "AB"]
    threads.submit(bake)

sold = [loaf for seller in sellers for loaf in seller.result()]
print("sold, each loaf once:", sorted(sold))
