"""The table of ledgers: cash and positions by currency, the base currency last, several accounts added up."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ibkr_tools.fetch.balances import BASE, POSITION_VALUE_LABELS
from ibkr_tools.number_format import format_amount, format_figure, format_unparsed, parse_number, single_line
from ibkr_tools.views.payload_sums import PartialSums, require_object
from ibkr_tools.views.text_table import Column, format_table

if TYPE_CHECKING:
    from ibkr_tools.fetch.balances import Balances
    from ibkr_tools.fetch.snapshot import Snapshot

__all__ = ["format_ledger"]

_LedgerRow = tuple[str, str, Mapping[str, Any]]
"""Account, currency and what IBKR says of it."""

_POSITION_VALUES = "positions"
_LEFT_OUT_FIRST = (
    "Rate",
    "Settled cash",
    "Futures today",
    "Interest",
    "Dividends",
    "Realized P&L",
    *POSITION_VALUE_LABELS.values(),
    "Unrealized P&L",
)
"""Columns that a narrow terminal goes without, in this order."""

_ALWAYS = ("cashbalance", "netliquidationvalue")


def format_ledger(snapshot: "Snapshot", *, everything: bool = False, width: int | None = None) -> str:
    """Returns one table of all accounts; `everything` also says what kinds of positions there are."""
    accounts = snapshot.covers.accounts
    rows = _rows(require_object(snapshot.exact("ledger"), "ledger"), accounts)
    balances, sums = snapshot.balances(), PartialSums()
    columns = [
        ("cashbalance", "Cash"),
        *([("settledcash", "Settled cash"), ("futuresonlypnl", "Futures today")] if everything else []),
        *(POSITION_VALUE_LABELS.items() if everything else [(_POSITION_VALUES, "Positions")]),
        ("dividends", "Dividends"),
        ("interest", "Interest"),
        ("netliquidationvalue", "Net liquidation"),
        ("unrealizedpnl", "Unrealized P&L"),
        ("realizedpnl", "Realized P&L"),
    ]
    columns = [
        (key, title) for key, title in columns if key in _ALWAYS or any(_is_nonzero(row, key) for *_, row in rows)
    ]
    several = len(accounts) > 1

    def line(account: str, currency: str, row: Mapping[str, Any]) -> list[str]:
        base = balances.base(account)
        shown = f"total {base}".rstrip() if currency == BASE else single_line(currency)
        cells = [_cell(row, key, title, f"{account} {shown}", sums) for key, title in columns]
        return [account, shown, *cells, "" if currency == BASE else format_figure(row.get("exchangerate"), _rate)]

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
        totals = _sum_by_base(rows, columns, balances, sums)
    if not several:
        titles, body, totals = titles[1:], [row[1:] for row in body], [row[1:] for row in totals]
    return "\n".join([format_table(titles, body, totals, width=width, leave_out=_LEFT_OUT_FIRST), *sums.remarks()])


def _rows(part: Mapping[str, Any], accounts: Sequence[str]) -> list[_LedgerRow]:
    rows: list[_LedgerRow] = []
    for account in accounts:
        currencies = require_object(part.get(account), f"ledger of {account}")
        ordered = sorted(currencies, key=lambda name: (name == BASE, name))
        rows += [(account, name, require_object(currencies[name], f"ledger of {account}, {name}")) for name in ordered]
    return rows


def _rate(number: Decimal) -> str:
    return format_amount(number, 8).rstrip("0").rstrip(".")


def _value(row: Mapping[str, Any], key: str) -> Any:
    """Returns a figure; what newer ledgers call `accruals` is the interest."""
    return row.get(key, row.get("accruals")) if key == "interest" else row.get(key)


def _is_nonzero(row: Mapping[str, Any], key: str) -> bool:
    keys = POSITION_VALUE_LABELS if key == _POSITION_VALUES else (key,)
    values = (_value(row, value_key) for value_key in keys)
    return any(value is not None and parse_number(value) != 0 for value in values)


def _cell(row: Mapping[str, Any], key: str, title: str, whose: str, sums: PartialSums) -> str:
    if key != _POSITION_VALUES:
        return format_figure(_value(row, key))
    non_numbers = [
        name for name in POSITION_VALUE_LABELS if row.get(name) is not None and parse_number(row[name]) is None
    ]
    if non_numbers and len(non_numbers) == sum(1 for name in POSITION_VALUE_LABELS if row.get(name) is not None):
        return format_unparsed(row[non_numbers[0]])
    return format_amount(
        sums.add(
            title, [(f"{POSITION_VALUE_LABELS[name]} of {whose}", row.get(name)) for name in POSITION_VALUE_LABELS]
        )
    )


def _sum_by_base(
    rows: Sequence[_LedgerRow], columns: Sequence[tuple[str, str]], balances: "Balances", sums: PartialSums
) -> list[list[str]]:
    """Returns the sums of the accounts that have the same base currency; of one account there is no sum."""
    by_base: dict[str, list[_LedgerRow]] = {}
    for row in rows:
        if row[1] == BASE and (base := balances.base(row[0])):
            by_base.setdefault(base, []).append(row)
    totals = []
    for base, base_rows in by_base.items():
        if len(base_rows) == 1 and len(by_base) > 1:
            continue
        label = "all" if len(by_base) == 1 else f"{len(base_rows)} accounts"
        added = [
            format_amount(
                sums.add(
                    title,
                    [
                        (f"{account} total {base}", _value(row, value_key))
                        for account, _, row in base_rows
                        for value_key in (POSITION_VALUE_LABELS if key == _POSITION_VALUES else (key,))
                    ],
                )
            )
            for key, title in columns
        ]
        totals.append([label, f"total {base}", *added, ""])
    return totals
