import nbformat
import pytest
from article import ALL_IDS, OWED_IDS
from house_style import (
    ARTICLE_TAG,
    CELLS,
    RULES,
    code_cells,
    ignored,
)
from rigged import code, notebook_of, picture, printed, prose, raised, value

from authoring import table
from authoring.house import ROOT, notebooks, read, stem_of
from authoring.normal import DRAWN_BY, as_text, source_mark
from authoring.page import tags_of

LESSONS = [pytest.param(path, id=path.stem) for path in notebooks()]
WORDS = " ".join(["word"] * 25)


@pytest.fixture(scope="session")
def lesson():
    return {path: read(path) for path in notebooks()}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("path", LESSONS)
def test_a_lesson_obeys_the_house_style(lesson, path, name):
    assert RULES[name](path, lesson[path]) == []


@pytest.mark.parametrize("path", LESSONS)
def test_a_lesson_answers_what_it_owes_to_the_article(lesson, path):
    assert article_faults(stem_of(path), lesson[path]) == []


def article_faults(stem, notebook):
    tags = {tag for cell in notebook.cells for tag in tags_of(cell)}
    carried = {
        tag.removeprefix(ARTICLE_TAG) for tag in tags if tag.startswith(ARTICLE_TAG)
    }
    owed = OWED_IDS.get(stem)
    if owed is None:
        return [f"course plan has no lesson {stem}"]
    missing = [f"no cell answers {each}" for each in owed if each not in carried]
    return missing + [f"unknown id {each}" for each in sorted(carried - ALL_IDS)]


def test_each_listing_claim_and_bug_of_the_article_is_owed_by_a_lesson():
    listings = {f"L{number:02}" for number in range(1, 24)}
    claims = {f"C{number:02}" for number in range(1, 52)}
    bugs = {f"B{number:02}" for number in range(1, 18)}
    assert listings | claims | bugs <= ALL_IDS


def test_an_answer_that_is_missing_or_unknown_is_noticed():
    notebook = notebook_of(code("1", tags=["article-L22", "article-X1"]))
    assert article_faults("fork", notebook) == [
        *(f"no cell answers C{number}" for number in range(38, 44)),
        "unknown id X1",
    ]
    assert article_faults("spoons", notebook) == ["course plan has no lesson spoons"]


def test_at_most_one_output_in_twenty_is_left_uncompared(lesson):
    cells = [cell for each in lesson.values() for cell in code_cells(each)]
    with_output = [cell for cell in cells if cell.outputs]
    left_out = [cell for each in lesson.values() for cell in ignored(each)]
    assert len(left_out) <= 0.05 * len(with_output)


def test_each_module_of_a_lesson_has_its_notebook():
    modules = {path.stem for path in (ROOT / "lessons_src").glob("[!_]*.py")}
    checks = {path.stem for path in (ROOT / "lessons_src/checks").glob("[!_]*.py")}
    stems = {stem_of(path) for path in notebooks()}
    # A lesson may have a second module: its stem, and what is in it
    seconds = {
        each for each in modules if each.startswith(tuple(f"{s}_" for s in stems))
    }
    assert modules - seconds <= stems
    assert checks <= stems


def test_the_readme_has_the_table_of_lessons():
    assert table.is_current(), "run python -m authoring table"


def test_an_old_table_is_noticed(monkeypatch, tmp_path):
    readme = tmp_path / "README.md"
    monkeypatch.setattr(table, "README", readme)
    readme.write_text("before\n<!-- lessons -->\nold\n<!-- /lessons -->\nafter\n")
    assert not table.is_current()
    assert table.write()
    assert table.is_current()
    assert not table.write()
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- lessons -->\n| lesson |")
    assert text.endswith("\n<!-- /lessons -->\nafter\n")


