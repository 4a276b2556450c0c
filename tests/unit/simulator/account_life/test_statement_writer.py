"""Statements of a life: everything that IBKR's sections repeat is the same in all of them, to the last digit."""

import re
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from ibkr_tools.simulator.account_life import statement_calendar
from ibkr_tools.simulator.account_life.flex_query import ISO, FlexQuery
from ibkr_tools.simulator.account_life.life import LifeOptions
from ibkr_tools.simulator.account_life.statement_writer import (
    SECTIONS,
    LivedStatements,
    NoStatementError,
    write_statements,
)
from tests.support.lives import (
    FIRST,
    FIRST_DAY,
    FORMER,
    LAST_DAY,
    LATER,
    SECOND,
    SEEDS,
    life_of,
    of_lives,
    read,
    rows_of,
    windows,
)

ALL = (FIRST, SECOND, FORMER)
ZERO = Decimal(0)
EVERYTHING = FlexQuery(
    booking_levels=("SUMMARY", "DETAIL"),
    trade_levels=("EXECUTION", "CLOSED_LOT", "ORDER", "SYMBOL_SUMMARY", "ASSET_SUMMARY"),
)
QUERIES = (
    FlexQuery(),
    EVERYTHING,
    FlexQuery(splits_profit=True, date_format=ISO, time_format="%H:%M:%S"),
    FlexQuery(separator=" ", position_levels=("SUMMARY",)),
)
moment = datetime.fromisoformat
MOMENTS = st.datetimes(moment("2024-01-04"), LATER)


@given(SEEDS, windows(), MOMENTS, st.sampled_from(QUERIES))
@of_lives(0.1)
def test_no_statement_contradicts_itself(seed: int, window: tuple[date, date], at: datetime, query: FlexQuery) -> None:
    """Of whatever days, made at whatever time, by whatever query."""
    life = life_of(seed)
    try:
        file = read(write_statements(life, ALL, *window, at, query))
    except NoStatementError:
        last = statement_calendar.on_or_before(window[1])
        assert min(last, statement_calendar.last_reported(at)) < statement_calendar.on_or_after(window[0])
        return
    assert list(file.warnings()) == []


@given(SEEDS, windows())
@of_lives(0.1)
def test_a_statement_for_each_day_adds_up_too(seed: int, window: tuple[date, date]) -> None:
    first, last = window[0], min(window[1], window[0] + timedelta(days=10))
    assume(statement_calendar.on_or_before(last) >= statement_calendar.on_or_after(first))
    xml = write_statements(life_of(seed), [FIRST, SECOND, FORMER], first, last, LATER, FlexQuery(breaks_out_days=True))
    file = read(xml)
    assert list(file.warnings()) == []
    assert all(head.from_day == head.to_day for head in file.statements)


PLANTED = [
    ("CashReportCurrency", "endingCash", "cash report"),
    ("CashReportCurrency", "dividends", "cash report"),
    ("ChangeInNAV", "mtm", "change in NAV"),
    ("ChangeInNAV", "depositsWithdrawals", "deposits and withdrawals"),
    ("ChangeInNAV", "fxTranslation", "change in NAV"),
    ("ChangeInNAV", "endingValue", "net asset value"),
    ("EquitySummaryByReportDateInBase", "total", "net asset value of"),
    ("EquitySummaryByReportDateInBase", "interestAccruals", "net asset value of"),
    ("OpenPosition", "position", "lots of"),
    ("OpenPosition", "positionValue", "positions"),
]


@pytest.mark.parametrize(("element", "attribute", "says"), PLANTED)
def test_one_wrong_figure_is_told(element: str, attribute: str, says: str) -> None:
    """So that the checks above can fail."""
    xml = write_statements(life_of(1), [FIRST], date(2024, 9, 1), date(2024, 12, 31), LATER).decode()
    wrong, count = re.subn(rf'(<{element} [^>]*?\b{attribute}=")(-?[0-9.]+)"', r'\g<1>987654.5"', xml, count=1)
    assert count == 1
    assert says in "; ".join(read(wrong.encode()).warnings())


def statement_of(seed: int, window: tuple[date, date], account: str) -> bytes:
    """Returns the statement of these days; draws others if there is none."""
    try:
        return write_statements(life_of(seed), [account], *window, LATER)
    except NoStatementError:
        return reject()


def amount(row: dict[str, str], name: str) -> Decimal:
    return Decimal(row[name] or 0)


def in_base(row: dict[str, str], name: str) -> Decimal:
    return amount(row, name) * amount(row, "fxRateToBase")


