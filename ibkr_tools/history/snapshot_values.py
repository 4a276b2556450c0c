"""Values of days that no statement covers: of PortfolioAnalyst, and of saved snapshots. Pure.

PortfolioAnalyst's are of the end of a day, as a statement's. A snapshot's are of a moment in between.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from ibkr_tools.account_ids import is_number
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.flex.flex_values import FlexValueError, parse_day
from ibkr_tools.history.records import AccountValue, Source
from ibkr_tools.number_format import parse_number

_PERIODS, _PERFORMANCE = "periods", "performance"


def values_of(snapshots: Iterable[tuple[date, Snapshot]]) -> Iterator[tuple[list[AccountValue], str]]:
    """Yields the values of each snapshot, with what tells the snapshot from others.

    An answer of PortfolioAnalyst speaks of every day between its first and its last one: of an older answer only the
    days before these count.

    Args:
        snapshots: each with the day (UTC) on which it was saved; the newest first.
    """
    begins: dict[str, date] = {}
    for day, snapshot in snapshots:
        analyst = [
            value for value in _of_analyst(snapshot) if value.account not in begins or value.day < begins[value.account]
        ]
        for value in analyst:
            begins[value.account] = min(value.day, begins.get(value.account, value.day))
        yield [*_now(day, snapshot), *analyst], snapshot.as_of.isoformat()


def _now(day: date, snapshot: Snapshot) -> Iterator[AccountValue]:
    balances = snapshot.balances()
    as_of = min(
        (snapshot.part_as_of(name) for name in ("ledger", "summary") if name in snapshot), default=snapshot.as_of
    )
    for account in snapshot.covers.accounts:
        total, currency = balances.net_liquidation(account), balances.base(account)
        if total is None or not currency:
            continue
        cash = balances.cash(account)
        yield AccountValue(
            account=account,
            day=day,
            currency=currency,
            total=total,
            cash=None if cash is None else cash.cash,
            positions=None if cash is None else cash.position_value,
            generated_at=snapshot.as_of.isoformat(),
            source=Source.SNAPSHOT,
            as_of=as_of.isoformat(),
        )


def _of_analyst(snapshot: Snapshot) -> Iterator[AccountValue]:
    made = snapshot.as_of.isoformat()
    found: dict[tuple[str, date], tuple[str, Decimal]] = {}
    for account, currency, series in (*_periods(snapshot), *_performance(snapshot)):
        for day, value in _series(series):
            found[account, day] = (currency, value)
    for (account, day), (currency, value) in sorted(found.items()):
        yield AccountValue(account, day, currency, value, None, None, made, Source.PORTFOLIO_ANALYST)


def _periods(snapshot: Snapshot) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yields the series of `/pa/allperiods`: each account is a key of its own, with a series for each period."""
    answer = snapshot.exact(_PERIODS) if _PERIODS in snapshot else None
    for account, of_account in (answer if isinstance(answer, dict) else {}).items():
        if is_number(account) and isinstance(of_account, dict):
            for series in of_account.values():
                if isinstance(series, dict) and isinstance(currency := of_account.get("baseCurrency"), str):
                    yield account, currency, series


def _performance(snapshot: Snapshot) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yields the series of `/pa/performance`; that of several accounts together is none of an account."""
    answer = snapshot.exact(_PERFORMANCE) if _PERFORMANCE in snapshot else None
    nav = answer.get("nav") if isinstance(answer, dict) else None
    if not isinstance(nav, dict) or not isinstance(data := nav.get("data"), list):
        return
    for part in data:
        account = part.get("id") if isinstance(part, dict) else None
        if isinstance(account, str) and is_number(account) and isinstance(part.get("baseCurrency"), str):
            yield (
                account,
                part["baseCurrency"],
                {"startNAV": part.get("startNAV"), "dates": nav.get("dates"), "nav": part.get("navs")},
            )


def _series(series: Mapping[str, Any]) -> Iterator[tuple[date, Decimal]]:
    """Yields the days and values of a series; none of one whose days and values do not go together."""
    days, values, start = series.get("dates"), series.get("nav"), series.get("startNAV")
    if not isinstance(days, list) or not isinstance(values, list) or len(days) != len(values):
        return
    if isinstance(start, dict):
        days, values = [start.get("date"), *days], [start.get("val"), *values]
    for text, stated in zip(days, values, strict=True):
        value, day = parse_number(stated), _day(text)
        if value is not None and day is not None:
            yield day, value


def _day(text: object) -> date | None:
    try:
        return parse_day(text) if isinstance(text, str) else None
    except FlexValueError:
        return None
