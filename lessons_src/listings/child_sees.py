import sys
from multiprocessing import get_context

SEVEN = 7
changing = 0


def look(queue):
    queue.put((changing, SEVEN))


if __name__ == "__main__":
    changing = 99
    context = get_context(sys.argv[1])
    queue = context.Queue()
    child = context.Process(target=look, args=(queue,))
    child.start()
    seen, constant = queue.get()
    child.join()
    print(f"{sys.argv[1]:10}  changing = {seen:2}  SEVEN = {constant}")
