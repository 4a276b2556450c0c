"""Chromium's profile: the one that is kept between logins, a new one where it does not serve, and nobody's locks.

Nothing in a profile may keep a login from happening: a file in it can be cut off, of a newer Chromium, of another user
or of a backup. What IBKR knows this device by is in the cookies, which a new profile takes over.
"""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from ibkr_tools import files
from ibkr_tools.errors import OutputError
from ibkr_tools.login.browser_processes import RunAs, is_browser
from ibkr_tools.login.disk_space import FULL_DISK_ERRORS, choose_temporary_directory
from ibkr_tools.polling import poll_until

__all__ = ["DAMAGED", "BrowserProfile", "browser_profile"]

LOCK_NAMES = ("SingletonLock", "SingletonSocket", "SingletonCookie")
"""What Chromium has in a profile that it uses, as links; the first one reads HOST-PID."""

DAMAGED = "damaged"
"""The directory in a profile with what was there before, when Chromium did not start with it."""

TEMPORARY = "tmp"
"""The directory in a profile for temporary files, where the machine's is full or not to be written."""

_COOKIES = ("Cookies", "Cookies-journal")
_COOKIES_DIRECTORY = "Default"
_MAX_COOKIES_BYTES = 16 << 20
"""A database with more is not one of a browser that knows one page."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class BrowserProfile:
    """The profile of one login. `path` is the directory that Chromium gets now; it belongs to the browser's user.

    `change` says what has taken the place of the first one, None while it is that.
    """

    def __init__(self, path: Path, run_as: RunAs, *, is_kept: bool, temporaries: contextlib.ExitStack) -> None:
        self.path = path
        self._run_as = run_as
        self._is_kept = is_kept
        self._temporaries = temporaries
        self._is_set_aside = False
        self._cookies: dict[str, bytes] | None = None
        self.change: str | None = None
        self._was_empty = not _names(path)

    def temporary(self) -> Path:
        """Returns where the browser's temporary files go; makes the directory if it has to be in the profile.

        Raises:
            OSError: it cannot be made.
        """
        user = self._run_as.user
        directory = choose_temporary_directory(user and user.pw_uid, self.path / TEMPORARY)
        with _opened(self.path) as profile:
            with contextlib.suppress(OSError):
                _remove(TEMPORARY, profile)
            if directory.parent == self.path:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(TEMPORARY, mode=0o700, dir_fd=profile)
                with _opened(Path(TEMPORARY), profile) as made:
                    self._give_away(made)
        return directory

    def renew(self) -> bool:
        """Puts a new profile in the place of one with which Chromium did not start; False: nothing else is to be tried.

        The first time it takes the cookies over, the second time nothing.
        """
        if self._cookies is None:
            self._cookies = read_cookies(self.path)
            if not self._set_aside():
                return False
            self._write_cookies(self._cookies)
        elif self._cookies:
            self._cookies = {}
            self._remove_new()
        else:
            return False
        new = "a new one with its cookies" if self._cookies else "a new one"
        aside = f"; the old one is in {self.path / DAMAGED}" if self._is_set_aside else ", for this login"
        self.change = f"{new} has taken its place{aside}"
        return True

    def restore(self) -> None:
        """Puts back what `renew` has set aside: it was not the reason."""
        if self._is_set_aside:
            self._remove_new()
            self._move_back()

    def _move_back(self) -> None:
        with contextlib.suppress(OSError), _opened(self.path) as profile:
            with _opened(Path(DAMAGED), profile) as aside:
                for name in _names(aside):
                    os.rename(name, name, src_dir_fd=aside, dst_dir_fd=profile)
            os.rmdir(DAMAGED, dir_fd=profile)
        self._is_set_aside = False

    def _set_aside(self) -> bool:
        """Empties the profile; says whether there was anything to try without."""
        if not self._is_kept or self._was_empty:
            return False
        try:
            with _opened(self.path) as profile:
                names = _names(profile)
                with contextlib.suppress(FileNotFoundError):
                    _remove(DAMAGED, profile)
                os.mkdir(DAMAGED, mode=0o700, dir_fd=profile)
                self._is_set_aside = True
                with _opened(Path(DAMAGED), profile) as aside:
                    self._give_away(aside)
                    for name in names:
                        os.rename(name, name, src_dir_fd=profile, dst_dir_fd=aside)
        except OSError as error:
            # Something in it is another user's, or cannot be moved.
            if self._is_set_aside:
                self._move_back()
            logger.warning("{}: {}; this login has a profile of its own", self.path, error.strerror)
            self.path, self._is_kept = make_temporary(self._run_as, self._temporaries), False
        return True

    def _remove_new(self) -> None:
        with contextlib.suppress(OSError), _opened(self.path) as profile:
            for name in _names(profile):
                _remove(name, profile)

    def _write_cookies(self, cookies: dict[str, bytes]) -> None:
        """Writes cookies into an empty profile; a profile without them is good as well."""
        if not cookies:
            return
        with contextlib.suppress(OSError), _opened(self.path) as profile:
            os.mkdir(_COOKIES_DIRECTORY, mode=0o700, dir_fd=profile)
            with _opened(Path(_COOKIES_DIRECTORY), profile) as directory:
                self._give_away(directory)
                for name, data in cookies.items():
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                    with os.fdopen(os.open(name, flags, 0o600, dir_fd=directory), "wb") as file:
                        file.write(data)
                        self._give_away(file.fileno())

    def _give_away(self, fd: int) -> None:
        """Gives what we have just made to the browser's user."""
        if self._run_as.user is not None:
            os.fchown(fd, self._run_as.user.pw_uid, self._run_as.user.pw_gid)


