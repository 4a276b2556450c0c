"""Makes the database anew from the statements that are kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import DataError
from ibkr_tools.flex.statement_archive import ArchivedFile, StatementArchive
from ibkr_tools.flex.statement_xml import MAX_STATEMENT_BYTES, Row, Statement, StatementSection, read_statements, unpack
from ibkr_tools.history.database import write_database
from ibkr_tools.history.projection import StatementRows, project


@dataclass(frozen=True)
class Rebuilt:
    """What a database was made of, and how many records it has."""

    files: int
    values: int
    bookings: int


def rebuild(archive: StatementArchive, database: Path) -> Rebuilt:
    """Replaces the database by what the archive's statements make; the same ones make the same rows.

    Raises:
        DataError: a file in the archive is damaged; the message names it, and the database stays as it is.
        ConfigError: this user may not read the archive.
        OutputError: the database could not be written; the old one is intact.
    """
    archived = archive.list_files()
    projection = project(source for file in archived for source in _read(file))
    values, bookings = projection.values(), projection.bookings()
    write_database(database, values, bookings)
    return Rebuilt(len(archived), len(values), len(bookings))


def _read(archived: ArchivedFile) -> Iterator[tuple[StatementRows, str]]:
    """Yields the statements of a file, each with the file's digest."""
    try:
        with BufferedReader(files.open_user_file(archived.path, MAX_STATEMENT_BYTES)) as file:
            xml = unpack(file)
        sources: list[StatementRows] = []
        for event in read_statements(xml):
            match event:
                case Statement():
                    sources.append(StatementRows(event))
                case StatementSection() | Row():
                    sources[-1].add(event)
    except OSError as error:
        raise DataError(f"{archived.path}: {error.strerror}") from error
    except DataError as error:
        error.message = f"{archived.path}: {error.message}"
        raise
    yield from ((source, archived.digest) for source in sources)
