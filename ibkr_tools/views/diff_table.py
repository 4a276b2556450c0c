"""The table of `diff`."""

from collections.abc import Sequence

from ibkr_tools.history.position_diff import PositionChange
from ibkr_tools.number_format import exact_sum, format_amount, format_quantity
from ibkr_tools.views.text_table import Column, format_count, format_table

__all__ = ["format_diff"]


def format_diff(changes: Sequence[PositionChange], before: str, after: str, *, width: int | None = None) -> str:
    """Returns a line for each position that differs, their sums, and between which times."""
    different = [change for change in changes if change.is_different]
    times = f"from {before} to {after}"
    if not different:
        return f"nothing has changed in {format_count(len(changes), 'position')} {times}"
    has_accounts = len({change.account for change in changes}) > 1
    columns = [
        *([Column("Account", is_text=True)] if has_accounts else []),
        Column("Name", is_text=True),
        Column("Change", is_text=True),
        *map(Column, ("Before", "After", "Value", "by quantity", "by price", "by currency")),
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
    sums = [
        exact_sum(getattr(change, name) for change in known)
        for name in ("value_change", "by_quantity", "by_price", "by_currency")
    ]
    total = [*([""] if has_accounts else []), "Sum, base currency", "", "", "", *map(format_amount, sums)]
    lines = [format_table(columns, rows, [total], width=width), times]
    if without := len(different) - len(known):
        lines.append(f"without {format_count(without, 'position')} of which a value is not known")
    return "\n".join(lines)
