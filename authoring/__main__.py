"""Commands for those who write lessons."""

import argparse
import sys
import time

from authoring import house, table
from authoring.refresh import RefreshFailed, refresh


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` name and return the exit code."""
    options = _parser().parse_args(arguments)
    return options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m authoring", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("refresh", help="run notebooks afresh, store the outputs")
    run.add_argument("names", nargs="*", help="such as 01 or process_pool; none: all")
    run.add_argument("--redraw", action="store_true", help="take the new pictures too")
    run.set_defaults(command=_refresh)

    lessons = commands.add_parser("table", help="write the README's table of lessons")
    lessons.add_argument("--check", action="store_true", help="only tell if it is old")
    lessons.set_defaults(command=_table)
    return parser


def _refresh(options: argparse.Namespace) -> int:
    try:
        paths = [house.find(name) for name in options.names] or house.notebooks()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    failed = 0
    for path in paths:
        start = time.perf_counter()
        try:
            outcome = "refreshed" if refresh(path, options.redraw) else "unchanged"
        except RefreshFailed as failure:
            outcome = f"left as it was, for it does not run:\n{failure}"
            failed = 1
        print(f"{path.name} ({time.perf_counter() - start:.1f} s): {outcome}")
    return failed


def _table(options: argparse.Namespace) -> int:
    try:
        current = table.is_current() if options.check else table.write()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if options.check and not current:
        print("README.md is old: run python -m authoring table", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
