"""The login budget: what the attempts in the login log allow. Pure: no file, no clock of its own.

IBKR locks a user after ten refusals in a row within 24 hours, and every further try prolongs the lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from ibkr_tools.login.outcomes import AttemptResult, Outcome

LOCK_AFTER_REFUSALS = 2
LOCK_AFTER_FAILURES = 4
MAX_FAILURES_PER_DAY = 8
"""No unlock lets more logins than this fail within 24 hours."""
DAY = timedelta(hours=24)
DAY_S = DAY.total_seconds()
ATTEMPT_RETENTION = timedelta(hours=48)
BACKOFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
"""How long unattended logins wait after the first, second, third failure in a row that is not a refusal."""
THROTTLED_LOGIN_INTERVAL = timedelta(hours=1)
"""How far apart unattended logins are once there were many in a day: IBKR takes them for a stranger's."""
MAX_ATTEMPTS_KEPT = 1000
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e10)]
"""Three centuries: what is more, or less than nothing, is damage, and no calendar could show when it ends."""

FAILED_RESULTS = (
    AttemptResult.SUBMITTED,
    AttemptResult.REFUSED,
    AttemptResult.FAILED,
    AttemptResult.PERSON,
    AttemptResult.STOP,
    AttemptResult.UNKNOWN,
)
UNLOCK_HINT = "`ibkr-tools unlock` allows logins again"
RESET_HINT = "`ibkr-tools unlock` begins a new one, and nothing logs in for 24 hours after that"


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


class LoginLogFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file: attempts, oldest first.

    The log has a time of its own, in seconds since the file was created: `time_s` when the file was last written, which
    was at `at`, in the boot `boot_id` of the machine, `uptime_s` seconds after its start. `recorded` counts the
    attempts there ever were, and `discarded` those that can no longer matter and were taken out; `recorded` is negative
    if nobody has counted yet.
    """

    salt: str
    at: datetime
    boot_id: str
    uptime_s: Seconds
    time_s: Seconds = 0.0
    attempts: tuple[Attempt, ...] = ()
    recorded: int = -1
    discarded: int = 0
    schema: int = 1


def with_count(log_file: LoginLogFile) -> LoginLogFile:
    """Returns the file with its count of attempts; one of a version that did not count is believed."""
    if log_file.recorded >= 0:
        return log_file
    return msgspec.structs.replace(log_file, recorded=log_file.discarded + len(log_file.attempts))


def is_consistent(log_file: LoginLogFile) -> bool:
    """Says whether the file can have been written as it is: no attempt was taken out, and none is of the future."""
    log_file = with_count(log_file)
    ends = [max(attempt.begun_s, attempt.ended_s or 0.0) for attempt in log_file.attempts]
    return (
        log_file.recorded == log_file.discarded + len(log_file.attempts) and max(ends, default=0.0) <= log_file.time_s
    )


def with_attempt(log_file: LoginLogFile, attempt: Attempt) -> LoginLogFile:
    """Returns the file with one more attempt, and without those that can no longer matter."""
    log_file = without_obsolete(with_count(log_file))
    return msgspec.structs.replace(log_file, attempts=(*log_file.attempts, attempt), recorded=log_file.recorded + 1)


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


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What the login log allows now.

    `allowed`: a login may start unattended. `locked`: nobody may log in until a person unlocks. `person`: no machine
    may until a person has logged in or unlocked. `closed_until`: not even a person may before that, None if one may.
    `wait_until`: when the next unattended login may start, None when now or only after a person has acted.
    `logins_limited_until`: until when unattended logins are an hour apart because there were so many, None if they
    are not. The counts are of the last 24 hours.
    """

    allowed: bool
    wait_until: datetime | None = None
    closed_until: datetime | None = None
    logins_limited_until: datetime | None = None
    failures_24h: int = 0
    logins_24h: int = 0
    locked: bool = False
    person: bool = False
    failures_left: int = 0
    why: str


def unacknowledged(log_file: LoginLogFile) -> list[Attempt]:
    """Returns the attempts after which no person has unlocked."""
    return [attempt for attempt in log_file.attempts if not attempt.acknowledged]


