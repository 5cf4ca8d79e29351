import tempfile
from multiprocessing import get_context

from lessons_src import many_machines as lab

if __name__ == "__main__":
    folder = tempfile.TemporaryDirectory()
    lab.write_module(folder.name, "rounding")
    with lab.importable(folder.name):
        from rounding import tens

    with folder, lab.local_cluster(2, get_context()) as client:
        future = client.submit(tens, 17)
        lab.wait_until(lambda: not client.nthreads())
        print("workers left:", len(client.nthreads()), "- the answer:", future.status)
