"""The table of `diff`."""

from collections.abc import Mapping, Sequence

from ibkr_tools.history.position_diff import PositionChange
from ibkr_tools.number_format import exact_sum, format_amount, format_quantity
from ibkr_tools.views.text_table import Column, format_count, format_table

__all__ = ["format_diff"]


_LEFT_OUT_FIRST = ("Before", "by currency", "by price", "by quantity", "After")
"""Columns that a narrow terminal goes without, in this order."""


def format_diff(
    changes: Sequence[PositionChange],
    before: str,
    after: str,
    *,
    currencies: Mapping[str, str] | None = None,
    width: int | None = None,
) -> str:
    """Returns a line for each position that differs, their sums, and between which times.

    Args:
        changes: of all positions.
        before: the first time.
        after: the second time.
        currencies: the base currency of each account; values in different ones have no sum together.
        width: how many columns the terminal has; None: the table may be as wide as it wants.
    """
    different = [change for change in changes if change.is_different]
    times = f"from {before} to {after}"
    if not different:
        return f"nothing has changed in {format_count(len(changes), 'position')} {times}"
    has_accounts = len({change.account for change in changes}) > 1
    columns = [
        *([Column("Account", is_text=True)] if has_accounts else []),
        Column("Name", is_text=True),
        Column("Change", is_text=True),
        *map(Column, ("Before", "After", "Value", "By quantity", "By price", "By currency")),
    ]
    rows = [
        [
            *([change.account] if has_accounts else []),
            change.name,
            change.kind.value,
            format_quantity(change.before),
            format_quantity(change.after),
            *map(format_amount, (change.value_change, change.by_quantity, change.by_price, change.by_currency)),
        ]
        for change in different
    ]
    known = [change for change in different if change.value_change is not None]
    by_currency: dict[str, list[PositionChange]] = {}
    for change in known:
        by_currency.setdefault((currencies or {}).get(change.account, ""), []).append(change)
    totals = []
    for currency, members in sorted(by_currency.items()):
        sums = [
            exact_sum(getattr(change, name) for change in members)
            for name in ("value_change", "by_quantity", "by_price", "by_currency")
        ]
        name = f"Sum in {currency}" if currency else "Sum, base currency"
        totals.append([*([""] if has_accounts else []), name, "", "", "", *map(format_amount, sums)])
    lines = [format_table(columns, rows, totals, width=width, leave_out=_LEFT_OUT_FIRST), times]
    if without := len(different) - len(known):
        lines.append(f"without {format_count(without, 'position')} of which a value is not known")
    return "\n".join(lines)
