"""The house style of everything that is not a notebook, and of the tree as a whole."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from authoring.house import ROOT

NOT_OURS = {"__pycache__", "build", "dist", "lessons_src.egg-info"}
HIDDEN = {".ci", ".github"}
TEXTS = {".py", ".ipynb", ".md", ".toml", ".txt", ".cfg", ".yml", ".yaml", ".sh", ""}
# Written in parts, so that this file does not name what it looks for
PLACES = re.compile(
    "|".join(
        [
            r"/(home|Users)/\w+",
            "/ro" + "ot/",
            "/wo" + "rk/",
            r"C:\\Us" + "ers",
            "files." + "pythonhosted",
            r"pypi\." + "org/simple",
            r"registry\." + r"(npmjs|yarnpkg)",
            r"\.\./sha" + "red",
        ]
    )
)
HEAVY = {"IPython", "joblib", "matplotlib", "multiprocess", "numpy", "psutil", "tqdm"}
OURS = {"lessons_src", "authoring", "tests", "notebook_proof"}
# Only imported by the function that draws, or plays
DRAWING = {
    "lessons_src.tools.scheduler_play",
    "lessons_src.tools.timeline_bars",
    "lessons_src.tools.timeline_picture",
}
LAYERS = {
    # Who may import whom: tools know no lesson, lessons no checks, nobody the authors
    "lessons_src.tools": ("lessons_src.tools",),
    "lessons_src.checks": ("lessons_src",),
    "lessons_src": ("lessons_src.tools", "lessons_src.{own}"),
}
SOURCES = sorted((ROOT / "lessons_src").rglob("*.py"))
LISTINGS = ROOT / "lessons_src" / "listings"
MODULES = [path for path in SOURCES if LISTINGS not in path.parents]


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def texts():
    for folder, inside, files in os.walk(ROOT):
        inside[:] = [name for name in inside if name not in NOT_OURS]
        inside[:] = [name for name in inside if name in HIDDEN or name[0] != "."]
        paths = [Path(folder, name) for name in files]
        yield from (path for path in paths if path.suffix in TEXTS)


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_has_nothing_to_say(check):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *check, "--no-cache", str(ROOT)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_text_names_a_place_of_one_machine_or_a_registry():
    wrong = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in texts()
        if (found := PLACES.search(path.read_text("utf-8", errors="replace")))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "see /ho" + "me/ada",
        r"C:\Us" + r"ers\ada",
        "https://files." + "pythonhosted.org/x",
    ],
)
def test_a_place_of_one_machine_is_noticed(text):
    assert PLACES.search(text)


def test_modules_are_cheap_to_import_and_do_nothing():
    names = sorted({name_of(path) for path in MODULES} - DRAWING)
    code = (
        "import importlib, sys, threading\n"
        f"for name in {names}:\n"
        "    before = set(sys.modules)\n"
        "    importlib.import_module(name)\n"
        "    tops = {each.partition('.')[0] for each in set(sys.modules) - before}\n"
        f"    heavy = sorted(tops & {HEAVY})\n"
        "    if heavy:\n"
        "        print(name, 'imports', *heavy)\n"
        "if threading.active_count() > 1:\n"
        "    print('a thread was started')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("", "")


def imported_by(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from lessons_src import locks` means lessons_src.locks
            whole = node.module == "lessons_src"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from names if whole else [node.module]


def against_the_arrows(name, source):
    """Return what module `name` imports although it stands above it."""
    layer = next(layer for layer in LAYERS if f"{name}.".startswith(f"{layer}."))
    allowed = tuple(each.format(own=name.split(".")[-1]) for each in LAYERS[layer])
    return [
        other
        for other in imported_by(ast.parse(source))
        if other.split(".")[0] in OURS
        and not any(f"{other}.".startswith(f"{each}.") for each in allowed)
        # A lesson's second module, broken_pools_tables, knows its first
        and not name.startswith(f"{other}_")
    ]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path):
    source = path.read_text(encoding="utf-8")
    assert against_the_arrows(name_of(path), source) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("lessons_src.tools.leash", "from lessons_src.locks import deposit"),
        ("lessons_src.tools.leash", "from lessons_src import locks"),
        ("lessons_src.locks", "def late():\n    import lessons_src.checks.locks"),
        ("lessons_src.locks", "from lessons_src.threads import nap"),
        ("lessons_src.locks", "from lessons_src.locks_tables import table"),
        ("lessons_src.checks.locks", "from authoring import house"),
    ],
)
def test_an_import_against_the_arrows_is_noticed(name, source):
    assert against_the_arrows(name, source)


def test_the_second_module_of_a_lesson_may_import_the_first():
    source = "from lessons_src.locks import deposit"
    assert against_the_arrows("lessons_src.locks_tables", source) == []
