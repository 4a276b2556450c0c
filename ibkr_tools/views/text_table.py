"""Tables of text: columns aligned as terminals show them, totals under a rule, no wider than the terminal. Pure.

Numbers are never cut. Written here and not with a library: `show` is done in less time than it takes to load one.
"""

from collections.abc import Sequence

import msgspec

from ibkr_tools.number_format import display_width, truncate

__all__ = ["Column", "fit_columns", "format_count", "format_table"]

COLUMN_GAP = "  "
MIN_CELL_WIDTH = 12
"""Columns of the terminal; no text is cut shorter to make a table fit."""

READABLE_WIDTH = 16
"""Columns of the terminal; before texts become shorter, a table goes without the columns that it can do without."""


class Column(msgspec.Struct, frozen=True):
    """A column's title, and whether it has texts: these are on the left and may be cut."""

    title: str
    is_text: bool = False


def format_count(count: int, noun: str) -> str:
    """Returns "1 row", "2 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    totals: Sequence[Sequence[str]] = (),
    *,
    width: int | None = None,
) -> str:
    """Returns a table without a newline at its end.

    Args:
        columns: what is in the rows.
        rows: the cells; a row of empty cells is an empty line.
        totals: rows under a rule at the end.
        width: how many columns the terminal has; None: the table may be as wide as it wants.
    """
    if not columns:
        return ""
    lines = [[column.title for column in columns], *rows, *totals]
    sizes = [max(map(display_width, cells)) for cells in zip(*lines, strict=True)]
    widths = _fit_widths(columns, sizes, width)
    rule = COLUMN_GAP.join("─" * size for size in widths)

    def line(cells: Sequence[str]) -> str:
        parts = []
        for cell, size, column in zip(cells, widths, columns, strict=True):
            shown = truncate(cell, size)
            gap = " " * (size - display_width(shown))
            parts.append(shown + gap if column.is_text else gap + shown)
        return COLUMN_GAP.join(parts).rstrip()

    text = [line(cells) for cells in lines]
    text.insert(1, rule)
    if totals:
        text.insert(len(text) - len(totals), rule)
    return "\n".join(text)


def fit_columns(
    columns: Sequence[Column], sizes: Sequence[int], optional: Sequence[str], width: int | None
) -> list[int]:
    """Returns the numbers of the columns that the terminal has room for.

    Args:
        columns: all of them.
        sizes: how wide each one is, with its title.
        optional: titles of those that may be left out, the first one first.
        width: how many columns the terminal has; None: all are shown.
    """
    shown = list(range(len(columns)))
    if width is None:
        return shown
    needed = [
        min(size, max(READABLE_WIDTH, display_width(column.title))) if column.is_text else size
        for column, size in zip(columns, sizes, strict=True)
    ]
    numbers = {column.title: number for number, column in enumerate(columns)}
    for title in optional:
        if sum(needed[number] for number in shown) + len(COLUMN_GAP) * (len(shown) - 1) <= width:
            break
        if title in numbers:
            shown.remove(numbers[title])
    return shown


def _fit_widths(columns: Sequence[Column], sizes: Sequence[int], width: int | None) -> list[int]:
    """Returns how wide each column is: texts are cut, the widest first, as far as the terminal wants it."""
    widths = list(sizes)
    if width is None:
        return widths
    over = sum(widths) + len(COLUMN_GAP) * (len(widths) - 1) - width
    while over > 0:
        texts = [number for number, column in enumerate(columns) if column.is_text and widths[number] > MIN_CELL_WIDTH]
        if not texts:
            break
        widths[max(texts, key=lambda number: widths[number])] -= 1
        over -= 1
    return widths
