"""The returns of accounts, period by period, beside IBKR's own and a benchmark's. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from ibkr_tools.history.benchmark import Benchmark
from ibkr_tools.history.flows import ExternalFlow
from ibkr_tools.history.periods import Split
from ibkr_tools.history.records import AccountValue, Coverage, NavChange
from ibkr_tools.history.returns import Close, DayRange, Return, annualized, measure_return

_FLOW_SECTIONS = ("EquitySummaryInBase", "CashTransactions")
"""A day is known where statements cover both: its value, and what came in."""


JOINED = "together"
"""Stands for the account where several are shown as one."""


@dataclass(frozen=True, slots=True)
class PeriodReturn:
    """The return of an account in one period.

    Attributes:
        period: its name: 2026-01, 2026, or empty for all that is known.
        currency: the account's base currency.
        measured: ours.
        ibkr: IBKR's own time-weighted return as a ratio, where its statements have one of just these days.
        benchmark: that of the benchmark as a ratio, where its prices cover these days.
    """

    account: str
    period: str
    currency: str
    measured: Return
    ibkr: Decimal | None = None
    benchmark: Decimal | None = None

    @property
    def difference(self) -> Decimal | None:
        """Returns by how much our return exceeds IBKR's."""
        ours = self.measured.time_weighted
        return None if ours is None or self.ibkr is None else ours - self.ibkr

    @property
    def time_weighted_a_year(self) -> float | None:
        """Returns it by the year; None for less than one."""
        return annualized(self.measured.time_weighted, self.measured.days)

    @property
    def money_weighted_a_year(self) -> float | None:
        """Returns it by the year; None for less than one."""
        return annualized(self.measured.money_weighted, self.measured.days)


def period_returns(
    values: Iterable[AccountValue],
    flows: Sequence[ExternalFlow],
    covered: Mapping[str, Sequence[DayRange]],
    changes: Sequence[NavChange] = (),
    *,
    split: Split | None = None,
    benchmark: Benchmark | None = None,
) -> list[PeriodReturn]:
    """Returns the return of each account in each period, as far as there are two closes.

    A period begins with the last close before it, or with the first one that is known. Where the customer has changed
    the base currency, each currency has periods of its own: a value in one is no beginning for one in the other.

    Args:
        values: closes, by account and day.
        flows: of these accounts.
        covered: by account, what statements cover; see `covered_days`.
        changes: what IBKR says of its statements' days.
        split: months or years; None: all in one.
        benchmark: prices to compare with.
    """
    by_account: dict[tuple[str, str], list[Close]] = {}
    for value in values:
        by_account.setdefault((value.account, value.currency), []).append(Close(value.day, value.total))
    found = []
    for (account, currency), closes in by_account.items():
        own_flows = [flow for flow in flows if flow.account == account]
        own_changes = [change for change in changes if change.account == account]
        for period, part in _split(closes, split):
            measured = measure_return(part, own_flows, covered.get(account, ()))
            ibkr = chained_ibkr_return([close.day for close in part], own_changes)
            compared = None if benchmark is None else benchmark.return_between(part[0].day, part[-1].day)
            found.append(PeriodReturn(account, period, currency, measured, ibkr, compared))
    return found


def covered_days(account: str, coverage: Iterable[Coverage]) -> list[DayRange]:
    """Returns the days of an account of which statements say both what it was worth and what came in."""
    by_section: dict[str, list[DayRange]] = {section: [] for section in _FLOW_SECTIONS}
    for item in coverage:
        if item.account == account and item.section in by_section:
            by_section[item.section].append(DayRange(item.day, item.to_day))
    return _common(by_section.values())


def _common(groups: Iterable[Iterable[DayRange]]) -> list[DayRange]:
    """Returns the days that are in every group, in order."""
    first, *others = map(_runs, groups)
    common = first
    for other in others:
        common = list(_intersection(common, other))
    return common


