"""Which days are asked for: at most a year in one request, and by themselves those that may have changed. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ibkr_tools.flex.business_days import age_of, first_business_day, last_finished_day
from ibkr_tools.flex.statement_archive import ArchivedFile

MAX_DAYS = 365
"""IBKR's limit of one request."""

RECENT_DAYS = 45
"""Asked for daily: dividends are reversed and trades are booked anew within weeks."""

MAX_PAST_YEARS = 4
"""Calendar years before this one that IBKR keeps statements of."""

_NEARLY_A_YEAR = 330
_TOLERANCE_DAYS = 5
"""By so many days a statement may begin later than what was asked for: markets were closed."""

_TODAY = timedelta(hours=20)
"""A statement that is younger is one of this day's run."""


@dataclass(frozen=True, order=True)
class Period:
    """Days from one to another, both of them in it."""

    from_day: date
    to_day: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.to_day - self.from_day).days + 1

    def __str__(self) -> str:
        return f"{self.from_day} to {self.to_day}"


def last_days(days: int, to_day: date) -> Period:
    """Returns so many days that end with `to_day`."""
    return Period(to_day - timedelta(days=days - 1), to_day)


def split(period: Period) -> Iterator[Period]:
    """Yields parts of a year at most, the last one first; one on all days of which markets are closed is left out."""
    to_day = period.to_day
    while to_day >= period.from_day:
        from_day = max(period.from_day, to_day - timedelta(days=MAX_DAYS - 1))
        if first_business_day(from_day) <= to_day:
            yield Period(from_day, to_day)
        to_day = from_day - timedelta(days=1)


def years_backwards(to_day: date) -> Iterator[Period]:
    """Yields the year of `to_day` until then, and each calendar year before it that IBKR may have."""
    yield Period(date(to_day.year, 1, 1), to_day)
    for year in range(to_day.year - 1, to_day.year - 1 - MAX_PAST_YEARS, -1):
        # A leap year is a day too long; its first one is a holiday.
        yield from split(Period(date(year, 1, 1), date(year, 12, 31)))


def due_period(archived: Sequence[ArchivedFile], now: datetime) -> Period | None:
    """Returns what to ask for without being told: the last weeks, once a month the last year; None: nothing.

    What has been fetched today is not asked for again; days that were not there yet are.
    """
    to_day = last_finished_day(now)
    earliest = min((file.from_day for file in archived), default=None)

    def is_long(file: ArchivedFile) -> bool:
        days = (file.to_day - file.from_day).days
        # Of an account that is younger than a year, all that there is.
        return days >= _NEARLY_A_YEAR or (file.from_day == earliest and days > RECENT_DAYS + _TOLERANCE_DAYS)

    this_month = [file for file in archived if is_this_month(file.generated_at, now)]
    wanted = last_days(RECENT_DAYS if any(map(is_long, this_month)) else MAX_DAYS, to_day)
    today = [
        file
        for file in archived
        if timedelta(0) <= age_of(file.generated_at, now) < _TODAY
        and (is_long(file) or file.from_day <= last_days(RECENT_DAYS - _TOLERANCE_DAYS, to_day).from_day)
    ]
    covered_to = max((file.to_day for file in today), default=None)
    if covered_to is None:
        return wanted
    return Period(covered_to + timedelta(days=1), to_day) if covered_to < to_day else None


def is_this_month(generated_at: datetime, now: datetime) -> bool:
    """Says whether a statement was made in the month of `now`, by UTC."""
    made_at = now.astimezone(UTC) - age_of(generated_at, now)
    return (made_at.year, made_at.month) == (now.astimezone(UTC).year, now.astimezone(UTC).month)
