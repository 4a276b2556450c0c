"""What shows that logins happened here: beside any of it, a login ledger that is missing is a lost one.

Only what cannot be there before the first login began counts; that one begins the ledger before anything else.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.directories import Directories
from ibkr_tools.status import LoginSection, StatusFile

_NO_TRACE = re.compile(r".+\.lock|\.ledger\.json\.[0-9a-f]{12}")
"""In the ledger's directory: lock files, and a ledger that was being begun when its writer was killed."""

_NOTE = "ledger.lost"

_ABOUT_LOGINS = frozenset({"approval", "person", "logins"})
"""Topics that a person is told of because of a login; see `watchdog.concerns`."""

_LIMIT = 1_000_000

_NOTHING_HAPPENED = frozenset({"broken", "not-needed", "unlocked", "running"})
"""States of a login's report that say nothing of a password."""


class _Told(msgspec.Struct, frozen=True):
    topics: dict[str, msgspec.Raw] = {}


def find_trace(login: Path, directories: Directories | None = None) -> str | None:
    """Returns the first thing that shows that a login has begun here, None if nothing does.

    Args:
        login: the directory of the ledger.
        directories: where else to look; None: only there.
    """
    return next(_traces(login, directories), None)


def keep_trace(login: Path, trace: str) -> None:
    """Notes in the ledger's directory what was found: it may not stay what it is.

    Raises:
        OSError: the disk does not take it.
    """
    if not os.path.lexists(login / _NOTE):
        files.write_atomically(login / _NOTE, trace.encode(), mode=0o600)
        files.sync_directory(login)


def forget_trace(login: Path) -> None:
    """Removes that note: there is a ledger again.

    Raises:
        OSError: the directory cannot be written.
    """
    (login / _NOTE).unlink(missing_ok=True)


def _noted(login: Path) -> str | None:
    try:
        return files.read_regular(login / _NOTE, _LIMIT).decode(errors="replace").strip() or str(login / _NOTE)
    except OSError:
        return None


def _traces(login: Path, directories: Directories | None) -> Iterator[str]:
    if noted := _noted(login):
        yield noted
    if found := _content(login):
        yield str(found)
    if directories is None:
        return
    # Not the snapshots: they show a session, which may be a person's own, and people keep them apart.
    if _content(directories.browser):
        yield str(directories.browser)
    if _tells_of_a_login(directories.told_file):
        yield str(directories.told_file)
    section = StatusFile(directories.status_file).read_section(LoginSection)
    if section is not None and (
        section.state not in _NOTHING_HAPPENED or section.failures_24h + section.logins_24h > 0
    ):
        yield f"{directories.status_file} (login: {section.state})"


def _content(directory: Path) -> Path | None:
    """Returns something that is in `directory`; None also if it cannot be looked into: a unit's sandbox hides some."""
    try:
        return next((path for path in sorted(directory.iterdir()) if not _NO_TRACE.fullmatch(path.name)), None)
    except OSError:
        return None


def _tells_of_a_login(told_file: Path) -> bool:
    try:
        told = msgspec.json.decode(files.read_regular(told_file, _LIMIT), type=_Told)
    except (FileNotFoundError, PermissionError):
        return False
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Nobody knows what it told.
        return True
    return not _ABOUT_LOGINS.isdisjoint(told.topics)
