"""Set the start method of every process, or leave only what Windows has.

The choice is the *default* of `multiprocessing`, as if the system had it: code that
asks for another method, or sets its own, still can.
"""

import sys
from types import ModuleType

from course_imports import after_import

WINDOWS = "windows"
# `multiprocess`, which lessons compare, is a copy with its own contexts
PACKAGES = ("multiprocessing", "multiprocess")


def enter(mode: str) -> None:
    """Make `mode` the default: a start method, or `windows`."""
    if mode == WINDOWS:
        from course_windows import hide_what_windows_lacks

        hide_what_windows_lacks()
    for package in PACKAGES:
        after_import(f"{package}.context", lambda contexts: set_default(contexts, mode))


def set_default(contexts: ModuleType, mode: str) -> None:
    """Put `mode` first in `contexts`, the module of that name of `multiprocessing`."""
    known = contexts._concrete_contexts
    first = "spawn" if mode == WINDOWS else mode
    methods = contexts._default_context.get_all_start_methods()
    if mode == WINDOWS:
        methods = ["spawn"]
        for posix_only in ("fork", "forkserver"):
            known.pop(posix_only, None)
    methods.sort(key=lambda method: method != first)
    contexts._default_context._default_context = known[first]
    contexts.DefaultContext.get_all_start_methods = lambda _: list(methods)
    # Its package copies the methods; it may have done so before, under coverage
    package = sys.modules[contexts.__package__]
    package.get_all_start_methods = contexts._default_context.get_all_start_methods
