from multiprocessing import get_context


def greet(name):
    return f"hello {name}"


if __name__ == "__main__":
    with get_context("spawn").Pool(2) as pool:
        print(pool.map(greet, ["Ada", "Bob", "Cleo"]))
