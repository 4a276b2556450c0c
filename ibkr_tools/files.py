"""Small files: written so that a reader sees the old one or the new one, and opened for what they seem to be.

Others may write in some of the directories: nothing here follows a link there, waits for a FIFO, touches a file that
has a second name elsewhere, or changes owner or mode of anything that was there before.
"""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from ibkr_tools.polling import poll_until

_TEMPORARY_NAME = re.compile(r"\.(.+)\.[0-9a-f]{12}")
"""What a file is called while it is being written."""

_MAX_STEM_BYTES = 200
"""In bytes; a name has 255 at the most, and the number of the temporary file needs 14 of them."""

MAX_USER_FILE_BYTES = 1_000_000
"""The most that a file holds which a person writes, in bytes: a configuration, a password, a program."""

_CHUNK_BYTES = 1 << 20
"""How much is read at once, in bytes."""

_LOCK_POLL_S = 0.002
"""How often a lock that somebody holds is tried again."""


SHARED_MODE = 0o660
"""Of files in the directory that members of the group share; elsewhere nobody else can reach them."""

MAX_SMALL_FILE_BYTES = 1 << 20
"""What a small file of ours may have at most, in bytes."""


def open_regular(path: Path, flags: int, *, one_name: bool = True) -> int:
    """Opens what is at `path` if it is a regular file with that one name, and returns its descriptor; never waits.

    Args:
        path: a file that is there; a link in its last part is refused.
        flags: O_RDONLY or O_RDWR.
        one_name: refuse a file with a second name too. Where nobody else may write, a backup may have made one.

    Raises:
        OSError: no file, no rights, a link (ELOOP), or something else than a regular file with one name (EINVAL).
    """
    # O_NONBLOCK: opening a FIFO would wait for its other end.
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    entry = os.fstat(fd)
    # No name at all: it has been replaced since.
    if stat.S_ISREG(entry.st_mode) and (entry.st_nlink <= 1 or not one_name):
        return fd
    os.close(fd)
    what = "has a second name elsewhere" if stat.S_ISREG(entry.st_mode) else "not a regular file"
    raise OSError(errno.EINVAL, what, str(path))


def read_regular(path: Path, limit: int = MAX_SMALL_FILE_BYTES, *, one_name: bool = True) -> bytes:
    """Returns the content of the regular file `path`, of at most `limit` bytes; see `open_regular`.

    Raises:
        OSError: as `open_regular`, or the file is larger (EFBIG).
    """
    with os.fdopen(open_regular(path, os.O_RDONLY, one_name=one_name), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", str(path))
    return data


def is_writable(directory: Path) -> bool:
    """Says whether we may write in `directory`, or could if it were made."""
    # Unlike Path.is_dir, it takes a name that is too long for one that is not there.
    while not os.path.isdir(directory) and directory != directory.parent:  # noqa: PTH112
        directory = directory.parent
    return os.access(directory, os.W_OK)


def _stem(name: str) -> str:
    """Returns what stands for `name` in the names of its temporary files, for which a long one leaves no room."""
    if len(os.fsencode(name)) <= _MAX_STEM_BYTES:
        return name
    import hashlib

    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _temporary_path(path: Path) -> Path:
    """Returns a new name beside `path`, whose writer it tells."""
    return path.with_name(f".{_stem(path.name)}.{os.urandom(6).hex()}")


def _open_temporary(path: Path) -> tuple[Path, int]:
    """Makes a file beside `path`, locked while its writer lives; `remove_stale_temporaries` removes the others."""
    # tempfile would cost the gateway's parent 1 MB for the same lines.
    while True:
        temporary = _temporary_path(path)
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with suppress(OSError):
            # Some file systems know no locks; nothing is removed there.
            fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return temporary, fd
        # It was removed before it was locked.
        os.close(fd)


@contextmanager
def atomic_writer(path: Path, *, mode: int, fsync: bool = True) -> Iterator[BinaryIO]:
    """Lends a file to write; it becomes `path` in one step when the block ends well, and vanishes when it does not.

    A writer that is killed leaves its half; the next one of the same file removes it.

    Args:
        path: the file; its directory must exist.
        mode: permission bits, set whatever the umask says (units run with 0077).
        fsync: have the data on disk before the name changes, so that a power cut leaves the old or the new file.

    Raises:
        OSError: no space, no permission; the old file is intact. The caller knows what that means for its user.
    """
    remove_stale_temporaries(path.parent, path.name)
    temporary, fd = _open_temporary(path)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fchmod(fd, mode)
            if fsync:
                os.fsync(fd)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, *, mode: int, fsync: bool = True) -> None:
    """Replaces `path` by `data`, all of its new content, in one step; see `atomic_writer`."""
    with atomic_writer(path, mode=mode, fsync=fsync) as file:
        file.write(data)


