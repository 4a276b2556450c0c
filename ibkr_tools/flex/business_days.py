"""The days that IBKR makes statements of: working days of the US markets. Pure.

Statements end with the last working day, and begin with the next one; nobody announces a market that stays closed
unexpectedly, so that such a day looks like one whose statement is late.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ibkr_tools.errors import ConfigError

NEW_YORK = "America/New_York"

STATEMENTS_READY_AT = time(5, 30)
"""By then, in New York, the statement of the day before can be had. docs/reference/flex-service.md#ready."""

_SATURDAY, _SUNDAY = 5, 6
_DAY = timedelta(days=1)


def _nth_weekday(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _good_friday(year: int) -> date:
    # Easter by Gauss, as Butcher has it; for any year of the Gregorian calendar.
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    h = (19 * a + b - d - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * e + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1) - timedelta(days=2)


def _observed(day: date) -> date:
    if day.weekday() == _SATURDAY:
        return day - _DAY
    return day + _DAY if day.weekday() == _SUNDAY else day


@cache
def _holidays(year: int) -> frozenset[date]:
    monday, thursday = 0, 3
    last_of_may = date(year, 5, 31)
    return frozenset({
        _observed(date(year, 1, 1)),
        _nth_weekday(year, 1, monday, 3),
        _nth_weekday(year, 2, monday, 3),
        _good_friday(year),
        last_of_may - timedelta(days=last_of_may.weekday()),
        _observed(date(year, 6, 19)),
        _observed(date(year, 7, 4)),
        _nth_weekday(year, 9, monday, 1),
        _nth_weekday(year, 11, thursday, 4),
        _observed(date(year, 12, 25)),
    })  # fmt: skip


def is_business_day(day: date) -> bool:
    """Says whether the US markets work on a day, as far as it is known in advance."""
    # A Saturday's New Year is kept in the year before.
    is_holiday = day in _holidays(day.year) or day in _holidays(day.year + 1)
    return day.weekday() < _SATURDAY and not is_holiday


def first_business_day(day: date) -> date:
    """Returns `day`, or the next one that is a working day."""
    while not is_business_day(day):
        day += _DAY
    return day


def last_business_day(day: date) -> date:
    """Returns `day`, or the last one before it that is a working day."""
    while not is_business_day(day):
        day -= _DAY
    return day


def last_finished_day(now: datetime) -> date:
    """Returns the last day of which a statement should be there at `now` (aware).

    Raises:
        ConfigError: the machine has no time zone data.
    """
    local = _in_new_york(now)
    days_back = 1 if local.time() >= STATEMENTS_READY_AT else 2
    return last_business_day(local.date() - days_back * _DAY)


def age_of(generated_at: datetime, now: datetime) -> timedelta:
    """Returns how long ago a statement was made, by its own time, which is New York's and has no zone."""
    return now.astimezone(UTC) - generated_at.replace(tzinfo=_in_new_york(now).tzinfo).astimezone(UTC)


def _in_new_york(now: datetime) -> datetime:
    try:
        return now.astimezone(ZoneInfo(NEW_YORK))
    except ZoneInfoNotFoundError as error:
        raise ConfigError(
            f"there are no time zones on this machine ({error})", hint="apt-get install tzdata"
        ) from error
