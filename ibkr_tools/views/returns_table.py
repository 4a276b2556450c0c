"""The table of `history returns`."""

from collections.abc import Sequence
from decimal import Decimal

from ibkr_tools.history.return_report import PeriodReturn
from ibkr_tools.number_format import format_amount, format_percent
from ibkr_tools.views.text_table import Column, format_table

__all__ = ["format_returns"]

_LEFT_OUT_FIRST = ("A year", "Difference", "Begin", "IBKR", "Flows", "Gain", "End")
"""Columns that a narrow terminal goes without, in this order; a period that has a name goes without its days first."""


def format_returns(returns: Sequence[PeriodReturn], *, width: int | None = None) -> str:
    """Returns a line for each period, and under the table their currency and why periods have no return."""
    if not returns:
        return "no return: there are not two days with a value"
    has = {
        "account": len({(item.account, item.currency) for item in returns}) > 1,
        "period": any(item.period for item in returns),
        "a_year": any(item.time_weighted_a_year is not None for item in returns),
        "ibkr": any(item.ibkr is not None for item in returns),
        "benchmark": any(item.benchmark is not None for item in returns),
    }
    columns = [
        *([Column("Account", is_text=True)] if has["account"] else []),
        *([Column("Period", is_text=True)] if has["period"] else []),
        *(Column(title, is_text=True) for title in ("From", "To")),
        *(Column(title) for title in ("Begin", "Flows", "Gain", "End", "Time-weighted")),
        *([Column("A year")] if has["a_year"] else []),
        Column("Money-weighted"),
        *([Column("IBKR"), Column("Difference")] if has["ibkr"] else []),
        *([Column("Benchmark")] if has["benchmark"] else []),
    ]
    rows = []
    for item in returns:
        measured = item.measured
        amounts = (measured.begin.total, measured.flows, measured.gain, measured.end.total)
        rows.append(
            [
                *([f"{item.account} {item.currency}".rstrip()] if has["account"] else []),
                *([item.period] if has["period"] else []),
                measured.begin.day.isoformat(),
                measured.end.day.isoformat(),
                *map(format_amount, amounts),
                _percent(measured.time_weighted),
                *([_percent(item.time_weighted_a_year)] if has["a_year"] else []),
                _percent(measured.money_weighted),
                *([_percent(item.ibkr), _percent(item.difference)] if has["ibkr"] else []),
                *([_percent(item.benchmark)] if has["benchmark"] else []),
            ]
        )
    optional = [*(("From", "To") if has["period"] else ()), *_LEFT_OUT_FIRST]
    table = format_table(columns, rows, width=width, leave_out=optional)
    notes = [] if has["account"] else [f"amounts in {returns[0].currency}"]
    lines = [table, *notes]
    for item in returns:
        name = " ".join(part for part in (item.account if has["account"] else "", item.period) if part)
        if item.measured.problem:
            lines.append(f"{name or 'no return'}: {item.measured.problem}")
        elif left_out := item.measured.days_left_out:
            counted = "1 day is" if left_out == 1 else f"{left_out} days are"
            lines.append(f"{name or 'time-weighted'}: {counted} left out that began with nothing, or with debts")
    return "\n".join(lines)


def _percent(ratio: Decimal | float | None) -> str:
    return format_percent(None if ratio is None else Decimal(ratio), signed=True, places=2)
