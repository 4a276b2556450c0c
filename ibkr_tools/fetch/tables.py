"""Lists as tables for people: aligned, as wide as the terminal, with totals. Pure.

Letters that are two columns wide and letters that are none (combining marks) are counted as terminals do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum

from ibkr_tools.fetch.cells import columns_of, plain
from ibkr_tools.fetch.formats import VALUE, Record, Rows, text_of

_NUMBER = re.compile(rb"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER_WITH_POINT = re.compile(rb"-?[0-9]+(\.[0-9]|[eE]).*")
_AMOUNT = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?%?( [A-Z]{3})?")
"""A text that is a number to people: IBKR writes some with separators, and with a currency or a percent sign."""

_GAP = "  "

_MOST_DIGITS = 20
"""Before the point, or noughts after it; a number with more is shown as it was written."""

_DECIMALS, _DECIMALS_OF_SMALL = 4, 6
"""How many a column has at most where nobody has chosen any; the latter where all of its numbers are below one."""

_LONGEST_CELL = 40
"""Columns of the terminal; how much of a text is shown where nobody has chosen the columns."""

_SHORTEST_CELL = 12
"""Columns of the terminal; no text is cut shorter to make a table fit."""


class Style(Enum):
    """How the cells of a column are written: AMOUNT with two decimals, the others with as many as needed.

    For a QUANTITY that is by cell, for a RATE by column. What is a text in IBKR's answer is one in an EITHER too, such
    as a ratio or a time among amounts.
    """

    TEXT = "text"
    AMOUNT = "amount"
    QUANTITY = "quantity"
    RATE = "rate"
    EITHER = "either"


@dataclass(frozen=True)
class Column:
    """One column; `names` are where its value is, the first that is there and not null counts."""

    title: str
    names: tuple[str, ...]
    style: Style = Style.TEXT

    def raw(self, record: Record) -> bytes:
        """Returns the value's JSON."""
        return next((record[name] for name in self.names if record.get(name, b"null") != b"null"), b"null")


@dataclass(frozen=True)
class View:
    """The columns that people want to see of one resource, and what is counted.

    `largest` is the column by whose size the rows are ordered; it is added up for each value of `currency`.
    """

    columns: tuple[Column, ...]
    noun: str = "row"
    largest: Column | None = None
    total: str = ""
    currency: str = "currency"


_VALUE = Column("Value", ("mktValue", "marketValue"), Style.AMOUNT)
_ACCOUNT = Column("Account", ("acctId", "account"))
_CURRENCY = Column("Currency", ("currency",))
_POSITIONS = View(
    (
        _ACCOUNT,
        Column("Position", ("contractDesc", "description")),
        Column("Class", ("assetClass", "secType")),
        Column("Quantity", ("position",), Style.QUANTITY),
        Column("Price", ("mktPrice", "marketPrice"), Style.AMOUNT),
        _VALUE,
        Column("Unrealized P&L", ("unrealizedPnl",), Style.AMOUNT),
        _CURRENCY,
    ),
    noun="position",
    largest=_VALUE,
    total="market value",
)

