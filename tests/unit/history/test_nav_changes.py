"""The change in net asset value: groups that add up, whatever the query's settings."""

from decimal import Decimal
from typing import Any

import pytest

from ibkr_tools.history.projection import project
from ibkr_tools.history.records import NavChange
from tests.support.flex_statements import Sections, week
from tests.support.history_sources import of, records, source


def only(sections: Sections) -> Any:
    (found,) = records(NavChange, sections)
    return found


def test_the_week() -> None:
    """IBKR's percent is a ratio here."""
    change = only(week())
    assert (change.flows, change.dividends, change.taxes, change.market, change.other) == (
        1000,
        9,
        Decimal("-0.5"),
        Decimal("49.5"),
        0,
    )
    assert change.twr_ratio == Decimal("0.0429")
    assert change.currency == "EUR"


@pytest.mark.parametrize(
    ("profit", "market"),
    [
        ({"mtm": "30"}, 30),
        ({"realized": "10", "changeInUnrealized": "20"}, 30),
        ({"mtm": "30", "realized": "10", "changeInUnrealized": "20"}, 30),
        ({"mtm": "7", "realized": "10", "changeInUnrealized": "20"}, 30),
    ],
)
def test_the_profit_counts_in_one_setting(profit: dict[str, str], market: int) -> None:
    row = {"startingValue": "100", "endingValue": "131", "otherIncome": "1", "currency": "USD"}
    change = only(of("ChangeInNAV", "ChangeInNAV", row | profit))
    assert (change.market, change.other, change.currency) == (market, 1, "USD")


def test_changes_of_accruals_are_of_the_group_of_what_accrues() -> None:
    row = {"startingValue": "100", "endingValue": "95", "mtm": "0"}
    row |= {"changeInCGTWithholdingAccruals": "-3", "changeInLiteSurchargeAccruals": "-2"}
    change = only(of("ChangeInNAV", "ChangeInNAV", row))
    assert (change.taxes, change.fees, change.market, change.other) == (-3, -2, 0, 0)


def test_without_its_ends_it_is_none() -> None:
    assert records(NavChange, of("ChangeInNAV", "ChangeInNAV", {"endingValue": "1", "mtm": "2"})) == []


def test_changes_over_other_days_stay() -> None:
    """That of a month says nothing of the week that it ends with."""
    row = {"startingValue": "100", "endingValue": "131", "mtm": "31"}
    month = source(of("ChangeInNAV", "ChangeInNAV", row), fromDate="20251210", whenGenerated="20260201;000000")
    restated = source(of("ChangeInNAV", "ChangeInNAV", row | {"mtm": "30"}), whenGenerated="20260202;000000")
    found: list[Any] = project([(restated, "c"), (month, "b"), (source(week()), "a")]).records(NavChange)
    assert [(f"{item.from_day:%m%d}", f"{item.day:%m%d}", item.market) for item in found] == [
        ("1210", "0109", 31),
        ("0105", "0109", 30),
    ]
