"""The database of an account's days: one file of SQLite that is made anew from the statements, and only read otherwise.

It is a projection: nothing is in it that the statements do not have, so it is replaced whole, in one step. Numbers are
kept as text, digit by digit: SQLite's own are binary.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ibkr_tools import files
from ibkr_tools.errors import ConfigError, DataError, OutputError, SnapshotMissing
from ibkr_tools.history.records import AccountValue, CashBooking, CashKind

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

SCHEMA_VERSION = 1
"""Of the tables; a file with another one is made anew."""

_APPLICATION_ID = 0x49424B52
"""`IBKR`, where SQLite's format has a place for it: file(1) and we know the database by it."""

MAX_DATABASE_BYTES = 200_000_000
"""In bytes; ten years of three accounts are a few megabytes."""

_REBUILD_HINT = "`ibkr-tools history rebuild` makes it anew from the statements."

_SQLITE = b"SQLite format 3\x00"

_DIRECTORY_MODE, _FILE_MODE = 0o750, 0o640


class _ExactNumber(sa.types.TypeDecorator[Decimal]):
    """A decimal number, as its digits."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: "Dialect") -> str | None:
        """Returns the digits."""
        del dialect
        return None if value is None else f"{value:f}"

    def process_result_value(self, value: Any, dialect: "Dialect") -> Decimal | None:
        """Returns the number."""
        del dialect
        return None if value is None else Decimal(value)


_METADATA = sa.MetaData()

ACCOUNT_VALUE = sa.Table(
    "account_value",
    _METADATA,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("total", _ExactNumber, nullable=False),
    sa.Column("cash", _ExactNumber),
    sa.Column("positions", _ExactNumber),
    sa.Column("generated_at", sa.Text, nullable=False),
)

CASH_BOOKING = sa.Table(
    "cash_booking",
    _METADATA,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount", _ExactNumber, nullable=False),
    sa.Column("amount_in_base", _ExactNumber),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("conid", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("transaction_id", sa.Text, nullable=False),
    sa.Column("generated_at", sa.Text, nullable=False),
)


def write_database(path: Path, values: Sequence[AccountValue], bookings: Sequence[CashBooking]) -> None:
    """Replaces the database by one with these records, in one step; readers see the old one or the new one.

    Raises:
        OutputError: it could not be written; the old one is intact.
    """
    # Made in memory, so that a half of it is never on the disk; ten years are some megabytes.
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        _METADATA.create_all(connection)
        for table, records in ((ACCOUNT_VALUE, values), (CASH_BOOKING, bookings)):
            if records:
                connection.execute(sa.insert(table), [asdict(record) for record in records])
        connection.commit()
        driver: Any = connection.connection.driver_connection
        data: bytes = driver.serialize()
    engine.dispose()
    try:
        files.make_directory(path.parent, mode=_DIRECTORY_MODE)
        with files.locked(path.with_name(".lock")):
            files.write_atomically(path, data, mode=_FILE_MODE)
            files.sync_directory(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}", hint="What was there before is intact.") from error


class HistoryDatabase:
    """The database, to be read; several processes may do so at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def values(self, accounts: Sequence[str], first: date | None, last: date | None) -> list[AccountValue]:
        """Returns the values of these accounts (none: of all) between two days, by account and day.

        Raises:
            SnapshotMissing: nothing was imported yet.
            ConfigError: this user may not read the database.
            DataError: it is damaged, or another program's.
        """
        rows = self._select(ACCOUNT_VALUE, accounts, first, last)
        return [AccountValue(**row) for row in rows]

    def bookings(
        self, kinds: Sequence[CashKind], accounts: Sequence[str], first: date | None, last: date | None
    ) -> list[CashBooking]:
        """Returns the bookings of these kinds; see `values`."""
        rows = self._select(CASH_BOOKING, accounts, first, last, CASH_BOOKING.c.kind.in_(kinds))
        return [CashBooking(**{**row, "kind": CashKind(row["kind"])}) for row in rows]

    def _select(
        self, table: sa.Table, accounts: Sequence[str], first: date | None, last: date | None, *more: Any
    ) -> list[dict[str, Any]]:
        where = list(more)
        if accounts:
            where.append(table.c.account.in_(accounts))
        if first is not None:
            where.append(table.c.day >= first)
        if last is not None:
            where.append(table.c.day <= last)
        statement = sa.select(table).where(*where).order_by(*table.primary_key.columns)
        with self._connect() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        try:
            data = files.read_user_file(self._path, MAX_DATABASE_BYTES)
        except FileNotFoundError:
            raise SnapshotMissing(
                f"there is no history in {self._path.parent} yet",
                hint="`ibkr-tools flex import FILE` makes one of statements.",
            ) from None
        except PermissionError as error:
            raise ConfigError(
                f"{self._path}: {error.strerror}", hint="Run as root, or join the group that owns the file."
            ) from error
        except OSError as error:
            raise DataError(f"{self._path}: {error.strerror}", hint=_REBUILD_HINT) from error
        if not data.startswith(_SQLITE):
            raise DataError(f"{self._path}: damaged, no database of SQLite", hint=_REBUILD_HINT)
        engine = sa.create_engine("sqlite://")
        try:
            with engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                driver.deserialize(data)
                self._require_ours(connection)
                yield connection
        except sa.exc.DBAPIError as error:
            raise DataError(f"{self._path}: {error.orig}", hint=_REBUILD_HINT) from error
        finally:
            engine.dispose()

    def _require_ours(self, connection: sa.Connection) -> None:
        application, version = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("application_id", "user_version")
        )
        if (application, version) != (_APPLICATION_ID, SCHEMA_VERSION):
            raise DataError(
                f"{self._path}: made by another version, or no history of ours (version {version})",
                hint=_REBUILD_HINT,
            )
