import pytest

from lessons_src.tools import recorded
from lessons_src.tools.recorded import live_or_recorded, transcript


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "fork.txt").write_text("parent 9, child 10\nGrüße\n", encoding="utf-8")
    (folder / "zombie.txt").write_text("Z\n", encoding="utf-8")
    (folder / "notes.md").write_text("no transcript", encoding="utf-8")
    monkeypatch.setattr(recorded.resources, "files", lambda package: tmp_path)
    return folder


def fail():
    raise AssertionError("it was run")


def test_a_transcript_is_read_as_utf_8():
    assert transcript("fork") == "parent 9, child 10\nGrüße\n"


@pytest.mark.parametrize("name", ["frok", "fork.txt", "notes", "../x", "", ".."])
def test_an_unknown_name_is_told_which_there_are(name):
    with pytest.raises(ValueError, match=r"there are: fork, zombie$") as caught:
        transcript(name)
    assert repr(name) in str(caught.value)


def test_without_transcripts_there_are_none(folder):
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"there are: none$"):
        transcript("fork")
    folder.rmdir()
    with pytest.raises(ValueError, match=r"there are: none$"):
        transcript("fork")


def test_live_means_run_and_nothing_else():
    assert live_or_recorded("no such name", lambda: "alive\n", live=True) == "alive\n"


def test_recorded_is_not_run_and_says_so_in_one_line():
    text = live_or_recorded("fork", fail, live=False)
    line = "(recorded on Linux: this system cannot run it)\n"
    assert text == line + transcript("fork")


def test_the_transcripts_of_the_course_are_text(monkeypatch):
    monkeypatch.undo()
    for name in recorded._transcripts():
        assert transcript(name).strip()
