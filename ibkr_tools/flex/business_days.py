"""The days that IBKR makes statements of: working days of the US markets. Pure.

Statements end with the last working day, and begin with the next one; nobody announces a market that stays closed
unexpectedly, so that such a day looks like one whose statement is late.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ibkr_tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Container

NEW_YORK = "America/New_York"

STATEMENTS_READY_AT = time(5, 30)
"""By then, in New York, the statement of the day before can be had. docs/reference/flex-service.md#ready."""

_SATURDAY = 5
_DAY = timedelta(days=1)


@cache
def _closed_days() -> "Container[date]":
    from holidays import financial_holidays

    return financial_holidays("NYSE")


def is_business_day(day: date) -> bool:
    """Says whether the US markets work on a day, as far as it is known in advance."""
    return day.weekday() < _SATURDAY and day not in _closed_days()


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
