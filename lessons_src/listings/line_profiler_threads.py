import threading

from line_profiler import LineProfiler


def count_to_100(ready, go_on):
    ready.set()
    go_on.wait(20)
    turns = 0
    for _ in range(100):
        turns += 1
    return turns


class Worker:
    def __init__(self, function):
        self.ready, self.go_on = threading.Event(), threading.Event()
        signals = self.ready, self.go_on
        self.thread = threading.Thread(target=function, args=signals)
        self.thread.start()
        self.ready.wait(20)

    def finish(self):
        self.go_on.set()
        self.thread.join(20)


for count in (1, 2):
    profiler = LineProfiler()
    # All of them are at work before the first one may go on
    workers = [Worker(profiler(count_to_100)) for _ in range(count)]
    for worker in workers:
        worker.finish()
    (timings,) = profiler.get_stats().timings.values()
    _, turns, _ = timings[-2]
    print(f"{count} at once: {turns} of {100 * count} turns were counted")