def after_last_success(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Returns the attempts after the last login that succeeded."""
    row: list[Attempt] = []
    for attempt in attempts:
        row = [] if attempt.result is AttemptResult.SUCCEEDED else [*row, attempt]
    return row


def lock_reason(attempts: Sequence[Attempt]) -> str:
    """Replays the attempts: a lock, once reached, stays, however much time passes or outcomes arrive later."""
    refused: dict[str, int] = {}
    failed: list[float] = []
    for attempt in attempts:
        if attempt.result is AttemptResult.SUCCEEDED:
            refused.clear()
        elif attempt.result is AttemptResult.STOP:
            return "IBKR showed something that only a person can answer"
        elif attempt.result is AttemptResult.REFUSED:
            # Another password in between is a person's doing, and begins a new row.
            refused = {attempt.password_fingerprint: refused.get(attempt.password_fingerprint, 0) + 1}
            if refused[attempt.password_fingerprint] >= LOCK_AFTER_REFUSALS:
                return f"IBKR refused the same password {LOCK_AFTER_REFUSALS} times in a row"
        if attempt.result in FAILED_RESULTS:
            failed = [at_s for at_s in failed if attempt.begun_s - at_s < DAY_S] + [attempt.begun_s]
            if len(failed) >= LOCK_AFTER_FAILURES:
                return f"{LOCK_AFTER_FAILURES} logins failed within 24 hours"
    return ""


def last_submitted(attempts: Sequence[Attempt]) -> Attempt | None:
    """Returns the last attempt whose password went out, None without one."""
    return next((attempt for attempt in reversed(attempts) if attempt.result is not AttemptResult.UNSUBMITTED), None)


def _needs_person(attempts: Sequence[Attempt]) -> bool:
    last = last_submitted(attempts)
    return last is not None and last.result is AttemptResult.PERSON


def _recent(attempts: Sequence[Attempt], now_s: float, results: Sequence[AttemptResult]) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.result in results and now_s - attempt.begun_s < DAY_S]


def _left_until_fewer_than_s(recent: Sequence[Attempt], number: int, now_s: float) -> float:
    """Returns in how many seconds fewer than `number` of the attempts are younger than a day; 0 if it is so now."""
    surplus = len(recent) - number
    return 0.0 if surplus < 0 else sorted(attempt.begun_s for attempt in recent)[surplus] + DAY_S - now_s


def _stated_wait_left_s(attempts: Sequence[Attempt], now_s: float) -> float:
    """Returns how many seconds are left of what IBKR said to wait."""
    return max((_end_s(attempt) + attempt.wait_s - now_s for attempt in attempts), default=0.0)


def _end_s(attempt: Attempt) -> float:
    return attempt.begun_s if attempt.ended_s is None else attempt.ended_s


def _backoff_left_s(attempts: Sequence[Attempt], now_s: float) -> float:
    row = after_last_success(attempts)
    # A refusal is not a matter of time: see `LoginLog.was_refused`.
    if not row or row[-1].result is AttemptResult.REFUSED:
        return 0.0
    in_row = 0
    for attempt in reversed(row):
        if attempt.result is AttemptResult.REFUSED:
            break
        in_row += 1
    # The page that never got the password costs nothing at IBKR: the first time, no wait.
    steps = in_row - 1 if row[-1].result is not AttemptResult.UNSUBMITTED else in_row - 2
    if steps < 0:
        return 0.0
    return _end_s(row[-1]) + BACKOFF[min(steps, len(BACKOFF) - 1)].total_seconds() - now_s


def format_moment(at: datetime) -> str:
    """Returns a point in time (aware, UTC) as our sentences say it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def compute_budget(log_file: LoginLogFile, now: ClockReading, logins_a_day: int) -> Budget:
    """Says what is allowed at `now`."""
    now_s = log_time_s(log_file, now)
    attempts = unacknowledged(log_file)
    failures = _recent(log_file.attempts, now_s, FAILED_RESULTS)
    logins = _recent(log_file.attempts, now_s, [AttemptResult.SUCCEEDED])
    many_s = _left_until_fewer_than_s(logins, logins_a_day, now_s)

    def after(left_s: float) -> datetime | None:
        left = timedelta(seconds=left_s)
        return now.at + left if left > timedelta() else None

    # What keeps even a person from logging in, then what keeps only machines.
    ceiling = after(_left_until_fewer_than_s(failures, MAX_FAILURES_PER_DAY, now_s))
    stated = after(_stated_wait_left_s(attempts, now_s))
    backoff = after(_backoff_left_s(attempts, now_s))
    throttled = after(_end_s(logins[-1]) + THROTTLED_LOGIN_INTERVAL.total_seconds() - now_s) if many_s > 0 else None
    closed = max((until for until in (ceiling, stated) if until), default=None)
    waiting = max((until for until in (closed, backoff, throttled) if until), default=None)

    counted = sum(1 for attempt in failures if not attempt.acknowledged)
    reason = lock_reason(attempts)
    person = not reason and _needs_person(attempts)
    if reason:
        why = f"{reason}; {UNLOCK_HINT}" + (f", though not before {format_moment(ceiling)}" if ceiling else "")
    elif closed and closed == ceiling:
        why = (
            f"{_ceiling_reason(failures)}, and IBKR locks a user at ten: nothing logs in before {format_moment(closed)}"
        )
    elif closed:
        why = f"IBKR says to wait until {format_moment(closed)}"
    elif person:
        why = "the last login needed a person; `ibkr-tools login` tries again, `ibkr-tools unlock` lets machines do so"
    elif waiting and waiting == throttled:
        why = (
            f"{len(logins)} logins succeeded within 24 hours (login.logins_a_day is {logins_a_day}), so they are an "
            f"hour apart; the next unattended one not before {format_moment(waiting)}"
        )
    elif waiting:
        why = f"the last login failed; the next unattended one not before {format_moment(waiting)}"
    else:
        why = f"{counted} of {LOCK_AFTER_FAILURES} failures within 24 hours"
    return Budget(
        allowed=not reason and not person and waiting is None,
        wait_until=None if reason or person else waiting,
        closed_until=closed,
        logins_limited_until=after(many_s),
        failures_24h=len(failures),
        logins_24h=len(logins),
        locked=bool(reason),
        person=person,
        failures_left=0 if reason else max(0, min(LOCK_AFTER_FAILURES - counted, MAX_FAILURES_PER_DAY - len(failures))),
        why=why,
    )


def _ceiling_reason(failures: Sequence[Attempt]) -> str:
    if any(attempt.result is AttemptResult.UNKNOWN for attempt in failures):
        return f"the login log was lost, so {MAX_FAILURES_PER_DAY} failures within 24 hours are assumed"
    return f"{MAX_FAILURES_PER_DAY} logins failed within 24 hours"


def without_obsolete(log_file: LoginLogFile) -> LoginLogFile:
    """Discards what can no longer matter: old attempts before the last success, or before an unlock."""
    if lock_reason(unacknowledged(log_file)):
        return log_file
    row = {attempt.id for attempt in after_last_success(log_file.attempts) if not attempt.acknowledged}
    kept = tuple(
        attempt
        for attempt in log_file.attempts
        if log_file.time_s - attempt.begun_s < ATTEMPT_RETENTION.total_seconds()
        or (attempt.id in row and attempt.result in (AttemptResult.REFUSED, AttemptResult.PERSON))
    )
    if len(kept) > MAX_ATTEMPTS_KEPT:
        # Only harmless ones can be that many: four failures lock.
        surplus = len(kept) - MAX_ATTEMPTS_KEPT
        harmless = [
            attempt.id for attempt in kept if attempt.result in (AttemptResult.UNSUBMITTED, AttemptResult.SUCCEEDED)
        ][:surplus]
        kept = tuple(attempt for attempt in kept if attempt.id not in set(harmless))
    log_file = with_count(log_file)
    discarded = log_file.discarded + len(log_file.attempts) - len(kept)
    return msgspec.structs.replace(log_file, attempts=kept, discarded=discarded)
