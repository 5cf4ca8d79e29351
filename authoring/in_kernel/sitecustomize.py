"""Loaded by Python itself as the first module of a kernel and of its children.

It stands before a `sitecustomize` that the system may have, so it runs that too.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from os.path import normcase

HERE = os.path.dirname(__file__)  # noqa: PTH120 - each child pays for an import


def run_the_one_behind_this() -> None:
    """Run the next `sitecustomize` on the path, if the system has one."""
    elsewhere = [folder for folder in sys.path if normcase(folder) != normcase(HERE)]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec and spec.loader:
        spec.loader.exec_module(module_from_spec(spec))


run_the_one_behind_this()

if "COURSE_START_METHOD" in os.environ:
    import course_modes

    course_modes.enter(os.environ["COURSE_START_METHOD"])

# Taken out again: the children of the kernel are not watched from within
if os.environ.pop("COURSE_WATCH", None):
    import course_watch

    course_watch.begin()
