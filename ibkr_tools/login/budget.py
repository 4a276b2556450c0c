"""The login budget: what the attempts in the login log allow. Pure: no file, no clock of its own.

IBKR locks a user after ten refusals in a row within 24 hours, and every further try prolongs the lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from ibkr_tools.login.login_log_file import (
    Attempt,
    ClockReading,
    LoginLogFile,
    ProvenPassword,
    after_last_success,
    last_submitted,
    log_time_s,
    unacknowledged,
    with_count,
)
from ibkr_tools.login.outcomes import AttemptResult

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
PROVEN_FOR = timedelta(days=14)
"""How long a password that has worked is taken for right when IBKR calls it wrong."""
SECOND_TRY_INTERVAL = timedelta(hours=1)
"""How long after such a refusal a machine submits it once more: IBKR's nights and openings are over by then.

Source: docs/reference/login-page.md#false-refusals.
"""
MAX_ATTEMPTS_KEPT = 1000

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


def with_attempt(log_file: LoginLogFile, attempt: Attempt) -> LoginLogFile:
    """Returns the file with one more attempt, and without those that can no longer matter."""
    proven = log_file.proven
    if proven is not None and second_try_s(log_file) is not None and _is_of(attempt, proven):
        proven = msgspec.structs.replace(proven, second_try_used=True)
    log_file = without_obsolete(with_count(log_file))
    return msgspec.structs.replace(
        log_file, attempts=(*log_file.attempts, attempt), recorded=log_file.recorded + 1, proven=proven
    )


def _is_of(attempt: Attempt, proven: ProvenPassword) -> bool:
    return (attempt.user, attempt.password_fingerprint) == (proven.user, proven.password_fingerprint)


def second_try_s(log_file: LoginLogFile) -> float | None:
    """Returns from when on a machine may submit the password again that IBKR has just refused, in the log's own time.

    None: never. A password that worked within `PROVEN_FOR` and was refused once since is probably right: IBKR calls
    right passwords wrong now and then. It gets one more try, and no other before it has worked again.
    """
    last, proven = last_submitted(log_file.attempts), log_file.proven
    if last is None or last.result is not AttemptResult.REFUSED or last.acknowledged:
        return None
    if proven is None or proven.second_try_used or not _is_of(last, proven):
        return None
    if last.begun_s - proven.succeeded_s > PROVEN_FOR.total_seconds():
        return None
    refusals = [
        attempt
        for attempt in after_last_success(log_file.attempts)
        if attempt.result is AttemptResult.REFUSED and _is_of(attempt, proven)
    ]
    return _end_s(last) + SECOND_TRY_INTERVAL.total_seconds() if len(refusals) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What the login log allows now.

    `allowed`: a login may start unattended. `locked`: nobody may log in until a person unlocks. `person`: no machine
    may until a person has logged in or unlocked. `closed_until`: not even a person may before that, None if one may.
    `wait_until`: when the next unattended login may start, None when now or only after a person has acted.
    `logins_limited_until`: until when unattended logins are an hour apart because there were so many, None if they
    are not. `second_try`: the last login was refused, and a machine submits the same password once more, see
    `second_try_s`. The counts are of the last 24 hours.
    """

    allowed: bool
    wait_until: datetime | None = None
    closed_until: datetime | None = None
    logins_limited_until: datetime | None = None
    failures_24h: int = 0
    logins_24h: int = 0
    locked: bool = False
    person: bool = False
    second_try: bool = False
    failures_left: int = 0
    why: str


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
    second_s = second_try_s(log_file)
    doubtful = None if second_s is None else after(second_s - now_s)
    closed = max((until for until in (ceiling, stated) if until), default=None)
    waiting = max((until for until in (closed, backoff, throttled, doubtful) if until), default=None)

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
    elif waiting and waiting == doubtful:
        why = (
            f"IBKR called a password wrong that worked within {PROVEN_FOR.days} days; it is submitted once more, not "
            f"before {format_moment(waiting)}"
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
        second_try=not reason and second_s is not None,
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
