"""Returns by period and account: where periods begin, what IBKR's statements say, several accounts as one."""

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ibkr_tools.history.benchmark import parse_benchmark
from ibkr_tools.history.flows import ExternalFlow, FlowKind
from ibkr_tools.history.periods import Split
from ibkr_tools.history.records import AccountValue, Coverage, NavChange, Source
from ibkr_tools.history.return_report import (
    JOINED,
    PeriodReturn,
    chained_ibkr_return,
    covered_days,
    join_accounts,
    period_returns,
)
from ibkr_tools.history.returns import DayRange
from ibkr_tools.views.returns_table import format_returns
from tests.support.examples import examples

ALWAYS = [DayRange(date(2000, 1, 1), date(2100, 1, 1))]


def value(account: str, day: str, total: str, currency: str = "EUR") -> AccountValue:
    return AccountValue(account, date.fromisoformat(day), currency, Decimal(total), None, None, "")


def change(first: str, last: str, ratio: str | None) -> NavChange:
    zeros = (Decimal(0),) * 10
    twr = None if ratio is None else Decimal(ratio)
    return NavChange("U1", date.fromisoformat(last), date.fromisoformat(first), "EUR", *zeros, twr, "")


VALUES = [
    value("U1", "2025-12-31", "1000"),
    value("U1", "2026-01-30", "1100"),
    value("U1", "2026-02-02", "1210"),
    value("U1", "2026-02-27", "1331"),
]


def summary(found: list[PeriodReturn]) -> list[tuple[str, str, str, float | None]]:
    return [
        (
            item.period,
            item.measured.begin.day.isoformat(),
            item.measured.end.day.isoformat(),
            None if item.measured.time_weighted is None else round(float(item.measured.time_weighted), 9),
        )
        for item in found
    ]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (None, [("", "2025-12-31", "2026-02-27", 0.331)]),
        (Split.MONTH, [("2026-01", "2025-12-31", "2026-01-30", 0.1), ("2026-02", "2026-01-30", "2026-02-27", 0.21)]),
        (Split.YEAR, [("2026", "2025-12-31", "2026-02-27", 0.331)]),
    ],
)
def test_a_period_begins_with_the_last_close_before_it(
    split: Split | None, expected: list[tuple[str, str, str, float]]
) -> None:
    assert summary(period_returns(VALUES, [], {"U1": ALWAYS}, split=split)) == expected


def test_one_close_is_no_period() -> None:
    assert period_returns(VALUES[:1], [], {"U1": ALWAYS}) == []
    assert period_returns([], [], {}) == []


def test_accounts_and_currencies_are_apart() -> None:
    """A customer who changes the base currency has one series in each."""
    values = [
        value("U1", "2026-01-05", "1000", "EUR"),
        value("U1", "2026-01-06", "1100", "EUR"),
        value("U1", "2026-01-07", "1300", "USD"),
        value("U1", "2026-01-08", "1430", "USD"),
        value("U2", "2026-01-05", "10", "EUR"),
        value("U2", "2026-01-06", "12", "EUR"),
    ]
    flows = [ExternalFlow("U2", date(2026, 1, 6), Decimal(2), FlowKind.DEPOSIT)]
    found = period_returns(values, flows, {"U1": ALWAYS, "U2": ALWAYS})
    assert [(item.account, item.currency) for item in found] == [("U1", "EUR"), ("U1", "USD"), ("U2", "EUR")]
    assert [float(item.measured.time_weighted or 0) for item in found] == pytest.approx([0.1, 0.1, 0])


def test_what_no_statement_covers_has_no_return() -> None:
    found = period_returns(VALUES, [], {"U1": [DayRange(date(2026, 1, 31), date(2026, 2, 27))]}, split=Split.MONTH)
    assert [item.measured.problem for item in found] == ["no statement covers 2026-01-02 to 2026-01-30", ""]


def test_days_are_covered_by_values_and_bookings() -> None:
    spans = {"EquitySummaryInBase": (1, 20), "CashTransactions": (10, 31), "Trades": (1, 2)}
    coverage = [
        Coverage("U1", section, date(2026, 1, first), date(2026, 1, last), Source.STATEMENT, "", "")
        for section, (first, last) in spans.items()
    ]
    assert covered_days("U1", coverage) == [DayRange(date(2026, 1, 10), date(2026, 1, 20))]
    assert covered_days("U2", coverage) == []
    assert covered_days("U1", coverage[:1]) == []


DAYS = [date(2026, 1, day) for day in (2, 5, 6, 7, 8, 9)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("2026-01-03", "2026-01-09", "0.1")], "0.1"),
        ([("2026-01-05", "2026-01-09", "0.1")], "0.1"),
        ([("2026-01-05", "2026-01-06", "0.1"), ("2026-01-07", "2026-01-09", "0.2")], "0.32"),
        ([("2026-01-05", "2026-01-06", "0.1"), ("2026-01-05", "2026-01-09", "0.3")], "0.3"),
        ([("2026-01-05", "2026-01-06", "0.1")], None),
        ([("2026-01-02", "2026-01-09", "0.1")], None),
        ([("2026-01-06", "2026-01-09", "0.1")], None),
        ([("2026-01-05", "2026-01-12", "0.1")], None),
        ([("2026-01-05", "2026-01-09", None)], None),
        ([], None),
    ],
    ids=[
        "from the weekend on",
        "from Monday on",
        "two statements",
        "the longer one counts",
        "the end is missing",
        "a day too many at the begin",
        "the begin is missing",
        "a day too many at the end",
        "no return in it",
        "no statement",
    ],
)
def test_ibkrs_own_return(changes: list[tuple[str, str, str | None]], expected: str | None) -> None:
    found = chained_ibkr_return(DAYS, [change(*item) for item in changes])
    assert found == (None if expected is None else Decimal(expected))


