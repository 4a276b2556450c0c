"""`ibkr-tools show performance` and `show periods`: values and cumulative returns by PortfolioAnalyst."""

from collections.abc import Mapping, Sequence
from typing import Any

from ibkr_tools.cli.views.grid import amount, grid, number, objects, percent, plain
from ibkr_tools.errors import DataError, UsageError


def _day(text: object) -> str:
    """Returns 2026-11-22 for 20261122, and 2026-11 for 202611."""
    digits = plain(text)
    if not digits.isdigit():
        return digits
    return "-".join(part for part in (digits[:4], digits[4:6], digits[6:]) if part)


def _series(part: dict[str, Any], name: str, values: str) -> tuple[list[Any], list[float | None], dict[str, Any]]:
    """Returns dates, values and the rest of the first record of `cps`, `tpps` or `nav`."""
    block = _object(part, name)
    data = _list(block, "data")
    record = data[0] if data and isinstance(data[0], dict) else {}
    return _list(block, "dates"), [number(value) for value in _list(record, values)], record


def _object(of: dict[str, Any], key: str) -> dict[str, Any]:
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def _list(of: dict[str, Any], key: str) -> list[Any]:
    value = of.get(key)
    return value if isinstance(value, list) else []


def view(snapshot: Mapping[str, Any], accounts: Sequence[str], *, everything: bool) -> str:
    """Returns returns by month and in all; `everything`: by day.

    Raises:
        DataError: there are no returns in it.
        UsageError: it is about other accounts.
    """
    part = objects(snapshot["performance"], "performance")
    together = [plain(name) for name in _list(part, "included")]
    if together and set(together) != set(accounts):
        raise UsageError(
            f"performance: IBKR has answered for {', '.join(together)} together",
            hint="`ibkr-tools fetch performance --account ID` asks for one account.",
        )
    dates, cumulative, _ = _series(part, "cps", "returns")
    value_dates, values, record = _series(part, "nav", "navs")
    if not dates or not cumulative:
        raise DataError("performance: no returns in it", hint="`-f json` prints it as it is.")
    value_at = {plain(date): value for date, value in zip(value_dates, values, strict=False)}
    total_at = {plain(date): value for date, value in zip(dates, cumulative, strict=False)}
    start = _object(record, "startNAV")
    currency = plain(record.get("baseCurrency"))
    ends = list(total_at) if everything else _month_ends(total_at)
    first = number(start.get("val"))
    rows, before = [[_day(start.get("date")), amount(first), "", ""]] if first is not None else [], 0.0
    for end in ends:
        now = total_at[end]
        alone = (1 + now) / (1 + before) - 1 if now is not None and before != -1 else None
        rows.append(
            [_day(end), amount(value_at.get(end)), percent(alone, signed=True, digits=2),
             percent(now, signed=True, digits=2)]
        )  # fmt: skip
        before = now if now is not None else before
    titles = [("Day " if everything else "Month's end "), f"Value {currency}".rstrip(), "Return", "Cumulative"]
    return grid(titles, rows)


def _month_ends(dates: Mapping[str, object]) -> list[str]:
    """Returns the last day of each month."""
    return list({day[:6]: day for day in dates}.values())


def periods(snapshot: Mapping[str, Any], accounts: Sequence[str], *, everything: bool) -> str:
    """Returns value and return of every period of every account."""
    del everything
    part = objects(snapshot["periods"], "periods")
    tables = []
    for account in accounts:
        own = objects(part.get(account), f"periods of {account}")
        currency = plain(own.get("baseCurrency"))
        listed = own.get("periods")
        names = listed if isinstance(listed, list) else [name for name in own if isinstance(own[name], dict)]
        rows = [_period(plain(name), objects(own.get(name), f"periods of {account}, {name}")) for name in names]
        title = f"{account} " if len(accounts) > 1 else "Period "
        tables.append(grid([title, "From ", "To ", "Value before", f"Value {currency}".rstrip(), "Return"], rows))
    return "\n\n".join(tables)


def _period(name: str, own: dict[str, Any]) -> list[str]:
    start = _object(own, "startNAV")
    dates, values, returns = (_list(own, key) for key in ("dates", "nav", "cps"))
    last = percent(number(returns[-1]), signed=True, digits=2) if returns else ""
    value = amount(number(values[-1])) if values else ""
    return [
        name,
        _day(start.get("date")),
        _day(dates[-1]) if dates else "",
        amount(number(start.get("val"))),
        value,
        last,
    ]
