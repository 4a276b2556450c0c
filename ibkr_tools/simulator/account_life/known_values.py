"""The right figures of a life, computed from its ledger and from nothing that IBKR's services say. Pure.

Returns take deposits as made before a day's market, and withdrawals after it: r = (V1 + out) / (V0 + in) - 1.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ibkr_tools.simulator.account_life.booked import BookedTrade, DayClose
from ibkr_tools.simulator.account_life.entries import CashEntry, CashKind
from ibkr_tools.simulator.account_life.ledger import Ledger
from ibkr_tools.simulator.account_life.lots import Lot, total_quantity

ZERO = Decimal(0)

INCOME = frozenset(
    {
        *(CashKind.DIVIDEND, CashKind.IN_LIEU, CashKind.TAX, CashKind.TAX_871M, CashKind.INTEREST_PAID),
        *(CashKind.INTEREST_RECEIVED, CashKind.COUPON, CashKind.ACCRUED_COUPON),
    }
)
FEES = frozenset({CashKind.OTHER_FEE, CashKind.BROKER_FEE, CashKind.ADVISOR_FEE, CashKind.COMMISSION_ADJUSTMENT})


@dataclass(frozen=True, slots=True)
class Flow:
    """Money or securities came to an account, or left it (negative): in the base currency, at the day's rate."""

    day: date
    amount: Decimal
    is_internal: bool


def values(ledger: Ledger) -> dict[date, Decimal]:
    """Returns the net asset value of each day."""
    return {closed.day: closed.total for closed in ledger.closes}


def cash(ledger: Ledger, day: date) -> Mapping[str, Decimal]:
    """Returns the cash at the end of a day, by currency."""
    return _close(ledger, day).cash


def positions(ledger: Ledger, day: date) -> dict[int, Decimal]:
    """Returns how much is held at the end of a day, by conid."""
    return {conid: total_quantity(held) for conid, held in _close(ledger, day).lots.items()}


def lots(ledger: Ledger, day: date) -> Mapping[int, tuple[Lot, ...]]:
    """Returns the tax lots at the end of a day, by conid."""
    return _close(ledger, day).lots


def _close(ledger: Ledger, day: date) -> DayClose:
    return next(closed for closed in ledger.closes if closed.day == day)


def flows(ledger: Ledger) -> list[Flow]:
    """Returns deposits, withdrawals and transfers, by day."""
    rates = {closed.day: closed for closed in ledger.closes}
    found = []
    for movement in ledger.movements:
        if isinstance(movement.entry, CashEntry) and movement.entry.kind is CashKind.DEPOSIT:
            amount = rates[movement.day].in_base(movement.currency, movement.amount)
            found.append(Flow(movement.day, amount, is_internal=False))
    for transfer in ledger.transfers:
        entry = transfer.entry
        currency = entry.security.currency if entry.security else entry.currency
        amount = rates[entry.day].in_base(currency, transfer.amount + entry.cash)
        if entry.security is None or transfer.amount:
            found.append(Flow(entry.day, amount, is_internal=entry.is_internal))
    return sorted(found, key=lambda flow: flow.day)


def bookings(ledger: Ledger, kinds: Iterable[CashKind]) -> list[CashEntry]:
    """Returns the bookings of these kinds, in order."""
    chosen = set(kinds)
    entries = [movement.entry for movement in ledger.movements]
    return [entry for entry in entries if isinstance(entry, CashEntry) and entry.kind in chosen]


def realized(ledger: Ledger) -> dict[int, Decimal]:
    """Returns the profit that trades and corporate actions have made, by conid, in the security's currency."""
    found: dict[int, Decimal] = defaultdict(Decimal)
    for trade in ledger.trades:
        if isinstance(trade, BookedTrade):
            found[trade.entry.security.conid] += trade.realized
    for action in ledger.actions:
        found[action.security.conid] += action.realized
    return dict(found)


def daily_returns(ledger: Ledger, first: date, last: date) -> list[tuple[date, Decimal]]:
    """Returns the return of each day, without the days on which there was nothing to earn one."""
    deposits: dict[date, Decimal] = defaultdict(Decimal)
    withdrawals: dict[date, Decimal] = defaultdict(Decimal)
    for flow in flows(ledger):
        (deposits if flow.amount > 0 else withdrawals)[flow.day] += flow.amount
    found = []
    before = ZERO
    for closed in ledger.closes:
        total = closed.total
        invested = before + deposits[closed.day]
        if first <= closed.day <= last and invested > 0:
            found.append((closed.day, (total - withdrawals[closed.day]) / invested - 1))
        before = total
    return found


def time_weighted_return(ledger: Ledger, first: date, last: date) -> Decimal:
    """Returns the time-weighted return from the end of the day before `first` to the end of `last`, as a ratio."""
    growth = Decimal(1)
    for _, earned in daily_returns(ledger, first, last):
        growth *= 1 + earned
    return growth - 1


_LOWEST, _HIGHEST, _STEPS = -0.9999, 10.0, 200


def money_weighted_rate(ledger: Ledger, first: date, last: date) -> float | None:
    """Returns the rate a year at which the flows lead from the value before `first` to that of `last`.

    A year has 365 days. None: there is no such rate between -99.99 % and 1000 %.
    """
    closes = [closed for closed in ledger.closes if closed.day <= last]
    before = [closed for closed in closes if closed.day < first]
    payments = [(before[-1].day, -float(before[-1].total))] if before else []
    payments += [(flow.day, -float(flow.amount)) for flow in flows(ledger) if first <= flow.day <= last]
    payments.append((closes[-1].day, float(closes[-1].total)))
    return _bisect(payments)


def _bisect(payments: Sequence[tuple[date, float]]) -> float | None:
    start = payments[0][0]

    def worth(rate: float) -> float:
        return sum(amount * float((1 + rate) ** (-(day - start).days / 365)) for day, amount in payments)

    low, high = _LOWEST, _HIGHEST
    amounts = [amount for _, amount in payments]
    if not min(amounts) < 0 < max(amounts) or worth(low) * worth(high) > 0:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if worth(low) * worth(middle) <= 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2
