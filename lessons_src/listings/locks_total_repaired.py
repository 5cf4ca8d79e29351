import threading

total = 0
lock = threading.Lock()
printed = []
everyone = threading.Barrier(10)


def update_total(amount):
    global total
    with lock:
        total += amount
        now = total
    everyone.wait()  # rigged: nobody prints before all have come this far
    printed.append(now)


if __name__ == "__main__":
    threads = [threading.Thread(target=update_total, args=(5,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(printed))