VIEWS: Mapping[str, View] = {
    "positions": _POSITIONS,
    "positions2": _POSITIONS,
    "position": _POSITIONS,
    "positions_by_conid": _POSITIONS,
    "accounts": View(
        (
            Column("Account", ("accountId", "id")),
            Column("Title", ("accountTitle", "displayName")),
            Column("Alias", ("accountAlias",)),
            Column("Type", ("type",)),
            Column("Currency", ("currency",)),
            Column("Status", ("clearingStatus",)),
        ),
        noun="account",
    ),
    "summary": View((_ACCOUNT, Column("Key", ("key",)), Column("Value", ("value", "amount"), Style.EITHER), _CURRENCY)),
    "ledger": View(
        (
            _ACCOUNT,
            _CURRENCY,
            Column("Cash", ("cashbalance",), Style.AMOUNT),
            Column("Stocks", ("stockmarketvalue",), Style.AMOUNT),
            Column("Net liquidation", ("netliquidationvalue",), Style.AMOUNT),
            Column("Unrealized P&L", ("unrealizedpnl",), Style.AMOUNT),
            Column("Realized P&L", ("realizedpnl",), Style.AMOUNT),
            Column("Rate", ("exchangerate",), Style.RATE),
        )
    ),
    "allocation": View(
        (
            _ACCOUNT,
            Column("By", ("by",)),
            Column("Name", ("name",)),
            Column("Long", ("long",), Style.AMOUNT),
            Column("Short", ("short",), Style.AMOUNT),
        )
    ),
    "trades": View(
        (
            Column("Account", ("account", "accountCode")),
            Column("Time (UTC)", ("trade_time",)),
            Column("Side", ("side",)),
            Column("Symbol", ("contract_description_1", "symbol")),
            Column("Quantity", ("size",), Style.QUANTITY),
            Column("Price", ("price",), Style.RATE),
            Column("Net amount", ("net_amount",), Style.AMOUNT),
            Column("Commission", ("commission",), Style.AMOUNT),
        ),
        noun="trade",
    ),
    "orders": View(
        (
            Column("Account", ("acct", "account")),
            Column("Order", ("orderId",)),
            Column("Description", ("orderDesc",)),
            Column("Symbol", ("ticker",)),
            Column("Filled", ("filledQuantity",), Style.QUANTITY),
            Column("Remaining", ("remainingQuantity",), Style.QUANTITY),
            Column("Status", ("status",)),
        ),
        noun="order",
    ),
}
"""What people see of the resources that they look at most; all others have as many columns as fit."""


@dataclass(frozen=True)
class _Cells:
    """One column, ready to be laid out."""

    title: str
    cells: list[str]
    right: bool

    @property
    def width(self) -> int:
        """How many columns of the terminal it needs."""
        return max(columns_of(text) for text in (self.title, *self.cells))

    def cut(self, width: int) -> "_Cells":
        """Returns it with no text wider than this; numbers are never cut."""
        return self if self.right else _Cells(self.title, [_cut(cell, width) for cell in self.cells], right=False)


def as_table(rows: Rows, *, width: int | None = None, most: int | None = None, view: View | None = None) -> str:
    """Returns the rows as a table, without a newline at its end.

    Args:
        rows: what to show.
        width: how many columns the terminal has; None: the table may be as wide as it wants.
        most: how many rows to show; None: all.
        view: other columns than those of `VIEWS`.
    """
    records = list(rows)
    chosen = view or VIEWS.get(rows.name) or View(())
    if chosen.largest is not None:
        largest = chosen.largest
        records.sort(key=lambda record: abs(_amount(largest.raw(record))), reverse=True)
    shown = records if most is None else records[:most]
    cells = [_styled(column, [column.raw(record) for record in shown]) for column in chosen.columns]
    note = ""
    if not chosen.columns or (shown and not any(any(column.cells) for column in cells)):
        names = rows.columns()
        cells = _fitting(names, shown, width) or cells
        note = f"; {len(cells)} of {len(names)} columns, --format csv has all" if len(cells) < len(names) else ""
    elif rows.odd:
        cells.append(_free(VALUE, [record.get(VALUE, b"null") for record in shown]))
    # What is empty everywhere tells nothing; a table without rows still shows its columns.
    cells = [column for column in cells if any(column.cells)] or cells
    text = _layout(cells, width)
    if len(shown) < len(records):
        text.append(f"… and {len(records) - len(shown)} more")
    text.append(f"{len(records)} {chosen.noun}{'' if len(records) == 1 else 's'}{_totals(records, chosen)}{note}")
    return "\n".join(text)


def _fitting(names: Sequence[str], shown: Sequence[Record], width: int | None) -> list[_Cells]:
    """Returns the columns with plain values, as many as fit, where nobody has chosen any."""
    left = width
    found: list[_Cells] = []
    for name in names:
        raws = [record.get(name, b"null") for record in shown]
        if any(raw[:1] in {b"{", b"["} for raw in raws):
            continue
        column = _free(name, raws)
        if not any(column.cells):
            continue
        if left is not None:
            column = column.cut(_LONGEST_CELL)
            left -= column.width + (len(_GAP) if found else 0)
            if left < 0 and found:
                break
        found.append(column)
    return found


