"""The rules that each notebook obeys; a rule returns what it has to complain of."""

import ast
import copy
import json
import re
from pathlib import Path
from statistics import median

from authoring.house import TITLE, head_of, stem_of
from authoring.normal import DRAWN_BY, as_text, normalise, source_mark
from authoring.page import error_of, tags_of, text_of

ROOT = Path(__file__).resolve().parent.parent
KNOWN_TAGS = {"exercise", "solution", "raises-exception", "nbval-ignore-output"}
ARTICLE_TAG = "article-"
FIRST_SECTIONS = ["Set-up", "Sequential first"]
LAST_SECTIONS = ["From the article", "Experiment", "Exercises", "Summary"]
CELLS, WORDS = range(30, 61), range(900, 2001)
SKILLS, EXERCISES, FREE_SECTIONS = range(3, 6), range(2, 4), range(2, 100)
MEDIAN_LINES, MOST_OFTEN_LINES, MOST_LINES, MOST_COLUMNS = 4, 10, 15, 79
MOST_IGNORED = 2
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
EXERCISE = re.compile(r"^### Exercise (\d) (★{1,3}) \S.*$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
ANSWER = re.compile(
    r"<details>\s*<summary>Answer</summary>\n\n.+?</details>", re.DOTALL
)
INSTALLS = re.compile(r"[!%]\s*(pip|conda|uv)\b|\bpip install\b")

RULES = {}


def rule(function):
    RULES[function.__name__] = function
    return function


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def prose_of(notebook):
    return "\n\n".join(FENCE.sub("", cell.source) for cell in prose_cells(notebook))


def lines_of(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def headings(notebook, level):
    found = HEADING.findall(prose_of(notebook))
    return [text for marks, text in found if len(marks) == level]


def named(cells, wrong, complaint):
    return [f"In [{c.execution_count}]: {complaint}" for c in cells if wrong(c)]


@rule
def counts_run_from_one(path, notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    wanted = list(range(1, len(counts) + 1))
    return [] if counts == wanted else [f"the execution counts are {counts}"]


@rule
def no_error_is_stored_unless_tagged(path, notebook):
    def wrong(cell):
        return bool(error_of(cell.outputs)) != ("raises-exception" in tags_of(cell))

    return named(code_cells(notebook), wrong, "stored error and tag do not agree")


@rule
def nothing_is_stored_on_stderr(path, notebook):
    cells = code_cells(notebook)
    return named(cells, lambda cell: text_of(cell.outputs, "stderr"), "stored stderr")


@rule
def tags_are_known(path, notebook):
    tags = {tag for cell in notebook.cells for tag in tags_of(cell)}
    odd = {tag for tag in tags - KNOWN_TAGS if not tag.startswith(ARTICLE_TAG)}
    return [f"unknown tag {tag}" for tag in sorted(odd)]


@rule
def code_fits_the_page(path, notebook):
    cells = code_cells(notebook)
    wide = named(
        cells,
        lambda cell: any(len(line) > MOST_COLUMNS for line in lines_of(cell)),
        f"a line is longer than {MOST_COLUMNS} columns",
    )
    long = named(
        cells,
        lambda cell: len(lines_of(cell)) > MOST_LINES,
        f"more than {MOST_LINES} lines",
    )
    return wide + long


@rule
def code_cells_are_mostly_short(path, notebook):
    lengths = sorted(len(lines_of(cell)) for cell in code_cells(notebook)) or [0]
    often = lengths[min(len(lengths) * 9 // 10, len(lengths) - 1)]
    wrong = []
    if median(lengths) > MEDIAN_LINES:
        wrong.append(f"half of the code cells have {median(lengths):g} lines or more")
    if often > MOST_OFTEN_LINES:
        wrong.append(f"a tenth of the code cells has {often} lines or more")
    return wrong


@rule
def prose_stands_between_code(path, notebook):
    kinds = "".join(cell.cell_type[0] for cell in notebook.cells)
    return ["three code cells in a row"] if "ccc" in kinds else []


@rule
def length_is_that_of_a_lesson(path, notebook):
    cells = len(notebook.cells)
    words = len(re.sub(r"<[^>]+>|\]\([^)]*\)", " ", prose_of(notebook)).split())
    wrong = [] if cells in CELLS else [f"{cells} cells"]
    return wrong if words in WORDS else [*wrong, f"{words} words of prose"]


@rule
def first_cell_says_what_it_promises(path, notebook):
    try:
        head = head_of(notebook)
    except ValueError as error:
        return [str(error)]
    text = notebook.cells[0].source
    skills = text.partition("**You will learn to**")[2].count("\n- ")
    return [
        *([] if path.name.startswith(head.number) else ["number and file name differ"]),
        *([] if "**You need:**" in text else ["no line **You need:**"]),
        *([] if skills in SKILLS else [f"{skills} skills under **You will learn to**"]),
        *([] if len(TITLE.findall(prose_of(notebook))) == 1 else ["two titles"]),
    ]


@rule
def sections_are_there_in_order(path, notebook):
    found = headings(notebook, 2)
    start, end = found[: len(FIRST_SECTIONS)], found[-len(LAST_SECTIONS) :]
    free = len(found) - len(FIRST_SECTIONS) - len(LAST_SECTIONS)
    return [
        *([] if start == FIRST_SECTIONS else [f"the first sections are {start}"]),
        *([] if end == LAST_SECTIONS else [f"the last sections are {end}"]),
        *([] if free in FREE_SECTIONS else [f"{free} sections of its own"]),
    ]


@rule
def set_up_only_imports_and_assigns(path, notebook):
    allowed = (ast.Import, ast.ImportFrom, ast.Assign)
    for cell in code_cells(notebook)[:1]:
        for statement in ast.parse(cell.source).body:
            if not isinstance(statement, allowed):
                return [f"the set-up also does: {ast.unparse(statement)}"]
    return []


@rule
def guesses_come_with_a_folded_answer(path, notebook):
    asked = 0
    wrong = []
    for cell in prose_cells(notebook):
        for part in cell.source.split("**Guess first.**")[1:]:
            asked += 1
            if not ANSWER.search(part):
                wrong.append(f"no folded answer: {part.strip()[:60]}")
    return wrong if asked else ["nothing to guess"]


@rule
def a_timeline_is_drawn(path, notebook):
    pictures = [
        output.data.get("text/plain", "")
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    if any(text.startswith("Timeline") for text in pictures):
        return []
    return ["no stored picture of a timeline"]


@rule
def pictures_are_drawn_by_the_code_above_them(path, notebook):
    def wrong(cell):
        return any(
            output.metadata.get(DRAWN_BY) != source_mark(cell)
            for output in cell.outputs
            if "image/png" in output.get("data", {})
        )

    return named(code_cells(notebook), wrong, "the picture is older than the code")


@rule
def exercises_are_open_and_solved(path, notebook):
    cells = notebook.cells
    open_ones = [n for n, cell in enumerate(cells) if "exercise" in tags_of(cell)]
    titles = [int(number) for number, _ in EXERCISE.findall(prose_of(notebook))]
    wrong = []
    if len(open_ones) not in EXERCISES:
        wrong.append(f"{len(open_ones)} exercises")
    if titles != list(range(1, len(open_ones) + 1)):
        wrong.append(f"{len(open_ones)} exercises under the titles {titles}")
    for n in open_ones:
        wrong += faults_of_exercise(cells[n], cells[n + 1] if cells[n + 1 :] else None)
    solved = [n for n, cell in enumerate(cells) if "solution" in tags_of(cell)]
    if solved != [n + 1 for n in open_ones]:
        wrong.append("solutions do not follow their exercises")
    return wrong


def faults_of_exercise(exercise, solution):
    name = f"In [{exercise.get('execution_count')}]"
    wrong = []
    if "Not yet" not in shown(exercise):
        wrong.append(f"{name}: the open exercise is not stored as 'Not yet'")
    if solution is None or "Right" not in shown(solution):
        wrong.append(f"{name}: its solution is not stored as 'Right'")
    elif not solution.metadata.get("jupyter", {}).get("source_hidden"):
        wrong.append(f"{name}: its solution is not folded away")
    return wrong


def shown(cell):
    return "".join(
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.get("outputs", [])
    )


@rule
def links_lead_somewhere(path, notebook):
    wrong = []
    for link in LINK.findall(prose_of(notebook)):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        file = path.parent / target if target else path
        if not file.exists():
            wrong.append(f"no file for the link {link}")
        elif anchor and file.suffix == ".ipynb" and anchor not in anchors(file):
            wrong.append(f"no heading for the link {link}")
    return wrong


def anchors(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    titles = [title for text in texts for _, title in HEADING.findall(text)]
    return {title.replace(" ", "-") for title in titles}


@rule
def files_go_by_one_stem(path, notebook):
    stem = stem_of(path)
    wanted = [
        f"lessons_src/{stem}.py",
        f"lessons_src/checks/{stem}.py",
        f"tests/test_{stem}.py",
        f"tests/test_checks_{stem}.py",
    ]
    return [f"there is no {name}" for name in wanted if not (ROOT / name).exists()]


@rule
def values_are_not_hidden_by_a_semicolon(path, notebook):
    cells = code_cells(notebook)
    return named(cells, lambda c: c.source.rstrip().endswith(";"), "ends with ;")


@rule
def nothing_is_installed(path, notebook):
    cells = code_cells(notebook)
    return named(cells, lambda cell: INSTALLS.search(cell.source), "installs something")


@rule
def await_is_used_for_asyncio(path, notebook):
    cells = code_cells(notebook)
    return named(cells, lambda cell: "asyncio.run(" in cell.source, "asyncio.run")


@rule
def cell_ids_differ(path, notebook):
    ids = [cell.id for cell in notebook.cells]
    return [f"the id {each} twice" for each in sorted(set(ids)) if ids.count(each) > 1]


@rule
def few_outputs_are_left_uncompared(path, notebook):
    count = len(ignored(notebook))
    return [] if count <= MOST_IGNORED else [f"{count} cells nbval-ignore-output"]


def ignored(notebook):
    cells = code_cells(notebook)
    return [cell for cell in cells if "nbval-ignore-output" in tags_of(cell)]


@rule
def file_is_in_normal_form(path, notebook):
    normal = copy.deepcopy(notebook)
    normalise(normal)
    if path.read_bytes() == as_text(normal).encode("utf-8"):
        return []
    return ["not as `python -m authoring refresh` writes it"]
