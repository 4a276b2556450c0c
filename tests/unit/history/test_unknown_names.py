"""What IBKR has added since is named, once each; what is known is not."""

import pytest

from ibkr_tools.flex.query_sections import SECTIONS
from ibkr_tools.flex.statement_xml import read_statements
from ibkr_tools.history.known_attributes import known_rows
from ibkr_tools.history.unknown_names import unknown_names
from ibkr_tools.simulator.account_life.flex_query import FlexQuery
from ibkr_tools.simulator.account_life.statement_writer import write_statements
from tests.support.flex_statements import Sections, document, statement, week
from tests.support.lives import FIRST_DAY, LAST_DAY, LATER, life_of


def names(sections: Sections) -> list[str]:
    return unknown_names(read_statements(document(statement(sections))))


def test_the_week_is_known() -> None:
    assert names(week()) == []


def test_what_is_new_is_named_once() -> None:
    sections: Sections = {
        "NewThings": [("NewThing", {"a": "1"}), ("NewThing", {"a": "2"})],
        "CashTransactions": [("CashTransaction", {"type": kind}) for kind in ("Magic", "Magic", "Dividends", "")],
        "Trades": [("Trade", {"transactionType": "TimeTravel"}), ("Trade", {"transactionType": "ExchTrade"})],
        "Transfers": [("Transfer", {"type": "FOP"}), ("Transfer", {"type": "PIGEON"})],
        "CorporateActions": [("CorporateAction", {"type": "FS"}), ("CorporateAction", {"type": "ZZ"})],
    }
    assert names(sections) == [
        "section NewThings",
        "cash transaction of the type 'Magic'",
        "Trade of the transactionType 'TimeTravel'",
        "Transfer of the type 'PIGEON'",
        "CorporateAction of the type 'ZZ'",
    ]


def test_attributes_and_rows_are_named_once_each() -> None:
    """Those of sections of which nothing is made are not: a statement has hundreds."""
    trade = {"symbol": "A", "karma": "1"}
    sections: Sections = {
        "Trades": [("Trade", trade), ("Trade", trade | {"aura": ""}), ("Trade", trade), ("Barter", {"quantity": "1"})],
        "FxLots": [("FxLot", {"karma": "1"}), ("FxThing", {"a": "1"})],
        "NewThings": [("NewThing", {"karma": "1"})],
        "OptionEAE": [("OptionEAE", {"karma": "1", "tradeID": "2"})],
    }
    assert names(sections) == [
        "attribute karma of Trade",
        "attribute aura of Trade",
        "row Barter of the section Trades",
        "section NewThings",
        "attribute karma of OptionEAE",
    ]


def test_what_a_query_with_everything_ticked_has_is_known() -> None:
    """As IBKR writes it in 2026; sections that are about nothing here come as empty ones."""
    account = {"dateOfBirth": "", "taxLotMatchingMethod": "FIFO", "syepEnrollmentStatus": "No", "hasPendingTasks": "No"}
    account |= {"dividendReinvestmentEnabled": "No", "recurringTransactions": "", "beneficiaryDesignations": ""}
    nav = {"cgtWithholdingAccruals": "0", "cgtWithholdingAccrualsLong": "0", "cgtWithholdingAccrualsShort": "0"}
    change = {"changeInCGTWithholdingAccruals": "0", "changeInLiteSurchargeAccruals": "0"}
    transfer = {"cost": "0", "costBasis": "0", "openDateTime": "", "holdingPeriodDateTime": ""}
    sections: Sections = {
        "AccountInformation": [("AccountInformation", account)],
        "EquitySummaryInBase": [("EquitySummaryByReportDateInBase", nav)],
        "ChangeInNAV": [("ChangeInNAV", change)],
        "CashTransactions": [("CashTransaction", {"type": "Dividends", "dividendType": ""})],
        "CorporateActions": [("CorporateAction", {"type": "FS", "realizedPL": "0"})],
        "Transfers": [("Transfer", transfer)],
        "TransactionTaxes": [("TransactionTax", {"orderId": "1", "settleDate": "20260107"})],
    }
    empty = ("ComplexPositions", "UnbookedTrades", "HKIPOOpenSubscriptions", "HKIPOSubscriptionActivity", "Adjustments")
    assert names(sections | {name: [] for name in (*empty, "HardToBorrowMarkupDetails", "TradeConfirms")}) == []


@pytest.mark.parametrize(
    ("element", "name", "is_known"),
    [
        ("CashReportCurrency", "commissionsSecMTD", True),
        ("CashReportCurrency", "commissionsMoon", False),
        ("CashReportCurrency", "MTD", False),
        ("EquitySummaryByReportDateInBase", "totalLong", True),
        ("EquitySummaryByReportDateInBase", "totalWide", False),
        ("Trade", "isin", True),
        ("Trade", "quantityLong", False),
        ("WashSale", "fifoPnlRealized", True),
    ],
)
def test_endings(element: str, name: str, is_known: bool) -> None:
    assert known_rows().has(element, name) is is_known


def test_every_field_that_is_recommended_or_made_up_is_known() -> None:
    """And every row; so a statement with all of them is."""
    for section in SECTIONS:
        assert known_rows().has_row(section.row)
        assert [name for name in section.fields if not known_rows().has(section.row, name)] == []
    query = FlexQuery(
        booking_levels=("SUMMARY", "DETAIL"),
        trade_levels=("EXECUTION", "CLOSED_LOT", "ORDER", "SYMBOL_SUMMARY", "ASSET_SUMMARY"),
    )
    life = life_of(1)
    assert (
        unknown_names(read_statements(write_statements(life, life.accounts, FIRST_DAY, LAST_DAY, LATER, query))) == []
    )


def test_names_from_outside_are_cut() -> None:
    long = "x" * 5000
    for named in names({"Trades": [("Trade", {long: "1"}), (long, {"a": "1"})], long: []}):
        assert len(named) < 100
