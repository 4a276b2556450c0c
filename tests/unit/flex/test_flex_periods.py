"""Which days are asked for, and whether they came: markets, years, months, short answers."""

import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.flex.business_days import is_business_day, last_finished_day
from ibkr_tools.flex.flex_coverage import ShortfallKind, find_shortfalls
from ibkr_tools.flex.flex_periods import MAX_DAYS, Period, due_period, last_days, split, years_backwards
from ibkr_tools.flex.statement_archive import ArchivedFile
from ibkr_tools.flex.statement_xml import Statement
from ibkr_tools.flex.token_expiry import describe_expiry, warning_stage

DAYS = st.dates(date(2015, 1, 1), date(2035, 12, 31))


def test_holidays_of_the_markets() -> None:
    """All of 2026 and some that move: a Saturday's, a Sunday's, Good Friday."""
    closed = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    closed = [day for day in closed if day.weekday() < 5 and not is_business_day(day)]
    assert [f"{day:%m-%d}" for day in closed] == [
        *("01-01", "01-19", "02-16", "04-03", "05-25", "06-19", "07-03", "09-07", "11-26", "12-25"),
    ]
    for day in (date(2023, 1, 2), date(2024, 3, 29), date(2027, 12, 24), date(2025, 4, 18), date(2022, 12, 26)):
        assert not is_business_day(day), day


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-24T11:30+00:00", "2026-11-23"),  # a Tuesday morning
        ("2026-11-23T11:30+00:00", "2026-11-20"),  # Monday: Friday's
        ("2026-11-24T09:00+00:00", "2026-11-20"),  # before IBKR's night is over
        ("2026-11-27T11:30+00:00", "2026-11-25"),  # the day after Thanksgiving
        ("2026-07-07T04:00+00:00", "2026-07-02"),
    ],
)
def test_the_last_day_that_is_over(now: str, day: str) -> None:
    assert last_finished_day(datetime.fromisoformat(now)) == date.fromisoformat(day)


@given(DAYS, st.integers(1, 3000))
def test_parts_are_of_a_year_at_most_and_leave_nothing_out(to_day: date, days: int) -> None:
    whole = last_days(days, to_day)
    parts = list(split(whole))
    assert all(1 <= part.days <= MAX_DAYS for part in parts)
    covered = {part.from_day + timedelta(days=number) for part in parts for number in range(part.days)}
    asked = {whole.from_day + timedelta(days=number) for number in range(whole.days)}
    assert covered <= asked
    assert not [day for day in asked - covered if is_business_day(day)]
    assert all(later.from_day - timedelta(days=1) == earlier.to_day for later, earlier in itertools.pairwise(parts))


def test_everything_is_this_year_and_four_before() -> None:
    parts = list(years_backwards(date(2026, 11, 20)))
    assert parts[0] == Period(date(2026, 1, 1), date(2026, 11, 20))
    assert [part.from_day for part in parts[1:]] == [
        date(2025, 1, 1),
        date(2024, 1, 2),
        date(2023, 1, 1),
        date(2022, 1, 1),
    ]
    assert all(part.days <= MAX_DAYS for part in parts)


NOW = datetime(2026, 11, 24, 11, 35, tzinfo=UTC)


def archived(from_day: str, to_day: str, generated: str) -> ArchivedFile:
    return ArchivedFile(
        Path("x"), date.fromisoformat(from_day), date.fromisoformat(to_day), datetime.fromisoformat(generated), "0"
    )


def test_the_first_time_is_a_year() -> None:
    assert due_period([], NOW) == last_days(365, date(2026, 11, 23))


def test_once_a_month_it_is_a_year() -> None:
    year = archived("2025-11-03", "2026-10-30", "2026-11-02T06:40:00")
    assert due_period([year], NOW) == last_days(45, date(2026, 11, 23))
    october = archived("2025-10-03", "2026-10-01", "2026-10-02T06:40:00")
    weeks = archived("2026-10-10", "2026-11-20", "2026-11-23T06:40:00")
    assert due_period([october, weeks], NOW) == last_days(365, date(2026, 11, 23))


def test_a_young_account_has_no_year() -> None:
    """What begins with the first day of all is as long as it can be."""
    whole = archived("2026-09-01", "2026-10-30", "2026-11-02T06:40:00")
    assert due_period([whole], NOW) == last_days(45, date(2026, 11, 23))


