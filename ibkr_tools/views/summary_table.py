"""The table of summaries: net liquidation value, cash and margins first; everything if that is asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ibkr_tools.number_format import format_amount, format_figure, parse_number, single_line
from ibkr_tools.views.payload_sums import PartialSums, require_object
from ibkr_tools.views.text_table import Column, format_table

if TYPE_CHECKING:
    from ibkr_tools.fetch.snapshot import Snapshot

__all__ = ["MAX_ACCOUNT_COLUMNS", "format_summary"]

_GROUPS = (
    (
        ("netliquidation", "Net liquidation value"),
        ("totalcashvalue", "Cash"),
        ("grosspositionvalue", "Positions, gross"),
        ("accruedcash", "Accrued interest"),
        ("accrueddividend", "Accrued dividends"),
        ("previousdayequitywithloanvalue", "Equity, previous day"),
    ),
    (
        ("initmarginreq", "Initial margin"),
        ("maintmarginreq", "Maintenance margin"),
        ("availablefunds", "Available funds"),
        ("excessliquidity", "Excess liquidity"),
        ("buyingpower", "Buying power"),
        ("cushion", "Cushion"),
        ("leverage-s", "Leverage"),
    ),
)
_ROW_COLUMNS = (
    ("netliquidation", "Net liquidation"),
    ("totalcashvalue", "Cash"),
    ("grosspositionvalue", "Positions, gross"),
    ("initmarginreq", "Initial margin"),
    ("maintmarginreq", "Maint. margin"),
    ("excessliquidity", "Excess liquidity"),
)

_LEFT_OUT_FIRST = ("Maint. margin", "Initial margin", "Excess liquidity", "Positions, gross", "Cash")
"""Columns of the table of many accounts that a narrow terminal goes without, in this order."""

MAX_ACCOUNT_COLUMNS = 3
"""More accounts than this get a row each."""

Parts = Mapping[str, dict[str, Any]]


def format_summary(snapshot: "Snapshot", *, everything: bool = False, width: int | None = None) -> str:
    """Returns one table of all accounts; `everything`: one table of each, with every key that IBKR sent."""
    part = require_object(snapshot.exact("summary"), "summary")
    parts = {name: require_object(part.get(name), f"summary of {name}") for name in snapshot.covers.accounts}
    if everything:
        return "\n\n".join(_complete_table(name, part, width) for name, part in parts.items())
    return _accounts_as_rows(parts, width) if len(parts) > MAX_ACCOUNT_COLUMNS else _accounts_as_columns(parts, width)


def _cell(record: object) -> str:
    """Returns what a record says: its amount if that is money, else its text."""
    if not isinstance(record, dict):
        return single_line(record)
    if record.get("isNull") is True:
        return ""
    if record.get("currency") or record.get("value") is None:
        return format_figure(record.get("amount"))
    return single_line(record["value"])


def _money(record: object) -> tuple[bool, Any]:
    """Returns whether a record is about money, and its amount."""
    if not isinstance(record, dict) or not record.get("currency") or record.get("isNull") is True:
        return False, None
    return True, record.get("amount")


def _currency(part: dict[str, Any]) -> str:
    record = part.get("netliquidation")
    return single_line(record.get("currency")) if isinstance(record, dict) else ""


def _sum_over_accounts(parts: Parts, key: str, title: str, sums: PartialSums) -> str:
    """Returns the sum over accounts; nothing for what is no money, such as a ratio."""
    amounts = {name: _money(part.get(key)) for name, part in parts.items()}
    if not any(is_money for is_money, _ in amounts.values()):
        return ""
    # An account without the key has no number either.
    values = [(name, value if is_money and value is not None else "") for name, (is_money, value) in amounts.items()]
    if all(parse_number(value) is None for _, value in values):
        return ""
    return format_amount(sums.add(title, values))


def _accounts_as_columns(parts: Parts, width: int | None) -> str:
    currencies = {_currency(part) for part in parts.values()}
    summed, sums = len(parts) > 1 and len(currencies) == 1 and "" not in currencies, PartialSums()
    columns = [
        Column("", is_text=True),
        *(Column(f"{name} {_currency(part)}".rstrip()) for name, part in parts.items()),
    ]
    columns += [Column(f"Total {currencies.pop()}")] if summed else []
    rows: list[list[str]] = []
    for group in _GROUPS:
        labels = [(label, key) for label, key in ((label, key) for key, label in group)
                 if any(key in part for part in parts.values())]  # fmt: skip
        rows += [[""] * len(columns)] if rows and labels else []
        for label, key in labels:
            cells = [_cell(part.get(key)) for part in parts.values()]
            rows.append([label, *cells, *([_sum_over_accounts(parts, key, label, sums)] if summed else [])])
    return "\n".join([format_table(columns, rows, width=width), *sums.remarks()])


def _accounts_as_rows(parts: Parts, width: int | None) -> str:
    sums = PartialSums()
    by_currency: dict[str, dict[str, dict[str, Any]]] = {}
    for name, part in parts.items():
        by_currency.setdefault(_currency(part), {})[name] = part
    rows = [[name, *(_cell(part.get(key)) for key, _ in _ROW_COLUMNS), _currency(part)] for name, part in parts.items()]
    totals = [
        ["total", *(_sum_over_accounts(currency_parts, key, title, sums) for key, title in _ROW_COLUMNS), currency]
        for currency, currency_parts in by_currency.items()
        if currency and (len(currency_parts) > 1 or len(by_currency) == 1)
    ]
    columns = [
        Column("Account", is_text=True),
        *(Column(title) for _, title in _ROW_COLUMNS),
        Column("Currency" if len(by_currency) > 1 else "", is_text=True),
    ]
    return "\n".join([format_table(columns, rows, totals, width=width, leave_out=_LEFT_OUT_FIRST), *sums.remarks()])


def _complete_table(name: str, part: dict[str, Any], width: int | None) -> str:
    known = [key for group in _GROUPS for key, _ in group]
    bare = list(dict.fromkeys(key.removesuffix("-s").removesuffix("-c") for key in part))
    ordered = [*(key for key in known if key in bare), *(key for key in bare if key not in known)]
    rows = [[key, *(_cell(part.get(f"{key}{end}")) for end in ("", "-s", "-c"))] for key in ordered]
    titles = [Column(f"{name} {_currency(part)}".rstrip(), is_text=True), Column("Total"), Column("Securities")]
    return format_table([*titles, Column("Commodities")], rows, width=width)
