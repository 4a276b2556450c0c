"""The portfolio of a day, and PortfolioAnalyst's view of the past: what the statements of that day say too."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.simulator.account_life import known_values, statement_calendar
from ibkr_tools.simulator.account_life.statement_writer import write_statements
from ibkr_tools.simulator.lived_account import LivedAccount
from ibkr_tools.simulator.performance_data import PERIODS, all_periods, performance
from tests.support.lives import FIRST, FORMER, LAST_DAY, LATER, SECOND, SEEDS, life_of, of_lives, rows_of

NOW = datetime(2025, 4, 1, 12, tzinfo=UTC).timestamp()
"""The day after the last one of a life."""

CENTS = 0.3
"""Balances are rounded to the cent by currency and class."""

DAYS = st.dates(date(2024, 10, 1), LAST_DAY).map(statement_calendar.on_or_before)


def account_of(seed: int, account: str, day: date = LAST_DAY) -> LivedAccount:
    return LivedAccount(account, life_of(seed).books(account, LATER), day, seed=seed)


@given(SEEDS, DAYS, st.sampled_from([FIRST, SECOND]))
@of_lives(0.25)
def test_portfolio_and_statement_of_a_day_agree(seed: int, day: date, account: str) -> None:
    lived = account_of(seed, account, day)
    xml = write_statements(life_of(seed), [account], day, day, LATER)
    stated = {row["conid"]: row for row in rows_of(xml, "OpenPosition") if row["levelOfDetail"] == "SUMMARY"}
    rows = {str(row["conid"]): row for row in lived.long_rows}
    assert {conid: Decimal(repr(row["position"])) for conid, row in rows.items()} == {
        conid: Decimal(row["position"]) for conid, row in stated.items()
    }
    for conid, row in rows.items():
        assert row["mktValue"] == pytest.approx(float(stated[conid]["positionValue"]), abs=0.011)
        assert row["unrealizedPnl"] == pytest.approx(float(stated[conid]["fifoPnlUnrealized"]), abs=0.03)
        assert row["currency"] == stated[conid]["currency"]
    total = float(rows_of(xml, "ChangeInNAV")[0]["endingValue"])
    assert lived.summary(NOW)["netliquidation"]["amount"] == pytest.approx(total, abs=CENTS)
    ledger = lived.ledger(NOW)
    assert ledger["BASE"]["netliquidationvalue"] == pytest.approx(total, abs=CENTS)
    added = sum(row["netliquidationvalue"] * row["exchangerate"] for key, row in ledger.items() if key != "BASE")
    assert added == pytest.approx(total, abs=CENTS)
    cash = {row["currency"]: float(row["endingCash"]) for row in rows_of(xml, "CashReportCurrency")}
    for currency, amount in lived.cash.items():
        assert amount == pytest.approx(cash[currency], abs=0.006)


@given(SEEDS, st.sampled_from([FIRST, SECOND]), st.sampled_from(PERIODS))
@of_lives(0.25)
def test_the_past_is_that_of_the_ledger(seed: int, account: str, period: str) -> None:
    """A holiday has the value of the day before; a return has no deposits in it."""
    lived, ledger = account_of(seed, account), life_of(seed).books(account, LATER)
    values = known_values.values(ledger)
    part = all_periods([lived], NOW)[account][period]
    days = [date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:]}") for day in part["dates"]]
    for day, value in zip(days, part["nav"], strict=True):
        known = values.get(statement_calendar.on_or_before(day), Decimal(0))
        assert value == pytest.approx(float(known), abs=0.011)
    earned = float(known_values.time_weighted_return(ledger, days[0], days[-1]))
    assert part["cps"][-1] == pytest.approx(earned, abs=2e-6 * len(days))


def test_accounts_together_have_one_return() -> None:
    """And what one sends to the other is in it as if it came from outside and left again."""
    accounts = [account_of(4, FIRST), account_of(4, SECOND)]
    both = performance(accounts, "1Y", NOW)
    alone = [all_periods([account], NOW)[account.account_id]["1Y"]["nav"] for account in accounts]
    assert both["nav"]["data"][0]["navs"] == pytest.approx([sum(values) for values in zip(*alone, strict=True)])
    assert min(grown for _, grown in pairwise(both["cps"]["data"][0]["returns"])) > -1


def test_an_account_that_moved_away_has_nothing() -> None:
    moved = account_of(2, FORMER)
    assert moved.held == []
    assert moved.net_liquidation == 0
