"""Which source says what happened on which days. Pure."""

from dataclasses import dataclass
from datetime import date

from ibkr_tools.history.records.nav_records import Source


@dataclass(frozen=True, slots=True)
class Coverage:
    """Days in a row of which one source is the newest that says something about a section.

    A day without a record was empty if it is covered, and is unknown if it is not. `digest` tells the file of the
    source: the beginning of the SHA-256 of its content.
    """

    account: str
    section: str
    day: date
    to_day: date
    source: Source
    generated_at: str
    digest: str