def _runs(spans: Iterable[DayRange]) -> list[DayRange]:
    """Returns the same days in order, as few ranges as can be: after years of daily statements each day is its own."""
    runs: list[DayRange] = []
    for span in sorted(spans, key=lambda span: span.first):
        if runs and span.first.toordinal() <= runs[-1].last.toordinal() + 1:
            runs[-1] = DayRange(runs[-1].first, max(runs[-1].last, span.last))
        else:
            runs.append(span)
    return runs


def _intersection(one: Sequence[DayRange], two: Sequence[DayRange]) -> Iterator[DayRange]:
    """Yields the days that are in both runs."""
    at = [0, 0]
    while at[0] < len(one) and at[1] < len(two):
        left, right = one[at[0]], two[at[1]]
        if left.first <= right.last and right.first <= left.last:
            yield DayRange(max(left.first, right.first), min(left.last, right.last))
        at[left.last > right.last] += 1


def _split(closes: Sequence[Close], split: Split | None) -> Iterable[tuple[str, Sequence[Close]]]:
    """Yields the periods that have two closes, each with the last close before it."""
    name_of = (lambda _: "") if split is None else split.name_of
    begin = 0
    for index, close in enumerate(closes):
        is_last = index + 1 == len(closes) or name_of(closes[index + 1].day) != name_of(close.day)
        if is_last:
            if index > begin:
                yield name_of(close.day), closes[begin : index + 1]
            begin = index


def chained_ibkr_return(days: Sequence[date], changes: Iterable[NavChange]) -> Decimal | None:
    """Returns IBKR's time-weighted return between the first and the last of a series of closes.

    One of its statements covers just these days, or several do that follow each other: then it is their product. None
    where they do not.
    """
    position = {day: number for number, day in enumerate(days)}
    known = sorted(
        (change.from_day, change.day, change.twr_ratio)
        for change in changes
        if change.twr_ratio is not None and change.from_day > days[0] and change.day in position
    )
    begins = [begin for begin, _, _ in known]
    product, at = Decimal(1), 0
    with localcontext() as context:
        context.prec = 50
        while at + 1 < len(days):
            # A statement begins on some day after one close and not after the next: weekends belong to neither.
            here = known[bisect_right(begins, days[at]) : bisect_right(begins, days[at + 1])]
            longest = max(((to, twr) for _, to, twr in here if position[to] > at), default=None)
            if longest is None:
                return None
            product *= 1 + longest[1]
            at = position[longest[0]]
        return product - 1


def join_accounts(
    values: Sequence[AccountValue], covered: Mapping[str, Sequence[DayRange]]
) -> tuple[list[AccountValue], list[DayRange]]:
    """Returns several accounts as one, `JOINED`: its values, of the days on which all are known, and what is covered.

    An account adds nothing before its first value, and after its last one, where that is zero: it did not exist yet,
    or has moved.

    Raises:
        ValueError: their base currencies differ.
    """
    currencies = sorted({value.currency for value in values})
    if len(currencies) > 1:
        raise ValueError(f"their base currencies differ: {', '.join(currencies)}")
    by_account: dict[str, dict[date, Decimal]] = {}
    for value in values:
        by_account.setdefault(value.account, {})[value.day] = value.total
    empty = {account: _empty_days(known) for account, known in by_account.items()}
    joined = []
    for day in sorted({value.day for value in values}):
        totals = [_total_on(day, known, empty[account]) for account, known in by_account.items()]
        if None not in totals:
            total = sum((total for total in totals if total is not None), start=Decimal(0))
            joined.append(AccountValue(JOINED, day, currencies[0], total, None, None, ""))
    spans = [[*covered.get(account, ()), *empty[account]] for account in by_account]
    return joined, _common(spans) if spans else []


def _total_on(day: date, known: Mapping[date, Decimal], empty: Iterable[DayRange]) -> Decimal | None:
    return known.get(day, Decimal(0) if any(span.first <= day <= span.last for span in empty) else None)


def _empty_days(known: Mapping[date, Decimal]) -> list[DayRange]:
    """Returns the days before the first value and after the last one, where that is zero."""
    first, last = min(known), max(known)
    before = [DayRange(date.min, first)] if known[first] == 0 else []
    return before + ([DayRange(last, date.max)] if known[last] == 0 else [])
