from concurrent.futures import ThreadPoolExecutor
from threading import Event

opened = Event()
prices = {}


def ask_price(customer):
    opened.wait()
    return prices["bread"]


with ThreadPoolExecutor(2) as threads:
    answers = threads.map(ask_price, ["Ada", "Ben"])
    prices["bread"] = 3
    opened.set()

print("both were told:", list(answers))
