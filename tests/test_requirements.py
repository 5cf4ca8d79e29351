"""`requirements.txt` is what `uv export` makes of pyproject.toml; no network needed.

uv export --no-hashes --no-header --no-annotate -o requirements.txt
"""

import re
import tomllib
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from authoring.house import ROOT

LINES = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ITSELF = "-e ."
PIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.+!]*( ; [^;]+)?")


def declared():
    texts = PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]
    return [Requirement(text) for text in texts]


def holds(requirement, extra=""):
    return not requirement.marker or requirement.marker.evaluate({"extra": extra})


def pins_here():
    """Return name and version of what the file installs in this environment."""
    found = [Requirement(line) for line in LINES[1:]]
    return [(pin.name, pin.specifier) for pin in found if holds(pin)]


def needed_here():
    """Return the names that the declared dependencies lead to, installed here."""
    seen = set()
    waiting = [
        (requirement, extra)
        for requirement in declared()
        if holds(requirement)
        for extra in ("", *requirement.extras)
    ]
    while waiting:
        requirement, extra = waiting.pop()
        step = (canonicalize_name(requirement.name), extra)
        if step not in seen:
            seen.add(step)
            waiting += needs_of(*step)
    return {name for name, _ in seen}


def needs_of(name, extra):
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        if holds(requirement, extra):
            yield from ((requirement, more) for more in ("", *requirement.extras))


def test_the_project_itself_comes_first():
    assert LINES[0] == ITSELF


@pytest.mark.parametrize("line", LINES[1:])
def test_each_other_line_is_an_exact_pin(line):
    assert PIN.fullmatch(line)


@pytest.mark.parametrize("word", ["://", "@", "--", "file:", "git+"])
def test_no_address_and_no_option_is_in_the_file(word):
    assert [line for line in LINES if word in line] == []


def test_the_lines_are_sorted_and_none_is_there_twice():
    names = [Requirement(line).name for line in LINES[1:]]
    assert names == sorted(names)
    assert len(set(LINES)) == len(LINES)


def test_one_version_at_most_of_each_package_holds_here():
    names = [name for name, _ in pins_here()]
    assert sorted(set(names)) == names


def test_the_pins_are_what_the_declared_dependencies_lead_to():
    assert needed_here() == {name for name, _ in pins_here()}


def test_what_is_installed_is_what_is_pinned():
    installed = {name: distribution(name).version for name, _ in pins_here()}
    wrong = {
        name: version
        for name, version in installed.items()
        if not any(
            specifier.contains(version, prereleases=True)
            for pinned, specifier in pins_here()
            if pinned == name
        )
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "line",
    ["tqdm", "tqdm>=4", "Tqdm==1", "tqdm==1 --hash=x", "tqdm @ https://x.org/t.whl"],
)
def test_a_line_that_is_no_pin_is_noticed(line):
    assert not PIN.fullmatch(line)
