"""Tables of text: columns, a rule, rows, totals; and numbers as people read them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ibkr_tools.errors import DataError
from ibkr_tools.fetch import cells
from ibkr_tools.fetch.cells import columns_of


def plain(value: object) -> str:
    """Returns a value as a text on one line; "" for null."""
    return "" if value is None else cells.plain(str(value))


def number(value: object) -> float | None:
    """Returns a number that came as one or as a text; None for anything else, an infinity too."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def amount(value: float | None, digits: int = 2) -> str:
    """Returns 1,234.50; "" for none."""
    # Rounded first, so that nothing is -0.00.
    return "" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}"


def quantity(value: object) -> str:
    """Returns a quantity with all its digits up to eight, and no zeros after them."""
    found = number(value)
    return "" if found is None else amount(found, 8).rstrip("0").rstrip(".")


def percent(value: float | None, *, signed: bool = False, digits: int = 1) -> str:
    """Returns 12.3 % for 0.123; "" for none."""
    if value is None:
        return ""
    return f"{round(value * 100, digits) + 0.0:{'+' if signed else ''},.{digits}f} %"


def share(part: float | None, whole: float | None) -> float | None:
    """Returns which part of the whole it is; None where that has no meaning."""
    return part / whole if part is not None and whole else None


def total(values: Iterable[float | None]) -> float:
    """Adds what there is."""
    return math.fsum(value for value in values if value is not None)


def objects(value: Any, what: str) -> dict[str, Any]:
    """Returns a JSON object.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, dict):
        raise DataError(f"{what}: expected an object, got {type(value).__name__}", hint="`-f json` prints it as it is.")
    return value


def grid(titles: Sequence[str], rows: Sequence[Sequence[str]], totals: Sequence[Sequence[str]] = ()) -> str:
    """Returns a table; a title that ends with a space heads a column of texts, the others one of numbers.

    An empty row is an empty line; `totals` come last, under a rule.
    """
    lines = [[title.strip() for title in titles], *rows, *totals]
    sizes = [[columns_of(cell) for cell in line] for line in lines]
    widths = [max(line[column] for line in sizes if line) for column in range(len(titles))]
    texts = [title.endswith(" ") for title in titles]
    rule = "  ".join("─" * wide for wide in widths)

    def layout(line: Sequence[str], own: Sequence[int]) -> str:
        parts = []
        for cell, size, wide, is_text in zip(line, own, widths, texts, strict=False):
            gap = " " * (wide - size)
            parts.append(cell + gap if is_text else gap + cell)
        return "  ".join(parts).rstrip()

    text = [layout(line, size) for line, size in zip(lines, sizes, strict=True)]
    text.insert(1, rule)
    if totals:
        text.insert(len(text) - len(totals), rule)
    return "\n".join(text)
