"""Statements as IBKR made them, packed and kept for ever: whatever is made of them later can be made anew."""

import errno
import gzip
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from io import BufferedReader
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import ConfigError, DataError, OutputError
from ibkr_tools.flex.statement_xml import MAX_STATEMENT_BYTES, Statement, read_statements, unpack

_DIRECTORY_MODE, _FILE_MODE = 0o700, 0o600
"""A statement has its owner's name and address in it."""

_COMPRESSION_LEVEL = 6
_DIGEST_LENGTH = 16
"""So many hexadecimal digits of the SHA-256 of the XML stand in a file's name, which tell it from all others."""

_ACCOUNT = re.compile(rb"""<FlexStatement\s(?:[^>]*?\s)?accountId\s*=\s*["']([^"'<>&\x00-\x1f]{1,40})["']""")
"""Of one in UTF-8, as IBKR's are."""

_GENERATED_FORMAT = "%Y-%m-%dT%H%M%S"
_NAME = re.compile(
    r"(?P<from>\d{4}-\d\d-\d\d)_(?P<to>\d{4}-\d\d-\d\d)_(?P<generated>\d{4}-\d\d-\d\dT\d{6})_(?P<digest>[0-9a-f]{16})"
    r"\.xml\.gz",
    re.ASCII,
)


@dataclass(frozen=True)
class ArchivedFile:
    """A file in the archive: the days that its statements cover, and when IBKR made the newest of them.

    `digest` is the beginning of the SHA-256 of its XML.
    """

    path: Path
    from_day: date
    to_day: date
    generated_at: datetime
    digest: str


class StatementArchive:
    """The directory with the statements. Only the user of the units can read it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def list_files(self) -> list[ArchivedFile]:
        """Returns what is kept, in the order of the days; a file with another kind of name is none of it.

        Raises:
            ConfigError: this user may not look.
        """
        try:
            names = sorted(path.name for path in self._directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(f"{self._directory}: {error.strerror}", hint="Run as root.") from error
        return [archived for name in names if (archived := _parse_name(self._directory / name))]

    def accounts_of(self, archived: ArchivedFile) -> list[str]:
        """Returns whose statements a file has, each account once.

        Raises:
            DataError: it is damaged.
            ConfigError: this user may not read it.
        """
        try:
            with BufferedReader(files.open_user_file(archived.path, MAX_STATEMENT_BYTES)) as file:
                xml = unpack(file)
        except OSError as error:
            raise ConfigError(f"{archived.path}: {error.strerror}", hint="Run as root.") from error
        except DataError as error:
            error.message = f"{archived.path}: {error.message}"
            raise
        # It was parsed before it was kept: a few bytes of a megabyte are wanted now.
        found = [account.decode(errors="replace") for account in _ACCOUNT.findall(xml)]
        # One that a person has saved in UTF-16.
        found = found or [event.account for event in read_statements(xml) if isinstance(event, Statement)]
        return list(dict.fromkeys(found))

    def keep(self, xml: bytes, statements: Sequence[Statement]) -> ArchivedFile | None:
        """Keeps a file, and returns it; None: the same content is there already.

        Args:
            xml: the file's content, unpacked.
            statements: the heads of its statements; at least one.

        Raises:
            OutputError: it could not be written; what was kept before is intact.
        """
        digest = hashlib.sha256(xml).hexdigest()[:_DIGEST_LENGTH]
        from_day = min(statement.from_day for statement in statements)
        to_day = max(statement.to_day for statement in statements)
        generated_at = max(statement.generated_at for statement in statements)
        name = f"{from_day}_{to_day}_{generated_at:{_GENERATED_FORMAT}}_{digest}.xml.gz"
        path = self._directory / name
        with self._output_errors():
            files.make_directory(self._directory, mode=_DIRECTORY_MODE)
            with files.locked(self._directory / ".lock"):
                files.remove_stale_temporaries(self._directory)
                if path.exists():
                    return None
                with files.atomic_writer(path, mode=_FILE_MODE) as file:
                    file.write(gzip.compress(xml, _COMPRESSION_LEVEL, mtime=0))
                files.sync_directory(self._directory)
        return ArchivedFile(path, from_day, to_day, generated_at, digest)

    @contextmanager
    def _output_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = "What was kept before is intact."
            if error.errno == errno.EACCES:
                hint = "Run as root."
            raise OutputError(f"{self._directory}: {error.strerror}", hint=hint) from error


def _parse_name(path: Path) -> ArchivedFile | None:
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    try:
        return ArchivedFile(
            path,
            date.fromisoformat(match["from"]),
            date.fromisoformat(match["to"]),
            datetime.fromisoformat(match["generated"]),
            match["digest"],
        )
    except ValueError:
        # Digits that are no day: somebody else's file.
        return None
