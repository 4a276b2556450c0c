"""Positions and lots: as of a statement's last day, each once."""

from typing import Any

from ibkr_tools.history.projection import project
from ibkr_tools.history.records import Lot, Position
from tests.support.flex_statements import Sections
from tests.support.history_sources import records, source

ROW = {
    "currency": "USD",
    "fxRateToBase": "0.9",
    "assetCategory": "STK",
    "symbol": "VT",
    "conid": "4711",
    "reportDate": "20260109",
    "markPrice": "100",
}
SUMMARY = ROW | {"position": "10", "positionValue": "1000", "costBasisMoney": "950", "levelOfDetail": "SUMMARY"}
LOTS = [
    ROW | {"position": "4", "positionValue": "400", "costBasisMoney": "300", "levelOfDetail": "LOT"},
    ROW | {"position": "6", "positionValue": "600", "costBasisMoney": "650", "levelOfDetail": "LOT"},
]


def rows(*attributes: dict[str, str]) -> Sections:
    return {"OpenPositions": [("OpenPosition", one) for one in attributes]}


def figures(sections: Sections) -> list[Any]:
    return [(item.conid, item.quantity, item.value_in_base, item.cost) for item in records(Position, sections)]


def test_summaries_count_and_lots_are_kept_beside_them() -> None:
    assert figures(rows(SUMMARY, *LOTS)) == [("4711", 10, 900, 950)]
    assert [item.quantity for item in records(Lot, rows(SUMMARY, *LOTS))] == [4, 6]


def test_lots_alone_make_the_position() -> None:
    assert figures(rows(*LOTS)) == [("4711", 10, 900, 950)]


def test_equal_lots_are_two() -> None:
    assert len(records(Lot, rows(LOTS[0], LOTS[0]))) == 2


def test_without_a_level_they_are_positions() -> None:
    bare = {name: text for name, text in SUMMARY.items() if name != "levelOfDetail"}
    assert figures(rows(bare)) == [("4711", 10, 900, 950)]


def test_the_same_symbol_is_two_instruments() -> None:
    """Identity is the conid."""
    assert [item[0] for item in figures(rows(SUMMARY, SUMMARY | {"conid": "4712"}))] == ["4711", "4712"]


def test_models_are_added_up_and_their_total_is_left_out() -> None:
    parts = [SUMMARY | {"model": name, "position": quantity} for name, quantity in (("A", "7"), ("B", "3"))]
    assert sum(item.quantity for item in records(Position, rows(*parts))) == 10
    assert [item.quantity for item in records(Position, rows(*parts, SUMMARY))] == [10]
    independent = SUMMARY | {"position": "5"}
    assert sum(item.quantity for item in records(Position, rows(*parts, independent))) == 15


def test_the_value_in_base_is_ibkrs_own_where_it_gives_one() -> None:
    assert figures(rows(SUMMARY | {"positionValueInBase": "901"}))[0][2] == 901


def test_a_statement_speaks_of_its_last_day_alone() -> None:
    """A month's statement takes nothing from the days in between; one without positions says that there were none."""
    week = source(rows(SUMMARY))
    month = source(rows(SUMMARY | {"position": "8"}), toDate="20260130", whenGenerated="20260201;000000")
    both: list[Any] = project([(week, "a"), (month, "b")]).records(Position)
    assert [(f"{item.day:%m%d}", item.quantity) for item in both] == [("0109", 10), ("0130", 8)]
    sold = source({"OpenPositions": []}, whenGenerated="20260202;000000")
    projection = project([(month, "b"), (sold, "c"), (week, "a")])
    left: list[Any] = projection.records(Position)
    assert [(f"{item.day:%m%d}", item.quantity) for item in left] == [("0130", 8)]
    covered = [item for item in projection.coverage() if item.section == "OpenPositions"]
    assert [(f"{item.day:%m%d}", f"{item.to_day:%m%d}", item.digest) for item in covered] == [
        ("0109", "0109", "c"),
        ("0130", "0130", "b"),
    ]
