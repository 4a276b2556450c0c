"""Periods by name: `ytd`, `1y`, `2025`, `2025-Q1`, `2025-03`. Pure."""

import calendar
import re
from datetime import date, timedelta
from enum import StrEnum

from ibkr_tools.errors import UsageError

EXAMPLES = "ytd, mtd, 1y, 6m, 4w, 30d, 2025, 2025-Q1, 2025-03, 2025-03-31 or all"

_MONTHS_OF_A_YEAR, _MONTHS_OF_A_QUARTER = 12, 3

_BACK = re.compile(r"([1-9][0-9]{0,3})([dwmy])")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_QUARTER = re.compile(r"([0-9]{4})-q([1-4])")
_YEAR = re.compile(r"([0-9]{4})")


class Split(StrEnum):
    """What periods a time is split into."""

    MONTH = "month"
    YEAR = "year"

    def name_of(self, day: date) -> str:
        """Returns the name of the period that a day is in: 2026-01 or 2026."""
        return f"{day:%Y-%m}" if self is Split.MONTH else f"{day:%Y}"


def parse_period(text: str, today: date) -> tuple[date | None, date | None]:
    """Returns the first and the last day of a period; None: no end on that side.

    `1y` ends today and begins the day after the same day of last year, so that it has 365 days or 366.

    Raises:
        UsageError: it is none.
    """
    name = text.strip().lower()
    if name == "all":
        return None, None
    if name == "ytd":
        return today.replace(month=1, day=1), today
    if name == "mtd":
        return today.replace(day=1), today
    try:
        found = _back(name, today) or _calendar(name)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise UsageError(f"--period {text[:40]!r}: expected {EXAMPLES}")
    return found


def _back(name: str, today: date) -> tuple[date, date] | None:
    match = _BACK.fullmatch(name)
    if match is None:
        return None
    count = int(match[1])
    match match[2]:
        case "d":
            return today - timedelta(days=count - 1), today
        case "w":
            return today - timedelta(weeks=count) + timedelta(days=1), today
        case "m":
            return _months_before(today, count) + timedelta(days=1), today
        case _:
            return _months_before(today, _MONTHS_OF_A_YEAR * count) + timedelta(days=1), today


def _months_before(day: date, count: int) -> date:
    """Returns the same day of an earlier month, or the last one of a shorter month."""
    year, month = divmod(day.year * _MONTHS_OF_A_YEAR + day.month - 1 - count, _MONTHS_OF_A_YEAR)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _calendar(name: str) -> tuple[date, date] | None:
    if match := _YEAR.fullmatch(name):
        return date(int(match[1]), 1, 1), date(int(match[1]), _MONTHS_OF_A_YEAR, 31)
    if match := _QUARTER.fullmatch(name):
        year, last = int(match[1]), _MONTHS_OF_A_QUARTER * int(match[2])
        return date(year, last - 2, 1), date(year, last, calendar.monthrange(year, last)[1])
    if match := _MONTH.fullmatch(name):
        year, month = int(match[1]), int(match[2])
        return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
    day = date.fromisoformat(name)
    return day, day
