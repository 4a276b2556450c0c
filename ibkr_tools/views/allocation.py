"""The tables of allocations: value by asset class, sector and group, and which part of the whole each is."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ibkr_tools.cells import ZERO, amount, parse_number, percent, plain, share, total
from ibkr_tools.fetch.balances import Balances
from ibkr_tools.views.layout import Column, table
from ibkr_tools.views.parts import Sums, objects

if TYPE_CHECKING:
    from ibkr_tools.fetch.saved import Snapshot

__all__ = ["MOST", "view"]

_TITLES = {"assetClass": "Asset class", "sector": "Sector", "group": "Group"}

MOST = 10
"""Rows of one table; --all shows the others too."""

_Sides = dict[str, dict[str, list[tuple[str, Any]]]]
"""By side, then by name: whose value it is, and the value."""


def view(snapshot: "Snapshot", resource: str, *, everything: bool = False, width: int | None = None) -> str:
    """Returns a table of each kind; accounts with the same base currency are added up, others have their own tables.

    `everything`: all rows of them.
    """
    balances = Balances(snapshot)
    accounts = snapshot.covers.accounts
    payload = snapshot.exact(resource)
    if resource == "consolidated_allocation":
        # IBKR has added it up; in which currency it says nowhere.
        bases = {balances.base(account) for account in accounts}
        groups = {bases.pop() if len(bases) == 1 else "": [("", payload)]}
    else:
        part = objects(payload, resource)
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
        what = f"{resource} of {account}" if account else resource
        for kind, sides in objects(part, what).items():
            for side, values in objects(sides, f"{what}, {kind}").items():
                into = kinds.setdefault(kind, {}).setdefault(side, {})
                for name, value in objects(values, f"{what}, {kind}, {side}").items():
                    into.setdefault(name, []).append((f"{plain(name)} {side} {account}".rstrip(), value))
    found = [_table(kind, sides, base, everything=everything, width=width) for kind, sides in kinds.items()]
    return [f"{whose}\n{text}" if whose else text for text in found]


def _table(kind: str, sides: _Sides, base: str, *, everything: bool, width: int | None) -> str:
    sums, title = Sums(), _TITLES.get(kind, plain(kind))

    def added(side: str) -> dict[str, Decimal]:
        return {name: sums.of(title, values) for name, values in sides.get(side, {}).items()}

    long, short = added("long"), added("short")
    unknown = {
        name
        for values in sides.values()
        for name, stated in values.items()
        if all(parse_number(value) is None for _, value in stated)
    }
    net = {name: total((long.get(name), short.get(name))) for name in [*long, *short]}
    whole = total(net.values())
    names = sorted(net, key=lambda name: net[name], reverse=True)
    has_short = any(short.values())
    suffix = f" {base}" if base else ""

    def cells(longs: Decimal, shorts: Decimal, nets: Decimal) -> list[str]:
        return [*([amount(longs), amount(shorts)] if has_short else []), amount(nets), percent(share(nets, whole))]

    def row(name: str) -> list[str]:
        if name in unknown and not net[name]:
            return [plain(name), *[""] * (4 if has_short else 2)]
        return [plain(name), *cells(long.get(name, ZERO), short.get(name, ZERO), net[name])]

    shown = names if everything or len(names) <= MOST + 1 else names[:MOST]
    rows = [row(name) for name in shown]
    if rest := names[len(shown) :]:
        rows.append(
            [f"{len(rest)} others", *cells(*(total(by.get(name) for name in rest) for by in (long, short, net)))]
        )
    values = [Column("Long"), Column("Short"), Column(f"Net{suffix}")] if has_short else [Column(f"Value{suffix}")]
    totals = [["total", *cells(total(long.values()), total(short.values()), whole)]]
    columns = [Column(title, is_text=True), *values, Column("Share")]
    return "\n".join([table(columns, rows, totals, width=width), *sums.remarks()])
