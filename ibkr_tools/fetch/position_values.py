"""How much of what a ledger has in positions the rows of positions account for. Pure.

A list of positions that ends too early looks like a shorter list. The ledger has the market values of what is owned, by
currency, so what is lost there is missing here. Rows and ledger are of different moments, and only a large part counts.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ibkr_tools.number_format import EXACT_CONTEXT, ZERO, exact_sum, format_amount, parse_number

_COMPARED_CLASSES = frozenset({"STK", "OPT", "FOP", "WAR", "IOPT", "BOND", "BILL"})
"""Classes whose values stand under a key of their own in every ledger that is known."""

_COMPARED_KEYS = (
    "stockmarketvalue",
    "stockoptionmarketvalue",
    "futureoptionmarketvalue",
    "warrantsmarketvalue",
    "issueroptionsmarketvalue",
    "corporatebondsmarketvalue",
    "tbondsmarketvalue",
    "tbillsmarketvalue",
)
"""Where they stand."""

_BASE_ROW = "BASE"
_FULL_PAGE_ROWS = 100

_TOLERANCE = Decimal("0.5")
"""How far apart the two may be, as a part of the larger one: prices move, and one may not know of a trade yet."""

_FULL_PAGE_TOLERANCE = Decimal("0.1")
"""The same where the list has ended on a full page, after which an empty one came."""


class PositionValues(msgspec.Struct, frozen=True):
    """What is owned in each currency: `net` of long and short, and `gross`; `rows` is how many there are.

    `is_known`: every row has a value, a class and a currency.
    """

    net: dict[str, Decimal] = {}
    gross: dict[str, Decimal] = {}
    rows: int = 0
    is_known: bool = True

    def __add__(self, other: "PositionValues") -> "PositionValues":
        """Returns what two pages of one list have together."""
        return PositionValues(
            _add(self.net, other.net),
            _add(self.gross, other.gross),
            self.rows + other.rows,
            self.is_known and other.is_known,
        )


def _add(values: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {name: exact_sum((values.get(name), other.get(name))) for name in {**values, **other}}


def parse_row_values(rows: Iterable[Mapping[str, Any]]) -> PositionValues:
    """Returns what rows of positions are worth."""
    net: dict[str, Decimal] = {}
    gross: dict[str, Decimal] = {}
    count, are_known = 0, True
    for row in rows:
        count += 1
        kind = row.get("assetClass", row.get("secType"))
        value, currency = parse_number(row.get("mktValue", row.get("marketValue"))), row.get("currency")
        is_known = isinstance(kind, str) and value is not None and isinstance(currency, str) and bool(currency)
        are_known = are_known and is_known
        if is_known and kind in _COMPARED_CLASSES and value is not None:
            net[str(currency)] = EXACT_CONTEXT.add(net.get(str(currency), ZERO), value)
            gross[str(currency)] = EXACT_CONTEXT.add(gross.get(str(currency), ZERO), abs(value))
    return PositionValues(net, gross, count, are_known)


def parse_ledger_values(ledger: Mapping[str, Any]) -> PositionValues:
    """Returns what the rows of a ledger have in positions; of the currencies, not of their sum."""
    net: dict[str, Decimal] = {}
    for currency, row in ledger.items():
        if currency != _BASE_ROW and isinstance(row, Mapping):
            stated = [parse_number(row[key]) for key in _COMPARED_KEYS if key in row]
            if not stated or None in stated:
                return PositionValues(is_known=False)
            net[currency] = exact_sum(stated)
    return PositionValues(net)


def describe_missing_value(rows: PositionValues, ledger: PositionValues) -> str:
    """Returns what the rows lack of the ledger's values, in words; empty if nothing, or if that cannot be told."""
    if not (rows.rows and rows.is_known and ledger.is_known) or not rows.net.keys() <= ledger.net.keys():
        return ""
    ends_on_full_page = rows.rows % _FULL_PAGE_ROWS == 0
    tolerance = _FULL_PAGE_TOLERANCE if ends_on_full_page else _TOLERANCE
    for currency, stated in sorted(ledger.net.items()):
        listed = rows.net.get(currency, ZERO)
        size = max(abs(stated), rows.gross.get(currency, ZERO))
        if abs(stated - listed) > tolerance * size:
            return f"{format_amount(listed)} {currency} of {format_amount(stated)}"
    return ""
