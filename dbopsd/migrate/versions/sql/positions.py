"""Lines and columns of positions in a text."""


def line_and_column(text: str, offset: int, first_line: int = 1) -> tuple[int, int]:
    """The line and the column of a character, from 1; `offset` counts characters from 0.

    `first_line`: the line of the file that the text begins with.
    """
    offset = min(max(offset, 0), len(text))
    line_start = text.rfind("\n", 0, offset) + 1
    return first_line + text.count("\n", 0, offset), offset - line_start + 1
