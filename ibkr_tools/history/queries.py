"""What is asked of the history, whichever database has it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa

from ibkr_tools.history.records import (
    AccountValue,
    CashBooking,
    CashKind,
    Coverage,
    Position,
    Source,
    Trade,
    Transfer,
)
from ibkr_tools.history.tables import TABLES, UnreadableRowError, read_records

_T = TypeVar("_T")


class HistoryQueries(ABC):
    """A database with the tables of the history, to be read; several processes may do so at once."""

    @abstractmethod
    def _connect(self) -> AbstractContextManager[sa.Connection]:
        """Lends a connection to the tables; its errors are those of every method here.

        What it raises for `UnreadableRowError` says whose tables they are.
        """

    def values(
        self,
        accounts: Sequence[str] = (),
        first: date | None = None,
        last: date | None = None,
        *,
        sources: Iterable[Source] = (Source.STATEMENT, Source.PORTFOLIO_ANALYST),
    ) -> list[AccountValue]:
        """Returns the values of these accounts (none: of all) between two days, by account and day.

        Without a word they are all of the end of a day: those of snapshots, of a moment in between, are left out.

        Raises:
            SnapshotMissing: nothing was imported yet.
            ConfigError: this user may not read the database.
            DataError: it is damaged, or another program's.
        """
        return self.records(
            AccountValue, accounts, first, last, _one_of(TABLES[AccountValue].c.source, Source, sources)
        )

    def base_currencies(self, accounts: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Returns these accounts with their base currencies; one that has changed it more than once. See `values`."""
        table = TABLES[AccountValue]
        statement = sa.select(table.c.account, table.c.currency).distinct()
        if accounts:
            statement = statement.where(table.c.account.in_(accounts))
        with self._connect() as connection:
            pairs = connection.execute(statement.order_by(table.c.account, table.c.currency)).all()
            if not all(isinstance(text, str) for pair in pairs for text in pair):
                raise UnreadableRowError(f"table {table.name}: an account has no number or no currency")
        return [(account, currency) for account, currency in pairs]

    def closes_from(self, accounts: Sequence[str], first: date | None, last: date | None) -> list[AccountValue]:
        """Returns the values at the end of days of statements, each account's last one before `first` among them.

        A period begins with what there was before its first day; see `values`.
        """
        values = self.values(accounts, None, last, sources=(Source.STATEMENT,))
        if first is None:
            return values
        begins = {value.account: value.day for value in values if value.day < first}
        return [value for value in values if value.day >= begins.get(value.account, first)]

    def bookings(
        self,
        kinds: Iterable[CashKind] = tuple(CashKind),
        accounts: Sequence[str] = (),
        first: date | None = None,
        last: date | None = None,
    ) -> list[CashBooking]:
        """Returns the bookings of these kinds; see `values`."""
        chosen = _one_of(TABLES[CashBooking].c.kind, CashKind, kinds)
        return self.records(CashBooking, accounts, first, last, chosen)

    def transfers(
        self, accounts: Sequence[str] = (), first: date | None = None, last: date | None = None
    ) -> list[Transfer]:
        """Returns the transfers; see `values`."""
        return self.records(Transfer, accounts, first, last)

    def trades(self, accounts: Sequence[str] = (), first: date | None = None, last: date | None = None) -> list[Trade]:
        """Returns the trades; see `values`."""
        return self.records(Trade, accounts, first, last)

    def positions(self, accounts: Sequence[str] = (), on: date | None = None) -> dict[str, tuple[date, list[Position]]]:
        """Returns the positions of each account at the end of a day; None: of the newest day that is known.

        If none is known of that day, those of the last day before it that one is known of. An account may have been
        empty then.
        """
        days: dict[str, date] = {}
        covered = self.records(Coverage, accounts, None, on, TABLES[Coverage].c.section == "OpenPositions")
        for coverage in covered:
            # By day: the last one stays.
            days[coverage.account] = coverage.to_day if on is None else min(coverage.to_day, on)
        return {account: (day, self.records(Position, (account,), day, day)) for account, day in days.items()}

    def records(
        self,
        kind: type[_T],
        accounts: Sequence[str] = (),
        first: date | None = None,
        last: date | None = None,
        *more: Any,
    ) -> list[_T]:
        """Returns the records of a kind, by their place; `more` are conditions on its table. See `values`."""
        table = TABLES[kind]
        where = list(more)
        if accounts:
            where.append(table.c.account.in_(accounts))
        if first is not None:
            where.append(table.c.day >= first)
        if last is not None:
            where.append(table.c.day <= last)
        statement = sa.select(table).where(*where).order_by(*table.primary_key.columns)
        with self._connect() as connection:
            return read_records(kind, connection.execute(statement).mappings())


def _one_of(column: sa.Column[Any], known: type[StrEnum], chosen: Iterable[StrEnum]) -> Any:
    """Returns the condition that a column has one of these, or what nobody knows: that is named when it is read."""
    return column.in_([member.value for member in chosen]) | column.not_in([member.value for member in known])
