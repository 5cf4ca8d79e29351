import multiprocessing
import tempfile

from lessons_src.many_machines import (
    importable,
    local_cluster,
    wait_until,
    write_module,
)

if __name__ == "__main__":
    context = multiprocessing.get_context()
    folder = tempfile.TemporaryDirectory()
    write_module(folder.name, "rounding", "def tens(n): return round(n, -1)")
    with importable(folder.name):
        from rounding import tens

    with folder, local_cluster(2, context) as client:
        future = client.submit(tens, 17)
        wait_until(lambda: not client.nthreads())
        print("workers left:", len(client.nthreads()), "- the answer:", future.status)
