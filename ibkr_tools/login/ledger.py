"""The login ledger: every password that is submitted, written to disk before it is submitted.

IBKR locks a user after ten refusals in a row within 24 hours, and only a telephone call shortens that. So no process
of ours submits a password without an entry here, an entry without an outcome counts as a failure, and what cannot be
read counts as locked. The first login begins the file before it leaves anything else behind, so that one which is
missing beside such traces is a lost one. Restarts, reboots and several processes share the one file. What the entries
allow is the business of `budget`.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.config import LoginConfig
from ibkr_tools.config_secrets import Secret
from ibkr_tools.directories import Directories
from ibkr_tools.errors import DataError, LockedOut, LoginFailed, OutputError
from ibkr_tools.login.budget import (
    BEGIN_ANEW,
    DAY,
    FAILURES_AT_MOST,
    Book,
    Budget,
    Entry,
    Instant,
    after_damage,
    at_time,
    budget,
    is_whole,
    last_submitted,
    pruned,
    since_success,
    since_unlock,
    with_entry,
)
from ibkr_tools.login.outcome import Mark, Outcome
from ibkr_tools.login.traces import find_trace, forget_trace, keep_trace

LARGEST = 4_000_000
"""Bytes that are read of the file: `budget.MOST_ENTRIES` entries are a tenth of that."""


def _tag(book: Book, password: Secret) -> str:
    digest = hmac.new(bytes.fromhex(book.salt), password.reveal().encode(), hashlib.sha256).digest()
    return digest[:2].hex()


def _new_book(now: Instant) -> Book:
    return Book(salt=secrets.token_hex(16), at=now.at, life=now.life, up=now.up)


def _after_damage(now: Instant) -> Book:
    return after_damage(_new_book(now), [secrets.token_hex(8) for _ in range(FAILURES_AT_MOST)])


def uptime() -> tuple[int, float]:
    """Returns which life of the machine this is, and the seconds since it began: a clock that nobody can set.

    The file system in memory gets a random id when the machine (or the container) starts; the sandbox of our units
    hides the kernel's own boot id. Sources: clock_gettime(2), CLOCK_BOOTTIME; statvfs(3), f_fsid, for tmpfs since
    Linux 5.13; before, all lives look the same, and only a smaller uptime tells another.
    """
    life = 0
    with suppress(OSError):
        life = os.statvfs("/dev/shm").f_fsid  # noqa: S108
    return life, time.clock_gettime(time.CLOCK_BOOTTIME)


class Ledger:
    """The ledger in `directory`; every change is on disk when the method returns.

    `logins_a_day` is login.logins_a_day of the configuration; `uptime` is the machine's own clock. `now` is always the
    wall's, aware. `directories` are where logins leave traces besides.

    Each method that changes something raises OutputError when the disk does not take it: then nothing may be submitted.
    """

    def __init__(
        self,
        directory: Path,
        logins_a_day: int = LoginConfig().logins_a_day,
        *,
        directories: Directories | None = None,
        uptime: Callable[[], tuple[int, float]] = uptime,
    ) -> None:
        self.path = directory / "ledger.json"
        self._directories = directories
        self._logins_a_day = logins_a_day
        self._uptime = uptime

    def _instant(self, now: datetime) -> Instant:
        return Instant(now, *self._uptime())

    def _read(self, now: Instant) -> Book | None:
        """Returns the book, an empty one if there was never a file, None for one that is lost or cannot be read."""
        try:
            data = files.read_regular(self.path, LARGEST, one_name=False)
        except FileNotFoundError:
            return None if self._trace() else _new_book(now)
        except OSError:
            return None
        try:
            book = msgspec.json.decode(data, type=Book)
            bytes.fromhex(book.salt)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        stamps = [book.at, *(entry.at for entry in book.entries)]
        is_ours = book.schema == 1 and all(stamp.tzinfo is not None for stamp in stamps)
        return book if is_ours and is_whole(book) else None

    def _trace(self) -> str | None:
        return find_trace(self.path.parent, self._directories)

    def _damage(self) -> str:
        trace = None if os.path.lexists(self.path) else self._trace()
        what = f"is missing, though {trace} shows that logins happened" if trace else "is damaged: it cannot be read"
        return f"the login ledger {self.path} {what}, so nobody knows how many failed; {BEGIN_ANEW}"

    def _change(self, book: Book) -> None:
        files.write_atomically(self.path, msgspec.json.format(msgspec.json.encode(book)) + b"\n", mode=0o600)
        # The name must survive a power cut as well as the content.
        files.sync_directory(self.path.parent)

    def _locked(self) -> AbstractContextManager[None]:
        files.make_directory(self.path.parent, mode=0o700)
        return files.locked(self.path.with_suffix(".lock"), mode=0o600)

    def _rewrite(self, now: datetime, change: Callable[[Book], Book]) -> Book:
        """Puts what `change` makes of the book on disk; one process at a time."""
        with self._locked():
            instant = self._instant(now)
            book = self._read(instant)
            if book is None:
                raise LockedOut(self._damage())
            book = change(at_time(book, instant))
            self._change(book)
        return book

    def budget(self, now: datetime) -> Budget:
        """Says what is allowed now; reads only. A damaged ledger is a locked one."""
        instant = self._instant(now)
        book = self._read(instant)
        if book is None:
            return Budget(allowed=False, locked=True, why=self._damage())
        return budget(book, instant, self._logins_a_day)

    def entries(self, now: datetime) -> tuple[Entry, ...]:
        """Returns all entries, oldest first; none if there was never a ledger or it is damaged.

        Raises:
            DataError: this user may not read it.
        """
        try:
            files.read_regular(self.path, LARGEST, one_name=False)
        except OSError as error:
            # What else may be wrong with it, the budget says.
            if isinstance(error, PermissionError):
                raise DataError(f"{self.path}: {error.strerror}", hint="Run it as root.") from error
        book = self._read(self._instant(now))
        return () if book is None else book.entries

    def last_refusal(self, password: Secret, now: datetime, *, user: str | None = None) -> Entry | None:
        """Returns the entry in which IBKR said no to this password, if that was its last word; None if it was not.

        Another password is a person's correction; an unlock, or a success in between, makes it forgotten. With `user`
        another user name is a correction too.
        """
        book = self._read(self._instant(now))
        if book is None:
            return None
        tag = _tag(book, password)
        refusals = [
            entry
            for entry in since_success(since_unlock(book))
            if entry.mark is Mark.REFUSED and entry.tag == tag and user in {None, entry.user}
        ]
        return refusals[-1] if refusals else None

    def was_refused(self, password: Secret, now: datetime, *, user: str | None = None) -> bool:
        """Says whether a machine must not submit this password: see `last_refusal`; after damage none may be."""
        return self._read(self._instant(now)) is None or self.last_refusal(password, now, user=user) is not None

    def last_ending(self, now: datetime) -> Outcome | None:
        """Returns how the last login ended that submitted a password, unless a person has taken note of it."""
        book = self._read(self._instant(now))
        last = last_submitted(since_unlock(book)) if book else None
        return last.ending if last else None

    def follows_success(self, now: datetime) -> bool:
        """Says whether the last login that submitted a password succeeded."""
        last = last_submitted(self.entries(now))
        return last is not None and last.mark is Mark.SUCCEEDED

    def begin(self, now: datetime) -> None:
        """Makes the file if there never was one: to be called before anything else of a login leaves a trace.

        Of one that is lost it keeps what shows that: the status, for one, will soon say something else.

        Raises:
            OSError: the disk does not take it.
        """
        if os.path.lexists(self.path):
            return
        with self._locked():
            if os.path.lexists(self.path):
                return
            if trace := self._trace():
                keep_trace(self.path.parent, trace)
            else:
                self._change(_new_book(self._instant(now)))
            files.sync_directory(self.path.parent.parent)

    def keep_time(self, now: datetime) -> None:
        """Notes how late it is, so that a clock that is set later in this life of the machine does not matter."""
        with suppress(OSError, LockedOut):
            if os.path.lexists(self.path):
                self._rewrite(now, lambda book: book)

    def enter(self, now: datetime, user: str, password: Secret, *, mark: Mark = Mark.SUBMITTED) -> str:
        """Enters that `password` is about to be submitted; returns the entry's id.

        `mark` is what stands there if nobody can write the outcome any more.

        Raises:
            LockedOut: the budget is spent, or the ledger is damaged; nothing may be submitted.
            LoginFailed: nothing may be submitted before some time: the message says why and until when.
            OutputError: the disk does not take the entry; nothing may be submitted.
        """

        def entered(book: Book) -> Book:
            state = budget(book, Instant(book.at, book.life, book.up), self._logins_a_day)
            if state.locked:
                raise LockedOut(state.why)
            if state.closed_until:
                raise LoginFailed(state.why)
            tag = _tag(book, password)
            return with_entry(book, Entry(id=entry_id, at=now, user=user, tag=tag, mark=mark, begun_s=book.time_s))

        entry_id = secrets.token_hex(8)
        try:
            self._rewrite(now, entered)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}: no password is submitted without an entry") from error
        return entry_id

    def settle(
        self,
        entry_id: str,
        mark: Mark,
        now: datetime,
        *,
        wait: timedelta | None = None,
        ending: Outcome | None = None,
    ) -> None:
        """Writes how the login of that entry ended; `wait` is how long IBKR said to stay away."""

        def settled(book: Book) -> Book:
            end = {"mark": mark, "ended_s": book.time_s, "wait_s": _believed_s(wait), "ending": ending}
            entries = tuple(
                msgspec.structs.replace(entry, **end) if entry.id == entry_id else entry for entry in book.entries
            )
            return msgspec.structs.replace(book, entries=entries)

        try:
            self._rewrite(now, settled)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}; the login counts as failed") from error

    def note_unsubmitted(self, now: datetime, user: str, *, wait: timedelta | None = None) -> None:
        """Writes that a login failed before the password was submitted: no failure at IBKR, but a reason to wait."""

        def noted(book: Book) -> Book:
            entry = Entry(
                id=secrets.token_hex(8),
                at=now,
                user=user,
                tag="",
                mark=Mark.UNSUBMITTED,
                begun_s=book.time_s,
                ended_s=book.time_s,
                wait_s=_believed_s(wait),
            )
            return with_entry(book, entry)

        try:
            with suppress(LockedOut):
                self._rewrite(now, noted)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}") from error

    def unlock(self, now: datetime) -> Budget:
        """Lets logins happen again, as a person decided; returns the budget after that.

        One that is lost or damaged is begun anew, at the ceiling. What no unlock clears is the ceiling: see
        `Budget.closed_until`.
        """
        try:
            with self._locked():
                if self.path.is_dir() and not self.path.is_symlink():
                    # Nothing can be renamed over a directory.
                    self.path.rename(self.path.with_name(f"ledger.damaged-{secrets.token_hex(4)}"))
                instant = self._instant(now)
                book = at_time(self._read(instant) or _after_damage(instant), instant)
                noted = tuple(msgspec.structs.replace(entry, noted=True) for entry in book.entries)
                book = pruned(msgspec.structs.replace(book, entries=noted))
                self._change(book)
                forget_trace(self.path.parent)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}") from error
        return budget(book, instant, self._logins_a_day)


def _believed_s(wait: timedelta | None) -> float:
    """Returns for how many seconds a stated wait is kept: no lock of IBKR's lasts longer than a day."""
    return 0.0 if wait is None else min(max(wait, timedelta()), DAY).total_seconds()
