"""Days, times and numbers as Flex statements write them. Pure.

A query's owner chooses the formats in IBKR's form. Those that begin with the year are read; those with slashes are
refused, because 03/04/2026 is a day of March in one format and of April in another.
"""

import re
from datetime import date, datetime
from decimal import Decimal

NO_VALUE = frozenset({"", "-", "--", "N/A", "MULTI"})
"""Texts that stand for "not given"; MULTI is one of summary rows, which are of several days."""

FORMAT_HINT = (
    "In Client Portal, under Performance & Reports > Flex Queries, edit the query: date format yyyyMMdd, "
    "time format HHmmss, separator ;"
)

_DAY_AND_TIME = re.compile(
    r"(?P<year>\d{4})(?P<dash>-?)(?P<month>\d{2})(?P=dash)(?P<day>\d{2})"
    r"(?:(?:;|, ?| |T)?(?P<hour>\d{2})(?P<colon>:?)(?P<minute>\d{2})(?P=colon)(?P<second>\d{2})(?: ?[A-Z]{3,4})?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?(?:[eE][+-]?\d{1,2})?", re.ASCII)

_MAX_NUMBER_LENGTH = 60
"""In characters; IBKR's numbers have up to 15 decimals."""


class FlexValueError(ValueError):
    """A text is no day, time or number in a format that can be read; the message says which text."""


def parse_timestamp(text: str) -> datetime | None:
    """Returns a day, with its time where there is one; without a zone, as IBKR writes it: US Eastern by default.

    Raises:
        FlexValueError: it is none, or in a format that does not begin with the year.
    """
    text = text.strip()
    if text in NO_VALUE:
        return None
    match = _DAY_AND_TIME.fullmatch(text)
    if match is None:
        raise FlexValueError(f"{text[:40]!r} is no day such as 20260105 or 2026-01-05")
    try:
        return datetime.fromisoformat(
            "{year}-{month}-{day}T{hour}:{minute}:{second}".format(**match.groupdict(default="00"))
        )
    except ValueError:
        raise FlexValueError(f"{text[:40]!r}: there is no such day or time") from None


def parse_day(text: str) -> date | None:
    """Returns a day; a time after it is left out.

    Raises:
        FlexValueError: see `parse_timestamp`.
    """
    timestamp = parse_timestamp(text)
    return None if timestamp is None else timestamp.date()


def parse_decimal(text: str) -> Decimal | None:
    """Returns a number exactly, None where none is given; `-0` is 0. Old files have commas between thousands.

    Raises:
        FlexValueError: it is no number.
    """
    text = text.strip()
    if text in NO_VALUE:
        return None
    if len(text) > _MAX_NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        raise FlexValueError(f"{text[:40]!r} is no number")
    number = Decimal(text.replace(",", ""))
    return number or abs(number)