@given(SEEDS, windows(), st.sampled_from(ALL))
@of_lives(0.1)
def test_sections_agree_to_the_last_digit(seed: int, window: tuple[date, date], account: str) -> None:
    """What a check with a tolerance would let through."""
    xml = statement_of(seed, window, account)
    change = rows_of(xml, "ChangeInNAV")[0]
    days = rows_of(xml, "EquitySummaryByReportDateInBase")
    bookings = rows_of(xml, "CashTransaction")
    deposits = [row for row in bookings if row["type"] == "Deposits/Withdrawals"]
    assert sum((in_base(row, "amount") for row in deposits), ZERO) == amount(change, "depositsWithdrawals")
    transfers = rows_of(xml, "Transfer")
    moved = sum((amount(row, "positionAmountInBase") + in_base(row, "cashTransfer") for row in transfers), ZERO)
    assert moved == amount(change, "assetTransfers") + amount(change, "internalCashTransfers")
    assert amount(change, "endingValue") == amount(days[-1], "total")
    held = [row for row in rows_of(xml, "OpenPosition") if row["levelOfDetail"] == "SUMMARY"]
    valued = [row for row in held if row["assetCategory"] != "FUT"]
    accruals = rows_of(xml, "OpenDividendAccrual")
    total = sum((in_base(row, "positionValue") for row in valued), ZERO) + amount(days[-1], "cash")
    total += sum((in_base(row, "netAmount") for row in accruals), ZERO) + amount(days[-1], "interestAccruals")
    assert total == amount(days[-1], "total")
    for row in held:
        of_lots = [one for one in rows_of(xml, "OpenPosition") if one["levelOfDetail"] == "LOT"]
        mine = [lot for lot in of_lots if lot["conid"] == row["conid"]]
        for name in ("position", "costBasisMoney", "positionValue"):
            assert sum((amount(lot, name) for lot in mine), ZERO) == amount(row, name)


_CASH_OF = {
    "CashTransaction": ("amount",),
    "SalesTax": ("salesTax",),
    "Transfer": ("cashTransfer",),
    "CorporateAction": ("proceeds",),
    "Trade": ("proceeds", "taxes"),
}


def movements(xml: bytes) -> dict[str, Decimal]:
    """Returns the cash that the sections with details say has come, by currency, but what futures have brought."""
    moved: dict[str, Decimal] = defaultdict(Decimal)
    for element, names in _CASH_OF.items():
        for row in rows_of(xml, element):
            if row.get("assetCategory") != "FUT":
                moved[row["currency"]] += sum((amount(row, name) for name in names), ZERO)
    for row in rows_of(xml, "Trade"):
        moved[row["ibCommissionCurrency"]] += amount(row, "ibCommission")
        if row["assetCategory"] == "CASH":
            moved[row["symbol"].partition(".")[0]] += amount(row, "quantity")
    return moved


@given(SEEDS, windows(), st.sampled_from(ALL))
@of_lives(0.1)
def test_cash_is_what_bookings_and_trades_make(seed: int, window: tuple[date, date], account: str) -> None:
    """By currency: the sections with details sum to the movements of the cash report."""
    xml = statement_of(seed, window, account)
    moved = movements(xml)
    for row in rows_of(xml, "CashReportCurrency"):
        if row["currency"] != "BASE_SUMMARY":
            change = amount(row, "endingCash") - amount(row, "startingCash")
            assert change - amount(row, "cashSettlingMtm") == moved[row["currency"]]
    balances = {row["currency"]: row["balance"] for row in rows_of(xml, "StatementOfFundsLine")}
    ends = {row["currency"]: row["endingCash"] for row in rows_of(xml, "CashReportCurrency")}
    assert {currency: ends[currency] for currency in balances} == balances


@given(SEEDS, st.dates(FIRST_DAY, LAST_DAY), st.sampled_from(ALL))
@of_lives(0.1)
def test_positions_are_what_trades_actions_and_transfers_make(seed: int, last: date, account: str) -> None:
    """From the first day on: nothing is held that did not come, and nothing has left that is held."""
    xml = statement_of(seed, (FIRST_DAY, last), account)
    came: dict[str, Decimal] = defaultdict(Decimal)
    for element in ("Trade", "CorporateAction", "Transfer"):
        for row in rows_of(xml, element):
            if row["conid"] and row["assetCategory"] != "CASH":
                came[row["conid"]] += amount(row, "quantity")
    held = [row for row in rows_of(xml, "OpenPosition") if row["levelOfDetail"] == "SUMMARY"]
    assert {row["conid"]: amount(row, "position") for row in held} == {key: own for key, own in came.items() if own}


