"""Writing small files so that a reader sees the old one or the new one, never half of one."""

import errno
import fcntl
import os
import re
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_SCRAP = re.compile(r"\.(.+)\.[0-9a-f]{12}")
"""What a file is called while it is being written."""

_STEP_S = 0.002
"""How often a lock that somebody holds is tried again."""


def _follow_owner(fd: int, directory: Path) -> None:
    """Gives a file made by root to the owner of its directory, so that the service can replace it later."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(fd, owner.st_uid, owner.st_gid)


def _open_scrap(path: Path) -> tuple[Path, int]:
    """Makes a file beside `path`, locked while its writer lives: so `sweep` tells what the killed have left."""
    # tempfile would cost the gateway's parent 1 MB for the same lines.
    while True:
        scrap = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
        fd = os.open(scrap, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with suppress(OSError):
            # Some file systems know no locks; nothing is swept there.
            fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return scrap, fd
        # It was swept before it was locked.
        os.close(fd)


@contextmanager
def replacing(path: Path, *, mode: int, durable: bool = True) -> Iterator[BinaryIO]:
    """Lends a file to write; it becomes `path` in one step when the block ends well, and vanishes when it does not.

    A writer that is killed leaves its half; the next one of the same file removes it.

    Args:
        path: the file; its directory must exist.
        mode: permission bits, set whatever the umask says (units run with 0077).
        durable: have the data on disk before the name changes, so that a power cut leaves the old or the new file.

    Raises:
        OSError: no space, no permission; the old file is intact. The caller knows what that means for its user.
    """
    sweep(path.parent, path.name)
    scrap, fd = _open_scrap(path)
    try:
        with os.fdopen(fd, "wb") as file:
            _follow_owner(fd, path.parent)
            yield file
            file.flush()
            os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
            scrap.replace(path)
    finally:
        scrap.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, *, mode: int, durable: bool = True) -> None:
    """Replaces `path` by `data`, all of its new content, in one step; see `replacing`."""
    with replacing(path, mode=mode, durable=durable) as file:
        file.write(data)


def sweep(directory: Path, name: str | None = None) -> None:
    """Removes what killed writers of the file `name` have left in `directory`; of all files, if no name is given."""
    with suppress(OSError), os.scandir(directory) as entries:
        found = [(entry.path, match[1]) for entry in entries if (match := _SCRAP.fullmatch(entry.name))]
        for scrap, of in found:
            if name in {None, of}:
                _remove_if_dead(Path(scrap))


def _remove_if_dead(scrap: Path) -> None:
    with suppress(OSError):
        fd = os.open(scrap, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            scrap.unlink()
        finally:
            os.close(fd)


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
