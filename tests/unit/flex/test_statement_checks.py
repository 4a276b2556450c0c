"""What has to add up in a statement, with a statement that does, and one change at a time."""

from collections.abc import Callable

import pytest

from ibkr_tools.flex.statement_checks import StatementChecks
from ibkr_tools.flex.statement_xml import Statement, read_statements
from tests.support.flex_statements import Sections, document, statement, week


def check(sections: Sections) -> StatementChecks:
    """Reads one statement of these sections."""
    events = read_statements(document(statement(sections)))
    head = next(events)
    assert isinstance(head, Statement)
    checks = StatementChecks(head)
    for event in events:
        assert not isinstance(event, Statement)
        checks.add(event)
    return checks


def told(sections: Sections) -> list[str]:
    """Returns what does not add up, without whose statement it is."""
    return [str(discrepancy).partition(": ")[2] for discrepancy in check(sections).discrepancies()]


def changed(section: str, row: int, **values: str) -> Sections:
    """Returns the week with other values in one row; a value of `-` takes the attribute away."""
    sections = week()
    attributes = sections[section][row][1]
    attributes.update(values)
    for name, value in values.items():
        if value == "-":
            del attributes[name]
    return sections


def test_the_week_adds_up() -> None:
    assert told(week()) == []


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        (
            changed("CashReport", 1, endingCash="1500.02"),
            "cash report of EUR: starting cash and movements 1,500.00, ending cash 1,500.02",
        ),
        (
            changed("CashReport", 0, dividends="9.5"),
            "cash report of BASE_SUMMARY: starting cash and movements 1,509.50, ending cash 1,508.50",
        ),
        (changed("OpenPositions", 1, position="5"), "lots of VWRL: the lots 11.00, the position 10.00"),
        (
            changed("OpenPositions", 0, positionValue="1100"),
            "positions: their values 990.00, in the net asset value 900.00",
        ),
        (
            changed("CashTransactions", 0, amount="900"),
            "deposits and withdrawals: the bookings 900.00, in the change in NAV 1,000.00",
        ),
    ],
)
def test_what_does_not_add_up_is_told_with_both_sides(sections: Sections, says: str) -> None:
    assert told(sections) == [says]


def test_a_change_of_one_figure_may_contradict_several() -> None:
    assert told(changed("ChangeInNAV", 0, endingValue="2409")) == [
        "change in NAV: starting value and components 2,408.50, ending value 2,409.00",
        "net asset value: ending value of the change 2,409.00, of the last day 2,408.50",
    ]
    assert told(changed("EquitySummaryInBase", 1, stock="910")) == [
        "net asset value of 20260109: parts 2,418.50, total 2,408.50",
        "positions: their values 900.00, in the net asset value 910.00",
    ]


def test_either_setting_of_profit_and_loss_will_do() -> None:
    """`mtm` stands beside `realized` and `changeInUnrealized`, which say the same; they are never added."""
    assert told(changed("ChangeInNAV", 0, realized="19.5", changeInUnrealized="30")) == []
    assert told(changed("ChangeInNAV", 0, mtm="0", realized="19.5", changeInUnrealized="30")) == []
    assert told(changed("ChangeInNAV", 0, mtm="0", realized="19.5", changeInUnrealized="31")) != []


def test_a_movement_that_ibkr_has_added_is_one() -> None:
    sections = changed("CashReport", 1, endingCash="1512", newKindOfFee="12", newKindOfFeeSec="12", slbNetCash="0")
    assert told(sections) == []


def test_a_summary_is_not_counted_beside_its_details() -> None:
    sections = week()
    name, deposit = sections["CashTransactions"][0]
    sections["CashTransactions"].append((name, deposit | {"levelOfDetail": "SUMMARY", "accountId": "-"}))
    assert told(sections) == []
    assert check(sections).summary_rows == 1


@pytest.mark.parametrize("kind", ["Deposits & Withdrawals", "DEPOSITS/WITHDRAWALS", "Deposits"])
def test_deposits_have_several_names(kind: str) -> None:
    assert told(changed("CashTransactions", 0, type=kind)) == []


