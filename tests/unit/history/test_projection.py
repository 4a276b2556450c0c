"""One history of many statements: of every day the newest statement that covers it counts, in whatever order."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.history.projection import Projection, project
from ibkr_tools.history.records import CashKind, kind_of
from tests.support.history_sources import source


def booking(day: str, amount: str, **more: str) -> tuple[str, dict[str, str]]:
    return "CashTransaction", {
        "type": "Dividends",
        "currency": "USD",
        "fxRateToBase": "0.9",
        "amount": amount,
        "reportDate": day,
        **more,
    }


def amounts(projection: Projection) -> list[tuple[str, str]]:
    return [(f"{item.day:%m%d}", f"{item.amount}") for item in projection.bookings()]


def test_a_week_has_two_values_and_two_bookings() -> None:
    """The first value is that of the day before the statement's first."""
    projection = project([(source(), "a")])
    assert [(f"{value.day}", value.total, value.positions) for value in projection.values()] == [
        ("2026-01-02", Decimal("1350.5"), Decimal("850.5")),
        ("2026-01-09", Decimal("2408.5"), Decimal(900)),
    ]
    assert {value.currency for value in projection.values()} == {"EUR"}
    assert [(item.kind, item.amount_in_base) for item in projection.bookings()] == [
        (CashKind.DEPOSIT, Decimal(1000)),
        (CashKind.DIVIDEND, Decimal(9)),
    ]


def test_a_newer_statement_replaces_its_days_and_no_others() -> None:
    """A dividend that was reversed is gone with its day; what is before and after stays."""
    old = source({"CashTransactions": [booking("20260105", "1"), booking("20260107", "2"), booking("20260109", "3")]})
    new = source(
        {"CashTransactions": [booking("20260108", "5")]},
        fromDate="20260106",
        toDate="20260108",
        whenGenerated="20260111;000000",
    )
    for order in itertools.permutations([(old, "a"), (new, "b")]):
        assert amounts(project(order)) == [("0105", "1"), ("0108", "5"), ("0109", "3")]


def test_an_older_one_never_wins() -> None:
    old = source({"CashTransactions": [booking("20260106", "1")]}, whenGenerated="20260110;000000")
    new = source({"CashTransactions": []}, whenGenerated="20260110;000001")
    assert amounts(project([(new, "b"), (old, "a")])) == []


def test_a_section_that_the_query_lacks_replaces_nothing() -> None:
    """An empty one does."""
    old = source()
    without = source({"Trades": []}, whenGenerated="20260111;000000")
    empty = source({"CashTransactions": []}, whenGenerated="20260112;000000")
    assert len(project([(old, "a"), (without, "b")]).bookings()) == 2
    assert project([(old, "a"), (without, "b"), (empty, "c")]).bookings() == []
    assert len(project([(old, "a"), (without, "b"), (empty, "c")]).values()) == 2


def test_equal_bookings_of_one_statement_are_two() -> None:
    """IBKR books the same amount twice on a day; nothing is de-duplicated inside of a statement."""
    twice = source({"CashTransactions": [booking("20260106", "1"), booking("20260106", "1")]})
    assert amounts(project([(twice, "a")])) == [("0106", "1"), ("0106", "1")]
    assert amounts(project([(twice, "a"), (twice, "a")])) == [("0106", "1"), ("0106", "1")]


def test_summaries_count_where_there_are_no_details() -> None:
    detail, summary = {"levelOfDetail": "DETAIL"}, {"levelOfDetail": "SUMMARY"}
    both = [booking("20260106", "1", **summary), booking("20260106", "1", **detail)]
    assert amounts(project([(source({"CashTransactions": both}), "a")])) == [("0106", "1")]
    assert amounts(project([(source({"CashTransactions": both[:1]}), "a")])) == [("0106", "1")]


def test_accounts_are_told_apart() -> None:
    two = project([(source(), "a"), (source(accountId="U7654321"), "b")])
    assert {value.account for value in two.values()} == {"U1234567", "U7654321"}
    assert len(two.values()) == 4


@pytest.mark.parametrize(("models", "total"), [(["", "A", "B"], "7"), (["A", "B"], "5"), (["", ""], "1")])
def test_models_are_added_up_or_their_sum_is_taken(models: list[str], total: str) -> None:
    """The row of the whole account counts where there is one."""
    totals = {"": "7", "A": "2", "B": "3"}
    rows = [
        ("EquitySummaryByReportDateInBase", {"reportDate": "20260109", "model": model, "total": totals[model]})
        for model in models
    ]
    if models == ["", ""]:
        rows[1][1]["total"] = "1"
    projection = project([(source({"EquitySummaryInBase": rows}), "a")])
    assert [(value.total, value.cash, value.positions) for value in projection.values()] == [
        (Decimal(total), None, None)
    ]


def test_a_booking_of_another_day_is_of_the_statements_nearest() -> None:
    """It entered the account when the statement has it."""
    late = source({"CashTransactions": [booking("20251230", "1"), booking("", "2"), booking("20260201", "3")]})
    assert amounts(project([(late, "a")])) == [("0105", "1"), ("0109", "2"), ("0109", "3")]


def test_what_cannot_be_read_is_left_out() -> None:
    """`flex import` has named it."""
    odd = source({"CashTransactions": [booking("20260106", "much"), booking("01/06/2026", "2")]})
    assert amounts(project([(odd, "a")])) == [("0109", "2")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Deposits/Withdrawals", CashKind.DEPOSIT),
        ("Deposits & Withdrawals", CashKind.DEPOSIT),
        ("DIVIDENDS", CashKind.DIVIDEND),
        ("Payment In Lieu Of Dividends", CashKind.DIVIDEND),
        ("Withholding Tax", CashKind.TAX),
        ("871(m) Withholding", CashKind.TAX),
        ("Broker Interest Paid", CashKind.INTEREST),
        ("Bond Interest Received", CashKind.INTEREST),
        ("Other Fees", CashKind.FEE),
        ("Something New", CashKind.OTHER),
        ("", CashKind.OTHER),
    ],
)
def test_kinds_of_bookings(text: str, kind: CashKind) -> None:
    assert kind_of(text) is kind


STATEMENTS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(0, 4), st.integers(0, 20), st.lists(st.integers(1, 12), max_size=4)),
    min_size=1,
    max_size=5,
)


@given(STATEMENTS, st.randoms(use_true_random=False))
def test_the_order_of_import_does_not_matter(spans: list[tuple[int, int, int, list[int]]], random: object) -> None:
    """Overlaps, restatements, duplicates and missing days, in any order, make the same history."""
    sources = []
    for first, length, generated, days in spans:
        rows = {"CashTransactions": [booking(f"202601{day:02}", f"{number + 1}") for number, day in enumerate(days)]}
        last = first + length
        dates = {"fromDate": f"202601{first:02}", "toDate": f"202601{last:02}"}
        made = source(rows, **dates, whenGenerated=f"20260201;0000{generated:02}")
        sources.append((made, f"{first}-{last}-{generated}-{days}"))
    expected = amounts(project(sources))
    random.shuffle(sources)  # type: ignore[attr-defined]
    assert amounts(project([*sources, sources[0]])) == expected
    by_age = sorted(sources, key=lambda item: (item[0].statement.generated_at, item[1]))
    newest, digest = by_age[-1]
    inside = project([(newest, digest)]).bookings()
    span = (newest.statement.from_day, newest.statement.to_day)
    assert [item for item in project(sources).bookings() if span[0] <= item.day <= span[1]] == inside