@given(SEEDS, st.lists(st.dates(FIRST_DAY, LAST_DAY), min_size=2, max_size=5, unique=True))
@of_lives(0.1)
def test_one_statement_goes_on_where_the_one_before_ended(seed: int, cuts: list[date]) -> None:
    life = life_of(seed)
    value, cash = "0", dict[str, str]()
    for first, next_first in pairwise([FIRST_DAY, *sorted(cuts)]):
        try:
            xml = write_statements(life, [SECOND], first, next_first - timedelta(days=1), LATER)
        except NoStatementError:
            continue
        change = rows_of(xml, "ChangeInNAV")[0]
        reports = {row["currency"]: row for row in rows_of(xml, "CashReportCurrency")}
        assert change["startingValue"] == value
        for currency, balance in cash.items():
            assert (reports[currency]["startingCash"] if currency in reports else "0") == balance
        value, cash = change["endingValue"], {currency: row["endingCash"] for currency, row in reports.items()}


def test_coarser_rows_stand_beside_the_details() -> None:
    """And say that they are of several accounts, as IBKR's do."""
    xml = write_statements(life_of(3), [SECOND], FIRST_DAY, LAST_DAY, LATER, EVERYTHING)
    levels = {row["levelOfDetail"] for row in rows_of(xml, "CashTransaction")}
    assert levels == {"SUMMARY", "DETAIL"}
    assert {row["accountId"] for row in rows_of(xml, "CashTransaction") if row["levelOfDetail"] == "SUMMARY"} == {"-"}
    for element in ("Order", "SymbolSummary", "AssetSummary", "Lot"):
        assert rows_of(xml, element)
    assert "MULTI" in {row["tradeDate"] for row in rows_of(xml, "SymbolSummary")}


def test_a_query_has_what_is_ticked() -> None:
    query = FlexQuery(sections=frozenset({"Trades", "ChangeInNAV"}), without=frozenset({"isin", "twr"}))
    xml = write_statements(life_of(3), [SECOND], FIRST_DAY, LAST_DAY, LATER, query)
    assert read(xml).checks[0].sections == {"Trades", "ChangeInNAV"}
    assert b"isin=" not in xml
    assert b"twr=" not in xml
    assert set(SECTIONS) == read(write_statements(life_of(3), [SECOND], FIRST_DAY, LAST_DAY, LATER)).checks[0].sections


@pytest.mark.parametrize("value", ["", "plain", "R&D", "a < b > c", 'a "quoted" name', "Körner's"])
def test_any_value_comes_back(value: str) -> None:
    """Whatever XML wants escaped, and beside it what nobody ticked is left out."""
    written = FlexQuery(without=frozenset({"isin"})).element(
        "Trade", {"isin": "XX", "description": value, "symbol": "A"}
    )
    assert ET.fromstring(written).attrib == {"description": value, "symbol": "A"}


def test_days_are_moved_as_ibkr_moves_them() -> None:
    """The first to a business day, the last to one that has ended when the statement is made."""
    xml = write_statements(life_of(3), [SECOND], date(2024, 6, 1), date(2024, 6, 30), moment("2024-06-12T06:30"))
    head = read(xml).statements[0]
    assert (head.from_day, head.to_day) == (date(2024, 6, 3), date(2024, 6, 11))
    early = write_statements(life_of(3), [SECOND], date(2024, 6, 1), date(2024, 6, 30), moment("2024-06-12T04:59"))
    assert read(early).statements[0].to_day == date(2024, 6, 10)


@pytest.mark.parametrize(
    ("account", "first", "last"),
    [
        (SECOND, date(2024, 6, 8), date(2024, 6, 9)),
        (SECOND, date(2023, 1, 1), date(2023, 12, 31)),
        (FIRST, date(2024, 1, 2), date(2024, 3, 1)),
        ("U1", date(2024, 1, 2), date(2024, 3, 1)),
    ],
)
def test_there_is_no_statement_of_a_weekend_nor_of_before_the_account(account: str, first: date, last: date) -> None:
    with pytest.raises(NoStatementError):
        write_statements(life_of(3), [account], first, last, LATER)


def test_a_source_lives_on_as_time_passes() -> None:
    """And what it has said of the past it says again."""
    source = LivedStatements(LifeOptions(seed=5, first_day=date(2025, 1, 2), last_day=date(2025, 1, 10), positions=5))
    first = source.statement_of(["U1234567"], date(2025, 1, 2), date(2025, 1, 9), moment("2025-01-10T06:30"))
    later = source.statement_of(["U1234567"], date(2025, 1, 2), date(2025, 4, 30), moment("2025-05-02T06:30"))
    assert read(later).statements[0].to_day == date(2025, 4, 30)
    again = source.statement_of(["U1234567"], date(2025, 1, 2), date(2025, 1, 9), moment("2025-01-10T06:30"))
    assert again == first
