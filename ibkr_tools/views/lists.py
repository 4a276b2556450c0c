"""Lists of records: with chosen columns where we know what people look for, else with as many as fit."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ibkr_tools.cells import amount, as_came, columns_of, cut, decode, parse_number, plain, price, quantity
from ibkr_tools.fetch.columns import raw_of
from ibkr_tools.fetch.formats import VALUE, Record, Rows
from ibkr_tools.views.layout import GAP, Column, counted, table

__all__ = ["LISTED", "view"]

_AMOUNT = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?%?( [A-Z]{3})?")
"""A text that is a number to people: IBKR writes some with separators, and with a currency or a percent sign."""

_WITH_POINT = re.compile(rb"-?[0-9]+(\.[0-9]|[eE]).*")

_DECIMALS, _DECIMALS_OF_SMALL = 4, 6
"""How many a column has at most; the latter where all of its numbers are below one."""

_LONGEST_CELL = 40
"""Columns of the terminal; how much of a text is shown on one."""

Write = Callable[[Decimal], str]


class _Chosen(msgspec.Struct, frozen=True):
    """A column of a list: its title, IBKR's names for it, how its numbers are written; None: it has texts."""

    title: str
    names: tuple[str, ...]
    write: Write | None = None

    def value(self, record: Record, resource: str) -> Any:
        """Returns what the first of the names has."""
        raws = (raw_of(record, resource, name) for name in self.names)
        return decode(next((raw for raw in raws if raw != b"null"), b"null"))


LISTED: dict[str, tuple[str, tuple[_Chosen, ...]]] = {
    "accounts": (
        "account",
        (
            _Chosen("Account", ("id",)),
            _Chosen("Title", ("accountTitle", "displayName")),
            _Chosen("Alias", ("accountAlias",)),
            _Chosen("Type", ("type",)),
            _Chosen("Currency", ("currency",)),
            _Chosen("Status", ("clearingStatus",)),
        ),
    ),
    "trades": (
        "trade",
        (
            _Chosen("Account", ("account",)),
            _Chosen("Time (UTC)", ("trade_time",)),
            _Chosen("Side", ("side",)),
            _Chosen("Symbol", ("contract_description_1", "symbol")),
            _Chosen("Class", ("sec_type",)),
            _Chosen("Quantity", ("size",), quantity),
            _Chosen("Price", ("price",), price),
            _Chosen("Net amount", ("net_amount",), amount),
            _Chosen("Commission", ("commission",), amount),
        ),
    ),
    "orders": (
        "order",
        (
            _Chosen("Account", ("acct",)),
            _Chosen("Order", ("orderId",)),
            _Chosen("Description", ("orderDesc",)),
            _Chosen("Symbol", ("ticker",)),
            _Chosen("Filled", ("filledQuantity",), quantity),
            _Chosen("Remaining", ("remainingQuantity",), quantity),
            _Chosen("Status", ("status",)),
        ),
    ),
}
"""By resource: what one row is, and the columns."""


def view(rows: Rows, *, everything: bool = False, width: int | None = None) -> str:
    """Returns the rows as a table; `everything`: all columns that IBKR sent, whatever the terminal's width."""
    records = list(rows)
    noun, chosen = LISTED.get(rows.name, ("row", ()))
    if chosen and not everything:
        text, note = _chosen_table(records, rows, chosen, width), ""
    else:
        text, note = _free_table(records, rows, None if everything else width)
    return "\n".join([*([text] if text else []), f"{counted(len(records), noun)}{note}"])


def _chosen_table(records: Sequence[Record], rows: Rows, chosen: Sequence[_Chosen], width: int | None) -> str:
    columns = [Column(one.title, is_text=one.write is None) for one in chosen]
    cells = [[_cell(one, record, rows.name) for record in records] for one in chosen]
    if rows.odd:
        columns.append(Column(VALUE, is_text=True))
        cells.append([_plain_value(record.get(VALUE, b"null")) for record in records])
    # What is empty everywhere tells nothing; a table without rows still shows its columns.
    used = [number for number, column in enumerate(cells) if any(column)] or range(len(columns))
    body = list(zip(*(cells[number] for number in used), strict=True))
    return table([columns[number] for number in used], body, width=width)


def _cell(chosen: _Chosen, record: Record, resource: str) -> str:
    value = chosen.value(record, resource)
    if chosen.write is None:
        return plain(value)
    number = parse_number(value)
    return as_came(value) if number is None else chosen.write(number)


def _free_table(records: Sequence[Record], rows: Rows, width: int | None) -> tuple[str, str]:
    """Returns a table of the columns with plain values, as many as fit, and a note about the others."""
    names = rows.columns()
    columns: list[Column] = []
    cells: list[list[str]] = []
    left = width
    for name in names:
        raws = [record.get(name, b"null") for record in records]
        if any(raw[:1] in {b"{", b"["} for raw in raws):
            continue
        column, found = _free_column(name, raws)
        if not any(found):
            continue
        if left is not None:
            if column.is_text:
                found = [cut(cell, _LONGEST_CELL) for cell in found]
            left -= max(map(columns_of, (column.title, *found))) + (len(GAP) if columns else 0)
            if left < 0 and columns:
                break
        columns.append(column)
        cells.append(found)
    note = f"; {len(columns)} of {len(names)} columns, --format csv has all" if len(columns) < len(names) else ""
    return table(columns, list(zip(*cells, strict=True)), width=width), note


def _free_column(name: str, raws: Sequence[bytes]) -> tuple[Column, list[str]]:
    """Returns a column of which only the values are known: numbers with a point get as many decimals as they need."""
    values = [decode(raw) for raw in raws]
    numbers = [parse_number(value) for value in values]
    title = plain(name)
    found = [number for number in numbers if number is not None]
    others = sum(1 for value, number in zip(values, numbers, strict=True) if number is None and value is not None)
    # One that is none among many does not take their alignment.
    if len(found) > others and any(_WITH_POINT.fullmatch(raw) for raw in raws):
        most = _DECIMALS if any(abs(number) >= 1 for number in found) else _DECIMALS_OF_SMALL
        places = min(most, max(2, *map(_decimals, found)))
        cells = [
            as_came(value) if number is None else amount(number, places)
            for value, number in zip(values, numbers, strict=True)
        ]
        return Column(title), cells
    cells = [_free_cell(value) for value in values]
    return Column(title, is_text=not all(not cell or _AMOUNT.fullmatch(cell) for cell in cells)), cells


def _free_cell(value: object) -> str:
    """Returns a value as it was written; a mark at bearable width."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return as_came(value)
    return plain(value)


def _plain_value(raw: bytes) -> str:
    return cut(plain(decode(raw)), _LONGEST_CELL)


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
