"""The login ledger: every password that is submitted, written to disk before it is submitted; and the budget.

IBKR locks a user after ten refusals in a row within 24 hours, and only a telephone call shortens that. So no process
of ours submits a password without an entry here, an entry without an outcome counts as a failure, and what cannot be
read counts as locked. Restarts, reboots and several processes share the one file.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.config import Secret
from ibkr_tools.errors import LockedOut, OutputError
from ibkr_tools.login.outcome import Mark

REFUSALS_IN_A_ROW = 2
FAILURES_A_DAY = 4
DAY = timedelta(hours=24)
KEPT = timedelta(hours=48)
BACK_OFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
"""How long unattended logins wait after the first, second, third failure in a row that is not a refusal."""
MOST_ENTRIES = 200

_FAILURES = (Mark.SUBMITTED, Mark.REFUSED, Mark.FAILED, Mark.STOP)
_UNLOCK = "`ibkr-tools unlock` allows logins again"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One login. `tag` recognises the same password again, and nothing else: 16 bits of a salted HMAC.

    `noted`: a person took note of it when unlocking; it is counted, but holds nobody back any more.
    """

    id: str
    at: datetime
    user: str
    tag: str
    mark: Mark
    settled_at: datetime | None = None
    noted: bool = False


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """The file: entries, oldest first."""

    salt: str
    entries: tuple[Entry, ...] = ()
    schema: int = 1


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What the ledger allows now.

    `allowed`: a login may start unattended. `locked`: nobody may until a person unlocks. `wait_until`: when the next
    unattended one may start, None when now or only after an unlock. The counts are of the last 24 hours.
    """

    allowed: bool
    wait_until: datetime | None
    failures_24h: int
    logins_24h: int
    locked: bool
    why: str


def _since_unlock(book: Book) -> list[Entry]:
    return [entry for entry in book.entries if not entry.noted]


def _reason_to_lock(entries: Sequence[Entry]) -> str:
    """Replays the entries: a lock, once reached, stays, however much time passes or outcomes arrive later."""
    refused: dict[str, int] = {}
    failed: list[datetime] = []
    for entry in entries:
        if entry.mark is Mark.SUCCEEDED:
            refused.clear()
        elif entry.mark is Mark.STOP:
            return "IBKR showed something that only a person can answer"
        elif entry.mark is Mark.REFUSED:
            # Another password in between is a person's doing, and begins a new row.
            refused = {entry.tag: refused.get(entry.tag, 0) + 1}
            if refused[entry.tag] >= REFUSALS_IN_A_ROW:
                return f"IBKR refused the same password {REFUSALS_IN_A_ROW} times in a row"
        if entry.mark in _FAILURES:
            failed = [at for at in failed if entry.at - at < DAY] + [entry.at]
            if len(failed) >= FAILURES_A_DAY:
                return f"{FAILURES_A_DAY} logins failed within 24 hours"
    return ""


def _wait_until(entries: Sequence[Entry], now: datetime) -> datetime | None:
    row: list[Entry] = []
    for entry in entries:
        row = [] if entry.mark is Mark.SUCCEEDED else [*row, entry]
    if not row:
        return None
    last = row[-1]
    if last.mark is Mark.REFUSED:
        # Not a matter of time: see `Ledger.was_refused`.
        return None
    in_row = 0
    for entry in reversed(row):
        if entry.mark is Mark.REFUSED:
            break
        in_row += 1
    # The page that never got the password costs nothing at IBKR: the first time, no wait.
    steps = in_row - 1 if last.mark is not Mark.UNSUBMITTED else in_row - 2
    pause = BACK_OFF[min(steps, len(BACK_OFF) - 1)] if steps >= 0 else timedelta()
    # A clock that was set back must not turn minutes into months.
    until = min(last.settled_at or last.at, now) + pause
    return until if until > now else None


def budget(book: Book, now: datetime) -> Budget:
    """Says what is allowed at `now` (aware); pure."""
    recent = [entry for entry in book.entries if now - entry.at < DAY]
    failures = sum(1 for entry in recent if entry.mark in _FAILURES)
    logins = sum(1 for entry in recent if entry.mark is Mark.SUCCEEDED)
    entries = _since_unlock(book)
    reason = _reason_to_lock(entries)
    until = None if reason else _wait_until(entries, now)
    why = f"{reason}; {_UNLOCK}" if reason else ""
    if until:
        why = f"the last login failed; the next unattended one not before {until:%H:%M:%S} UTC"
    return Budget(
        allowed=not reason and until is None,
        wait_until=until,
        failures_24h=failures,
        logins_24h=logins,
        locked=bool(reason),
        why=why or f"{failures} of {FAILURES_A_DAY} failures within 24 hours",
    )


def _pruned(book: Book, now: datetime) -> Book:
    """Forgets what can no longer matter: old entries before the last success, or before an unlock."""
    if _reason_to_lock(_since_unlock(book)):
        return book
    entries = book.entries
    successes = [index for index, entry in enumerate(entries) if entry.mark is Mark.SUCCEEDED]
    row_begins = successes[-1] if successes else -1
    kept = tuple(
        entry
        for index, entry in enumerate(entries)
        if now - entry.at < KEPT or (index > row_begins and entry.mark is Mark.REFUSED and not entry.noted)
    )
    if len(kept) > MOST_ENTRIES:
        # Only harmless ones can be that many: four failures lock.
        surplus = len(kept) - MOST_ENTRIES
        harmless = [entry.id for entry in kept if entry.mark in (Mark.UNSUBMITTED, Mark.SUCCEEDED)][:surplus]
        kept = tuple(entry for entry in kept if entry.id not in set(harmless))
    return msgspec.structs.replace(book, entries=kept)


def _tag(book: Book, password: Secret) -> str:
    digest = hmac.new(bytes.fromhex(book.salt), password.reveal().encode(), hashlib.sha256).digest()
    return digest[:2].hex()


def _new_book() -> Book:
    return Book(salt=secrets.token_hex(16))


class Ledger:
    """The ledger of one IBKR user, in `directory`; every change is on disk when the method returns.

    Each method raises OutputError when the disk does not take it: then nothing may be submitted.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "ledger.json"

    def _read(self) -> Book | None:
        """Returns the book, an empty one if there was never a file, None for anything that cannot be read."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return _new_book()
        except OSError:
            return None
        try:
            book = msgspec.json.decode(data, type=Book)
            bytes.fromhex(book.salt)
        except (msgspec.DecodeError, ValueError):
            return None
        stamps = [stamp for entry in book.entries for stamp in (entry.at, entry.settled_at) if stamp is not None]
        return None if book.schema != 1 or any(stamp.tzinfo is None for stamp in stamps) else book

    def _damage(self) -> str:
        return f"the login ledger {self.path} cannot be read, so nobody knows how many logins failed; {_UNLOCK}"

    def _change(self, book: Book) -> None:
        files.write_atomically(self.path, msgspec.json.format(msgspec.json.encode(book)) + b"\n", mode=0o600)
        # The name must survive a power cut as well as the content.
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _locked(self) -> AbstractContextManager[None]:
        files.make_directory(self.path.parent, mode=0o700)
        return files.locked(self.path.with_suffix(".lock"), mode=0o600)

    def budget(self, now: datetime) -> Budget:
        """Says what is allowed now; reads only. A damaged ledger is a locked one."""
        book = self._read()
        if book is None:
            return Budget(allowed=False, wait_until=None, failures_24h=0, logins_24h=0, locked=True, why=self._damage())
        return budget(book, now)

    def was_refused(self, password: Secret) -> bool:
        """Says whether IBKR's last word on this password was no: a machine does not submit it again.

        Another password is a person's correction; an unlock, or a success in between, makes it forgotten.
        """
        book = self._read()
        if book is None:
            return True
        row: list[Entry] = []
        for entry in _since_unlock(book):
            row = [] if entry.mark is Mark.SUCCEEDED else [*row, entry]
        tag = _tag(book, password)
        return any(entry.mark is Mark.REFUSED and entry.tag == tag for entry in row)

    def enter(self, now: datetime, user: str, password: Secret) -> str:
        """Enters that `password` is about to be submitted; returns the entry's id.

        Raises:
            LockedOut: the budget is spent, or the ledger is damaged; nothing may be submitted.
            OutputError: the disk does not take the entry; nothing may be submitted.
        """
        try:
            with self._locked():
                book = self._read()
                if book is None:
                    raise LockedOut(self._damage())
                if (state := budget(book, now)).locked:
                    raise LockedOut(state.why)
                entry = Entry(id=secrets.token_hex(8), at=now, user=user, tag=_tag(book, password), mark=Mark.SUBMITTED)
                book = _pruned(book, now)
                self._change(msgspec.structs.replace(book, entries=(*book.entries, entry)))
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}: no password is submitted without an entry") from error
        return entry.id

    def settle(self, entry_id: str, mark: Mark, now: datetime) -> None:
        """Writes how the login of that entry ended."""
        try:
            with self._locked():
                book = self._read()
                if book is None:
                    raise LockedOut(self._damage())
                entries = tuple(
                    msgspec.structs.replace(entry, mark=mark, settled_at=now) if entry.id == entry_id else entry
                    for entry in book.entries
                )
                self._change(msgspec.structs.replace(book, entries=entries))
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}; the login counts as failed") from error

    def note_unsubmitted(self, now: datetime, user: str) -> None:
        """Writes that a login failed before the password was submitted: no failure at IBKR, but a reason to wait."""
        try:
            with self._locked():
                book = self._read()
                if book is None:
                    return
                entry = Entry(id=secrets.token_hex(8), at=now, user=user, tag="", mark=Mark.UNSUBMITTED, settled_at=now)
                book = _pruned(book, now)
                self._change(msgspec.structs.replace(book, entries=(*book.entries, entry)))
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}") from error

    def unlock(self, now: datetime) -> Budget:
        """Lets logins happen again, as a person decided; a damaged ledger is begun anew. Returns the budget before."""
        try:
            with self._locked():
                before = self.budget(now)
                book = self._read() or _new_book()
                noted = tuple(msgspec.structs.replace(entry, noted=True) for entry in book.entries)
                book = _pruned(msgspec.structs.replace(book, entries=noted), now)
                self._change(book)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}") from error
        return before
