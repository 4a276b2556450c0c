"""A statement and a snapshot of the same day: what can be at another time of the day is no contradiction."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ibkr_tools.history.records import AccountValue, CorporateAction, Position, Source, Trade
from ibkr_tools.history.snapshot_comparison import DayEvents, HeldPosition, compare_positions, compare_values
from tests.support.history_sources import of, records

VALUE = AccountValue("U1", date(2026, 1, 9), "EUR", Decimal(1000), None, None, "")


def position(quantity: str, **more: str) -> Position:
    row = {"position": quantity, "conid": "4711", "symbol": "VT", **more}
    found: list[Position] = records(Position, of("OpenPositions", "OpenPosition", row))
    return found[0]


def trade(quantity: str, time: str, **more: str) -> Trade:
    row = {"quantity": quantity, "conid": "4711", "reportDate": "20260109", "dateTime": f"20260109;{time}", **more}
    found: list[Trade] = records(Trade, of("Trades", "Trade", row))
    return found[0]


def agrees(positions: list[Position], held: list[tuple[str, str]], events: DayEvents | None = None) -> list[bool]:
    compared = compare_positions(
        "U1",
        positions,
        [HeldPosition(conid, "VT", Decimal(quantity)) for conid, quantity in held],
        events or DayEvents(),
    )
    return [item.agrees for item in compared]


def test_quantities_are_compared_by_conid() -> None:
    """Those of models, and of segments, are added up."""
    assert agrees([position("10")], [("4711", "10")]) == [True]
    assert agrees([position("10")], [("4711", "10.00")]) == [True]
    assert agrees([position("10")], [("4711", "9")]) == [False]
    assert agrees([position("10")], [("4712", "10")]) == [False, False]
    assert agrees([position("10")], []) == [False]
    assert agrees([], [("4711", "10")]) == [False]
    assert agrees([position("4", model="A"), position("6", model="B")], [("4711", "3"), ("4711", "7")]) == [True]
    assert agrees([], [("4711", "0")]) == [], "what was closed is listed until the day is over"


@pytest.mark.parametrize(
    ("held", "expected"), [("10", True), ("8", True), ("13", True), ("7", False), ("5", False), ("15", False)]
)
def test_trades_of_the_day_may_lie_between(held: str, expected: bool) -> None:
    """13 in the morning, 5 sold, 2 bought: any quantity that there was on the way is right."""
    events = DayEvents([trade("2", "150000"), trade("-5", "100000")])
    assert agrees([position("10")], [("4711", held)], events) == [expected]


def test_what_was_sold_on_the_day_may_still_be_there() -> None:
    assert agrees([], [("4711", "5")], DayEvents([trade("-5", "100000")])) == [True]
    assert agrees([], [("4711", "5")], DayEvents([trade("-5", "100000", conid="1")])) == [False]


def test_a_split_of_the_day() -> None:
    row = {"quantity": "90", "conid": "4711", "reportDate": "20260109"}
    actions: Any = records(CorporateAction, of("CorporateActions", "CorporateAction", row))
    assert agrees([position("100")], [("4711", "10")], DayEvents(actions=actions)) == [True]


@pytest.mark.parametrize(
    ("total", "flows", "expected"),
    [
        ("1000", [], True),
        ("1009.9", [], True),
        ("990.1", [], True),
        ("1011", [], False),
        ("500", [], False),
        ("500", ["500"], True),
        ("1500", ["-500", None], True),
        ("1000", ["500"], True),
    ],
)
def test_values_may_be_a_percent_apart(total: str, flows: list[str | None], expected: bool) -> None:
    """And by what came or left on that day."""
    snapshot = replace(VALUE, total=Decimal(total), source=Source.SNAPSHOT)
    amounts = [None if amount is None else Decimal(amount) for amount in flows]
    assert compare_values(VALUE, snapshot, amounts).agrees is expected


def test_values_in_two_currencies_do_not_agree() -> None:
    assert not compare_values(VALUE, replace(VALUE, currency="USD")).agrees
