from multiprocessing import freeze_support, get_context

from brake import note, stop_if_too_deep


def work():
    note("the child does its work")


if __name__ == "__main__":
    freeze_support()
    note("main starts")
    stop_if_too_deep()
    child = get_context("spawn").Process(target=work)
    child.start()
    child.join()
