import sys
import time
from multiprocessing import get_context

from lessons_src.spawn_and_windows import answer_of

spawn = get_context("spawn")


def answers(queue):
    queue.put("hello")


def raises(queue):
    raise ValueError("no greeting today")


def exits_with_3(queue):
    sys.exit(3)


def is_terminated(queue):
    time.sleep(60)


def puts_a_lambda(queue):
    queue.put(lambda: "hello")


def start(work):
    queue = spawn.Queue()
    child = spawn.Process(target=work, args=(queue,), name=work.__name__)
    child.start()
    if work is is_terminated:
        child.terminate()
    return child, queue


def fate_of(child, queue):
    try:
        answer = answer_of(child, queue)
    except ChildProcessError:
        answer = "no answer"
    child.join()
    return f"{child.name:15}{child.exitcode:4}   {answer}"


if __name__ == "__main__":
    works = (answers, raises, exits_with_3, is_terminated, puts_a_lambda)
    for child, queue in [start(work) for work in works]:
        print(fate_of(child, queue))
