"""The file of the login log: attempts, the password that worked last, and a time of its own. Pure.

`budget` says what the attempts allow, `login_log` keeps the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from ibkr_tools.login.outcomes import AttemptResult, Outcome

LOGIN_LOG_SCHEMA = 1

Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e10)]
"""Three centuries: what is more, or less than nothing, is damage, and no calendar could show when it ends."""


@dataclass(frozen=True)
class ClockReading:
    """A point in time by two clocks: the wall's (`at`, aware), and the machine's own, which nobody can set.

    `boot_id` tells one boot of the machine from another; `uptime_s` are the seconds since that boot, sleep included.
    """

    at: datetime
    boot_id: str
    uptime_s: float


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One login. `password_fingerprint` recognises the same password again, and nothing else: 16 bits of a salted HMAC.

    `outcome` is how exactly the login ended, null if nobody wrote it. `begun_s` and `ended_s` are in the log's own time
    (see `LoginLogFile`), and all that counts; `at` is what the wall clock showed. `wait_s`: for how many seconds after
    the login's end IBKR said to stay away. `acknowledged`: a person unlocked after this attempt; it is counted, but
    holds nobody back any more.
    """

    id: str
    at: datetime
    user: str
    password_fingerprint: str
    result: AttemptResult
    begun_s: Seconds
    ended_s: Seconds | None = None
    outcome: Outcome | None = None
    wait_s: Seconds = 0.0
    acknowledged: bool = False


class ProvenPassword(msgspec.Struct, frozen=True, kw_only=True):
    """The password that worked last: whose, its fingerprint, and when, in the log's own time.

    `second_try_used`: IBKR has called it wrong since, and it was submitted once more.
    """

    user: str
    password_fingerprint: str
    succeeded_s: Seconds
    second_try_used: bool = False


class LoginLogFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file: attempts, oldest first.

    The log has a time of its own, in seconds since the file was created: `time_s` when the file was last written, which
    was at `at`, in the boot `boot_id` of the machine, `uptime_s` seconds after its start. `recorded` counts the
    attempts there ever were, and `discarded` those that can no longer matter and were taken out; `recorded` is negative
    if nobody has counted yet. `proven` outlives the attempt that proved it; null before the first success.
    """

    salt: str
    at: datetime
    boot_id: str
    uptime_s: Seconds
    time_s: Seconds = 0.0
    attempts: tuple[Attempt, ...] = ()
    recorded: int = -1
    discarded: int = 0
    proven: ProvenPassword | None = None
    schema: int = LOGIN_LOG_SCHEMA


def with_count(log_file: LoginLogFile) -> LoginLogFile:
    """Returns the file with its count of attempts; one of a version that did not count is believed."""
    if log_file.recorded >= 0:
        return log_file
    return msgspec.structs.replace(log_file, recorded=log_file.discarded + len(log_file.attempts))


def is_consistent(log_file: LoginLogFile) -> bool:
    """Says whether the file can have been written as it is: no attempt was taken out, and none is of the future."""
    log_file = with_count(log_file)
    ends = [max(attempt.begun_s, attempt.ended_s or 0.0) for attempt in log_file.attempts]
    proven_s = log_file.proven.succeeded_s if log_file.proven else 0.0
    return (
        log_file.recorded == log_file.discarded + len(log_file.attempts) and max([proven_s, *ends]) <= log_file.time_s
    )


def log_time_s(log_file: LoginLogFile, now: ClockReading) -> float:
    """Returns the log's own time at `now`.

    Within one boot of the machine no setting of the wall clock shows. Across a restart the wall clock is all there is;
    if it has been set back meanwhile, at least the uptime of the new boot has passed.
    """
    if now.boot_id == log_file.boot_id and now.uptime_s >= log_file.uptime_s:
        return log_file.time_s + now.uptime_s - log_file.uptime_s
    wall_s = (now.at - log_file.at).total_seconds()
    return log_file.time_s + (wall_s if wall_s >= 0 else max(0.0, now.uptime_s))


def stamped(log_file: LoginLogFile, now: ClockReading) -> LoginLogFile:
    """Returns the same file as one that is written at `now`."""
    return msgspec.structs.replace(
        log_file, at=now.at, boot_id=now.boot_id, uptime_s=now.uptime_s, time_s=log_time_s(log_file, now)
    )


def replacement_after_damage(log_file: LoginLogFile, ids: Sequence[str]) -> LoginLogFile:
    """Returns the new, empty `log_file` as one that replaces a lost one: as if a day's failures had just happened.

    Whatever the lost one held: with these, no 24 hours see more than the ceiling.
    """
    attempts = tuple(
        Attempt(
            id=attempt_id,
            at=log_file.at,
            user="",
            password_fingerprint="",
            result=AttemptResult.UNKNOWN,
            begun_s=log_file.time_s,
            acknowledged=True,
        )
        for attempt_id in ids
    )
    return msgspec.structs.replace(log_file, attempts=attempts, recorded=len(attempts))


def with_result(log_file: LoginLogFile, attempt_id: str, **changes: object) -> LoginLogFile:
    """Returns the file with these fields of an attempt changed; a success proves its password."""
    attempts = tuple(
        msgspec.structs.replace(attempt, **changes) if attempt.id == attempt_id else attempt
        for attempt in log_file.attempts
    )
    changed = next((attempt for attempt in attempts if attempt.id == attempt_id), None)
    proven = log_file.proven
    if changed is not None and changed.result is AttemptResult.SUCCEEDED:
        proven = ProvenPassword(
            user=changed.user, password_fingerprint=changed.password_fingerprint, succeeded_s=log_file.time_s
        )
    return msgspec.structs.replace(log_file, attempts=attempts, proven=proven)


def unacknowledged(log_file: LoginLogFile) -> list[Attempt]:
    """Returns the attempts after which no person has unlocked."""
    return [attempt for attempt in log_file.attempts if not attempt.acknowledged]


def after_last_success(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Returns the attempts after the last login that succeeded."""
    row: list[Attempt] = []
    for attempt in attempts:
        row = [] if attempt.result is AttemptResult.SUCCEEDED else [*row, attempt]
    return row


def last_submitted(attempts: Sequence[Attempt]) -> Attempt | None:
    """Returns the last attempt whose password went out, None without one."""
    return next((attempt for attempt in reversed(attempts) if attempt.result is not AttemptResult.UNSUBMITTED), None)