def _free(name: str, raws: Sequence[bytes]) -> _Cells:
    """Returns a column of which only the values are known: numbers with a point get as many decimals as they need."""
    numbers = [_number(raw) for raw in raws]
    given = [number for number, raw in zip(numbers, raws, strict=True) if raw != b"null"]
    right = bool(given) and None not in given
    points = right and any(raw[:1] != b'"' and _NUMBER_WITH_POINT.fullmatch(raw) for raw in raws)
    if not points:
        cells = [plain(text_of(raw)) for raw in raws]
        return _Cells(plain(name), cells, right or all(not cell or _AMOUNT.fullmatch(cell) for cell in cells))
    found = [number for number in numbers if number is not None]
    most = _DECIMALS if any(abs(number) >= 1 for number in found) else _DECIMALS_OF_SMALL
    places = _places(found, most)
    return _Cells(plain(name), ["" if number is None else _fixed(number, places) for number in numbers], right)


def _places(numbers: Sequence[Decimal], most: int) -> int:
    """Returns how many decimals the numbers of one column need, two at least."""
    return min(most, max([2, *(_decimals(number) for number in numbers)]))


def _styled(column: Column, raws: Sequence[bytes]) -> _Cells:
    def is_text(raw: bytes) -> bool:
        return column.style is Style.TEXT or (column.style is Style.EITHER and raw.startswith(b'"'))

    numbers = [None if is_text(raw) else _number(raw) for raw in raws]
    places = 2
    if column.style is Style.RATE:
        places = _places([number for number in numbers if number is not None], _DECIMALS_OF_SMALL)
    cells = [
        plain(text_of(raw))
        if number is None
        else _fixed(number, 8).rstrip("0").rstrip(".")
        if column.style is Style.QUANTITY
        else _fixed(number, places)
        for number, raw in zip(numbers, raws, strict=True)
    ]
    return _Cells(column.title, cells, column.style is not Style.TEXT)


def _fixed(number: Decimal, places: int) -> str:
    text = f"{number:,.{places}f}"
    # What is rounded to nothing has no sign.
    return text if text.strip("-0.,") else text.removeprefix("-")


def _number(raw: bytes) -> Decimal | None:
    """Returns a number, even one in quotes; None for anything else, and for what has too many digits to be read."""
    text = raw.strip(b'"')
    if not _NUMBER.fullmatch(text):
        return None
    try:
        number = Decimal(text.decode())
    except InvalidOperation:
        return None
    return number if not number or abs(number.adjusted()) < _MOST_DIGITS else None


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _amount(raw: bytes) -> Decimal:
    return _number(raw) or Decimal(0)


def _totals(records: Sequence[Record], view: View) -> str:
    if view.largest is None:
        return ""
    totals: dict[str, Decimal] = {}
    for record in records:
        if view.largest.raw(record) == b"null":
            continue
        currency = plain(text_of(record.get(view.currency, b"null"))) or "?"
        totals[currency] = totals.get(currency, Decimal(0)) + _amount(view.largest.raw(record))
    stated = ", ".join(f"{_fixed(total, 2)} {currency}" for currency, total in sorted(totals.items()))
    return f"; {view.total} {stated}" if stated else ""


def _layout(columns: Sequence[_Cells], width: int | None) -> list[str]:
    """Returns the lines; texts are cut, the widest first, as far as the terminal wants it."""
    if not columns:
        return []
    shaped = list(columns)
    while width is not None and sum(column.width for column in shaped) + len(_GAP) * (len(shaped) - 1) > width:
        texts = [column for column in shaped if not column.right and column.width > _SHORTEST_CELL]
        if not texts:
            break
        widest = max(texts, key=lambda column: column.width)
        shorter = widest.cut(widest.width - 1)
        if shorter.width == widest.width:
            break
        shaped[shaped.index(widest)] = shorter
    widths = [column.width for column in shaped]

    def line(cells: Sequence[str]) -> str:
        parts = (
            " " * (room - columns_of(cell)) + cell if column.right else cell + " " * (room - columns_of(cell))
            for cell, room, column in zip(cells, widths, shaped, strict=True)
        )
        return _GAP.join(parts).rstrip()

    body = zip(*(column.cells for column in shaped), strict=True)
    return [line([column.title for column in shaped]), _GAP.join("─" * room for room in widths), *map(line, body)]


def _cut(text: str, width: int) -> str:
    if columns_of(text) <= width:
        return text
    kept, room = "", width - 1
    for letter in text:
        room -= columns_of(letter)
        if room < 0:
            break
        kept += letter
    return f"{kept.rstrip()}…"
