from multiprocessing import get_context
from resource import RUSAGE_CHILDREN, getrusage

from lessons_src.timing import work

SECONDS = 0.1


def counted():
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def told(seconds):
    return "all of it" if seconds > 1.5 * SECONDS else "nothing"


if __name__ == "__main__":
    print("workers by  while they live  after join")
    for method in ("fork", "spawn", "forkserver"):
        before = counted()
        with get_context(method).Pool(2) as pool:
            pool.map(work, [SECONDS, SECONDS])
            alive = counted() - before
            pool.close()
            pool.join()
        print(f"{method:10}  {told(alive):15}  {told(counted() - before)}")
