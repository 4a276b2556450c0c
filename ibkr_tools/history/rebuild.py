"""Makes the database anew from what is kept: statements, and what saved snapshots say of values."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import sqlalchemy as sa

from ibkr_tools import files
from ibkr_tools.errors import DataError
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.flex.statement_archive import ArchivedFile, StatementArchive
from ibkr_tools.flex.statement_xml import MAX_STATEMENT_BYTES, Statement, read_statements, unpack
from ibkr_tools.history.database import DatabaseStore, new_database
from ibkr_tools.history.projection import Projection, StatementRows
from ibkr_tools.history.records import AccountValue, CashBooking, Trade
from ibkr_tools.history.snapshot_values import values_of
from ibkr_tools.history.tables import TABLES


@dataclass(frozen=True)
class Rebuilt:
    """What a database was made of, and how many records it has."""

    files: int
    values: int
    bookings: int
    trades: int


def rebuild(archive: StatementArchive, snapshots: Path, keep: Callable[[sa.Connection], None]) -> Rebuilt:
    """Replaces the database by what the archive's statements and saved snapshots make; the same make the same rows.

    Args:
        archive: the statements.
        snapshots: the directory with saved snapshots.
        keep: puts a database in memory to where it belongs: `write_file` or `PostgresHistory.merge`.

    Raises:
        DataError: a file in the archive is damaged; the message names it, and the database stays as it is.
        ConfigError: this user may not read the archive or the snapshots.
        OutputError, DatabaseUnavailable: the database could not be written; the old one is intact.
    """
    archived = archive.list_files()
    with new_database() as connection:
        projection = Projection(DatabaseStore(connection))
        # The newest first: then nothing is inserted that another statement replaces.
        for file in sorted(archived, key=lambda file: (file.generated_at, file.digest), reverse=True):
            for source in _read(file):
                projection.add(source, file.digest)
        for values_of_snapshot, name in values_of(snapshot_store.read_values(snapshots)):
            projection.add_values(values_of_snapshot, name)
        projection.finish()
        values, bookings, trades = (_count(connection, kind) for kind in (AccountValue, CashBooking, Trade))
        keep(connection)
    return Rebuilt(len(archived), values, bookings, trades)


def _count(connection: sa.Connection, kind: type) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(TABLES[kind])).scalar_one()


def _read(archived: ArchivedFile) -> Iterator[StatementRows]:
    """Yields the statements of a file."""
    source: StatementRows | None = None
    try:
        with BufferedReader(files.open_user_file(archived.path, MAX_STATEMENT_BYTES)) as file:
            xml = unpack(file)
        for event in read_statements(xml):
            if isinstance(event, Statement):
                if source is not None:
                    yield source
                source = StatementRows(event)
            elif source is not None:
                source.add(event)
    except OSError as error:
        raise DataError(f"{archived.path}: {error.strerror}") from error
    except DataError as error:
        error.message = f"{archived.path}: {error.message}"
        raise
    if source is not None:
        yield source
