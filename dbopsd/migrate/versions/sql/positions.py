"""Lines and columns of positions in a text."""

from dbopsd.migrate.versions.model.migration_file import Script


def line_and_column(text: str, offset: int, first_line: int = 1) -> tuple[int, int]:
    """The line and the column of a character, from 1; `offset` counts characters from 0.

    `first_line`: the line of the file that the text begins with.
    """
    offset = min(max(offset, 0), len(text))
    line_start = text.rfind("\n", 0, offset) + 1
    return first_line + text.count("\n", 0, offset), offset - line_start + 1


def place(script: Script, offset: int) -> tuple[int, int]:
    """The line and the column in the script's file of a character of its text.

    A character of a variable's value has the place of its placeholder.
    """
    before: list[str] = []
    passed = 0
    for replaced in script.replaced:
        if replaced.start > offset:
            break
        before.append(script.text[passed : replaced.start])
        passed = replaced.end
        if offset < replaced.end:
            offset = passed
            break
        before.append(replaced.placeholder)
    before.append(script.text[passed : max(offset, passed)])
    original = "".join(before)
    return line_and_column(original, len(original), script.first_line)
