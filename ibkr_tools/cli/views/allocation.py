"""`ibkr-tools show allocation`: value by asset class, sector and group, and which part of the whole each is."""

from collections.abc import Mapping, Sequence
from typing import Any

from ibkr_tools.cli.views.grid import amount, grid, number, objects, percent, plain, share, total
from ibkr_tools.cli.views.money import Money

_TITLES = {"assetClass": "Asset class", "sector": "Sector", "group": "Group"}

MOST = 10
"""Rows of one table; --all shows the others too."""


def view(snapshot: Mapping[str, Any], accounts: Sequence[str], *, everything: bool) -> str:
    """Returns a table of each kind, all accounts together; `everything`: all rows of them."""
    part = objects(snapshot["allocation"], "allocation")
    own = [(f"allocation of {name}", part.get(name)) for name in accounts]
    return _tables(own, Money(snapshot, accounts).base, everything=everything)


def consolidated(snapshot: Mapping[str, Any], accounts: Sequence[str], *, everything: bool) -> str:
    """Returns the same of what IBKR has added up itself."""
    own = [("consolidated_allocation", snapshot["consolidated_allocation"])]
    return _tables(own, Money(snapshot, accounts).base, everything=everything)


def _tables(parts: Sequence[tuple[str, Any]], base: str | None, *, everything: bool) -> str:
    sums: dict[str, dict[str, dict[str, float]]] = {}
    for what, part in parts:
        for kind, sides in objects(part, what).items():
            for side, values in objects(sides, f"{what}, {kind}").items():
                into = sums.setdefault(kind, {}).setdefault(side, {})
                for name, value in objects(values, f"{what}, {kind}, {side}").items():
                    into[name] = into.get(name, 0.0) + (number(value) or 0.0)
    return "\n\n".join(_table(kind, sides, base, everything=everything) for kind, sides in sums.items())


def _table(kind: str, sides: dict[str, dict[str, float]], base: str | None, *, everything: bool) -> str:
    long, short = sides.get("long", {}), sides.get("short", {})
    net = {name: long.get(name, 0.0) + short.get(name, 0.0) for name in [*long, *short]}
    whole = total(net.values())
    names = sorted(net, key=lambda name: net[name], reverse=True)
    has_short = any(short.values())
    suffix = f" {base}" if base else ""

    def cells(longs: float, shorts: float, nets: float) -> list[str]:
        sums = [amount(longs), amount(shorts), amount(nets)] if has_short else [amount(nets)]
        return [*sums, percent(share(nets, whole))]

    shown = names if everything or len(names) <= MOST + 1 else names[:MOST]
    rows = [[plain(name), *cells(long.get(name, 0.0), short.get(name, 0.0), net[name])] for name in shown]
    if rest := names[len(shown) :]:
        sums = (total(values.get(name) for name in rest) for values in (long, short, net))
        rows.append([f"{len(rest)} others", *cells(*sums)])
    titles = [
        f"{_TITLES.get(kind, plain(kind))} ",
        *(["Long", "Short", f"Net{suffix}"] if has_short else [f"Value{suffix}"]),
    ]
    return grid([*titles, "Share"], rows, [["total", *cells(total(long.values()), total(short.values()), whole)]])