@contextlib.contextmanager
def _opened(path: Path, directory: int | None = None) -> Iterator[int]:
    fd = os.open(path, _DIRECTORY, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _names(directory: int | Path) -> list[str]:
    """Returns what is in a directory, but for what was set aside there."""
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.name != DAMAGED]


def _remove(name: str, directory: int) -> None:
    """Removes a file, or a directory with all that is in it; follows no link."""
    if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        shutil.rmtree(name, dir_fd=directory)
    else:
        os.unlink(name, dir_fd=directory)


def read_cookies(profile: Path) -> dict[str, bytes]:
    """Returns the files of a profile's cookies by name, as far as they are plain files; empty without any."""
    cookies = {}
    with contextlib.suppress(OSError), _opened(profile) as top, _opened(Path(_COOKIES_DIRECTORY), top) as directory:
        for name in _COOKIES:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with contextlib.suppress(OSError), os.fdopen(os.open(name, flags, dir_fd=directory), "rb") as file:
                entry = os.fstat(file.fileno())
                if stat.S_ISREG(entry.st_mode) and entry.st_nlink == 1 and entry.st_size <= _MAX_COOKIES_BYTES:
                    cookies[name] = file.read(_MAX_COOKIES_BYTES)
    # A journal alone is no database.
    return cookies if _COOKIES[0] in cookies else {}


def make_temporary(run_as: RunAs, temporaries: contextlib.ExitStack) -> Path:
    """Makes a profile for one login, which is gone when `temporaries` are closed.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        directory = tempfile.TemporaryDirectory(prefix="ibkr-browser-", ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(
            f"{error.filename or 'temporary directory'}: {error.strerror}, so Chromium gets no profile",
            hint="`df` and `df -i` say what room there is.",
        ) from error
    path = Path(temporaries.enter_context(directory))
    run_as.give(path)
    return path


@contextlib.contextmanager
def browser_profile(wanted: Path, run_as: RunAs) -> Iterator[BrowserProfile]:
    """Gives a profile that the browser's user owns: the kept one if that can be used, else one for now.

    What is there already never changes its owner: whoever could put it there would choose what does.

    Raises:
        OutputError: there is no room for it.
    """
    if run_as.user is None and wanted.is_symlink() and wanted.is_dir():
        # A person may have put it onto another disk.
        wanted = wanted.resolve()
    with contextlib.ExitStack() as temporaries:
        obstacle = _obstacle(wanted, run_as) if run_as.can_enter(wanted) else ""
        if obstacle is None:
            yield BrowserProfile(wanted, run_as, is_kept=True, temporaries=temporaries)
            return
        if obstacle:
            logger.warning(
                "The browser profile {} cannot be used ({}). This login has one of its own, and to IBKR this is a new "
                "device: remove what is there, and the next login makes a new profile",
                wanted,
                obstacle,
            )
        yield BrowserProfile(make_temporary(run_as, temporaries), run_as, is_kept=False, temporaries=temporaries)


def _obstacle(wanted: Path, run_as: RunAs) -> str | None:
    """Returns why the kept profile cannot be used, None if it can.

    Raises:
        OutputError: there is no room for it.
    """
    try:
        is_new = not os.path.lexists(wanted)
        files.make_directory(wanted, mode=0o700)
        if is_new:
            run_as.give(wanted)
        if not run_as.owns(wanted):
            return "it belongs to another user"
        if (mode := stat.S_IMODE(wanted.stat().st_mode)) & stat.S_IRWXU != stat.S_IRWXU:
            return f"its mode is {mode:04o}"
        with tempfile.TemporaryFile(dir=wanted):
            pass
        return _lock_obstacle(wanted)
    except OSError as error:
        if error.errno in FULL_DISK_ERRORS:
            raise OutputError(
                f"{wanted}: {error.strerror}, so Chromium cannot start", hint="`df` and `df -i` say what there is."
            ) from error
        if error.errno in {errno.EEXIST, errno.ENOTDIR}:
            return "a link to nothing" if wanted.is_symlink() else "no directory"
        return error.strerror


def _lock_obstacle(profile: Path, timeout_s: float = 3.0) -> str | None:
    """Removes the locks that another browser has left; returns who uses the profile, None if nobody does."""
    lock = profile / LOCK_NAMES[0]
    if not poll_until(lambda: _lock_owner(lock) is None, timeout_s, 0.1) and (owner := _lock_owner(lock)):
        return f"process {owner} uses it"
    with _opened(profile) as directory:
        for name in LOCK_NAMES:
            with contextlib.suppress(FileNotFoundError):
                _remove(name, directory)
    return None


def _lock_owner(lock: Path) -> int | None:
    """Returns the process of the living browser that holds a lock, None if there is none.

    The host's name and the number are those of when the lock was made: the name may have changed since, and the number
    may be another browser's. One that uses this profile was told so by its command line.
    """
    if not lock.is_symlink():
        return None
    pid = str(lock.readlink()).rpartition("-")[2]
    if not pid.isdigit() or not is_browser(int(pid)):
        return None
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        directories = [
            os.fsdecode(text.partition(b"=")[2]) for text in arguments if text.startswith(b"--user-data-dir=")
        ]
        is_used = any(Path(directory).samefile(lock.parent) for directory in directories)
    except (OSError, ValueError):
        return None
    return int(pid) if is_used else None
