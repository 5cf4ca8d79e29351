import threading

lock = threading.Lock()


def do_something():
    with lock:
        print("do_something has the lock")
    return "Done doing something"


def do_something_else():
    with lock:
        print("do_something_else has the lock")
    return "Finished something else"


if __name__ == "__main__":
    print(do_something())
    print(do_something_else())
