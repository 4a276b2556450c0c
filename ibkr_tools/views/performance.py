"""The tables of `performance` and `periods`: values and cumulative returns by PortfolioAnalyst."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ibkr_tools.cells import ZERO, as_came, figure, parse_number, percent, plain
from ibkr_tools.errors import DataError, UsageError
from ibkr_tools.views.layout import Column, table
from ibkr_tools.views.parts import objects

if TYPE_CHECKING:
    from ibkr_tools.fetch.saved import Snapshot

__all__ = ["periods", "view"]


def view(snapshot: "Snapshot", *, everything: bool = False, width: int | None = None) -> str:
    """Returns returns by month and in all; `everything`: by day.

    Raises:
        DataError: there are no returns in it.
        UsageError: it is about other accounts.
    """
    part = objects(snapshot.exact("performance"), "performance")
    together = [plain(name) for name in _list(part, "included")]
    if together and set(together) != set(snapshot.covers.accounts):
        raise UsageError(
            f"performance: IBKR has answered for {', '.join(together)} together",
            hint="`ibkr-tools fetch performance --account ID` asks for one account.",
        )
    total_at, _ = _series(part, "cps", "returns")
    value_at, record = _series(part, "nav", "navs")
    if not total_at:
        raise DataError("performance: no returns in it", hint="`-f json` prints it as it is.")
    start = _object(record, "startNAV")
    currency = plain(record.get("baseCurrency"))
    ends = list(total_at) if everything else _month_ends(total_at)
    rows, before = [], ZERO
    if start.get("val") is not None:
        rows.append([_day(start.get("date")), figure(start["val"]), "", ""])
    for end in ends:
        now = parse_number(total_at[end])
        alone = (1 + now) / (1 + before) - 1 if now is not None and before != -1 else None
        rows.append([_day(end), figure(value_at.get(end)), _percent(alone), _return(total_at[end])])
        before = before if now is None else now
    titles = [
        Column("Day" if everything else "Month's end", is_text=True),
        Column(f"Value {currency}".rstrip()),
        Column("Return"),
        Column("Cumulative"),
    ]
    return table(titles, rows, width=width)


def periods(snapshot: "Snapshot", *, width: int | None = None) -> str:
    """Returns value and return of every period of every account."""
    part = objects(snapshot.exact("periods"), "periods")
    accounts = snapshot.covers.accounts
    tables = []
    for account in accounts:
        own = objects(part.get(account), f"periods of {account}")
        currency = plain(own.get("baseCurrency"))
        listed = own.get("periods")
        names = listed if isinstance(listed, list) else [name for name in own if isinstance(own[name], dict)]
        rows = [
            _period(plain(name), objects(own.get(plain(name)), f"periods of {account}, {plain(name)}"))
            for name in names
        ]
        titles = [Column(account if len(accounts) > 1 else "Period", is_text=True), Column("From", is_text=True)]
        titles += [Column("To", is_text=True), Column("Value before"), Column(f"Value {currency}".rstrip())]
        tables.append(table([*titles, Column("Return")], rows, width=width))
    return "\n\n".join(tables)


def _period(name: str, own: dict[str, Any]) -> list[str]:
    start = _object(own, "startNAV")
    dates, values, returns = (_list(own, key) for key in ("dates", "nav", "cps"))
    return [
        name,
        _day(start.get("date")),
        _day(dates[-1]) if dates else "",
        figure(start.get("val")),
        figure(values[-1]) if values else "",
        _return(returns[-1]) if returns else "",
    ]


def _series(part: dict[str, Any], name: str, values: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns values by date and the rest of the first record of `cps` or `nav`; only what has both."""
    block = _object(part, name)
    data = _list(block, "data")
    record = data[0] if data and isinstance(data[0], dict) else {}
    return dict(zip(map(plain, _list(block, "dates")), _list(record, values), strict=False)), record


def _month_ends(dates: Mapping[str, object]) -> Sequence[str]:
    """Returns the last day of each month."""
    return list({day[:6]: day for day in dates}.values())


def _day(text: object) -> str:
    """Returns 2026-11-22 for 20261122, and 2026-11 for 202611."""
    digits = plain(text)
    if not digits.isdigit():
        return digits
    return "-".join(part for part in (digits[:4], digits[4:6], digits[6:]) if part)


def _percent(number: Decimal | None) -> str:
    return percent(number, signed=True, places=2)


def _return(value: object) -> str:
    number = parse_number(value)
    return as_came(value) if number is None else _percent(number)


def _object(of: dict[str, Any], key: str) -> dict[str, Any]:
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def _list(of: dict[str, Any], key: str) -> list[Any]:
    value = of.get(key)
    return value if isinstance(value, list) else []
