"""The tables of `performance` and `periods`: values and cumulative returns by PortfolioAnalyst."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ibkr_tools.errors import DataError, UsageError
from ibkr_tools.number_format import ZERO, format_figure, format_percent, format_unparsed, parse_number, single_line
from ibkr_tools.views.payload_sums import require_object
from ibkr_tools.views.text_table import Column, format_table

if TYPE_CHECKING:
    from ibkr_tools.fetch.snapshot import Snapshot

__all__ = ["format_performance", "format_periods"]


def format_performance(snapshot: "Snapshot", *, everything: bool = False, width: int | None = None) -> str:
    """Returns returns by month and in all; `everything`: by day.

    Raises:
        DataError: there are no returns in it.
        UsageError: it is about other accounts.
    """
    part = require_object(snapshot.exact("performance"), "performance")
    included = [single_line(name) for name in _list(part, "included")]
    if included and set(included) != set(snapshot.covers.accounts):
        raise UsageError(
            f"performance: IBKR has answered for {', '.join(included)} together",
            hint="`ibkr-tools fetch performance --account ID` asks for one account.",
        )
    total_at, _ = _series(part, "cps", "returns")
    value_at, record = _series(part, "nav", "navs")
    if not total_at:
        raise DataError("performance: no returns in it", hint="`-f json` prints it as it is.")
    start = _object(record, "startNAV")
    currency = single_line(record.get("baseCurrency"))
    ends = list(total_at) if everything else _month_ends(total_at)
    rows, before = [], ZERO
    if start.get("val") is not None:
        rows.append([_day(start.get("date")), format_figure(start["val"]), "", ""])
    for end in ends:
        now = parse_number(total_at[end])
        alone = (1 + now) / (1 + before) - 1 if now is not None and before != -1 else None
        rows.append([_day(end), format_figure(value_at.get(end)), _percent(alone), _return(total_at[end])])
        before = before if now is None else now
    titles = [
        Column("Day" if everything else "Month's end", is_text=True),
        Column(f"Value {currency}".rstrip()),
        Column("Return"),
        Column("Cumulative"),
    ]
    return format_table(titles, rows, width=width)


def format_periods(snapshot: "Snapshot", *, width: int | None = None) -> str:
    """Returns value and return of every period of every account."""
    part = require_object(snapshot.exact("periods"), "periods")
    accounts = snapshot.covers.accounts
    tables = []
    for account in accounts:
        record = require_object(part.get(account), f"periods of {account}")
        currency = single_line(record.get("baseCurrency"))
        listed = record.get("periods")
        names = listed if isinstance(listed, list) else [name for name in record if isinstance(record[name], dict)]
        rows = [
            _period(
                single_line(name),
                require_object(record.get(single_line(name)), f"periods of {account}, {single_line(name)}"),
            )
            for name in names
        ]
        titles = [Column(account if len(accounts) > 1 else "Period", is_text=True), Column("From", is_text=True)]
        titles += [Column("To", is_text=True), Column("Value before"), Column(f"Value {currency}".rstrip())]
        tables.append(format_table([*titles, Column("Return")], rows, width=width, leave_out=("Value before", "From")))
    return "\n\n".join(tables)


def _period(name: str, record: dict[str, Any]) -> list[str]:
    start = _object(record, "startNAV")
    dates, values, returns = (_list(record, key) for key in ("dates", "nav", "cps"))
    return [
        name,
        _day(start.get("date")),
        _day(dates[-1]) if dates else "",
        format_figure(start.get("val")),
        format_figure(values[-1]) if values else "",
        _return(returns[-1]) if returns else "",
    ]


def _series(part: dict[str, Any], name: str, values: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns values by date and the rest of the first record of `cps` or `nav`; only what has both."""
    block = _object(part, name)
    data = _list(block, "data")
    record = data[0] if data and isinstance(data[0], dict) else {}
    return dict(zip(map(single_line, _list(block, "dates")), _list(record, values), strict=False)), record


def _month_ends(dates: Mapping[str, object]) -> Sequence[str]:
    """Returns the last day of each month."""
    return list({day[:6]: day for day in dates}.values())


def _day(text: object) -> str:
    """Returns 2026-11-22 for 20261122, and 2026-11 for 202611."""
    digits = single_line(text)
    if not digits.isdigit():
        return digits
    return "-".join(part for part in (digits[:4], digits[4:6], digits[6:]) if part)


def _percent(number: Decimal | None) -> str:
    return format_percent(number, signed=True, places=2)


def _return(value: object) -> str:
    number = parse_number(value)
    return format_unparsed(value) if number is None else _percent(number)


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _list(parent: dict[str, Any], key: str) -> list[Any]:
    value = parent.get(key)
    return value if isinstance(value, list) else []
