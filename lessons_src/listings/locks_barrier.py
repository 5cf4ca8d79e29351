from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

votes = {}
all_counted = Barrier(3)


def count_and_sum(town, number):
    votes[town] = number
    all_counted.wait()
    return sum(votes.values())


with ThreadPoolExecutor(3) as threads:
    sums = threads.map(count_and_sum, ["Bath", "Cork", "Dover"], [1, 2, 3])

print("each of them says:", list(sums))
