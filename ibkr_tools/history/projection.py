"""Makes one history of many statements: of every day, the newest statement that covers it counts. Pure.

IBKR changes past days: a dividend is reversed and booked anew, a tax is reclassified. So a statement replaces the days
that it covers, section by section, and what it no longer has is gone. An older one never replaces a newer one.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Generic, TypeVar

from ibkr_tools.flex.statement_xml import Row, Statement, StatementSection
from ibkr_tools.history.records import AccountValue, CashBooking, account_values, cash_bookings

_VALUES, _BOOKINGS = "EquitySummaryInBase", "CashTransactions"
_USED_SECTIONS = frozenset({_VALUES, _BOOKINGS, "AccountInformation", "ChangeInNAV"})


@dataclass
class StatementRows:
    """What of one statement becomes history: its rows by section; a section that is empty is there too."""

    statement: Statement
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def add(self, event: StatementSection | Row) -> None:
        """Takes the next part of the statement."""
        if isinstance(event, Row):
            if event.section in _USED_SECTIONS:
                self.rows[event.section].append(event)
        elif event.name in _USED_SECTIONS:
            self.rows.setdefault(event.name, [])

    @property
    def base_currency(self) -> str:
        """Returns the account's base currency, empty where the query does not have it."""
        for section in ("AccountInformation", _VALUES, "ChangeInNAV"):
            for row in self.rows.get(section, ()):
                if currency := row.attributes.get("currency"):
                    return currency
        return ""


class Projection:
    """The records of all accounts, as statements are added in any order."""

    def __init__(self) -> None:
        self._values = _Days[AccountValue]()
        self._bookings = _Days[CashBooking]()

    def add(self, source: StatementRows, digest: str) -> None:
        """Adds a statement of the file with this digest."""
        statement = source.statement
        if _VALUES in source.rows:
            values = account_values(statement, source.rows[_VALUES], source.base_currency)
            self._values.replace(statement, digest, values)
        if _BOOKINGS in source.rows:
            self._bookings.replace(statement, digest, cash_bookings(statement, source.rows[_BOOKINGS]))

    def values(self) -> list[AccountValue]:
        """Returns the values, by account and day."""
        return self._values.records()

    def bookings(self) -> list[CashBooking]:
        """Returns the bookings, by account, day and place in their statement."""
        return self._bookings.records()


_Record = TypeVar("_Record", AccountValue, CashBooking)


class _Days(Generic[_Record]):
    """The records of one section: for each day of an account those of the newest statement, maybe none."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, date], list[_Record]] = {}
        self._generations: dict[tuple[str, date], tuple[datetime, str]] = {}

    def replace(self, statement: Statement, digest: str, records: Iterable[_Record]) -> None:
        """Has a statement's days be what it says, but those that a newer one covers.

        Of two that were made in the same second the one with the larger digest counts, whichever comes first.
        """
        by_day: dict[date, list[_Record]] = defaultdict(list)
        for record in records:
            by_day[record.day].append(record)
        covered: range = range(statement.from_day.toordinal(), statement.to_day.toordinal() + 1)
        generation = (statement.generated_at, digest)
        # The net asset value begins with the day before the first one.
        for day in {*(date.fromordinal(number) for number in covered), *by_day}:
            key = (statement.account, day)
            if key not in self._generations or self._generations[key] <= generation:
                self._generations[key] = generation
                self._records[key] = by_day.get(day, [])

    def records(self) -> list[_Record]:
        """Returns all of them, by account and day."""
        return [record for key in sorted(self._records) for record in self._records[key]]


def project(statements: Iterable[tuple[StatementRows, str]]) -> Projection:
    """Returns the history that statements make, each with the digest of its file."""
    projection = Projection()
    for source, digest in statements:
        projection.add(source, digest)
    return projection
