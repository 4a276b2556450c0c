"""Returns of made-up lives of accounts, by way of their statements, against those that their ledgers have."""

from datetime import date, timedelta
from random import Random

import pytest

from ibkr_tools.history.flows import external_flows
from ibkr_tools.history.projection import project
from ibkr_tools.history.records import AccountValue, CashBooking, Coverage, NavChange, Transfer
from ibkr_tools.history.return_report import JOINED, PeriodReturn, covered_days, join_accounts, period_returns
from ibkr_tools.history.returns import annualized
from ibkr_tools.simulator.account_life import known_values
from ibkr_tools.simulator.account_life.life import AccountLife
from tests.support.lives import FIRST, FIRST_DAY, FORMER, LAST_DAY, LATER, SECOND, life_of, statements_of

ALL = (FIRST, SECOND, FORMER)


def returns_of(life: AccountLife, cuts: list[date], *, together: tuple[str, ...] = ()) -> list[PeriodReturn]:
    """Returns the return of each account over all days, of statements that end on `cuts` and on the last day."""
    ends = sorted({*cuts, LAST_DAY})
    begins = [FIRST_DAY, *(end + timedelta(days=1) for end in ends[:-1])]
    sources = [
        source
        for begin, end in zip(begins, ends, strict=True)
        for source in statements_of(life, together or ALL, begin, end)
    ]
    projection = project((source, str(number)) for number, source in enumerate(sources))
    values = projection.records(AccountValue)
    covered = {account: covered_days(account, projection.records(Coverage)) for account in ALL}
    flows = external_flows(projection.records(CashBooking), projection.records(Transfer), together=together)
    if together:
        values, covered[JOINED] = join_accounts(values, covered)
        flows = [flow.of(JOINED) for flow in flows]
    return period_returns(values, flows, covered, projection.records(NavChange))


def cuts_of(seed: int) -> list[date]:
    """Returns days on which statements end, none for one statement of all days."""
    random = Random(seed)
    span = (LAST_DAY - FIRST_DAY).days
    return [FIRST_DAY + timedelta(days=random.randrange(5, span - 5)) for _ in range(seed % 5)]


@pytest.mark.parametrize("seed", range(5))
def test_returns_are_those_of_the_ledger(seed: int) -> None:
    """Time-weighted to 1e-9, money-weighted as a bisection finds it, whatever days the statements have."""
    life, cuts = life_of(seed), cuts_of(seed)
    found = {item.account: item for item in returns_of(life, cuts)}
    assert found.keys() >= {FIRST, SECOND}
    for account, item in found.items():
        ledger = life.books(account, LATER)
        measured = item.measured
        assert measured.problem == ""
        assert measured.time_weighted is not None
        first = measured.begin.day + timedelta(days=1)
        known = known_values.time_weighted_return(ledger, first, measured.end.day)
        assert float(measured.time_weighted) == pytest.approx(float(known), abs=1e-9)
        rate = known_values.money_weighted_rate(ledger, first, measured.end.day)
        if measured.money_weighted is not None and rate is not None and measured.days >= 365:
            assert annualized(measured.money_weighted, measured.days) == pytest.approx(rate, abs=1e-9)
        if item.ibkr is not None:
            assert float(item.ibkr) == pytest.approx(float(known), abs=1e-3)


@pytest.mark.parametrize("seed", range(2))
def test_a_migrated_account_has_one_return(seed: int) -> None:
    """What moved from the old number to the new one came from nowhere outside."""
    life = life_of(seed)
    (joined,) = returns_of(life, [], together=(FORMER, FIRST))
    assert joined.measured.problem == ""
    alone = known_values.values(life.books(FIRST, LATER))[LAST_DAY]
    former = known_values.values(life.books(FORMER, LATER)).get(LAST_DAY, 0)
    assert joined.measured.end.total == alone + former
    outside = sum(
        flow.amount
        for account in (FORMER, FIRST)
        for flow in known_values.flows(life.books(account, LATER))
        if flow.day > joined.measured.begin.day
    )
    assert joined.measured.flows == pytest.approx(outside, abs=1)
