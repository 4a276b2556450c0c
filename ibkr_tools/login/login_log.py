"""The login log: every password that is submitted, written to disk before it is submitted.

IBKR locks a user after ten refusals in a row within 24 hours, and only a telephone call shortens that. So no process
of ours submits a password without an attempt here, an attempt without an outcome counts as a failure, and what cannot
be read counts as locked. The first login creates the file before it leaves anything else behind, so that a file which
is missing beside such evidence is a lost one. Restarts, reboots and several processes share the one file. `budget`
decides what the attempts allow.
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
from ibkr_tools.boot_id import read_boot_id
from ibkr_tools.config.schema import LoginConfig
from ibkr_tools.config.secrets import Secret
from ibkr_tools.directories import Directories
from ibkr_tools.errors import DataError, LockedOut, LoginFailed, OutputError
from ibkr_tools.login.budget import (
    DAY,
    MAX_FAILURES_PER_DAY,
    RESET_HINT,
    Budget,
    compute_budget,
    second_try_s,
    with_attempt,
    without_obsolete,
)
from ibkr_tools.login.login_evidence import clear_evidence, find_evidence, record_evidence
from ibkr_tools.login.login_log_file import (
    LOGIN_LOG_SCHEMA,
    Attempt,
    ClockReading,
    LoginLogFile,
    after_last_success,
    is_consistent,
    last_submitted,
    log_time_s,
    replacement_after_damage,
    stamped,
    unacknowledged,
    with_result,
)
from ibkr_tools.login.outcomes import AttemptResult, Outcome
from ibkr_tools.schema_number import describe_other

MAX_LOG_FILE_BYTES = 4_000_000
"""Bytes that are read of the file: `budget.MAX_ATTEMPTS_KEPT` attempts are a tenth of that."""


def _fingerprint(log_file: LoginLogFile, password: Secret) -> str:
    digest = hmac.new(bytes.fromhex(log_file.salt), password.reveal().encode(), hashlib.sha256).digest()
    return digest[:2].hex()


def _new_log_file(now: ClockReading) -> LoginLogFile:
    return LoginLogFile(salt=secrets.token_hex(16), at=now.at, boot_id=now.boot_id, uptime_s=now.uptime_s)


def _replacement_after_damage(now: ClockReading) -> LoginLogFile:
    return replacement_after_damage(_new_log_file(now), [secrets.token_hex(8) for _ in range(MAX_FAILURES_PER_DAY)])


def uptime() -> tuple[str, float]:
    """Returns the id of the machine's present boot, and the seconds since it: a clock that nobody can set.

    Source: clock_gettime(2), CLOCK_BOOTTIME.
    """
    return read_boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME)


class LoginLog:
    """The login log in `directory`; every change is on disk when the method returns.

    `logins_a_day` is login.logins_a_day of the configuration; `uptime` is the machine's own clock. `now` is always the
    wall clock's, aware. `directories` are where logins leave evidence besides.

    Each method that changes something raises OutputError when the disk does not take it: then nothing may be submitted.
    """

    def __init__(
        self,
        directory: Path,
        logins_a_day: int = LoginConfig().logins_a_day,
        *,
        directories: Directories | None = None,
        uptime: Callable[[], tuple[str, float]] = uptime,
    ) -> None:
        self.path = directory / "login_log.json"
        self._directories = directories
        self._logins_a_day = logins_a_day
        self._uptime = uptime

    def _clock_reading(self, now: datetime) -> ClockReading:
        return ClockReading(now, *self._uptime())

    def _read(self, now: ClockReading) -> LoginLogFile | None:
        """Returns the file, an empty one if there was never one, None for one that is lost or cannot be read."""
        try:
            data = files.read_regular(self.path, MAX_LOG_FILE_BYTES, one_name=False)
        except FileNotFoundError:
            return None if self._evidence() else _new_log_file(now)
        except OSError:
            return None
        try:
            log_file = msgspec.json.decode(data, type=LoginLogFile)
            bytes.fromhex(log_file.salt)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        stamps = [log_file.at, *(attempt.at for attempt in log_file.attempts)]
        is_ours = log_file.schema == LOGIN_LOG_SCHEMA and all(stamp.tzinfo is not None for stamp in stamps)
        return log_file if is_ours and is_consistent(log_file) else None

    def _evidence(self) -> str | None:
        return find_evidence(self.path.parent, self._directories)

    def _damage_message(self) -> str:
        evidence = None if os.path.lexists(self.path) else self._evidence()
        what = f"is missing, though {evidence} shows that logins happened" if evidence else self._damage()
        return f"the login log {self.path} {what}, so nobody knows how many failed; {RESET_HINT}"

    def _damage(self) -> str:
        try:
            told = describe_other(files.read_regular(self.path, MAX_LOG_FILE_BYTES, one_name=False), LOGIN_LOG_SCHEMA)
        except OSError:
            told = None
        return told or "is damaged: it cannot be read"

    def _save(self, log_file: LoginLogFile) -> None:
        files.write_atomically(self.path, msgspec.json.format(msgspec.json.encode(log_file)) + b"\n", mode=0o600)
        # The name must survive a power cut as well as the content.
        files.sync_directory(self.path.parent)

    def _lock(self) -> AbstractContextManager[None]:
        files.make_directory(self.path.parent, mode=0o700)
        return files.locked(self.path.with_suffix(".lock"), mode=0o600)

    def _update(self, now: datetime, change: Callable[[LoginLogFile], LoginLogFile]) -> LoginLogFile:
        """Puts what `change` makes of the file on disk; one process at a time."""
        with self._lock():
            reading = self._clock_reading(now)
            log_file = self._read(reading)
            if log_file is None:
                raise LockedOut(self._damage_message())
            log_file = change(stamped(log_file, reading))
            self._save(log_file)
        return log_file

    def budget(self, now: datetime) -> Budget:
        """Says what is allowed now; reads only. A damaged login log is a locked one."""
        reading = self._clock_reading(now)
        log_file = self._read(reading)
        if log_file is None:
            return Budget(allowed=False, locked=True, why=self._damage_message())
        return compute_budget(log_file, reading, self._logins_a_day)

    def attempts(self, now: datetime) -> tuple[Attempt, ...]:
        """Returns all attempts, oldest first; none if there was never a login log or it is damaged.

        Raises:
            DataError: this user may not read it.
        """
        try:
            files.read_regular(self.path, MAX_LOG_FILE_BYTES, one_name=False)
        except OSError as error:
            # What else may be wrong with it, the budget says.
            if isinstance(error, PermissionError):
                raise DataError(f"{self.path}: {error.strerror}", hint="Run it as root.") from error
        log_file = self._read(self._clock_reading(now))
        return () if log_file is None else log_file.attempts

    def recorded_attempts(self, now: datetime) -> int | None:
        """Returns how many attempts were ever recorded, also those forgotten since; None if the file is damaged."""
        log_file = self._read(self._clock_reading(now))
        return None if log_file is None else log_file.recorded

    def last_refusal(self, password: Secret, now: datetime, *, user: str | None = None) -> Attempt | None:
        """Returns the attempt in which IBKR said no to this password, if that was its last word; None if it was not.

        Another password is a person's correction; an unlock, or a success in between, makes it void. With `user`
        another user name is a correction too.
        """
        log_file = self._read(self._clock_reading(now))
        if log_file is None:
            return None
        password_fingerprint = _fingerprint(log_file, password)
        refusals = [
            attempt
            for attempt in after_last_success(unacknowledged(log_file))
            if attempt.result is AttemptResult.REFUSED
            and attempt.password_fingerprint == password_fingerprint
            and user in {None, attempt.user}
        ]
        return refusals[-1] if refusals else None

    def was_refused(self, password: Secret, now: datetime, *, user: str | None = None) -> bool:
        """Says whether a machine must not submit this password; after damage none may be.

        One that was refused (see `last_refusal`) may be submitted where `budget.second_try_s` allows a second try.
        """
        reading = self._clock_reading(now)
        log_file = self._read(reading)
        if log_file is None:
            return True
        refusal, second_s = self.last_refusal(password, now, user=user), second_try_s(log_file)
        if refusal is None or second_s is None:
            return refusal is not None
        return refusal != last_submitted(log_file.attempts) or log_time_s(log_file, reading) < second_s

    def last_outcome(self, now: datetime) -> Outcome | None:
        """Returns how the last login ended that submitted a password, unless a person has unlocked since."""
        log_file = self._read(self._clock_reading(now))
        last = last_submitted(unacknowledged(log_file)) if log_file else None
        return last.outcome if last else None

    def follows_success(self, now: datetime) -> bool:
        """Says whether the last login that submitted a password succeeded."""
        last = last_submitted(self.attempts(now))
        return last is not None and last.result is AttemptResult.SUCCEEDED

    def create(self, now: datetime) -> None:
        """Creates the file if there never was one: to be called before anything else of a login leaves evidence.

        Of a file that is lost, the evidence is recorded: the status, for example, will soon say something else.

        Raises:
            OSError: the disk does not take it.
        """
        if os.path.lexists(self.path):
            return
        with self._lock():
            if os.path.lexists(self.path):
                return
            if evidence := self._evidence():
                record_evidence(self.path.parent, evidence)
            else:
                self._save(_new_log_file(self._clock_reading(now)))
            files.sync_directory(self.path.parent.parent)

    def sync_clock(self, now: datetime) -> None:
        """Records the time, so that a wall clock that is set later in this boot of the machine does not matter."""
        with suppress(OSError, LockedOut):
            if os.path.lexists(self.path):
                self._update(now, lambda log_file: log_file)

    def record_submission(
        self, now: datetime, user: str, password: Secret, *, result: AttemptResult = AttemptResult.SUBMITTED
    ) -> str:
        """Records that `password` is about to be submitted; returns the attempt's id.

        `result` is what the log says if nobody can write the outcome any more.

        Raises:
            LockedOut: the budget is spent, or the login log is damaged; nothing may be submitted.
            LoginFailed: nothing may be submitted before some time: the message says why and until when.
            OutputError: the disk does not take the attempt; nothing may be submitted.
        """

        def with_submission(log_file: LoginLogFile) -> LoginLogFile:
            reading = ClockReading(log_file.at, log_file.boot_id, log_file.uptime_s)
            budget = compute_budget(log_file, reading, self._logins_a_day)
            if budget.locked:
                raise LockedOut(budget.why)
            if budget.closed_until:
                raise LoginFailed(budget.why)
            password_fingerprint = _fingerprint(log_file, password)
            return with_attempt(
                log_file,
                Attempt(
                    id=attempt_id,
                    at=now,
                    user=user,
                    password_fingerprint=password_fingerprint,
                    result=result,
                    begun_s=log_file.time_s,
                ),
            )

        attempt_id = secrets.token_hex(8)
        try:
            self._update(now, with_submission)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}: no password is submitted without an attempt") from error
        return attempt_id

    def record_result(
        self,
        attempt_id: str,
        result: AttemptResult,
        now: datetime,
        *,
        wait: timedelta | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        """Records how the login of that attempt ended; `wait` is how long IBKR said to stay away."""

        def with_end(log_file: LoginLogFile) -> LoginLogFile:
            return with_result(
                log_file,
                attempt_id,
                result=result,
                ended_s=log_file.time_s,
                wait_s=_capped_wait_s(wait),
                outcome=outcome,
            )

        try:
            self._update(now, with_end)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}; the login counts as failed") from error

    def record_unsubmitted(self, now: datetime, user: str, *, wait: timedelta | None = None) -> None:
        """Records that a login failed before the password was submitted: no failure at IBKR, but a reason to wait."""

        def with_unsubmitted(log_file: LoginLogFile) -> LoginLogFile:
            attempt = Attempt(
                id=secrets.token_hex(8),
                at=now,
                user=user,
                password_fingerprint="",
                result=AttemptResult.UNSUBMITTED,
                begun_s=log_file.time_s,
                ended_s=log_file.time_s,
                wait_s=_capped_wait_s(wait),
            )
            return with_attempt(log_file, attempt)

        try:
            with suppress(LockedOut):
                self._update(now, with_unsubmitted)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}") from error

    def unlock(self, now: datetime) -> Budget:
        """Lets logins happen again, as a person decided; returns the budget after that.

        A log that is lost or damaged is replaced by a new one, at the ceiling. No unlock clears the ceiling: see
        `Budget.closed_until`.
        """
        try:
            with self._lock():
                if self.path.is_dir() and not self.path.is_symlink():
                    # Nothing can be renamed over a directory.
                    self.path.rename(self.path.with_name(f"login_log.damaged-{secrets.token_hex(4)}"))
                reading = self._clock_reading(now)
                log_file = stamped(self._read(reading) or _replacement_after_damage(reading), reading)
                acknowledged = tuple(
                    msgspec.structs.replace(attempt, acknowledged=True) for attempt in log_file.attempts
                )
                log_file = without_obsolete(msgspec.structs.replace(log_file, attempts=acknowledged))
                self._save(log_file)
                clear_evidence(self.path.parent)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror}") from error
        return compute_budget(log_file, reading, self._logins_a_day)


def _capped_wait_s(wait: timedelta | None) -> float:
    """Returns for how many seconds a stated wait is kept: no lock of IBKR's lasts longer than a day."""
    return 0.0 if wait is None else min(max(wait, timedelta()), DAY).total_seconds()
