import json
from multiprocessing import get_context

from lessons_src.tools.timeline import clock, span

first_line = clock()
import numpy

imported = span("import", first_line)


def work(queue, ordered):
    unpickled = clock()
    numpy.sort(numpy.arange(1_000_000) % 1_009)
    done = span("work", unpickled)
    stages = [
        done._replace(task="new interpreter", start=ordered, stop=first_line),
        imported._replace(task="import again"),
        done._replace(task="unpickle", start=imported.stop, stop=unpickled),
        done,
    ]
    queue.put(stages)


if __name__ == "__main__":
    asked = clock()
    spawn = get_context("spawn")
    queue = spawn.Queue()
    child = spawn.Process(target=work, args=(queue, clock()))
    child.start()
    spans = [imported, *queue.get(), span("start a child and wait", asked, "waiting")]
    child.join()
    print(json.dumps(spans))
