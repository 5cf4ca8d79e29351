from multiprocessing import get_context


def greet(name):
    return f"hello {name}"


pool = get_context("fork").Pool(1)


def greet(name):
    return f"good evening {name}"


def praise(name):
    return f"well done {name}"


print(pool.apply(greet, ["Ada"]))
answer = pool.apply_async(praise, ["Ada"])
print("now get() waits for praise")
print(answer.get())
