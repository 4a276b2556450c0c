"""Which files of the state directory this version reads: `python -m ibkr_tools.state_files`, before a way back.

`bin/install --rollback` asks the version that it goes back to, while nothing is changed yet.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.alert_outbox import ALERT_SCHEMA
from ibkr_tools.directories import Directories, find_directories
from ibkr_tools.errors import DataError
from ibkr_tools.fetch.snapshot_document import SNAPSHOT_SCHEMA
from ibkr_tools.flex.flex_budget import TOKEN_STATE_SCHEMA
from ibkr_tools.gateway.distribution_identity import ACCEPTED_BUILDS_SCHEMA
from ibkr_tools.history.tables import SCHEMA_VERSION
from ibkr_tools.login.login_log_file import LOGIN_LOG_SCHEMA
from ibkr_tools.login.otp import TOTP_SCHEMA
from ibkr_tools.pause_file import PAUSE_SCHEMA
from ibkr_tools.portal.rate_limiter import PENALTY_SCHEMA
from ibkr_tools.schema_number import describe_other

_MAX_FILE_BYTES = 1 << 28
"""More than any of them has; a snapshot of a large account has a few megabytes."""

_SQLITE_VERSION = slice(60, 64)
"""Where a file of SQLite has the number that its program gave it; https://sqlite.org/fileformat.html."""


def known_schemas(directories: Directories) -> dict[Path, int]:
    """Returns the JSON files that outlive an upgrade, and the number that this version knows of each.

    Not among them is what is made anew when it does not fit: the status, the class archive, the request budget.
    """
    return {
        directories.login / "login_log.json": LOGIN_LOG_SCHEMA,
        directories.login / "totp.json": TOTP_SCHEMA,
        directories.alert_history_file: ALERT_SCHEMA,
        directories.pause_file: PAUSE_SCHEMA,
        directories.penalty_file: PENALTY_SCHEMA,
        directories.flex_budget: TOKEN_STATE_SCHEMA,
        directories.accepted_builds: ACCEPTED_BUILDS_SCHEMA,
        directories.snapshots / "latest.json": SNAPSHOT_SCHEMA,
    }


def find_unknown(directories: Directories) -> Iterator[str]:
    """Yields a line for each file that another version has written in a form that this one does not know.

    Raises:
        DataError: a file is there and cannot be read.
    """
    for path, known in known_schemas(directories).items():
        if (data := _read(path)) is not None and (told := describe_other(data, known)):
            yield f"{path}: {told}"


def describe_history(directories: Directories) -> str | None:
    """Says that the history has to be made anew from the statements; None: it has not, or there is none."""
    data = _read(directories.history)
    if data is None:
        return None
    version = int.from_bytes(data[_SQLITE_VERSION], "big")
    if version == SCHEMA_VERSION:
        return None
    return (
        f"{directories.history}: is of schema {version}, this version knows {SCHEMA_VERSION}; "
        "`ibkr-tools history rebuild` makes it anew from the statements"
    )


def _read(path: Path) -> bytes | None:
    try:
        return files.read_regular(path, _MAX_FILE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def main() -> int:
    """Prints what this version cannot read; returns 0 if there is nothing, else the code of DataError."""
    directories = find_directories()
    try:
        unknown = list(find_unknown(directories))
        history = describe_history(directories)
    except DataError as error:
        unknown, history = [error.message], None
    for line in unknown:
        print(line, file=sys.stderr)
    if history is not None:
        print(history, file=sys.stderr)
    return DataError.exit_code if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