def test_a_readme_without_the_markers_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(table, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("nothing\n")
    with pytest.raises(ValueError, match="lacks the lines"):
        table.is_current()


HEAD = """# 01 Process pools

See who ran when.

**Minutes:** 40 · **You need:** [this](#Set-up)

**You will learn to**

- guess
- run
- read"""
GUESS = """**Guess first.** One or two?

<details><summary>Answer</summary>

Two.

</details>"""
ANSWERS = [
    *(prose(f"### Exercise {n} {'★' * n} Count\n\n{WORDS}") for n in (1, 2)),
    code("answer = None\ncheck(answer)", printed("Not yet. No.\n"), tags=["exercise"]),
    code("check(1)", value("Right. Yes."), tags=["solution"]),
]


def good_cells():
    drawing = code("draw(spans)", picture("Timeline: 5 tasks"))
    drawing.outputs[0].metadata[DRAWN_BY] = source_mark(drawing)
    exercises = []
    for title in ANSWERS[:2]:
        stub, solution = (nbformat.from_dict(cell) for cell in ANSWERS[2:])
        solution.metadata["jupyter"] = {"source_hidden": True}
        exercises += [prose(title.source), stub, solution]
    free = [
        part
        for number in range(8)
        for part in (
            prose(f"## Question {number}?\n\n{WORDS}\n\n{GUESS}"),
            code("1 + 1", value("2")),
            prose(WORDS),
        )
    ]
    cells = [
        prose(HEAD),
        prose("## Set-up"),
        code("import time\nWORKERS = 2"),
        prose("## Sequential first\n\n" + WORDS),
        *free,
        prose("## From the article\n\n" + WORDS),
        prose("## Experiment\n\n" + f"{WORDS}\n\n" * 16),
        drawing,
        prose("## Exercises"),
        *exercises,
        prose("## Summary\n\n" + WORDS),
    ]
    count = 0
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
    return cells


@pytest.fixture
def good(tmp_path):
    """A notebook that obeys all rules, where its stem has all its files."""
    path = tmp_path / "01_process_pool.ipynb"
    notebook = notebook_of(*good_cells())
    path.write_text(as_text(notebook), encoding="utf-8")
    return path, notebook


@pytest.mark.parametrize("name", RULES)
def test_a_good_notebook_breaks_no_rule(good, name):
    assert RULES[name](*good) == []


def first_code(notebook):
    return code_cells(notebook)[1]


def drawing(notebook):
    return next(cell for cell in code_cells(notebook) if cell.source == "draw(spans)")


def tagged(notebook, tag):
    return next(cell for cell in notebook.cells if tag in tags_of(cell))


def replaced(old, new):
    def spoil(notebook):
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return spoil


def with_code(source):
    def spoil(notebook):
        first_code(notebook).source = source

    return spoil


def with_outputs(*outputs):
    def spoil(notebook):
        first_code(notebook).outputs = list(outputs)

    return spoil


def tagging(tag, cells=1):
    def spoil(notebook):
        for cell in code_cells(notebook)[1 : cells + 1]:
            cell.metadata["tags"] = [tag]

    return spoil


def without(find):
    def spoil(notebook):
        notebook.cells.remove(find(notebook))

    return spoil


def uncounted(notebook):
    first_code(notebook).execution_count = None


def counted_twice(notebook):
    first_code(notebook).execution_count = 1


def three_in_a_row(notebook):
    at = notebook.cells.index(first_code(notebook))
    notebook.cells[at:at] = [code("1"), code("2")]


def too_many_cells(notebook):
    notebook.cells += [prose("more")] * CELLS.stop


def too_few_cells(notebook):
    del notebook.cells[1:20]


def shown_solution(notebook):
    del tagged(notebook, "solution").metadata["jupyter"]


def unsolved(notebook):
    tagged(notebook, "solution").outputs = [printed("Not yet. No.\n")]


def solved_at_once(notebook):
    tagged(notebook, "exercise").outputs = [printed("Right. Yes.\n")]


def same_id(notebook):
    notebook.cells[1]["id"] = notebook.cells[2]["id"]


def redrawn_source(notebook):
    drawing(notebook).source = "draw(spans, title='new')"


def picture_of_a_curve(notebook):
    drawing(notebook).outputs[0].data["text/plain"] = "Speed-up over workers"


FAULTS = [
    ("counts_run_from_one", uncounted),
    ("counts_run_from_one", counted_twice),
    ("no_error_is_stored_unless_tagged", with_outputs(raised("ValueError", "x"))),
    ("no_error_is_stored_unless_tagged", tagging("raises-exception")),
    ("nothing_is_stored_on_stderr", with_outputs(printed("x", "stderr"))),
    ("tags_are_known", tagging("nbval-skip")),
    ("tags_are_known", tagging("hide-input")),
    ("code_fits_the_page", with_code("x = 1\n" * 16)),
    ("code_fits_the_page", with_code("x = " + "1" * 76)),
    ("code_cells_are_mostly_short", replaced("1 + 1", "x = 1\n" * 5)),
    ("code_cells_are_mostly_short", replaced("check(", "\n" + "x = 1\n" * 11 + "(")),
    ("prose_stands_between_code", three_in_a_row),
    ("length_is_that_of_a_lesson", too_many_cells),
    ("length_is_that_of_a_lesson", too_few_cells),
    ("length_is_that_of_a_lesson", replaced(WORDS, "Few words.")),
    ("length_is_that_of_a_lesson", replaced(WORDS, f"{WORDS} " * 3)),
    ("first_cell_says_what_it_promises", replaced("# 01 ", "# 02 ")),
    ("first_cell_says_what_it_promises", replaced("# 01 ", "# ")),
    ("first_cell_says_what_it_promises", replaced("**Minutes:** 40", "Minutes")),
    ("first_cell_says_what_it_promises", replaced("**You need:**", "You need")),
    ("first_cell_says_what_it_promises", replaced("See who ran when.", "")),
    ("first_cell_says_what_it_promises", replaced("\n- run\n- read", "")),
    ("first_cell_says_what_it_promises", replaced("## Question 1", "# 02 Title")),
    ("sections_are_there_in_order", replaced("## Sequential first", "## First")),
    ("sections_are_there_in_order", replaced("## Experiment", "## Try")),
    ("sections_are_there_in_order", replaced("## Question", "### Question")),
    ("set_up_only_imports_and_assigns", replaced("WORKERS = 2", "print(2)")),
    ("guesses_come_with_a_folded_answer", replaced("<details>", "")),
    ("guesses_come_with_a_folded_answer", replaced("**Guess first.**", "Guess.")),
    ("a_timeline_is_drawn", without(drawing)),
    ("a_timeline_is_drawn", picture_of_a_curve),
    ("pictures_are_drawn_by_the_code_above_them", redrawn_source),
    ("exercises_are_open_and_solved", shown_solution),
    ("exercises_are_open_and_solved", unsolved),
    ("exercises_are_open_and_solved", solved_at_once),
    ("exercises_are_open_and_solved", without(lambda n: tagged(n, "solution"))),
    ("exercises_are_open_and_solved", without(lambda n: tagged(n, "exercise"))),
    ("exercises_are_open_and_solved", replaced("### Exercise 2", "### Exercise 3")),
    ("exercises_are_open_and_solved", replaced("★ Count", "Count")),
    ("links_lead_somewhere", replaced("#Set-up", "99_none.ipynb")),
    ("links_lead_somewhere", replaced("#Set-up", "#Set-down")),
    ("values_are_not_hidden_by_a_semicolon", with_code("draw(spans);")),
    ("nothing_is_installed", with_code("%pip install tqdm")),
    ("nothing_is_installed", with_code("!pip install tqdm")),
    ("await_is_used_for_asyncio", with_code("asyncio.run(main())")),
    ("cell_ids_differ", same_id),
    ("few_outputs_are_left_uncompared", tagging("nbval-ignore-output", cells=3)),
    ("file_is_in_normal_form", with_code("2 + 2")),
]


@pytest.mark.parametrize(("name", "spoil"), FAULTS)
def test_a_fault_breaks_its_rule(good, name, spoil):
    path, notebook = good
    spoil(notebook)
    assert RULES[name](path, notebook) != []


def test_a_notebook_without_its_files_breaks_the_rule_of_stems(good):
    path, notebook = good
    elsewhere = path.with_name("01_spoons.ipynb")
    assert len(RULES["files_go_by_one_stem"](elsewhere, notebook)) == 4


@pytest.mark.parametrize(
    "noise",
    [
        {"metadata": {"widgets": {}}},
        {"metadata": {"celltoolbar": "Tags"}},
        {"nbformat_minor": 4},
    ],
)
def test_a_file_with_noise_is_not_in_normal_form(good, noise):
    path, notebook = good
    notebook.metadata.update(noise.pop("metadata", {}))
    notebook.update(noise)
    path.write_text(as_text(notebook), encoding="utf-8")
    assert RULES["file_is_in_normal_form"](path, read(path)) != []


def test_each_rule_is_broken_by_some_fault():
    broken = {name for name, _ in FAULTS} | {"files_go_by_one_stem"}
    assert broken == set(RULES)