def test_the_difference_to_ibkrs() -> None:
    (found,) = period_returns(VALUES, [], {"U1": ALWAYS}, [change("2026-01-01", "2026-02-27", "0.33")])
    assert found.difference == pytest.approx(Decimal("0.001"))


def test_an_account_that_moved_is_one_with_its_successor() -> None:
    """The transfer between them is no flow; the second had nothing before, the first has nothing afterwards."""
    values = [
        value("U1", "2026-01-05", "1000"),
        value("U1", "2026-01-06", "1100"),
        value("U1", "2026-01-07", "0"),
        value("U2", "2026-01-06", "0"),
        value("U2", "2026-01-07", "1210"),
        value("U2", "2026-01-08", "1331"),
    ]
    covered = {
        "U1": [DayRange(date(2026, 1, 5), date(2026, 1, 7))],
        "U2": [DayRange(date(2026, 1, 7), date(2026, 1, 8))],
    }
    joined, together = join_accounts(values, covered)
    assert [(item.account, int(item.total)) for item in joined] == [(JOINED, n) for n in (1000, 1100, 1210, 1331)]
    (found,) = period_returns(joined, [], {JOINED: together})
    assert found.measured.problem == ""
    assert float(found.measured.time_weighted or 0) == pytest.approx(0.331)


def test_an_account_that_is_not_known_yet_is_not_nothing() -> None:
    """Its first value is no deposit: the days before it are left out; neither is its last value the end."""
    values = [
        value("U1", "2026-01-05", "1000"),
        value("U1", "2026-01-06", "1000"),
        value("U2", "2026-01-06", "500"),
    ]
    joined, _ = join_accounts(values, {"U1": ALWAYS, "U2": ALWAYS})
    assert [(item.day.day, int(item.total)) for item in joined] == [(6, 1500)]


def test_other_currencies_are_not_added() -> None:
    with pytest.raises(ValueError, match="EUR, USD"):
        join_accounts([value("U1", "2026-01-05", "1"), value("U2", "2026-01-05", "1", "USD")], {})


def test_the_table() -> None:
    benchmark = parse_benchmark(["2025-12-30,100", "2026-02-27,120"], "x")
    (found,) = period_returns(VALUES, [], {"U1": ALWAYS}, benchmark=benchmark)
    table = format_returns([found])
    assert "+33.10 %" in table
    assert "+20.00 %" in table
    assert "IBKR" not in table
    (gap,) = period_returns(VALUES, [], {"U1": []})
    assert format_returns([gap]).endswith("no return: no statement covers 2026-01-02 to 2026-02-27")


def spans(days: set[int]) -> list[DayRange]:
    """Returns a range for each of these days, counted from some day on: what daily statements leave."""
    return [DayRange(day, day) for day in (date.fromordinal(730_000 + number) for number in sorted(days))]


@examples(1)
@example([{1, 2, 3, 5}, {2, 3, 4, 5}])
@given(st.lists(st.sets(st.integers(0, 40)), min_size=2, max_size=2))
def test_a_day_is_known_where_both_sections_are(covered: list[set[int]]) -> None:
    """In as few ranges as can be: their number goes into that of the days of ten years."""
    sections = ("EquitySummaryInBase", "CashTransactions")
    coverage = [
        Coverage("U1", section, span.first, span.last, Source.STATEMENT, "", "")
        for section, days in zip(sections, covered, strict=True)
        for span in spans(days)
    ]
    found = covered_days("U1", coverage)
    known = {number - 730_000 for span in found for number in range(span.first.toordinal(), span.last.toordinal() + 1)}
    assert known == set.intersection(*covered)
    assert all(later.first.toordinal() > earlier.last.toordinal() + 1 for earlier, later in pairwise(found))


def test_a_narrow_terminal_shows_the_returns() -> None:
    """A period that has a name goes without its days first; the line below says that there is more."""
    found = period_returns(VALUES, [], {"U1": ALWAYS}, [change("2026-01-01", "2026-01-30", "0.1")], split=Split.MONTH)
    whole = format_returns(found).splitlines()
    assert whole[0].split()[:3] == ["Period", "From", "To"]
    assert whole[-1] == "amounts in EUR"
    narrow = format_returns(found, width=80).splitlines()
    assert max(map(len, narrow)) <= 80
    assert {"Period", "Gain", "Time-weighted", "Money-weighted"} <= set(narrow[0].split())
    assert narrow[-1] == "amounts in EUR"
    assert narrow[-2].endswith(" columns left out; --all, or a wider terminal")
    assert format_returns([]) == "no return: there are not two days with a value"
