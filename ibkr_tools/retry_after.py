"""Reads the Retry-After header of HTTP (RFC 9110, section 10.2.3). Pure."""

import re
from datetime import datetime, timedelta


def parse_http_date(text: str) -> datetime | None:
    """Returns the time that an HTTP date states, None if the text is none or has no time zone."""
    # A fifth of what `show` has to import otherwise; a date in this header is rare.
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return date if date.tzinfo else None


def stated_wait_s(retry_after: str, date: str) -> float:
    """Returns the seconds that a Retry-After states, as a number or as a date by the answer's own Date; 0 without."""
    wait = parse_retry_after(retry_after, parse_http_date(date))
    return 0.0 if wait is None else wait.total_seconds()


def parse_retry_after(header: str, now: datetime | None) -> timedelta | None:
    """Returns how long the header says to wait, as seconds or as a date; None if it is neither, or is over.

    `now` is the time by the clock of whoever sent the header, aware; None: unknown, and a date says nothing.
    """
    stated = header.strip()
    if re.fullmatch(r"[0-9]+", stated):
        # Nine digits are 31 years.
        wait = timedelta(seconds=int(stated[:9]))
    else:
        date = parse_http_date(stated)
        if date is None or now is None:
            return None
        wait = date - now
    return wait if wait > timedelta() else None
