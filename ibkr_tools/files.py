"""Writing small files so that a reader sees the old one or the new one, never half of one."""

import errno
import fcntl
import os
import re
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_STEP_S = 0.002
"""How often a lock that somebody holds is tried again."""


def _follow_owner(fd: int, directory: Path) -> None:
    """Gives a file made by root to the owner of its directory, so that the service can replace it later."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(fd, owner.st_uid, owner.st_gid)


@contextmanager
def replacing(path: Path, *, mode: int, durable: bool = True) -> Iterator[BinaryIO]:
    """Lends a file to write; it becomes `path` in one step when the block ends well, and vanishes when it does not.

    Args:
        path: the file; its directory must exist.
        mode: permission bits, set whatever the umask says (units run with 0077).
        durable: have the data on disk before the name changes, so that a power cut leaves the old or the new file.

    Raises:
        OSError: no space, no permission; the old file is intact. The caller knows what that means for its user.
    """
    # tempfile would cost the gateway's parent 1 MB for the same three lines.
    scrap = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    fd = os.open(scrap, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            _follow_owner(file.fileno(), path.parent)
            if durable:
                os.fsync(file.fileno())
        scrap.replace(path)
    finally:
        scrap.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, *, mode: int, durable: bool = True) -> None:
    """Replaces `path` by `data`, all of its new content, in one step; see `replacing`."""
    with replacing(path, mode=mode, durable=durable) as file:
        file.write(data)


def sweep(directory: Path) -> None:
    """Removes what killed writers have left in `directory`; the caller knows that nobody is writing there."""
    for path in directory.iterdir():
        if re.fullmatch(r"\..+\.[0-9a-f]{12}", path.name):
            path.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Has the names in `directory` on disk: a power cut could otherwise undo a rename that is over."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_lock(path: Path, *, mode: int = 0o660) -> int:
    """Opens the lock file `path`, made if it is missing; whoever can open it can hold it.

    Raises:
        OSError: no rights, no directory.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        if os.fstat(fd).st_uid == os.geteuid():
            os.fchmod(fd, mode)
            _follow_owner(fd, path.parent)
    except OSError:
        os.close(fd)
        raise
    return fd


@contextmanager
def locked(path: Path, *, mode: int = 0o660, patience_s: float | None = None) -> Iterator[None]:
    """Holds the lock file `path` exclusively; waits for whoever has it. The kernel frees it when we die.

    Raises:
        TimeoutError: somebody has held it for `patience_s`, such as a process that was stopped (Ctrl-Z) just then.
        OSError: no rights, no directory.
    """
    fd = open_lock(path, mode=mode)
    try:
        if patience_s is None:
            fcntl.flock(fd, fcntl.LOCK_EX)
        else:
            _lock_within(fd, patience_s)
        yield
    finally:
        os.close(fd)


def _lock_within(fd: int, seconds: float) -> None:
    """Tries again and again: the kernel knows no lock with a deadline."""
    end_s = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end_s:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
            select.select((), (), (), _STEP_S)
        else:
            return


def make_directory(path: Path, *, mode: int) -> None:
    """Makes `path` and what is missing above it; a directory made by root belongs to its parent's owner."""
    if path.is_dir():
        return
    make_directory(path.parent, mode=mode)
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        if path.is_dir():
            # Somebody was faster.
            return
        raise
    path.chmod(mode)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
