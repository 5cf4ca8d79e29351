from multiprocessing import Pool

from tqdm.notebook import tqdm


def clean(floor):
    count = "{desc}: {n_fmt}/{total_fmt}"
    for _ in tqdm(range(3), desc="rooms", bar_format=count):
        pass


if __name__ == "__main__":
    with Pool(2) as pool:
        pool.map(clean, ["ground floor", "first floor"])
    print("all clean")
