"""A file that a result goes to: replaced in one step, or untouched; and never one that somebody else has chosen."""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

from ibkr_tools import files, privileges
from ibkr_tools.errors import OutputError
from ibkr_tools.text import for_terminal

_MOST_LINKS = 40
"""As the kernel has it."""

_PROC = Path("/proc")


class _Stranger(OSError):
    """A link or a pipe that somebody else has put where everybody may put something."""


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Replaces `path`, which nobody but its owner may read, by all the pieces.

    A link is followed as the kernel does with `protected_symlinks`: in a directory like /tmp only our own, or that of
    the directory's owner. What is open already (`/dev/stdout`, `/dev/fd/3`), a device or a pipe is written to, for it
    is nothing to be replaced. What else the old file is called, by a second link to it, stays as it is.

    Raises:
        OutputError: no space, no permission, no such directory, a stranger's link; the old file is intact.
        IbkrError: whatever kept a piece from being made; the old file is intact, too.
    """
    try:
        with _opened(_resolved(path)) as file:
            for piece in for_terminal(pieces) if file.isatty() else pieces:
                file.write(piece)
    except OSError as error:
        hint = "Name a file in a directory of your own." if isinstance(error, _Stranger) else None
        if isinstance(error, PermissionError):
            hint = hint or privileges.write_advice()
        with suppress(OSError):
            hint = hint or ("The file that was there before is intact." if path.is_file() else None)
        raise OutputError(f"{path}: {error.strerror}", hint=hint) from error


def _opened(whole: Path) -> AbstractContextManager[BinaryIO]:
    """Returns what lends the file to write."""
    try:
        there = whole.lstat()
    except FileNotFoundError:
        return files.atomic_writer(whole, mode=0o600)
    if stat.S_ISREG(there.st_mode):
        return files.atomic_writer(whole, mode=0o600)
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return os.fdopen(_descriptor(whole, there), "wb")


def _descriptor(whole: Path, there: os.stat_result) -> int:
    if stat.S_ISLNK(there.st_mode):
        if whole.parent == _PROC / str(os.getpid()) / "fd":
            # The very same, with its place in the file: `>>` appends.
            return os.dup(int(whole.name))
        return os.open(whole, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISFIFO(there.st_mode):
        _require_own(there, whole.parent, "a pipe")
    return os.open(whole, os.O_WRONLY | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _resolved(path: Path) -> Path:
    """Returns where the file really is: links are followed, if they may be, up to one of /proc.

    Raises:
        OSError: no such directory, a link of a stranger, or links that lead nowhere but to each other.
    """
    where, rest, links = Path("/") if path.is_absolute() else Path.cwd(), list(reversed(path.parts)), 0
    while rest:
        part = rest.pop()
        found = where.parent if part == ".." else where / part
        try:
            entry = found.lstat()
        except FileNotFoundError:
            if rest:
                raise
            return found
        if not stat.S_ISLNK(entry.st_mode):
            where = found
        elif where.is_relative_to(_PROC):
            # The kernel's own, which lead to what is open.
            if not rest:
                return found
            where = found.resolve(strict=True)
        else:
            _require_own(entry, where, "a link")
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            rest += reversed(found.readlink().parts)
    return where


def _require_own(entry: os.stat_result, directory: Path, what: str) -> None:
    """Refuses what somebody else has put into a directory where everybody may put something."""
    place = directory.stat()
    is_shared = place.st_mode & stat.S_ISVTX and place.st_mode & (stat.S_IWOTH | stat.S_IWGRP)
    if is_shared and entry.st_uid not in {os.geteuid(), place.st_uid}:
        raise _Stranger(errno.EACCES, f"{what} that another user has put there")
