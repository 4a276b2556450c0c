"""What shows that logins happened here: beside any of it, a login log that is missing is a lost one.

Only what cannot be there before the first login began counts; that login creates the log before anything else.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.directories import Directories
from ibkr_tools.status import LoginSection, StatusFile

_NO_EVIDENCE = re.compile(r".+\.lock|\.login_log\.json\.[0-9a-f]{12}")
"""In the log's directory: lock files, and a log that was being created when its writer was killed."""

_RECORD_FILE = "login_log.lost"

_LOGIN_TOPICS = frozenset({"approval", "person", "logins"})
"""Alert topics that only a login causes; see `watchdog.alert_rules`."""

_MAX_FILE_BYTES = 1_000_000

_STATES_WITHOUT_SUBMISSION = frozenset({"broken", "not-needed", "unlocked", "running"})
"""States of the login section in status.json that say nothing of a password."""


class _AlertTopics(msgspec.Struct, frozen=True):
    topics: dict[str, msgspec.Raw] = {}


def find_evidence(login: Path, directories: Directories | None = None) -> str | None:
    """Returns the first thing that shows that a login has begun here, None if nothing does.

    Args:
        login: the directory of the login log.
        directories: where else to look; None: only there.
    """
    return next(_evidence(login, directories), None)


def record_evidence(login: Path, evidence: str) -> None:
    """Records in the log's directory what was found: the evidence itself may not last.

    Raises:
        OSError: the disk does not take it.
    """
    if not os.path.lexists(login / _RECORD_FILE):
        files.write_atomically(login / _RECORD_FILE, evidence.encode(), mode=0o600)
        files.sync_directory(login)


def clear_evidence(login: Path) -> None:
    """Removes that record: there is a login log again.

    Raises:
        OSError: the directory cannot be written.
    """
    (login / _RECORD_FILE).unlink(missing_ok=True)


def _read_record(login: Path) -> str | None:
    try:
        return files.read_regular(login / _RECORD_FILE, _MAX_FILE_BYTES).decode(errors="replace").strip() or str(
            login / _RECORD_FILE
        )
    except OSError:
        return None


def _evidence(login: Path, directories: Directories | None) -> Iterator[str]:
    if recorded := _read_record(login):
        yield recorded
    if path := _first_entry(login):
        yield str(path)
    if directories is None:
        return
    # Not the snapshots: they show a session, which may be a person's own, and people keep them apart.
    if _first_entry(directories.browser):
        yield str(directories.browser)
    if _mentions_login(directories.alert_history_file):
        yield str(directories.alert_history_file)
    section = StatusFile(directories.status_file).read_section(LoginSection)
    if section is not None and (
        section.state not in _STATES_WITHOUT_SUBMISSION or section.failures_24h + section.logins_24h > 0
    ):
        yield f"{directories.status_file} (login: {section.state})"


def _first_entry(directory: Path) -> Path | None:
    """Returns something that is in `directory`; None also if it cannot be looked into: a unit's sandbox hides some."""
    try:
        return next((path for path in sorted(directory.iterdir()) if not _NO_EVIDENCE.fullmatch(path.name)), None)
    except OSError:
        return None


def _mentions_login(alert_history_file: Path) -> bool:
    try:
        alerts = msgspec.json.decode(files.read_regular(alert_history_file, _MAX_FILE_BYTES), type=_AlertTopics)
    except (FileNotFoundError, PermissionError):
        return False
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Nobody knows which alerts were sent.
        return True
    return not _LOGIN_TOPICS.isdisjoint(alerts.topics)
