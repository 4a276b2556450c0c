"""The database of an account's days: one file of SQLite that is made anew from what is kept, and only read otherwise.

It is a projection: nothing is in it that the sources do not have, so it is replaced whole, in one step. Numbers are
kept as text, digit by digit: SQLite's own are binary.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ibkr_tools import files
from ibkr_tools.errors import AccessDenied, DataError, OutputError, SnapshotMissing
from ibkr_tools.history.queries import HistoryQueries
from ibkr_tools.history.tables import METADATA, SCHEMA_VERSION, TABLES, UnreadableRowError, to_row

_APPLICATION_ID = 0x49424B52
"""`IBKR`, where SQLite's format has a place for it: file(1) and we know the database by it."""

MAX_DATABASE_BYTES = 500_000_000
"""In bytes; ten years of three accounts are some tens of megabytes."""

_REBUILD_HINT = "`ibkr-tools history rebuild` makes it anew from what is kept."

_SQLITE = b"SQLite format 3\x00"
_VERSIONS, _WAL_VERSION = slice(18, 20), 2
"""Where the file says by which version it is written and read; one in memory cannot be of the second."""

_LEFTOVERS = ("-journal", "-wal", "-shm")
"""What SQLite leaves beside a database whose writer was killed, and believes to be of the one that it finds there."""

_DIRECTORY_MODE, _FILE_MODE = 0o750, 0o640

_MAX_KEYS = 500
"""So many days stand in one statement of SQL."""


class DatabaseStore:
    """Keeps the records of a projection in a database whose tables are there."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, records: Sequence[Any]) -> None:
        """Inserts records, all of one kind."""
        if records:
            self._connection.execute(sa.insert(TABLES[type(records[0])]), [to_row(record) for record in records])

    def remove(self, kind: type, account: str, keys: Sequence[tuple[date, ...]]) -> None:
        """Deletes an account's records of a kind that are of these days."""
        table = TABLES[kind]
        names = ("day", "from_day")[: len(keys[0])]
        columns = [table.c[name] for name in names]
        for at in range(0, len(keys), _MAX_KEYS):
            some = keys[at : at + _MAX_KEYS]
            place = columns[0].in_([day for (day,) in some]) if len(names) == 1 else sa.tuple_(*columns).in_(some)
            self._connection.execute(sa.delete(table).where(table.c.account == account, place))


@contextmanager
def new_database() -> Iterator[sa.Connection]:
    """Lends an empty database in memory, so that a half of it is never on the disk."""
    engine = sa.create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
            METADATA.create_all(connection)
            yield connection
    finally:
        engine.dispose()


@contextmanager
def rebuilding(path: Path) -> Iterator[None]:
    """Has one process at a time make the file anew: a slower one could replace it by what was kept before.

    Raises:
        OutputError: this user may not write there.
    """
    with ExitStack() as stack:
        try:
            files.make_directory(path.parent, mode=_DIRECTORY_MODE)
            stack.enter_context(files.locked(path.with_name(".lock")))
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}", hint="What was there before is intact.") from error
        yield


def write_file(path: Path, connection: sa.Connection) -> None:
    """Replaces the file by a database in memory, in one step; readers see the old one or the new one.

    Raises:
        OutputError: it could not be written; the old one is intact.
    """
    connection.commit()
    driver: Any = connection.connection.driver_connection
    data: bytes = driver.serialize()
    try:
        files.make_directory(path.parent, mode=_DIRECTORY_MODE)
        for leftover in _LEFTOVERS:
            path.with_name(f"{path.name}{leftover}").unlink(missing_ok=True)
        files.write_atomically(path, data, mode=_FILE_MODE)
        files.sync_directory(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}", hint="What was there before is intact.") from error


def write_database(path: Path, *records: Sequence[Any]) -> None:
    """Replaces the file by a database with these records: for each kind a sequence of them.

    Raises:
        OutputError: it could not be written; the old one is intact.
    """
    with new_database() as connection:
        store = DatabaseStore(connection)
        for of_kind in records:
            store.add(of_kind)
        write_file(path, connection)


class HistoryDatabase(HistoryQueries):
    """The database in a file of SQLite; what is wrong with it is said when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _connect(self) -> AbstractContextManager[sa.Connection]:
        return _connect(self._path)


@contextmanager
def _connect(path: Path) -> Iterator[sa.Connection]:
    try:
        data = files.read_user_file(path, MAX_DATABASE_BYTES)
    except FileNotFoundError:
        raise SnapshotMissing(
            f"there is no history in {path.parent} yet",
            hint="`ibkr-tools flex fetch --all` or `ibkr-tools flex import FILE` makes one of statements.",
        ) from None
    except PermissionError as error:
        raise AccessDenied.to(path) from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", hint=_REBUILD_HINT) from error
    if not data.startswith(_SQLITE):
        raise DataError(f"{path}: damaged, no database of SQLite", hint=_REBUILD_HINT)
    if _WAL_VERSION in data[_VERSIONS]:
        raise DataError(f"{path}: another program has changed it to write-ahead logging", hint=_REBUILD_HINT)
    engine = sa.create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.deserialize(data)
            _require_ours(connection, path)
            yield connection
    except sa.exc.DBAPIError as error:
        raise DataError(f"{path}: {error.orig}", hint=_REBUILD_HINT) from error
    except UnreadableRowError as error:
        raise DataError(f"{path}: {error}", hint=_REBUILD_HINT) from error
    finally:
        engine.dispose()


def _require_ours(connection: sa.Connection, path: Path) -> None:
    application, version = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("application_id", "user_version")
    )
    if (application, version) != (_APPLICATION_ID, SCHEMA_VERSION):
        raise DataError(
            f"{path}: made by another version, or no history of ours (version {version})",
            hint=_REBUILD_HINT,
        )
