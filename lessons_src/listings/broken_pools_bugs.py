# Each bug of the article's function, shown by what it makes of rigged tasks
import io
import json
import multiprocessing
import os
import sys
from concurrent.futures import wait
from contextlib import redirect_stdout

import psutil

from lessons_src.listings import broken_pools_article as article
from lessons_src.tools.programs import program


def look_up(keys, *others):
    """The worker as the article means it: a chunk of keys, a dict of two."""
    return {"output": {key: price(key) for key in keys}, "error": []}


def price(key):
    if key == "bad":
        return {"apples": 3}[key]
    if key == "bomb":
        os._exit(7)
    if key == "exit":
        sys.exit(1)
    return key.upper()


def fail(*args):
    raise ValueError(f"no price for {args[0]}")


def return_text(keys, *others):
    return f"{len(keys)} prices"


def forget_errors(keys, *others):
    return {"output": {key: price(key) for key in keys}}


def count_workers(keys, *others):
    workers = psutil.Process().parent().children()
    return {"output": {"workers": len(workers)}, "error": []}


def run(tasks, worker=look_up, cpu_n=1):
    """What comes of a run: what it returned or raised, and what it printed."""
    article.worker = worker
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            returned = article.multi_core_run_task(tasks, cpu_n)
    except BaseException as error:
        return f"{type(error).__name__}: {error}", ""
    output, _, left = returned
    if len(tasks) > 1:
        left.sort()  # those of a dead pool come in any order
    return f"output {output}, left {left}", printed.getvalue()


def last_come_first(futures):
    """As `as_completed` may do it: all are done, and the last one comes first."""
    wait(futures)
    return list(futures)[::-1]


def with_a_tab():
    text = program("broken_pools_article").replace("    tasks =", "\ttasks =")
    try:
        compile(text, "article", "exec")
    except SyntaxError as error:
        return f"{type(error).__name__}: {error.msg}"


def without_a_worker():
    try:
        article.multi_core_run_task([(["apples"],)])
    except NameError as error:
        return f"{type(error).__name__}: {error}"


def wrong_number():
    honest = article.as_completed
    article.as_completed = last_come_first
    try:
        return run([(["bad"],), (["apples"],), (["books"],)])[1].splitlines()[0]
    finally:
        article.as_completed = honest


def poison():
    rounds = [run([(["bad"],)])[0].partition("left ")[2] for _ in range(4)]
    return f"left after each round: {', '.join(rounds)}"


def workers_for_one_task():
    return run([(["apples"],)], count_workers, cpu_n=20)[0]


def cut_once():
    parts = article.split_list([1, 2, 3], 2)
    return f"first {list(parts)}, then {list(parts)}"


def cut_into_none():
    try:
        return article.split_list([1, 2, 3], 0)
    except ZeroDivisionError as error:
        return f"{type(error).__name__}"


FOUR = [(["a", "b"],), (["c", "bomb"],), (["d", "e"],), (["f", "g"],)]
SAME = [(["apples"],), (["apples"],), (["apples"],)]
KEYS = [f"k{number}" for number in range(8)]
BUGS = {
    "start": {
        "as printed, with a tab": with_a_tab,
        "without the tab": without_a_worker,
    },
    "tasks": {
        "the task (1, 'a', 'x') fails": lambda: run([(1, "a", "x")], fail)[0],
        "the task ('alice',) fails": lambda: run([("alice",)], fail)[0],
        "['k2', 'k3'] were left and run again": lambda: run(["k2", "k3"])[0],
        "eight keys, 'k0' to 'k7'": lambda: run(KEYS)[0],
    },
    "lost": {
        "the worker returns a text": lambda: run(SAME, return_text)[0],
        "the worker returns no 'error'": lambda: run(SAME, forget_errors)[0],
        "a worker calls sys.exit(1)": lambda: run([(["apples"],), (["exit"],)])[0],
        "three chunks have the same key": lambda: run(SAME)[0],
        "the chunk ['apples', 'bad']": lambda: run([(["apples", "bad"],)])[0],
        "a to g in chunks of two, and a bomb": lambda: run(FOUR)[0],
    },
    "said": {
        "chunk 0 of three fails, as the last": wrong_number,
        "the chunk ['bad'] lacks a price": lambda: run([(["bad"],)])[1].splitlines()[0],
        "and is run again and again": poison,
        "split_list([1, 2, 3], 2), listed twice": cut_once,
        "split_list([1, 2, 3], 0)": cut_into_none,
    },
}

if __name__ == "__main__":
    method, group = sys.argv[1:]
    multiprocessing.set_start_method(method)
    if group == "cost":
        print(workers_for_one_task())
    else:
        print(json.dumps({name: bug() for name, bug in BUGS[group].items()}))
