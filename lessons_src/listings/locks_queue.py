import queue
from concurrent.futures import ThreadPoolExecutor

CLOSED = getattr(queue, "ShutDown", ())  # `except ()` catches nothing
loaves = queue.Queue()


def close():
    if CLOSED:
        loaves.shutdown()
    else:
        loaves.put(None)  # before Python 3.13


def bake():
    for loaf in range(6):
        loaves.put(loaf)
    close()


def sell():
    sold = []
    while True:
        try:
            loaf = loaves.get()
        except CLOSED:
            return sold
        if loaf is None:
            close()  # for the other seller
            return sold
        sold.append(loaf)


with ThreadPoolExecutor(3) as threads:
    sellers = [threads.submit(sell) for _ in "AB"]
    threads.submit(bake)

sold = [loaf for seller in sellers for loaf in seller.result()]
print("sold, each loaf once:", sorted(sold))
