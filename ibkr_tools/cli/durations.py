"""Durations as a person types them: 2h, 1h30min, 45min, 1d."""

import re
from datetime import timedelta

from ibkr_tools.errors import UsageError

LONGEST = timedelta(days=366)

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "min": "minutes"}
_SPAN = re.compile(r"(?:\s*[0-9]{1,6}\s*(?:d|h|min|m))+\s*")


def parse_span(text: str, option: str) -> timedelta:
    """Returns the duration that `option` was given.

    Raises:
        UsageError: it is none, it is nothing, or it is longer than a year.
    """
    if not _SPAN.fullmatch(text.lower()):
        raise UsageError(f"{option}: {text!r} is not a duration such as 45min, 2h, 1h30min or 1d")
    parts = re.findall(r"([0-9]+)\s*(d|h|min|m)", text.lower())
    span = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    if not timedelta() < span <= LONGEST:
        raise UsageError(f"{option}: {text!r} is not between 1min and {LONGEST.days}d")
    return span
