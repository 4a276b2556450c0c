"""`ibkr-tools show ledger`: cash and positions by currency, the base currency last."""

from collections.abc import Mapping, Sequence
from typing import Any

from ibkr_tools.cli.views.grid import amount, grid, number, objects, plain, quantity, total
from ibkr_tools.cli.views.money import Money

_HELD = {
    "stockmarketvalue": "Stocks",
    "stockoptionmarketvalue": "Options",
    "futuremarketvalue": "Futures",
    "futureoptionmarketvalue": "Future options",
    "corporatebondsmarketvalue": "Bonds",
    "tbondsmarketvalue": "T-bonds",
    "tbillsmarketvalue": "T-bills",
    "funds": "Funds",
    "moneyfunds": "Money funds",
    "warrantsmarketvalue": "Warrants",
    "issueroptionsmarketvalue": "Issuer options",
    "commoditymarketvalue": "Commodities",
    "cryptocurrencyvalue": "Crypto",
}
BASE = "BASE"


def view(snapshot: Mapping[str, Any], accounts: Sequence[str], *, everything: bool) -> str:
    """Returns one table of all accounts; `everything` also says what kinds of positions there are."""
    part = objects(snapshot["ledger"], "ledger")
    found: list[tuple[str, str, dict[str, Any]]] = []
    for account in accounts:
        currencies = objects(part.get(account), f"ledger of {account}")
        ordered = sorted(currencies, key=lambda name: (name == BASE, name))
        found += [(account, name, objects(currencies[name], f"ledger of {account}, {name}")) for name in ordered]
    base = Money(snapshot, accounts).base

    def value(row: dict[str, Any], key: str) -> float | None:
        return total(number(row.get(one)) for one in _HELD) if key == "positions" else number(row.get(key))

    held = list(_HELD.items()) if everything else [("positions", "Positions")]
    always = {"cashbalance", "netliquidationvalue"}
    columns = [
        ("cashbalance", "Cash"),
        *([("settledcash", "Settled cash")] if everything else []),
        *held,
        ("dividends", "Dividends"),
        ("interest", "Interest"),
        ("netliquidationvalue", "Net liquidation"),
        ("unrealizedpnl", "Unrealized P&L"),
        ("realizedpnl", "Realized P&L"),
    ]
    columns = [(key, title) for key, title in columns if key in always or any(value(row, key) for *_, row in found)]
    several = len(accounts) > 1

    def line(account: str, currency: str, row: dict[str, Any]) -> list[str]:
        shown = f"total {base or ''}".rstrip() if currency == BASE else plain(currency)
        rate = "" if currency == BASE else quantity(row.get("exchangerate"))
        return [*([account] if several else []), shown, *(amount(value(row, key)) for key, _ in columns), rate]

    titles = [*(["Account "] if several else []), "Currency ", *(title for _, title in columns), "Rate"]
    if not several:
        return grid(
            titles, [line(*one) for one in found if one[1] != BASE], [line(*one) for one in found if one[1] == BASE]
        )
    rows: list[list[str]] = []
    for account, currency, row in found:
        if rows and rows[-1][0] != account:
            rows.append([])
        rows.append(line(account, currency, row))
    together = [row for _, currency, row in found if currency == BASE]
    sums = [amount(total(value(row, key) for row in together)) for key, _ in columns]
    return grid(titles, rows, [["all", f"total {base}", *sums, ""]] if base else [])
