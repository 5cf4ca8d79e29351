from concurrent.futures import ProcessPoolExecutor, as_completed


def split_list(input_list, n):
    k, m = divmod(len(input_list), n)
    return (
        input_list[i * k + min(i, m) : (i + 1) * k + min(i + 1, m)] for i in range(n)
    )


def merge_dicts(dict_list):
    return {key: value for d in dict_list for key, value in d.items()}


def merge_lists(list_of_lists):
    return [item for sublist in list_of_lists for item in sublist]


def multi_core_run_task(content_list, cpu_n=50):
    # tasks = [(1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')]
    tasks = content_list
    output_pool = {}
    error_content_list = []
    with ProcessPoolExecutor(max_workers=cpu_n) as executor:
        futures = {executor.submit(worker, *args): args for args in tasks}
        for n, future in enumerate(as_completed(futures)):
            args = futures[future]
            try:
                output_pool[n] = future.result()
            except Exception as e:
                error_content_list.extend(args[0])
                print(f"chunk {n} failed with error: {e}")
    output = merge_dicts([op["output"] for op in output_pool.values()])
    error = merge_lists([op["error"] for op in output_pool.values()])
    if len(error_content_list) > 0:
        print(f"[error!!] {len(error_content_list)} items are left")
    return output, error, error_content_list
