"""Returns of an account: time-weighted, money-weighted. Pure.

What came in from outside is no gain: deposits, withdrawals and transfers are taken out, dividends, interest, fees and
taxes are not. Values are those of the closes of days, in the account's base currency.

Time-weighted: of each day r = (end + withdrawn) / (begin + deposited) - 1, so deposits count from the start of their
day, withdrawals until its end; of many days the product of all (1 + r), less 1. Money-weighted: the rate at which
begin, flows and end balance, by actual days in years of 365 (pyxirr's XIRR), restated for the days of the period.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise

from ibkr_tools.flex.business_days import is_business_day
from ibkr_tools.history.flows import ExternalFlow

YEAR_DAYS = 365
"""A return of fewer days is not stated by the year: of a week it would be nonsense."""

_DIGITS = 50
"""Of ratios; products of ten years of days lose some of them."""

_RATES = [math.exp(step / 50) - 1 for step in range(-300, 501)]
"""Of a year, from a loss of 99.8 % to a gain of 22,000 times, 2 % apart."""


@dataclass(frozen=True, slots=True)
class Close:
    """What an account was worth at the end of a day, in its base currency."""

    day: date
    total: Decimal


@dataclass(frozen=True, slots=True)
class DayRange:
    """Days, both ends among them."""

    first: date
    last: date

    def __str__(self) -> str:
        """Returns both ends, or the one day."""
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class Return:
    """The return between two closes.

    Attributes:
        begin, end: the closes; flows of the day of `begin` are in it already.
        flows: what came in from outside, less what went out.
        time_weighted: as a ratio: 0.05 are 5 %; None where `problem` says why.
        money_weighted: as a ratio, of the whole period; None where there is none, or none that is the only one.
        problem: why there is no return; empty where there is one.
        days_left_out: how many days began with nothing or with debts, though there was something later: nothing can be
            earned on that, and they are not in the time-weighted one.
    """

    begin: Close
    end: Close
    flows: Decimal
    time_weighted: Decimal | None
    money_weighted: float | None
    problem: str = ""
    days_left_out: int = 0

    @property
    def days(self) -> int:
        """Returns how many days lie between both closes."""
        return (self.end.day - self.begin.day).days

    @property
    def gain(self) -> Decimal:
        """Returns by how much the account grew, without what came in from outside."""
        return self.end.total - self.begin.total - self.flows


def annualized(ratio: float | Decimal | None, days: int) -> float | None:
    """Returns a period's return by the year; None for periods of less than one, and for total losses."""
    if ratio is None or days < YEAR_DAYS or ratio <= -1:
        return None
    return math.pow(1 + float(ratio), YEAR_DAYS / days) - 1


def find_gap(days: Sequence[date], covered: Iterable[DayRange]) -> DayRange | None:
    """Returns the first days, from the first of `days` to the last, of which nothing is known.

    A day without a close is a holiday if a statement covers it; days on which the US markets are closed need none,
    since statements begin after them and end before them.

    Args:
        days: of the closes, in order.
        covered: what the statements cover, by values and by bookings alike.
    """
    known: set[date] = set(days[:1])
    for span in covered:
        known.update(_days_between(max(span.first, days[0]), min(span.last, days[-1])))
    unknown = [day for day in _days_between(days[0], days[-1]) if is_business_day(day) and day not in known]
    if not unknown:
        return None
    end = next((day for day in _days_between(unknown[0], days[-1]) if day in known), days[-1] + timedelta(days=1))
    return DayRange(unknown[0], end - timedelta(days=1))


def _days_between(first: date, last: date) -> Iterable[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


def measure_return(closes: Sequence[Close], flows: Sequence[ExternalFlow], covered: Iterable[DayRange]) -> Return:
    """Returns the return from the first of at least two closes to the last.

    Args:
        closes: in order, one a day.
        flows: of this account, in any order; those of the first close's day and before are in it, later ones than the
            last close's day are not counted.
        covered: what the statements cover, by values and by bookings alike.
    """
    begin, end = closes[0], closes[-1]
    counted = [flow for flow in flows if begin.day < flow.day <= end.day]
    amounts = [flow.amount_in_base for flow in counted]
    total = sum((amount for amount in amounts if amount is not None), start=Decimal(0))

    def without(problem: str) -> Return:
        return Return(begin, end, total, None, None, problem)

    if gap := find_gap([close.day for close in closes], covered):
        return without(f"no statement covers {gap}")
    for flow in counted:
        if flow.amount_in_base is None:
            return without(f"the flow of {flow.day} has no rate to the base currency")
    by_day = [(flow.day, flow.amount_in_base) for flow in counted if flow.amount_in_base is not None]
    try:
        time_weighted, left_out = _time_weighted(closes, by_day)
    except _NoReturnError as error:
        return without(str(error))
    return Return(begin, end, total, time_weighted, _money_weighted(begin, end, by_day), days_left_out=left_out)


class _NoReturnError(Exception):
    """Of a day no return can be stated."""


def _time_weighted(closes: Sequence[Close], flows: Sequence[tuple[date, Decimal]]) -> tuple[Decimal, int]:
    """Returns the product of the days, and how many are left out.

    A flow between two closes, such as on a Sunday, belongs to the later one.
    """
    pending = deque(sorted(flows))
    with localcontext() as context:
        context.prec = _DIGITS
        product, left_out = Decimal(1), 0
        before = closes[0].total
        for close in closes[1:]:
            deposited = withdrawn = Decimal(0)
            while pending and pending[0][0] <= close.day:
                amount = pending.popleft()[1]
                deposited, withdrawn = deposited + max(amount, Decimal(0)), withdrawn - min(amount, Decimal(0))
            invested, returned = before + deposited, close.total + withdrawn
            before = close.total
            if invested <= 0:
                left_out += bool(invested or returned)
                continue
            if returned < 0:
                raise _NoReturnError(f"more than everything was lost on {close.day}")
            product *= returned / invested
        return product - 1, left_out


def _money_weighted(begin: Close, end: Close, flows: Sequence[tuple[date, Decimal]]) -> float | None:
    from pyxirr import InvalidPaymentsError, is_conventional_cash_flow, xirr, xnpv

    if not flows:
        return float(end.total / begin.total - 1) if begin.total > 0 else None
    payments = [(begin.day, -begin.total), *sorted((day, -amount) for day, amount in flows), (end.day, end.total)]
    days, amounts = [day for day, _ in payments], [float(amount) for _, amount in payments]
    if not is_conventional_cash_flow(amounts):
        # Several rates may balance payments in both directions; none of them is the return then.
        signs = [(xnpv(rate, days, amounts) or 0.0) > 0 for rate in _RATES]
        if sum(one is not other for one, other in pairwise(signs)) > 1:
            return None
    try:
        rate = xirr(days, amounts)
    except InvalidPaymentsError:
        return None
    if rate is None or not math.isfinite(rate) or rate <= -1:
        return None
    return math.pow(1 + rate, (end.day - begin.day).days / YEAR_DAYS) - 1
