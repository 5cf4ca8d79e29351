import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context

from lessons_src.broken_pools import (
    CAUSES,
    DEEP_IN_C,
    END_OF_EXECUTOR,
    POSIX_CAUSES,
    Fate,
    careful,
    last_error,
    open_parcel,
)

WAIT = 50


def outcome(get):
    """What `get` gives: an answer or an error, and what its `__cause__` names."""
    try:
        return get(), ""
    except BaseException as error:
        broken = isinstance(error, BrokenProcessPool)
        why = last_error(str(error.__cause__)) if broken else ""
        return type(error).__name__, why


def ask(pool, *call):
    return outcome(lambda: pool.submit(*call).result(WAIT))


def keep_processes(context):
    """The list of all processes that `context` is going to make."""
    make, kept = context.Process, []

    def process(*arguments, **named):
        kept.append(make(*arguments, **named))
        return kept[-1]

    context.Process = process
    return kept


def try_executor(context, cause):
    workers = keep_processes(context)
    with ProcessPoolExecutor(1, context, cause.initializer) as pool:
        before, _ = ask(pool, open_parcel, "apples")
        call = (cause.function, *cause.arguments)
        (answer, why), caught = ask(pool, careful, *call), ""
        if isinstance(answer, tuple):
            _, caught = answer
            # try and except helped; what comes without them?
            answer, why = ask(pool, *call)
        after, _ = ask(pool, open_parcel, "eggs")
    # At the end of the block all workers have been waited for. One that has closed
    # its files may end by itself or be ended: its code is a matter of luck
    broken = answer == "BrokenProcessPool" and cause.function is not os.closerange
    code = workers[0].exitcode if broken else None
    name = signal.Signals(-code).name if code and code < 0 else ""
    return before, caught, answer, why, after, code, name


def try_pool(context, cause):
    dead_threads, seen = [], set()
    threading.excepthook = dead_threads.append
    pool = context.Pool(1, cause.initializer)
    spoilt = pool.apply_async(cause.function, cause.arguments)
    after = pool.apply_async(open_parcel, ["eggs"])
    # One worker answers in order: what has not come before `after` never will.
    # Nor will it when the thread that reads the answers is dead, or when the
    # pool has begun to replace one worker after another
    while not (after.ready() or dead_threads or len(seen) > 3):
        seen.update(child.pid for child in active_children())
        time.sleep(0.01)
    tickets = (spoilt, after)
    return [outcome(t.get)[0] if t.ready() else "never" for t in tickets]


def leave_no_core():
    """A crash may leave a file as large as the memory; Windows has no such thing."""
    try:
        import resource
    except ModuleNotFoundError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    leave_no_core()
    method, name = sys.argv[1:]
    cause = (CAUSES | POSIX_CAUSES | DEEP_IN_C)[name]
    context = get_context(method)
    executors_part = try_executor(context, cause)
    print(END_OF_EXECUTOR, file=sys.stderr, flush=True)
    fate = Fate(name, *executors_part, *try_pool(context, cause))
    print(json.dumps(fate), flush=True)
    for child in active_children():
        child.kill()
    # A broken Pool may not be left in peace
    os._exit(0)
