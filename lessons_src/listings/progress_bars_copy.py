from multiprocessing import Pool
from multiprocessing.pool import ThreadPool

from tqdm import tqdm

bar = tqdm(total=4)


def clean(room):
    with bar.get_lock():  # one at a time
        bar.update()


if __name__ == "__main__":
    for kind in (Pool, ThreadPool):
        bar.reset()
        with kind(2) as pool:
            pool.map(clean, range(4))
        print(f"{kind.__name__}: {bar.n} of {bar.total}")
    bar.close()
