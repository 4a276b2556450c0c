"""`ibkr-tools show positions`: largest first, with weights where the ledger has the rates."""

from collections.abc import Mapping, Sequence
from typing import Any

from ibkr_tools.cli.views.grid import amount, grid, number, percent, plain, quantity, share, total
from ibkr_tools.cli.views.money import Money
from ibkr_tools.errors import DataError

# What IBKR calls them, and what it calls them where it answers past its cache (`fetch --fresh`).
NAME = ("contractDesc", "description")
CLASS = ("assetClass", "secType")
PRICE = ("mktPrice", "marketPrice")
VALUE = ("mktValue", "marketValue")


def view(snapshot: Mapping[str, Any], accounts: Sequence[str], *, everything: bool) -> str:
    """Returns the table; `everything` also shows positions that are closed, and what each costs."""
    rows = snapshot["positions"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError("positions: rows that are not objects cannot be shown as a table")
    open_rows = [row for row in rows if number(row.get("position")) != 0.0]
    shown = rows if everything else open_rows
    money = Money(snapshot, accounts)
    base = money.base
    whole = money.net_liquidation()
    values = {id(row): _in_base(row, _of(row, VALUE), money) for row in shown}
    shown = sorted(shown, key=lambda row: abs(values[id(row)] or number(_of(row, VALUE)) or 0.0), reverse=True)
    currencies = sorted({plain(row.get("currency")) for row in shown})
    converted = base is not None and currencies not in ([base], []) and None not in values.values()
    columns: list[tuple[str, Any]] = [
        ("Account ", (lambda row: plain(row.get("acctId"))) if len(accounts) > 1 else None),
        ("Position ", lambda row: plain(_of(row, NAME) or row.get("conid"))),
        ("Class ", lambda row: plain(_of(row, CLASS))),
        ("Quantity", lambda row: quantity(row.get("position"))),
        ("Avg. cost", (lambda row: amount(number(row.get("avgCost")))) if everything else None),
        ("Price", lambda row: amount(number(_of(row, PRICE)))),
        ("Value", lambda row: amount(number(_of(row, VALUE)))),
        ("Unrealized", lambda row: amount(number(row.get("unrealizedPnl")))),
        ("Realized", (lambda row: amount(number(row.get("realizedPnl")))) if everything else None),
        (" ", lambda row: plain(row.get("currency"))),
        (f"Value {base}", (lambda row: amount(values[id(row)])) if converted else None),
        ("Weight", (lambda row: percent(share(values[id(row)], whole))) if whole else None),
    ]
    used = [(title, cell) for title, cell in columns if cell is not None]
    totals = []
    if converted:
        worth = total(values.values())
        sums = {f"Value {base}": amount(worth), "Weight": percent(share(worth, whole))}
        totals = [["total", *(sums.get(title, "") for title, _ in used[1:])]]
    lines = [grid([title for title, _ in used], [[cell(row) for _, cell in used] for row in shown], totals)]
    noun = "position" if len(shown) == 1 else "positions"
    closed = len(rows) - len(shown)
    lines.append(
        f"{len(shown)} {noun}{_worth(shown, values, money)}" + (f"; {closed} closed, shown by --all" if closed else "")
    )
    if whole is not None:
        lines.append(f"net liquidation value {amount(whole)} {base}")
    return "\n".join(lines)


def _of(row: dict[str, Any], names: tuple[str, str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _in_base(row: dict[str, Any], stated: object, money: Money) -> float | None:
    value, currency = number(stated), plain(row.get("currency"))
    rate = money.rate(plain(row.get("acctId")), currency)
    return value * rate if value is not None and rate is not None else 0.0 if value == 0.0 else None


def _worth(rows: list[dict[str, Any]], values: dict[int, float | None], money: Money) -> str:
    if not rows:
        return ""
    profits = [_in_base(row, row.get("unrealizedPnl"), money) for row in rows]
    base = money.base
    if base and None not in values.values() and None not in profits:
        return f" worth {amount(total(values.values()))} {base}, unrealized {amount(total(profits))} {base}"
    by_currency: dict[str, list[float | None]] = {}
    for row in rows:
        by_currency.setdefault(plain(row.get("currency")) or "?", []).append(number(_of(row, VALUE)))
    stated = ", ".join(f"{amount(total(found))} {currency}" for currency, found in sorted(by_currency.items()))
    return f" worth {stated}"
