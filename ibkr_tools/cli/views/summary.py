"""`ibkr-tools show summary`: net liquidation value, cash and margins first; everything with --all."""

from collections.abc import Mapping, Sequence
from typing import Any

from ibkr_tools.cli.views.grid import amount, grid, number, objects, plain, total

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


def view(snapshot: Mapping[str, Any], accounts: Sequence[str], *, everything: bool) -> str:
    """Returns one table of all accounts; `everything`: one table of each, with every key that IBKR sent."""
    part = objects(snapshot["summary"], "summary")
    parts = {name: objects(part.get(name), f"summary of {name}") for name in accounts}
    if everything:
        return "\n\n".join(_all(name, part) for name, part in parts.items())
    if len(accounts) > MOST_COLUMNS:
        return _rows(parts)
    return _columns(parts)


def _amount(part: dict[str, Any], key: str) -> float | None:
    record = part.get(key)
    return number(record.get("amount")) if isinstance(record, dict) and record.get("currency") else None


def _cell(record: object) -> str:
    """Returns what a record says: its amount if that is money, else its text."""
    if not isinstance(record, dict):
        return plain(record)
    if record.get("isNull") is True:
        return ""
    found = number(record.get("amount"))
    if record.get("currency"):
        return amount(found)
    return plain(record.get("value")) if record.get("value") is not None else amount(found)


def _currency(part: dict[str, Any]) -> str:
    record = part.get("netliquidation")
    return plain(record.get("currency")) if isinstance(record, dict) else ""


def _together(parts: Mapping[str, dict[str, Any]], key: str) -> str:
    values = [_amount(part, key) for part in parts.values()]
    return "" if None in values else amount(total(values))


def _columns(parts: Mapping[str, dict[str, Any]]) -> str:
    currencies = {_currency(part) for part in parts.values()}
    summed = len(parts) > 1 and len(currencies) == 1
    titles = [" ", *(f"{name} {_currency(part)}".rstrip() for name, part in parts.items())]
    titles += [f"Total {currencies.pop()}".rstrip()] if summed else []
    rows: list[list[str]] = []
    for group in _GROUPS:
        found = [(label, key) for key, label in group if any(key in part for part in parts.values())]
        rows += [[]] if rows and found else []
        for label, key in found:
            cells = [_cell(part.get(key)) for part in parts.values()]
            rows.append([label, *cells, *([_together(parts, key)] if summed else [])])
    return grid(titles, rows)


def _rows(parts: Mapping[str, dict[str, Any]]) -> str:
    currencies = {_currency(part) for part in parts.values()}
    rows = [[name, *(_cell(part.get(key)) for key, _ in _SHORT), _currency(part)] for name, part in parts.items()]
    totals = [["total", *(_together(parts, key) for key, _ in _SHORT), *currencies]] if len(currencies) == 1 else []
    return grid(["Account ", *(title for _, title in _SHORT), " "], rows, totals)


def _all(name: str, part: dict[str, Any]) -> str:
    known = [key for group in _GROUPS for key, _ in group]
    bare = list(dict.fromkeys(key.removesuffix("-s").removesuffix("-c") for key in part))
    ordered = [*(key for key in known if key in bare), *(key for key in bare if key not in known)]
    rows = [[key, *(_cell(part.get(f"{key}{end}")) for end in ("", "-s", "-c"))] for key in ordered]
    return grid([f"{name} {_currency(part)} ", "Total", "Securities", "Commodities"], rows)
