"""Durations as a person types and reads them: 2h, 1h30min, 45min, 1d; 42 s, 3 min 5 s, 2 h 10 min. Pure."""

import re
from datetime import timedelta

from ibkr_tools.errors import UsageError

MAX_DURATION = timedelta(days=366)

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "min": "minutes"}
_DURATION = r"(?:\s*[0-9]{1,6}\s*(?:d|h|min|m))+\s*"


def parse_duration(text: str, option: str) -> timedelta:
    """Returns the duration that `option` was given.

    Raises:
        UsageError: it is none, it is nothing, or it is longer than a year.
    """
    if not re.fullmatch(_DURATION, text.lower()):
        raise UsageError(f"{option}: {text!r} is not a duration such as 45min, 2h, 1h30min or 1d")
    parts = re.findall(r"([0-9]+)\s*(d|h|min|m)", text.lower())
    duration = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    if not timedelta() < duration <= MAX_DURATION:
        raise UsageError(f"{option}: {text!r} is not between 1min and {MAX_DURATION.days}d")
    return duration


def format_duration(seconds: float) -> str:
    """Returns a duration in the two units a person thinks in: 42 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    whole = int(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"
