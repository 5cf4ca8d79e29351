from multiprocessing import get_context

from brake import note, stop_if_too_deep


def work():
    note("the child does its work")


if __name__ == "__main__":
    note("main starts")
    stop_if_too_deep()
    child = get_context("spawn").Process(target=work)
    child.start()
    child.join()
