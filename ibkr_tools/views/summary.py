"""The table of summaries: net liquidation value, cash and margins first; everything if that is asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ibkr_tools.cells import amount, figure, parse_number, plain
from ibkr_tools.views.layout import Column, table
from ibkr_tools.views.parts import Sums, objects

if TYPE_CHECKING:
    from ibkr_tools.fetch.saved import Snapshot

__all__ = ["MOST_COLUMNS", "view"]

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
_SHORT = (
    ("netliquidation", "Net liquidation"),
    ("totalcashvalue", "Cash"),
    ("grosspositionvalue", "Positions, gross"),
    ("initmarginreq", "Initial margin"),
    ("maintmarginreq", "Maint. margin"),
    ("excessliquidity", "Excess liquidity"),
)

MOST_COLUMNS = 3
"""More accounts than this get a row each."""

Parts = Mapping[str, dict[str, Any]]


def view(snapshot: "Snapshot", *, everything: bool = False, width: int | None = None) -> str:
    """Returns one table of all accounts; `everything`: one table of each, with every key that IBKR sent."""
    part = objects(snapshot.exact("summary"), "summary")
    parts = {name: objects(part.get(name), f"summary of {name}") for name in snapshot.covers.accounts}
    if everything:
        return "\n\n".join(_all(name, part, width) for name, part in parts.items())
    return _rows(parts, width) if len(parts) > MOST_COLUMNS else _columns(parts, width)


def _cell(record: object) -> str:
    """Returns what a record says: its amount if that is money, else its text."""
    if not isinstance(record, dict):
        return plain(record)
    if record.get("isNull") is True:
        return ""
    if record.get("currency") or record.get("value") is None:
        return figure(record.get("amount"))
    return plain(record["value"])


def _money(record: object) -> tuple[bool, Any]:
    """Returns whether a record is about money, and its amount."""
    if not isinstance(record, dict) or not record.get("currency") or record.get("isNull") is True:
        return False, None
    return True, record.get("amount")


def _currency(part: dict[str, Any]) -> str:
    record = part.get("netliquidation")
    return plain(record.get("currency")) if isinstance(record, dict) else ""


def _together(parts: Parts, key: str, title: str, sums: Sums) -> str:
    """Returns the sum over accounts; nothing for what is no money, such as a ratio."""
    found = {name: _money(part.get(key)) for name, part in parts.items()}
    if not any(is_money for is_money, _ in found.values()):
        return ""
    # What an account does not say at all is a hole too.
    values = [(name, value if is_money and value is not None else "") for name, (is_money, value) in found.items()]
    if all(parse_number(value) is None for _, value in values):
        return ""
    return amount(sums.of(title, values))


def _columns(parts: Parts, width: int | None) -> str:
    currencies = {_currency(part) for part in parts.values()}
    summed, sums = len(parts) > 1 and len(currencies) == 1 and "" not in currencies, Sums()
    columns = [
        Column("", is_text=True),
        *(Column(f"{name} {_currency(part)}".rstrip()) for name, part in parts.items()),
    ]
    columns += [Column(f"Total {currencies.pop()}")] if summed else []
    rows: list[list[str]] = []
    for group in _GROUPS:
        found = [(label, key) for label, key in ((label, key) for key, label in group)
                 if any(key in part for part in parts.values())]  # fmt: skip
        rows += [[""] * len(columns)] if rows and found else []
        for label, key in found:
            cells = [_cell(part.get(key)) for part in parts.values()]
            rows.append([label, *cells, *([_together(parts, key, label, sums)] if summed else [])])
    return "\n".join([table(columns, rows, width=width), *sums.remarks()])


def _rows(parts: Parts, width: int | None) -> str:
    sums = Sums()
    by_currency: dict[str, dict[str, dict[str, Any]]] = {}
    for name, part in parts.items():
        by_currency.setdefault(_currency(part), {})[name] = part
    rows = [[name, *(_cell(part.get(key)) for key, _ in _SHORT), _currency(part)] for name, part in parts.items()]
    totals = [
        ["total", *(_together(own, key, title, sums) for key, title in _SHORT), currency]
        for currency, own in by_currency.items()
        if currency and (len(own) > 1 or len(by_currency) == 1)
    ]
    columns = [
        Column("Account", is_text=True),
        *(Column(title) for _, title in _SHORT),
        Column("Currency" if len(by_currency) > 1 else "", is_text=True),
    ]
    return "\n".join([table(columns, rows, totals, width=width), *sums.remarks()])


def _all(name: str, part: dict[str, Any], width: int | None) -> str:
    known = [key for group in _GROUPS for key, _ in group]
    bare = list(dict.fromkeys(key.removesuffix("-s").removesuffix("-c") for key in part))
    ordered = [*(key for key in known if key in bare), *(key for key in bare if key not in known)]
    rows = [[key, *(_cell(part.get(f"{key}{end}")) for end in ("", "-s", "-c"))] for key in ordered]
    titles = [Column(f"{name} {_currency(part)}".rstrip(), is_text=True), Column("Total"), Column("Securities")]
    return table([*titles, Column("Commodities")], rows, width=width)
