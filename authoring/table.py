"""The README's table of lessons, written from the notebooks' first cells."""

from authoring.house import README, ROOT, head_of, notebooks, read

BEGIN, END = "<!-- lessons -->", "<!-- /lessons -->"


def lesson_table() -> str:
    """Return the table of all lessons in Markdown.

    Raises
    ------
    ValueError
        When a notebook's first cell lacks something, naming the notebook.
    """
    rows = ["| lesson | in one sentence | minutes |", "| --- | --- | --- |"]
    for path in notebooks():
        try:
            head = head_of(read(path))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
        link = path.relative_to(ROOT).as_posix()
        promise = head.promise.replace("|", r"\|")
        rows.append(
            f"| [{head.number} {head.title}]({link}) | {promise} | {head.minutes} |"
        )
    return "\n".join(rows)


def readme_with(table: str) -> str:
    """Return the text of the README with `table` between its two markers."""
    text = README.read_text(encoding="utf-8")
    if not text:
        text = f"{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def is_current() -> bool:
    """Tell whether the README holds the table as it would be written now."""
    return README.read_text(encoding="utf-8") == readme_with(lesson_table())


def write() -> bool:
    """Write the table into the README; False if it stood there already."""
    if is_current():
        return False
    text = readme_with(lesson_table())
    README.write_text(text, encoding="utf-8", newline="\n")
    return True
