import multiprocessing
import threading

fork = multiprocessing.get_context("fork")


def try_to_hold(lock, meet, holders):
    if lock.acquire(False):
        with holders.get_lock():
            holders.value += 1
    meet.wait()


def count_holders(lock):
    meet, holders = fork.Barrier(2), fork.Value("i", 0)
    arguments = lock, meet, holders
    children = [fork.Process(target=try_to_hold, args=arguments) for _ in "12"]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return holders.value


print("threading.Lock:      ", count_holders(threading.Lock()), "hold it at once")
print("multiprocessing.Lock:", count_holders(fork.Lock()), "holds it at once")
