"""The tables of allocations: value by asset class, sector and group, and which part of the whole each is."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ibkr_tools.number_format import ZERO, exact_sum, format_amount, format_percent, parse_number, ratio, single_line
from ibkr_tools.views.payload_sums import PartialSums, require_object
from ibkr_tools.views.text_table import Column, format_table

if TYPE_CHECKING:
    from ibkr_tools.fetch.snapshot import Snapshot

__all__ = ["MAX_ROWS", "format_allocation"]

_TITLES = {"assetClass": "Asset class", "sector": "Sector", "group": "Group"}

MAX_ROWS = 10
"""Rows of one table; --all shows the others too."""

_Sides = dict[str, dict[str, list[tuple[str, Any]]]]
"""By side, then by name: whose value it is, and the value."""


def format_allocation(
    snapshot: "Snapshot", resource: str, *, everything: bool = False, width: int | None = None
) -> str:
    """Returns a table of each kind; accounts with the same base currency are added up, others have their own tables.

    `everything`: all rows of them.
    """
    balances = snapshot.balances()
    accounts = snapshot.covers.accounts
    payload = snapshot.exact(resource)
    if resource == "consolidated_allocation":
        # IBKR has added it up; in which currency it says nowhere.
        bases = {balances.base(account) for account in accounts}
        groups = {bases.pop() if len(bases) == 1 else "": [("", payload)]}
    else:
        part = require_object(payload, resource)
        groups = {}
        for account in accounts:
            # What has no known currency is added to nothing.
            key = balances.base(account) or (account if len(accounts) > 1 else "")
            groups.setdefault(key, []).append((account, part.get(account)))
    known = {balances.base(account) for account in accounts}
    tables = []
    for key, parts in groups.items():
        base = key if key in known else ""
        whose = ", ".join(name for name, _ in parts) if len(groups) > 1 else ""
        tables += _tables(resource, parts, base, whose, everything=everything, width=width)
    return "\n\n".join(tables)


def _tables(
    resource: str, parts: Sequence[tuple[str, Any]], base: str, whose: str, *, everything: bool, width: int | None
) -> list[str]:
    kinds: dict[str, _Sides] = {}
    for account, part in parts:
        where = f"{resource} of {account}" if account else resource
        for kind, sides in require_object(part, where).items():
            for side, values in require_object(sides, f"{where}, {kind}").items():
                values_by_name = kinds.setdefault(kind, {}).setdefault(side, {})
                for name, value in require_object(values, f"{where}, {kind}, {side}").items():
                    values_by_name.setdefault(name, []).append(
                        (f"{single_line(name)} {side} {account}".rstrip(), value)
                    )
    tables = [_table(kind, sides, base, everything=everything, width=width) for kind, sides in kinds.items()]
    return [f"{whose}\n{text}" if whose else text for text in tables]


def _table(kind: str, sides: _Sides, base: str, *, everything: bool, width: int | None) -> str:
    sums, title = PartialSums(), _TITLES.get(kind, single_line(kind))

    def added(side: str) -> dict[str, Decimal]:
        return {name: sums.add(title, values) for name, values in sides.get(side, {}).items()}

    long, short = added("long"), added("short")
    unknown = {
        name
        for values in sides.values()
        for name, stated in values.items()
        if all(parse_number(value) is None for _, value in stated)
    }
    net = {name: exact_sum((long.get(name), short.get(name))) for name in [*long, *short]}
    net_total = exact_sum(net.values())
    names = sorted(net, key=lambda name: net[name], reverse=True)
    has_short = any(short.values())
    suffix = f" {base}" if base else ""

    def cells(longs: Decimal, shorts: Decimal, nets: Decimal) -> list[str]:
        return [
            *([format_amount(longs), format_amount(shorts)] if has_short else []),
            format_amount(nets),
            format_percent(ratio(nets, net_total)),
        ]

    def row(name: str) -> list[str]:
        if name in unknown and not net[name]:
            return [single_line(name), *[""] * (4 if has_short else 2)]
        return [single_line(name), *cells(long.get(name, ZERO), short.get(name, ZERO), net[name])]

    shown = names if everything or len(names) <= MAX_ROWS + 1 else names[:MAX_ROWS]
    rows = [row(name) for name in shown]
    if others := names[len(shown) :]:
        rows.append(
            [
                f"{len(others)} others",
                *cells(*(exact_sum(values.get(name) for name in others) for values in (long, short, net))),
            ]
        )
    values = [Column("Long"), Column("Short"), Column(f"Net{suffix}")] if has_short else [Column(f"Value{suffix}")]
    totals = [["total", *cells(exact_sum(long.values()), exact_sum(short.values()), net_total)]]
    columns = [Column(title, is_text=True), *values, Column("Share")]
    return "\n".join([format_table(columns, rows, totals, width=width, leave_out=("Short", "Long")), *sums.remarks()])
