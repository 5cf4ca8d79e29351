import threading

from line_profiler import LineProfiler


def count_to_100(ready, go_on):
    ready.set()
    go_on.wait(20)
    turns = 0
    for _ in range(100):
        turns += 1
    return turns


def start(function):
    ready, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=function, args=(ready, go_on))
    thread.start()
    ready.wait(20)
    return thread, go_on


for count in (1, 2):
    profiler = LineProfiler()
    wrapper = profiler(count_to_100)
    # All of them are at work before the first one may go on
    running = [start(wrapper) for _ in range(count)]
    for thread, go_on in running:
        go_on.set()
        thread.join(20)
    (timings,) = profiler.get_stats().timings.values()
    _, turns, _ = timings[-2]
    print(f"{count} at once: {turns} of {100 * count} turns were counted")
