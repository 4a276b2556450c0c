"""Lists of records: with chosen columns where we know what people look for, else with as many as fit."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ibkr_tools.fetch.columns import column_value
from ibkr_tools.fetch.formats import VALUE_COLUMN, Record, Rows
from ibkr_tools.number_format import (
    decode_exact,
    format_amount,
    format_price,
    format_quantity,
    format_unparsed,
    parse_number,
    single_line,
    truncate,
)
from ibkr_tools.views.text_table import Column, count_shown, format_count, format_table

__all__ = ["LIST_LAYOUTS", "format_records"]

_NUMERIC_TEXT = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?%?( [A-Z]{3})?")
"""A text that is a number to people: IBKR writes some with separators, and with a currency or a percent sign."""

_WITH_POINT = re.compile(rb"-?[0-9]+(\.[0-9]|[eE]).*")

_MAX_DECIMALS, _MAX_DECIMALS_BELOW_ONE = 4, 6
"""How many decimals a column has at most; the latter where all of its numbers are below one."""

_MAX_CELL_WIDTH = 40
"""Columns of the terminal; how much of a text is shown on one."""

Write = Callable[[Decimal], str]


class _ListColumn(msgspec.Struct, frozen=True):
    """A column of a list: its title, IBKR's names for it, how its numbers are written; None: it has texts."""

    title: str
    names: tuple[str, ...]
    write: Write | None = None

    def value(self, record: Record, resource: str) -> Any:
        """Returns what the first of the names has."""
        raws = (column_value(record, resource, name) for name in self.names)
        return decode_exact(next((raw for raw in raws if raw != b"null"), b"null"))


LIST_LAYOUTS: dict[str, tuple[str, tuple[_ListColumn, ...]]] = {
    "accounts": (
        "account",
        (
            _ListColumn("Account", ("id",)),
            _ListColumn("Title", ("accountTitle", "displayName")),
            _ListColumn("Alias", ("accountAlias",)),
            _ListColumn("Type", ("type",)),
            _ListColumn("Currency", ("currency",)),
            _ListColumn("Status", ("clearingStatus",)),
        ),
    ),
    "trades": (
        "trade",
        (
            _ListColumn("Account", ("account",)),
            _ListColumn("Time (UTC)", ("trade_time",)),
            _ListColumn("Side", ("side",)),
            _ListColumn("Symbol", ("contract_description_1", "symbol")),
            _ListColumn("Class", ("sec_type",)),
            _ListColumn("Quantity", ("size",), format_quantity),
            _ListColumn("Price", ("price",), format_price),
            _ListColumn("Net amount", ("net_amount",), format_amount),
            _ListColumn("Commission", ("commission",), format_amount),
        ),
    ),
    "orders": (
        "order",
        (
            _ListColumn("Account", ("acct",)),
            _ListColumn("Order", ("orderId",)),
            _ListColumn("Description", ("orderDesc",)),
            _ListColumn("Symbol", ("ticker",)),
            _ListColumn("Filled", ("filledQuantity",), format_quantity),
            _ListColumn("Remaining", ("remainingQuantity",), format_quantity),
            _ListColumn("Status", ("status",)),
        ),
    ),
}
"""By resource: what one row is, and the columns."""


def format_records(rows: Rows, *, everything: bool = False, width: int | None = None) -> str:
    """Returns the rows as a table; `everything`: all columns that IBKR sent, whatever the terminal's width."""
    records = list(rows)
    noun, layout = LIST_LAYOUTS.get(rows.name, ("row", ()))
    if layout and not everything:
        text, note = _layout_table(records, rows, layout, width), ""
    else:
        text, note = _generic_table(records, rows, None if everything else width)
    return "\n".join([*([text] if text else []), f"{format_count(len(records), noun)}{note}"])


def _layout_table(records: Sequence[Record], rows: Rows, layout: Sequence[_ListColumn], width: int | None) -> str:
    columns = [Column(list_column.title, is_text=list_column.write is None) for list_column in layout]
    cells = [[_cell(list_column, record, rows.name) for record in records] for list_column in layout]
    if rows.non_objects:
        columns.append(Column(VALUE_COLUMN, is_text=True))
        cells.append([_plain_value(record.get(VALUE_COLUMN, b"null")) for record in records])
    # What is empty everywhere tells nothing; a table without rows still shows its columns.
    used = [number for number, column in enumerate(cells) if any(column)] or range(len(columns))
    body = list(zip(*(cells[number] for number in used), strict=True))
    shown = [columns[number] for number in used]
    # What people look for first stands first.
    return format_table(shown, body, width=width, leave_out=[column.title for column in shown[:0:-1]])


def _cell(list_column: _ListColumn, record: Record, resource: str) -> str:
    value = list_column.value(record, resource)
    if list_column.write is None:
        return single_line(value)
    number = parse_number(value)
    return format_unparsed(value) if number is None else list_column.write(number)


def _generic_table(records: Sequence[Record], rows: Rows, width: int | None) -> tuple[str, str]:
    """Returns a table of the columns with plain values, as many as fit, and a note about the others."""
    names = rows.columns()
    columns: list[Column] = []
    cells: list[list[str]] = []
    for name in names:
        raws = [record.get(name, b"null") for record in records]
        if any(raw[:1] in {b"{", b"["} for raw in raws):
            continue
        column, texts = _generic_column(name, raws)
        if not any(texts):
            continue
        if width is not None and column.is_text:
            texts = [truncate(cell, _MAX_CELL_WIDTH) for cell in texts]
        columns.append(column)
        cells.append(texts)
    rows_of_cells = list(zip(*cells, strict=True))
    leave_out = [column.title for column in columns[:0:-1]]
    table = format_table(columns, rows_of_cells, width=width, leave_out=leave_out)
    shown = count_shown(columns, rows_of_cells, width=width, leave_out=leave_out)
    return table, f"; {shown} of {len(names)} columns, --format csv has all" if len(columns) < len(names) else ""


def _generic_column(name: str, raws: Sequence[bytes]) -> tuple[Column, list[str]]:
    """Returns a column of which only the values are known: numbers with a point get as many decimals as they need."""
    values = [decode_exact(raw) for raw in raws]
    numbers = [parse_number(value) for value in values]
    title = single_line(name)
    known_numbers = [number for number in numbers if number is not None]
    others = sum(1 for value, number in zip(values, numbers, strict=True) if number is None and value is not None)
    # A single value that is no number does not change the alignment of the others.
    if len(known_numbers) > others and any(_WITH_POINT.fullmatch(raw) for raw in raws):
        max_places = _MAX_DECIMALS if any(abs(number) >= 1 for number in known_numbers) else _MAX_DECIMALS_BELOW_ONE
        places = min(max_places, max(2, *map(_decimals, known_numbers)))
        cells = [
            format_unparsed(value) if number is None else format_amount(number, places)
            for value, number in zip(values, numbers, strict=True)
        ]
        return Column(title), cells
    cells = [_generic_cell(value) for value in values]
    return Column(title, is_text=not all(not cell or _NUMERIC_TEXT.fullmatch(cell) for cell in cells)), cells


def _generic_cell(value: object) -> str:
    """Returns a value as it was written; a sentinel at bearable width."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return format_unparsed(value)
    return single_line(value)


def _plain_value(raw: bytes) -> str:
    return truncate(single_line(decode_exact(raw)), _MAX_CELL_WIDTH)


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
