"""Writes a result to a file: replaced in one step or left untouched, and never through another user's link."""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

from ibkr_tools import files, privileges
from ibkr_tools.errors import OutputError
from ibkr_tools.terminal_escape import escape_for_terminal

_MAX_SYMLINKS = 40
"""As the kernel has it."""

_PROC = Path("/proc")


class _ForeignOwnerError(OSError):
    """A link or a pipe of another user in a directory that all users may write to."""


def write_output_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Replaces `path`, which nobody but its owner may read, by all the pieces.

    A link is followed as the kernel does with `protected_symlinks`: in a directory like /tmp only our own, or that of
    the directory's owner. What is open already (`/dev/stdout`, `/dev/fd/3`), a device or a pipe is written to, for it
    is nothing to be replaced. What else the old file is called, by a second link to it, stays as it is.

    Raises:
        OutputError: no space, no permission, no such directory, another user's link; the old file is intact.
        IbkrError: whatever kept a piece from being made; the old file is intact, too.
    """
    try:
        with _open_target(_resolve_target(path)) as file:
            for piece in escape_for_terminal(pieces) if file.isatty() else pieces:
                file.write(piece)
    except OSError as error:
        hint = "Name a file in a directory of your own." if isinstance(error, _ForeignOwnerError) else None
        if isinstance(error, PermissionError):
            hint = hint or privileges.write_advice()
        with suppress(OSError):
            hint = hint or ("The file that was there before is intact." if path.is_file() else None)
        raise OutputError(f"{path}: {error.strerror}", hint=hint) from error


def _open_target(target: Path) -> AbstractContextManager[BinaryIO]:
    """Returns a context manager that yields the file to write."""
    try:
        target_stat = target.lstat()
    except FileNotFoundError:
        return files.atomic_writer(target, mode=0o600)
    if stat.S_ISREG(target_stat.st_mode):
        return files.atomic_writer(target, mode=0o600)
    if stat.S_ISDIR(target_stat.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return os.fdopen(_open_special(target, target_stat), "wb")


def _open_special(target: Path, target_stat: os.stat_result) -> int:
    if stat.S_ISLNK(target_stat.st_mode):
        if target.parent == _PROC / str(os.getpid()) / "fd":
            # The very same, with its place in the file: `>>` appends.
            return os.dup(int(target.name))
        return os.open(target, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISFIFO(target_stat.st_mode):
        _require_trusted_owner(target_stat, target.parent, "a pipe")
    return os.open(target, os.O_WRONLY | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _resolve_target(path: Path) -> Path:
    """Returns where the file really is: links are followed, if they may be, up to one of /proc.

    Raises:
        OSError: no such directory, a link of another user, or links that lead nowhere but to each other.
    """
    directory, remaining, links = Path("/") if path.is_absolute() else Path.cwd(), list(reversed(path.parts)), 0
    while remaining:
        part = remaining.pop()
        candidate = directory.parent if part == ".." else directory / part
        try:
            entry = candidate.lstat()
        except FileNotFoundError:
            if remaining:
                raise
            return candidate
        if not stat.S_ISLNK(entry.st_mode):
            directory = candidate
        elif directory.is_relative_to(_PROC):
            # The kernel's own, which lead to what is open.
            if not remaining:
                return candidate
            directory = candidate.resolve(strict=True)
        else:
            _require_trusted_owner(entry, directory, "a link")
            links += 1
            if links > _MAX_SYMLINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            remaining += reversed(candidate.readlink().parts)
    return directory


def _require_trusted_owner(entry: os.stat_result, directory: Path, what: str) -> None:
    """Refuses an entry of another user in a directory that all users may write to."""
    directory_stat = directory.stat()
    is_shared = directory_stat.st_mode & stat.S_ISVTX and directory_stat.st_mode & (stat.S_IWOTH | stat.S_IWGRP)
    if is_shared and entry.st_uid not in {os.geteuid(), directory_stat.st_uid}:
        raise _ForeignOwnerError(errno.EACCES, f"{what} that another user has put there")
