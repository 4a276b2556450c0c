"""Days on which IBKR makes statements. Pure."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

_DAY = timedelta(days=1)

BATCH = time(5, 0)
"""When the statements of a day are there, on the day after it; the time zone is declared nowhere."""


def is_business_day(day: date) -> bool:
    """Returns whether there is a statement of this day: neither a weekend, nor Christmas, nor New Year's Day."""
    return day.weekday() < 5 and (day.month, day.day) not in {(1, 1), (12, 25)}


def on_or_after(day: date) -> date:
    """Returns the first business day that is not before `day`."""
    while not is_business_day(day):
        day += _DAY
    return day


def on_or_before(day: date) -> date:
    """Returns the last business day that is not after `day`."""
    while not is_business_day(day):
        day -= _DAY
    return day


def after(day: date, count: int = 1) -> date:
    """Returns the business day that is so many after `day`."""
    for _ in range(count):
        day = on_or_after(day + _DAY)
    return day


def before(day: date) -> date:
    """Returns the business day before `day`."""
    return on_or_before(day - _DAY)


def between(first: date, last: date) -> Iterator[date]:
    """Yields the business days from `first` to `last`, both included."""
    day = on_or_after(first)
    while day <= last:
        yield day
        day = on_or_after(day + _DAY)


def last_reported(at: datetime) -> date:
    """Returns the last day that a statement made at this moment can have."""
    return before(at.date() if at.time() >= BATCH else at.date() - _DAY)


def third_friday(year: int, month: int) -> date:
    """Returns the day on which the month's options expire."""
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)
