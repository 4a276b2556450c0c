"""Tables of text: columns aligned as terminals show them, totals under a rule, no wider than the terminal. Pure.

Numbers are never cut: columns are left out in an order that each table states, and counted under it. Written here and
not with a library: `show` is done in less time than it takes to load one.
"""

from collections.abc import Sequence

import msgspec

from ibkr_tools.number_format import display_width, truncate, wrap_text

__all__ = ["Column", "count_shown", "format_count", "format_table", "wrap_lines"]

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
    leave_out: Sequence[str] = (),
) -> str:
    """Returns a table without a newline at its end; a line under it counts the columns that are left out.

    Args:
        columns: what is in the rows.
        rows: the cells; a row of empty cells is an empty line.
        totals: rows under a rule at the end.
        width: how many columns the terminal has; None: the table may be as wide as it wants.
        leave_out: titles of columns that a narrow terminal goes without, the first one first. Where that is not
            enough the others follow, the last one first; the first column always stays.
    """
    if not columns:
        return ""
    lines = [[column.title for column in columns], *rows, *totals]
    sizes = [max(map(display_width, cells)) for cells in zip(*lines, strict=True)]
    total, shown = len(columns), _fit_columns(columns, sizes, leave_out, width)
    columns, sizes = [columns[number] for number in shown], [sizes[number] for number in shown]
    lines = [[cells[number] for number in shown] for cells in lines]
    widths = _fit_widths(columns, sizes, width)
    rule = COLUMN_GAP.join("─" * size for size in widths)

    def line(cells: Sequence[str]) -> str:
        parts = []
        for cell, size, column in zip(cells, widths, columns, strict=True):
            shown_cell = truncate(cell, size)
            gap = " " * (size - display_width(shown_cell))
            parts.append(shown_cell + gap if column.is_text else gap + shown_cell)
        return COLUMN_GAP.join(parts).rstrip()

    text = [line(cells) for cells in lines]
    text.insert(1, rule)
    if totals:
        text.insert(len(text) - len(totals), rule)
    if left_out := total - len(shown):
        text.append(f"{format_count(left_out, 'column')} left out; --all, or a wider terminal")
    return "\n".join(text)


def count_shown(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int | None, leave_out: Sequence[str]
) -> int:
    """Returns how many columns `format_table` shows of them."""
    if width is None or not columns:
        return len(columns)
    lines = [[column.title for column in columns], *rows]
    sizes = [max(map(display_width, cells)) for cells in zip(*lines, strict=True)]
    return len(_fit_columns(columns, sizes, leave_out, width))


def _fit_columns(
    columns: Sequence[Column], sizes: Sequence[int], leave_out: Sequence[str], width: int | None
) -> list[int]:
    """Returns the numbers of the columns that the terminal has room for; see `format_table`."""
    shown = list(range(len(columns)))
    if width is None:
        return shown
    # Several may have one title.
    stated = list(
        dict.fromkeys(number for title in leave_out for number in shown[1:] if columns[number].title == title)
    )
    others = [number for number in reversed(shown[1:]) if number not in stated]

    def is_too_wide(least: int) -> bool:
        needed = (
            min(sizes[number], _least_width(columns[number], least)) if columns[number].is_text else sizes[number]
            for number in shown
        )
        return sum(needed) + len(COLUMN_GAP) * (len(shown) - 1) > width

    for least, candidates in ((READABLE_WIDTH, stated), (MIN_CELL_WIDTH, others)):
        for number in candidates:
            if not is_too_wide(least):
                break
            shown.remove(number)
    return shown


def _least_width(column: Column, least: int) -> int:
    """Returns how wide a column of texts has to be: so wide that its title can be read."""
    return max(least, min(display_width(column.title), READABLE_WIDTH))


def wrap_lines(text: str, width: int | None) -> str:
    """Returns a text of which no line is wider than the terminal, broken between words; JSON stays as it is."""
    if width is None or text[:1] in {"{", "["}:
        return text
    lines = text.split("\n")
    if all(display_width(line) <= width for line in lines):
        return text
    wrapped = (wrap_text(line, width) if display_width(line) > width else [line] for line in lines)
    return "\n".join(part for parts in wrapped for part in parts)


def _fit_widths(columns: Sequence[Column], sizes: Sequence[int], width: int | None) -> list[int]:
    """Returns how wide each column is: texts are cut, the widest first, as far as the terminal wants it."""
    widths = list(sizes)
    if width is None:
        return widths
    over = sum(widths) + len(COLUMN_GAP) * (len(widths) - 1) - width
    while over > 0:
        texts = [
            number
            for number, column in enumerate(columns)
            if column.is_text and widths[number] > _least_width(column, MIN_CELL_WIDTH)
        ]
        if not texts:
            break
        widths[max(texts, key=lambda number: widths[number])] -= 1
        over -= 1
    return widths
