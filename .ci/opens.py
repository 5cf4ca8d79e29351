"""Prove that `course.py open` serves the course and that one Ctrl-C ends all of it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "only-for-this-run"


def free_port() -> int:
    """Return a loopback port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port: int, path: str, method: str = "GET") -> dict:
    """Send one request to the server's REST interface and return its answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/{path}",
        method=method,
        headers={"Authorization": f"token {TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def wait_until_served(port: int, course: subprocess.Popen) -> None:
    """Return once the server answers; fail when it ended or needs over 60 s."""
    for _ in range(240):
        if course.poll() is not None:
            sys.exit(f"course.py open ended with exit code {course.returncode}")
        try:
            ask(port, "status")
            return
        except OSError:
            time.sleep(0.25)
    sys.exit("course.py open did not serve within 60 s")


def main() -> None:
    """Open the course, ask for the first lesson and a kernel, press Ctrl-C, look."""
    port = free_port()
    command = [sys.executable, "course.py", "open", "--no-browser"]
    command += [f"--port={port}", f"--IdentityProvider.token={TOKEN}"]
    course = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    tree = [psutil.Process(course.pid)]
    try:
        wait_until_served(port, course)
        lesson = ask(port, "contents/notebooks/00_start_here.ipynb?content=1")
        print("served:", lesson["path"], len(lesson["content"]["cells"]), "cells")
        print("kernel:", ask(port, "kernels", "POST")["name"])
        time.sleep(3)  # a kernel stopped while it imports says so on the terminal
        tree += tree[0].children(recursive=True)
        print("processes:", len(tree))
        os.killpg(course.pid, signal.SIGINT)  # what a terminal sends at Ctrl-C
        print("exit code after Ctrl-C:", course.wait(30))
        left = [process for process in tree[1:] if process.is_running()]
        print("left behind:", left)
        sys.exit(bool(left))
    finally:
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


if __name__ == "__main__":
    main()
