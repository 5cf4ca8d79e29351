"""Count the words of 300 files, though some are corrupt, one crashes and one hangs.

    python example_recovery.py FOLDER

It makes FOLDER/files first. Stop it with Ctrl-C, or kill it, and start it again: it
goes on from FOLDER/journal. FOLDER/failures.csv says which files have no counts, and
why. At the end, `stream` searches the endless numbers for the first three that fit.
"""

import csv
import os
import sys
import time
import zlib
from collections import Counter
from hashlib import sha256
from itertools import count, islice
from pathlib import Path

from lessons_src.tools.recovery import Failure, Report, processes, run, stream

FAULTS = {50: b"\xff", 121: b"\xff", 211: b"\xff", 270: b"CRASH", 285: b"HANG"}


def make_files(folder: Path) -> list[Path]:
    """Write 300 texts, every tenth of them compressed, and faults in their places."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{n:03}.{'txt' if n % 10 else 'z'}" for n in range(300)]
    for n, path in enumerate(paths):
        text = b"every " + b"word " * n
        path.write_bytes(FAULTS.get(n, text if n % 10 else zlib.compress(text)))
    return paths


def count_words(path: Path) -> Counter[str]:
    """Parse one file, with the bugs that parsers have."""
    data = path.read_bytes()
    if data == b"CRASH":
        os.abort()
    while data == b"HANG":
        time.sleep(1)
    time.sleep(0.01)  # A slow disk
    text = zlib.decompress(data) if path.suffix == ".z" else data
    return Counter(text.decode().split())


def is_rare(number: int) -> bool:
    """Tell whether the digest of `number` begins with three zeros."""
    return sha256(str(number).encode()).hexdigest().startswith("000")


def write_failures(report: Report, path: Path) -> None:
    """Write one row for each item that failed."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "file", "error", "tries"])
        for failed in report.failures:
            error = type(failed.error).__name__
            rows.writerow([failed.index, failed.item.name, error, failed.tries])


def main(folder: Path) -> int:
    """Index the files, report, and search."""
    workers, paths = processes(2, "spawn"), make_files(folder / "files")
    safely = {"timeout": 4, "journal": folder / "journal", "progress": True}
    report = run(count_words, paths, executor=workers, **safely)
    print(report)
    write_failures(report, folder / "failures.csv")
    if report.interrupted:
        print("Start it again to go on.")
        return 1
    counts = (words for words in report.results if not isinstance(words, Failure))
    print("words:", *sum(counts, Counter()).most_common())
    with stream(is_rare, count(), executor=workers, ordered=True) as answers:
        # A Failure is true, as most objects are
        rare = (number for number, answer in answers if answer is True)
        print("rare:", *islice(rare, 3))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