def remove(path: Path) -> bool:
    """Removes the file `path`; what else is there is moved out of the way. Says whether there was anything.

    Raises:
        OSError: no rights.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        path.rename(_temporary_path(path))
    return True


def remove_stale_temporaries(directory: Path, name: str | None = None) -> None:
    """Removes what killed writers of the file `name` have left in `directory`; of all files, if no name is given."""
    with suppress(OSError), os.scandir(directory) as entries:
        temporaries = [(entry.path, match[1]) for entry in entries if (match := _TEMPORARY_NAME.fullmatch(entry.name))]
        for temporary, stem in temporaries:
            if name is None or _stem(name) == stem:
                _remove_if_stale(Path(temporary))


def _remove_if_stale(temporary: Path) -> None:
    with suppress(OSError):
        fd = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()
        finally:
            os.close(fd)


def sync_directory(directory: Path) -> None:
    """Has the names in `directory` on disk: a power cut could otherwise undo a rename that is over."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_lock(path: Path, *, mode: int = 0o600) -> int:
    """Opens the lock file `path`, made with `mode` if it is missing; whoever can open it can hold it.

    Raises:
        OSError: no rights, no directory, or `path` is something else (see `open_regular`).
    """
    while True:
        with suppress(FileNotFoundError):
            return open_regular(path, os.O_RDWR)
        # Neither: it was made, or removed, in between.
        with suppress(FileExistsError):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
            # It is new and ours; a unit's umask would keep the group from it.
            os.fchmod(fd, mode)
            return fd


@contextmanager
def locked(path: Path, *, mode: int = 0o600, timeout_s: float | None = None) -> Iterator[None]:
    """Holds the lock file `path` exclusively; waits for whoever has it. The kernel frees it when we die.

    Raises:
        TimeoutError: somebody has held it for `timeout_s`, such as a process that was stopped (Ctrl-Z) just then.
        OSError: no rights, no directory.
    """
    fd = open_lock(path, mode=mode)
    try:
        if timeout_s is None:
            fcntl.flock(fd, fcntl.LOCK_EX)
        else:
            _lock_with_timeout(fd, timeout_s)
        yield
    finally:
        os.close(fd)


def _lock_with_timeout(fd: int, timeout_s: float) -> None:
    """Tries again and again: the kernel knows no lock with a deadline."""

    def try_lock() -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if not poll_until(try_lock, timeout_s, _LOCK_POLL_S):
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def make_directory(path: Path, *, mode: int) -> None:
    """Makes `path` with `mode`, and what is missing above it; what is there stays as it is.

    Raises:
        OSError: no rights, or something that is no directory is in the way.
    """
    if path.is_dir():
        return
    make_directory(path.parent, mode=mode)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path.is_dir():
            # Somebody was faster.
            return
        raise
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_uid == os.geteuid():
            os.fchmod(fd, mode)
    finally:
        os.close(fd)


def open_user_file(path: Path, limit: int = MAX_USER_FILE_BYTES) -> FileIO:
    """Opens a file to read that a person has named, which may be a link; for those of ours see the others.

    Never waits for anybody.

    Raises:
        OSError: not there, no rights, not a regular file (a pipe, a device, a folder), or larger than `limit` bytes.
    """
    fd = os.open(require_regular(path, limit), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    file = FileIO(fd)
    try:
        _require_regular(os.fstat(fd), path, limit)
    except OSError:
        file.close()
        raise
    return file


def read_user_file(path: Path, limit: int = MAX_USER_FILE_BYTES) -> bytes:
    """Returns the content of a file that a person has named; never holds more than `limit` bytes and one.

    Raises:
        OSError: see `open_user_file`.
    """
    with open_user_file(path, limit) as file:
        chunks, size = [], 0
        # Files of /proc do not say how large they are.
        while size <= limit and (chunk := file.read(min(_CHUNK_BYTES, limit + 1 - size))):
            chunks.append(chunk)
            size += len(chunk)
    if size > limit:
        raise _too_large(path, limit)
    return b"".join(chunks)


def require_regular(path: Path, limit: int = MAX_USER_FILE_BYTES) -> Path:
    """Returns `path`, which a person has named, if it leads to a regular file of at most `limit` bytes.

    It is looked at before it is opened: opening a device can do something, and opening a pipe waits.

    Raises:
        OSError: see `read_user_file`.
    """
    _require_regular(path.stat(), path, limit)
    return path


def _require_regular(entry: os.stat_result, path: Path, limit: int) -> None:
    if stat.S_ISDIR(entry.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(entry.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    if entry.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: Path, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than {limit // 1_000_000} MB", os.fspath(path))
