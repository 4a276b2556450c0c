"""Makes one history of many statements: of every day, the newest statement that covers it counts. Pure.

IBKR changes past days: a dividend is reversed and booked anew, a tax is reclassified. So a statement replaces the days
that it covers, section by section, and what it no longer has is gone. An older one never replaces a newer one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol, TypeVar

from ibkr_tools.flex.statement_xml import Row, Statement, StatementSection
from ibkr_tools.history.coverage_days import Generation, covered_runs, generation_of
from ibkr_tools.history.instrument_merge import InstrumentMerge
from ibkr_tools.history.records import AccountValue, CashBooking, Coverage, Source, StatementContext, instruments
from ibkr_tools.history.records.statement_context import make_context
from ibkr_tools.history.sections import (
    CONTEXT_SECTIONS,
    RATES,
    SECTIONS,
    USED_SECTIONS,
    VALUES,
    HistorySection,
    Record,
    Span,
    says_something,
)

_T = TypeVar("_T")
_Key = tuple[date, ...]


@dataclass
class StatementRows:
    """What of one statement becomes history: its rows by section; a section that is empty is there too."""

    statement: Statement
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def add(self, event: StatementSection | Row) -> None:
        """Takes the next part of the statement."""
        if isinstance(event, Row):
            if event.section in USED_SECTIONS:
                self.rows[event.section].append(event)
        elif event.name in USED_SECTIONS:
            self.rows.setdefault(event.name, [])

    @property
    def base_currency(self) -> str:
        """Returns the account's base currency, empty where the query does not have it."""
        for section in CONTEXT_SECTIONS:
            for row in self.rows.get(section, ()):
                if currency := row.attributes.get("currency"):
                    return currency
        return ""

    @property
    def context(self) -> StatementContext:
        """Returns what the rows are read with."""
        return make_context(self.statement, self.base_currency, self.rows.get(RATES, ()))


class RecordStore(Protocol):
    """What keeps the records that count so far."""

    def add(self, records: Sequence[Record]) -> None:
        """Takes records, all of one kind."""

    def remove(self, kind: type, account: str, keys: Sequence[_Key]) -> None:
        """Forgets an account's records of a kind that are of these days; see `HistorySection.key_of`."""


class MemoryStore:
    """Keeps records in memory."""

    def __init__(self) -> None:
        self._records: dict[type, list[Record]] = defaultdict(list)

    def add(self, records: Sequence[Record]) -> None:
        """See `RecordStore`."""
        for record in records:
            self._records[type(record)].append(record)

    def remove(self, kind: type, account: str, keys: Sequence[_Key]) -> None:
        """See `RecordStore`."""
        gone = frozenset(keys)
        self._records[kind] = [
            record
            for record in self._records[kind]
            if record.account != account
            or ((record.day,) not in gone and (record.day, getattr(record, "from_day", None)) not in gone)
        ]

    def records(self, kind: type[_T]) -> list[_T]:
        """Returns all records of a kind, in no order."""
        return list(self._records[kind])


class Projection:
    """Gives a store the records of all accounts, as sources are added in any order.

    If the newest are added first, no record has to be removed again.
    """

    def __init__(self, store: RecordStore | None = None) -> None:
        self._memory = MemoryStore()
        self._store: RecordStore = self._memory if store is None else store
        self._generations: dict[tuple[str, str], dict[_Key, Generation]] = defaultdict(dict)
        self._instruments = InstrumentMerge()

    def add(self, source: StatementRows, digest: str) -> None:
        """Adds a statement of the file with this digest."""
        context = source.context
        statement = source.statement
        generation = generation_of(Source.STATEMENT, context.generated_at, digest)
        for section in SECTIONS:
            if section.name in source.rows and says_something(section.name, source.rows[section.name]):
                made = {kind: list(read(context, source.rows)) for kind, read in section.records}
                keys = section.keys(statement, (record for records in made.values() for record in records))
                self._replace(section, context.account, keys, made, generation)
        self._instruments.add(instruments(context, source.rows), digest)

    def add_values(self, values: Sequence[AccountValue], digest: str) -> None:
        """Adds values of other sources than statements: each of its day alone."""
        section = next(section for section in SECTIONS if section.name == VALUES)
        for value in values:
            generation = generation_of(value.source, value.generated_at, digest)
            self._replace(section, value.account, [(value.day,)], {AccountValue: [value]}, generation)

    def finish(self) -> None:
        """Gives the store what is only known at the end: instruments, and what covers which days."""
        self._store.add(self._instruments.instruments())
        self._store.add(self.coverage())

    def coverage(self) -> list[Coverage]:
        """Returns which source counts for which days, by account, section and day."""
        return sorted(self._coverage(), key=lambda item: (item.account, item.section, item.day))

    def values(self) -> list[AccountValue]:
        """Returns the values that are in memory, by account and day."""
        return self.records(AccountValue)

    def bookings(self) -> list[CashBooking]:
        """Returns the bookings that are in memory, by account, day and place in their statement."""
        return self.records(CashBooking)

    def records(self, kind: type[_T]) -> list[_T]:
        """Returns the records of a kind that are in memory, by account, day and place in their statement."""
        return sorted(self._memory.records(kind), key=_place)

    def _replace(
        self,
        section: HistorySection,
        account: str,
        keys: Sequence[_Key],
        made: dict[type, list[Record]],
        generation: Generation,
    ) -> None:
        """Has days be what a source says, but those that a newer one covers."""
        known = self._generations[section.name, account]
        won = {key for key in keys if key not in known or known[key] <= generation}
        stale = sorted(key for key in won if key in known)
        known.update(dict.fromkeys(sorted(won), generation))
        for kind, records in made.items():
            if stale:
                self._store.remove(kind, account, stale)
            self._store.add([record for record in records if section.key_of(record) in won])

    def _coverage(self) -> Iterator[Coverage]:
        spans = {section.name: section.span for section in SECTIONS}
        for (section, account), generations in self._generations.items():
            if spans[section] is not Span.WHOLE:
                yield from covered_runs(account, section, {day: found for (day, *_), found in generations.items()})


def _place(record: Any) -> tuple[Any, ...]:
    return (record.account, record.day, getattr(record, "number", 0), getattr(record, "from_day", record.day))


def project(statements: Iterable[tuple[StatementRows, str]]) -> Projection:
    """Returns the history that statements make, each with the digest of its file, in memory."""
    projection = Projection()
    for source, digest in statements:
        projection.add(source, digest)
    projection.finish()
    return projection
