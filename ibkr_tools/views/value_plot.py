"""The plot of `history values --plot`: what accounts were worth, and what was paid in, over time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from itertools import accumulate

from ibkr_tools.history.flows import ExternalFlow
from ibkr_tools.history.records import AccountValue
from ibkr_tools.number_format import format_amount

__all__ = ["format_value_plot"]

DEFAULT_WIDTH = 80
HEIGHT = 20
"""Both in characters; the width is the terminal's where there is one."""

_TICKS = 5

_DAY_FORM = "Y-m-d"


def format_value_plot(
    values: Sequence[AccountValue], flows: Sequence[ExternalFlow], *, width: int | None = None
) -> str:
    """Returns a plot for each account and currency, without colours; "no values" without any.

    The second line of a plot is the first value and what has come in from outside since: between both is the gain.
    """
    series: dict[tuple[str, str], list[AccountValue]] = {}
    for value in values:
        series.setdefault((value.account, value.currency), []).append(value)
    by_account: Mapping[str, list[ExternalFlow]] = {
        account: [flow for flow in flows if flow.account == account] for account, _ in series
    }
    plots = [
        _plot(f"{account}, {currency}".rstrip(", "), of_account, by_account[account], width or DEFAULT_WIDTH)
        for (account, currency), of_account in series.items()
    ]
    return "\n\n".join(plots) or "no values"


def _plot(title: str, values: Sequence[AccountValue], flows: Sequence[ExternalFlow], width: int) -> str:
    import plotext

    days = [datetime.combine(value.day, time()) for value in values]
    totals = [float(value.total) for value in values]
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, HEIGHT)
    plotext.date_form(_DAY_FORM)
    plotext.title(title)
    names = plotext.datetimes_to_strings(days)
    paid_in = _paid_in(values, flows)
    if paid_in is not None:
        plotext.plot(names, paid_in, marker="dot", label="paid in")
    plotext.plot(names, totals, marker="braille", label="value")
    lowest, highest = min([*totals, *(paid_in or [])]), max([*totals, *(paid_in or [])])
    ticks = [lowest + (highest - lowest) * step / (_TICKS - 1) for step in range(_TICKS)]
    plotext.yticks(ticks, [format_amount(Decimal(round(tick)), places=0) for tick in ticks])
    lines = plotext.uncolorize(plotext.build()).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _paid_in(values: Sequence[AccountValue], flows: Sequence[ExternalFlow]) -> list[float] | None:
    """Returns the first value and what has come in until each day; None where the amount of a flow is not known."""
    if any(flow.amount_in_base is None for flow in flows):
        return None
    begins = [value.day for value in values[:-1]]
    came_in = [
        sum(float(flow.amount_in_base or 0) for flow in flows if begin < flow.day <= value.day)
        for begin, value in zip(begins, values[1:], strict=True)
    ]
    return list(accumulate(came_in, initial=float(values[0].total)))