def few_fields() -> Sections:
    """Returns a query with some fields of the cash report alone."""
    sections = week()
    sections["CashReport"] = [
        (name, {key: row[key] for key in ("currency", "startingCash", "endingCash", "dividends")})
        for name, row in sections["CashReport"]
    ]
    return sections


@pytest.mark.parametrize(
    "without",
    [
        few_fields,
        lambda: changed("CashReport", 0, startingCash="-"),
        lambda: changed("ChangeInNAV", 0, depositsWithdrawals="-", startingValue="-"),
        lambda: {name: rows for name, rows in week().items() if name != "CashTransactions"},
        lambda: {name: rows for name, rows in week().items() if name != "EquitySummaryInBase"},
        lambda: {name: rows for name, rows in week().items() if name != "OpenPositions"},
        lambda: week() | {"OpenPositions": week()["OpenPositions"][1:]},
        lambda: {"Trades": []},
    ],
)
def test_what_the_query_does_not_give_is_not_judged(without: Callable[[], Sections]) -> None:
    assert told(without()) == []


def test_a_future_has_no_value_in_the_account() -> None:
    sections = week()
    name, position = sections["OpenPositions"][0]
    future = position | {"assetCategory": "FUT", "conid": "5", "symbol": "ESZ6", "position": "1"}
    sections["OpenPositions"].append((name, future | {"positionValue": "300000"}))
    assert told(sections) == []


def test_what_cannot_be_read_is_named_and_stops_nothing() -> None:
    checks = check(changed("OpenPositions", 0, position="ten", reportDate="2026-01-09"))
    list(checks.discrepancies())
    assert checks.unreadable == ["OpenPosition position: 'ten' is no number"]


def test_so_many_unreadable_values_are_named_and_no_more() -> None:
    sections = week()
    sections["OpenPositions"] *= 100
    for _, row in sections["OpenPositions"]:
        row["position"] = "x"
    assert len(check(sections).unreadable) == 10


def of_models(rows: list[tuple[str, dict[str, str]]], *models: str) -> list[tuple[str, dict[str, str]]]:
    """Returns rows once for each model, each with half of the amounts, and maybe once for all of them together."""
    halved = []
    for model in models:
        for name, row in rows:
            half = {
                key: f"{float(value) / 2:.4f}"
                if key in {"position", "positionValue", "total", "cash", "stock"}
                else value
                for key, value in row.items()
            }
            halved.append((name, (half if model else row) | {"model": model}))
    return halved


@pytest.mark.parametrize("models", [("Growth", "Independent"), ("Growth", "Independent", "")])
def test_positions_of_models_are_added_and_their_total_is_not(models: tuple[str, ...]) -> None:
    """With models, IBKR has a row for each of them, and may have one for all."""
    sections = week()
    sections["OpenPositions"] = of_models(sections["OpenPositions"], *models)
    assert told(sections) == []
    sections["OpenPositions"][0][1]["positionValue"] = "600"
    assert len(told(sections)) == 1


def test_the_value_of_a_model_is_not_that_of_the_account() -> None:
    sections = week()
    account = sections["EquitySummaryInBase"]
    model = {**account[1][1], "model": "Growth", "total": "1", "cash": "1", "stock": "0"}
    model |= dict.fromkeys(("dividendAccruals", "interestAccruals"), "0")
    sections["EquitySummaryInBase"] = [*account, (account[1][0], model)]
    assert told(sections) == []
    name, change = sections["ChangeInNAV"][0]
    sections["ChangeInNAV"].append((name, change | {"model": "Growth", "depositsWithdrawals": "0", "mtm": "1049.5"}))
    assert told(sections) == []


@pytest.mark.parametrize("rate", ["-1", "0", ""])
@pytest.mark.parametrize(("section", "row"), [("OpenPositions", 0), ("CashTransactions", 0)])
def test_what_has_no_rate_is_not_judged(section: str, row: int, rate: str) -> None:
    """IBKR writes -1 where it has none; a sum without it would be wrong."""
    assert told(changed(section, row, fxRateToBase=rate)) == []


def test_a_day_of_a_booking_that_cannot_be_read_is_named() -> None:
    assert check(changed("CashTransactions", 0, reportDate="01/06/2026")).unreadable == [
        "CashTransaction reportDate: '01/06/2026' is no day such as 20260105 or 2026-01-05"
    ]
