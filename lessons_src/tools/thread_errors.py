"""Collect what threads let out, which Python would write on the screen."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collect_thread_errors() -> Iterator[list[BaseException]]:
    """Collect the errors that threads do not catch, instead of printing them.

    A `SystemExit` is no error: it is how a thread ends itself. Wait for the threads
    inside the block.

    >>> with collect_thread_errors() as errors:
    ...     thread = threading.Thread(target=int, args=["four"])
    ...     thread.start()
    ...     thread.join()
    >>> errors
    [ValueError("invalid literal for int() with base 10: 'four'")]
    """
    errors: list[BaseException] = []
    before = threading.excepthook

    def collect(hook: threading.ExceptHookArgs) -> None:
        if hook.exc_type is not SystemExit:
            errors.append(hook.exc_value or hook.exc_type())

    threading.excepthook = collect
    try:
        yield errors
    finally:
        threading.excepthook = before
