import threading

lock = threading.Lock()


def do_something():
    lock.acquire()
    try:
        print("do_something has the lock")
    finally:
        lock.release()
    return "Done doing something"


def do_something_else():
    lock.acquire()
    try:
        print("do_something_else has the lock")
    finally:
        lock.release()
    return "Finished something else"


if __name__ == "__main__":
    print(do_something())
    print(do_something_else())
