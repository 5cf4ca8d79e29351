import sys
from multiprocessing import get_context

print("this file runs under the name", __name__)


def facts():
    return {
        "__name__": __name__,
        "end of its command line": sys.orig_argv[-1],
        "sys.argv[1:]": sys.argv[1:],
        "has imported colorsys": "colorsys" in sys.modules,
        "has a password": "password" in globals(),
    }


def send_facts(queue):
    queue.put(facts())


if __name__ == "__main__":
    import colorsys

    password = "open sesame"
    spawn = get_context("spawn")
    queue = spawn.Queue()
    child = spawn.Process(target=send_facts, args=(queue,))
    child.start()
    parents, childs = facts(), queue.get()
    child.join()
    for fact in parents:
        print(f"{fact:25} {parents[fact]!s:10} {childs[fact]!s}")
