"""The table of ledgers: cash and positions by currency, the base currency last, several accounts added up."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ibkr_tools.cells import amount, as_came, figure, parse_number, plain
from ibkr_tools.fetch.balances import BASE, HELD, Balances
from ibkr_tools.views.layout import Column, table
from ibkr_tools.views.parts import Sums, objects

if TYPE_CHECKING:
    from ibkr_tools.fetch.saved import Snapshot

__all__ = ["view"]

Row = tuple[str, str, Mapping[str, Any]]
"""Account, currency and what IBKR says of it."""

_POSITIONS = "positions"
_ALWAYS = ("cashbalance", "netliquidationvalue")


def view(snapshot: "Snapshot", *, everything: bool = False, width: int | None = None) -> str:
    """Returns one table of all accounts; `everything` also says what kinds of positions there are."""
    accounts = snapshot.covers.accounts
    rows = _rows(objects(snapshot.exact("ledger"), "ledger"), accounts)
    balances, sums = Balances(snapshot), Sums()
    columns = [
        ("cashbalance", "Cash"),
        *([("settledcash", "Settled cash"), ("futuresonlypnl", "Futures today")] if everything else []),
        *(HELD.items() if everything else [(_POSITIONS, "Positions")]),
        ("dividends", "Dividends"),
        ("interest", "Interest"),
        ("netliquidationvalue", "Net liquidation"),
        ("unrealizedpnl", "Unrealized P&L"),
        ("realizedpnl", "Realized P&L"),
    ]
    columns = [(key, title) for key, title in columns if key in _ALWAYS or any(_is_there(row, key) for *_, row in rows)]
    several = len(accounts) > 1

    def line(account: str, currency: str, row: Mapping[str, Any]) -> list[str]:
        base = balances.base(account)
        shown = f"total {base}".rstrip() if currency == BASE else plain(currency)
        cells = [_cell(row, key, title, f"{account} {shown}", sums) for key, title in columns]
        return [account, shown, *cells, "" if currency == BASE else figure(row.get("exchangerate"), _rate)]

    titles = [
        Column("Account", is_text=True),
        Column("Currency", is_text=True),
        *(Column(title) for _, title in columns),
        Column("Rate"),
    ]
    body: list[list[str]] = []
    totals: list[list[str]] = []
    for row in rows:
        if several and body and body[-1][0] != row[0]:
            body.append([""] * len(titles))
        (totals if row[1] == BASE and not several else body).append(line(*row))
    if several:
        totals = _together(rows, columns, balances, sums)
    if not several:
        titles, body, totals = titles[1:], [row[1:] for row in body], [row[1:] for row in totals]
    return "\n".join([table(titles, body, totals, width=width), *sums.remarks()])


def _rows(part: Mapping[str, Any], accounts: Sequence[str]) -> list[Row]:
    found: list[Row] = []
    for account in accounts:
        currencies = objects(part.get(account), f"ledger of {account}")
        ordered = sorted(currencies, key=lambda name: (name == BASE, name))
        found += [(account, name, objects(currencies[name], f"ledger of {account}, {name}")) for name in ordered]
    return found


def _rate(number: Decimal) -> str:
    return amount(number, 8).rstrip("0").rstrip(".")


def _value(row: Mapping[str, Any], key: str) -> Any:
    """Returns a figure; what newer ledgers call `accruals` is the interest."""
    return row.get(key, row.get("accruals")) if key == "interest" else row.get(key)


def _is_there(row: Mapping[str, Any], key: str) -> bool:
    keys = HELD if key == _POSITIONS else (key,)
    values = (_value(row, one) for one in keys)
    return any(value is not None and parse_number(value) != 0 for value in values)


def _cell(row: Mapping[str, Any], key: str, title: str, whose: str, sums: Sums) -> str:
    if key != _POSITIONS:
        return figure(_value(row, key))
    holes = [name for name in HELD if row.get(name) is not None and parse_number(row[name]) is None]
    if holes and len(holes) == sum(1 for name in HELD if row.get(name) is not None):
        return as_came(row[holes[0]])
    return amount(sums.of(title, [(f"{HELD[name]} of {whose}", row.get(name)) for name in HELD]))


def _together(
    rows: Sequence[Row], columns: Sequence[tuple[str, str]], balances: Balances, sums: Sums
) -> list[list[str]]:
    """Returns the sums of the accounts that have the same base currency; of one account there is no sum."""
    by_base: dict[str, list[Row]] = {}
    for row in rows:
        if row[1] == BASE and (base := balances.base(row[0])):
            by_base.setdefault(base, []).append(row)
    found = []
    for base, own in by_base.items():
        if len(own) == 1 and len(by_base) > 1:
            continue
        label = "all" if len(by_base) == 1 else f"{len(own)} accounts"
        added = [
            amount(
                sums.of(
                    title,
                    [
                        (f"{account} total {base}", _value(row, one))
                        for account, _, row in own
                        for one in (HELD if key == _POSITIONS else (key,))
                    ],
                )
            )
            for key, title in columns
        ]
        found.append([label, f"total {base}", *added, ""])
    return found
