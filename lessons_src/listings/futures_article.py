from concurrent.futures import ProcessPoolExecutor, as_completed


def worker(arg1, arg2, arg3):
    if arg1 == 1:
        raise ValueError("Something went wrong!")
    return f"{arg1} {arg2} {arg3} done"


def run_task(args):
    with ProcessPoolExecutor(max_workers=1) as executor:
        future = executor.submit(worker, *args)
        try:
            print(future.result())
        except Exception as e:
            print(f"{args} failed: {e}")


if __name__ == "__main__":
    tasks = [(1, "a", "x"), (2, "b", "y"), (3, "c", "z"), (4, "d", "w")]
    with ProcessPoolExecutor(max_workers=4) as executor:
        futures = {executor.submit(worker, *args): args for args in tasks}
        for future in as_completed(futures):
            args = futures[future]
            try:
                print(future.result())
            except Exception as e:
                print(f"{args} failed: {e}")
                print("Retrying failed task...")
                run_task(args)