@pytest.mark.parametrize("from_day", ["2026-11-20", "2026-10-07"])
def test_a_short_first_one_is_no_year(from_day: str) -> None:
    """Neither an answer of one day alone, nor the weeks that a person has asked for first."""
    short = archived(from_day, "2026-11-20", "2026-11-23T06:40:00")
    assert due_period([short], NOW) == last_days(365, date(2026, 11, 23))


def test_what_was_not_there_yet_is_asked_for_alone() -> None:
    year = archived("2025-11-03", "2026-10-30", "2026-11-02T06:40:00")
    today = archived("2026-10-10", "2026-11-20", "2026-11-24T06:31:00")
    assert due_period([year, today], NOW) == Period(date(2026, 11, 21), date(2026, 11, 23))


def test_nothing_is_due_twice_a_day() -> None:
    year = archived("2025-11-03", "2026-10-30", "2026-11-02T06:40:00")
    today = archived("2026-10-10", "2026-11-23", "2026-11-24T06:31:00")
    assert due_period([year, today], NOW) is None
    assert due_period([year, today], NOW + timedelta(days=1)) == last_days(45, date(2026, 11, 24))


def test_an_import_of_other_days_is_no_run_of_today() -> None:
    year = archived("2025-11-03", "2026-10-30", "2026-11-02T06:40:00")
    other = archived("2026-11-23", "2026-11-23", "2026-11-24T06:31:00")
    assert due_period([year, other], NOW) == last_days(45, date(2026, 11, 23))


ASKED = Period(date(2026, 10, 10), date(2026, 11, 23))


def kinds(*spans: tuple[str, str, str], asked: Period = ASKED) -> dict[str, ShortfallKind]:
    heads = [
        Statement(account, date.fromisoformat(from_day), date.fromisoformat(to_day), NOW.replace(tzinfo=None))
        for account, from_day, to_day in spans
    ]
    return {found.account: found.kind for found in find_shortfalls(asked, heads, {"U1"})}


@pytest.mark.parametrize(
    ("from_day", "to_day", "kind"),
    [
        ("2026-10-10", "2026-11-23", None),
        ("2026-10-12", "2026-11-23", None),  # Monday
        ("2026-10-13", "2026-11-23", ShortfallKind.BEGINS_LATER),
        ("2026-10-10", "2026-11-20", ShortfallKind.LATE),
        ("2026-11-23", "2026-11-23", ShortfallKind.ONE_DAY),
        ("2026-11-20", "2026-11-20", ShortfallKind.ONE_DAY),
    ],
)
def test_days_that_are_missing_are_told_apart(from_day: str, to_day: str, kind: ShortfallKind | None) -> None:
    assert kinds(("U1", from_day, to_day)) == ({"U1": kind} if kind else {})


def test_closed_markets_are_not_missed() -> None:
    new_year = Period(date(2026, 1, 1), date(2026, 1, 4))
    assert kinds(("U1", "2026-01-02", "2026-01-02"), asked=new_year) == {}
    weekend = Period(date(2026, 11, 21), date(2026, 11, 22))
    assert kinds(("U1", "2026-11-20", "2026-11-20"), asked=weekend) == {}


def test_an_account_without_a_statement_is_missed_and_parts_count_together() -> None:
    assert kinds(("U2", "2026-10-10", "2026-11-23")) == {"U1": ShortfallKind.NO_STATEMENT}
    assert kinds(("U1", "2026-10-10", "2026-10-30"), ("U1", "2026-11-02", "2026-11-23")) == {}


def test_every_shortfall_is_a_sentence() -> None:
    for spans in ((), (("U1", "2026-11-23", "2026-11-23"),), (("U1", "2026-10-10", "2026-11-20"),)):
        heads = [Statement(a, date.fromisoformat(b), date.fromisoformat(c), NOW) for a, b, c in spans]
        for found in find_shortfalls(ASKED, heads, {"U1"}):
            assert "U1" in str(found)
            assert (found.todo is None) is (found.kind is ShortfallKind.LATE)


def test_the_end_of_a_token_is_told_four_times_and_once_more() -> None:
    expires = date(2026, 12, 24)
    stages = [warning_stage(expires, expires - timedelta(days=left)) for left in range(20, -3, -1)]
    assert stages == [*[None] * 5, *[14] * 0, None, *[14] * 7, *[7] * 4, *[3] * 2, *[1] * 2, 0, 0]
    assert warning_stage(None, expires) is None
    assert len({describe_expiry(expires, stage) for stage in (14, 7, 3, 1, 0)}) == 5
