"""The login budget: what the entries of the ledger allow. Pure: no file, no clock of its own.

IBKR locks a user after ten refusals in a row within 24 hours, and every further try prolongs the lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from ibkr_tools.login.outcome import Mark, Outcome

REFUSALS_IN_A_ROW = 2
FAILURES_A_DAY = 4
FAILURES_AT_MOST = 8
"""No unlock lets more logins than this fail within 24 hours."""
DAY = timedelta(hours=24)
DAY_S = DAY.total_seconds()
KEPT = timedelta(hours=48)
BACK_OFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
"""How long unattended logins wait after the first, second, third failure in a row that is not a refusal."""
LOGINS_APART = timedelta(hours=1)
"""How far apart unattended logins are once there were many in a day: IBKR takes them for a stranger's."""
MOST_ENTRIES = 1000
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e10)]
"""Three centuries: what is more, or less than nothing, is damage, and no calendar could show when it ends."""

FAILURES = (Mark.SUBMITTED, Mark.REFUSED, Mark.FAILED, Mark.PERSON, Mark.STOP, Mark.UNKNOWN)
UNLOCK = "`ibkr-tools unlock` allows logins again"
BEGIN_ANEW = "`ibkr-tools unlock` begins a new one, and nothing logs in for 24 hours after that"


@dataclass(frozen=True)
class Instant:
    """A point in time by two clocks: the wall's (`at`, aware), and the machine's own, which nobody can set.

    `life` tells one life of the machine, from start to stop, from another; `up` are the seconds in it, sleep included.
    """

    at: datetime
    life: int
    up: float


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One login. `tag` recognises the same password again, and nothing else: 16 bits of a salted HMAC.

    `ending` is how exactly it ended, null if nobody wrote it. `begun_s` and `ended_s` are in the ledger's own time
    (see `Book`), and all that counts; `at` is what the wall's clock showed. `wait_s`: for how many seconds after its
    end IBKR said to stay away. `noted`: a person took note of it when unlocking; it is counted, but holds nobody back
    any more.
    """

    id: str
    at: datetime
    user: str
    tag: str
    mark: Mark
    begun_s: Seconds
    ended_s: Seconds | None = None
    ending: Outcome | None = None
    wait_s: Seconds = 0.0
    noted: bool = False


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """The file: entries, oldest first.

    The ledger has a time of its own, in seconds since it was begun: `time_s` when it was last written, which was at
    `at`, in that life of the machine, `up` seconds after its start. `entered` counts the entries there ever were, and
    `forgotten` those that can no longer matter and were taken out; `entered` is negative if nobody has counted yet.
    """

    salt: str
    at: datetime
    life: int
    up: Seconds
    time_s: Seconds = 0.0
    entries: tuple[Entry, ...] = ()
    entered: int = -1
    forgotten: int = 0
    schema: int = 1


def counted(book: Book) -> Book:
    """Returns the book with its count of entries; one of a version that did not count is believed."""
    if book.entered >= 0:
        return book
    return msgspec.structs.replace(book, entered=book.forgotten + len(book.entries))


def is_whole(book: Book) -> bool:
    """Says whether the book can have been written as it is: no entry was taken out, and none is of the future."""
    book = counted(book)
    ends = [max(entry.begun_s, entry.ended_s or 0.0) for entry in book.entries]
    return book.entered == book.forgotten + len(book.entries) and max(ends, default=0.0) <= book.time_s


def with_entry(book: Book, entry: Entry) -> Book:
    """Returns the book with one more entry, and without those that can no longer matter."""
    book = pruned(counted(book))
    return msgspec.structs.replace(book, entries=(*book.entries, entry), entered=book.entered + 1)


def after_damage(book: Book, ids: Sequence[str]) -> Book:
    """Returns the new, empty `book` as one that follows a lost one: as if a whole day's failures had just happened.

    Whatever the lost one held: with these, no 24 hours see more than the ceiling.
    """
    entries = tuple(
        Entry(id=one, at=book.at, user="", tag="", mark=Mark.UNKNOWN, begun_s=book.time_s, noted=True) for one in ids
    )
    return msgspec.structs.replace(book, entries=entries, entered=len(entries))


def time_s(book: Book, now: Instant) -> float:
    """Returns the ledger's own time at `now`.

    Within one life of the machine no setting of the wall's clock shows. Across a restart the wall's clock is all there
    is; if it has been set back meanwhile, the machine's new life is surely over.
    """
    if now.life == book.life and now.up >= book.up:
        return book.time_s + now.up - book.up
    wall_s = (now.at - book.at).total_seconds()
    return book.time_s + (wall_s if wall_s >= 0 else max(0.0, now.up))


def at_time(book: Book, now: Instant) -> Book:
    """Returns the same book as one that is written at `now`."""
    return msgspec.structs.replace(book, at=now.at, life=now.life, up=now.up, time_s=time_s(book, now))


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What the ledger allows now.

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


def since_unlock(book: Book) -> list[Entry]:
    """Returns the entries that no person has taken note of."""
    return [entry for entry in book.entries if not entry.noted]


def since_success(entries: Sequence[Entry]) -> list[Entry]:
    """Returns the entries after the last login that succeeded."""
    row: list[Entry] = []
    for entry in entries:
        row = [] if entry.mark is Mark.SUCCEEDED else [*row, entry]
    return row


def reason_to_lock(entries: Sequence[Entry]) -> str:
    """Replays the entries: a lock, once reached, stays, however much time passes or outcomes arrive later."""
    refused: dict[str, int] = {}
    failed: list[float] = []
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
        if entry.mark in FAILURES:
            failed = [at_s for at_s in failed if entry.begun_s - at_s < DAY_S] + [entry.begun_s]
            if len(failed) >= FAILURES_A_DAY:
                return f"{FAILURES_A_DAY} logins failed within 24 hours"
    return ""


def last_submitted(entries: Sequence[Entry]) -> Entry | None:
    """Returns the last entry whose password went out, None without one."""
    return next((entry for entry in reversed(entries) if entry.mark is not Mark.UNSUBMITTED), None)


def _needs_person(entries: Sequence[Entry]) -> bool:
    last = last_submitted(entries)
    return last is not None and last.mark is Mark.PERSON


def _recent(entries: Sequence[Entry], now_s: float, marks: Sequence[Mark]) -> list[Entry]:
    return [entry for entry in entries if entry.mark in marks and now_s - entry.begun_s < DAY_S]


def _left_until_fewer(recent: Sequence[Entry], number: int, now_s: float) -> float:
    """Returns in how many seconds fewer than `number` of the entries are younger than a day; 0 if it is so now."""
    surplus = len(recent) - number
    return 0.0 if surplus < 0 else sorted(entry.begun_s for entry in recent)[surplus] + DAY_S - now_s


def _left_of_wait(entries: Sequence[Entry], now_s: float) -> float:
    """Returns how many seconds are left of what IBKR said to wait."""
    return max((_end_s(entry) + entry.wait_s - now_s for entry in entries), default=0.0)


def _end_s(entry: Entry) -> float:
    return entry.begun_s if entry.ended_s is None else entry.ended_s


def _left_of_back_off(entries: Sequence[Entry], now_s: float) -> float:
    row = since_success(entries)
    # A refusal is not a matter of time: see `Ledger.was_refused`.
    if not row or row[-1].mark is Mark.REFUSED:
        return 0.0
    in_row = 0
    for entry in reversed(row):
        if entry.mark is Mark.REFUSED:
            break
        in_row += 1
    # The page that never got the password costs nothing at IBKR: the first time, no wait.
    steps = in_row - 1 if row[-1].mark is not Mark.UNSUBMITTED else in_row - 2
    if steps < 0:
        return 0.0
    return _end_s(row[-1]) + BACK_OFF[min(steps, len(BACK_OFF) - 1)].total_seconds() - now_s


def moment(at: datetime) -> str:
    """Returns a point in time (aware, UTC) as our sentences say it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def budget(book: Book, now: Instant, logins_a_day: int) -> Budget:
    """Says what is allowed at `now`."""
    now_s = time_s(book, now)
    entries = since_unlock(book)
    failures = _recent(book.entries, now_s, FAILURES)
    logins = _recent(book.entries, now_s, [Mark.SUCCEEDED])
    many_s = _left_until_fewer(logins, logins_a_day, now_s)

    def after(left_s: float) -> datetime | None:
        left = timedelta(seconds=left_s)
        return now.at + left if left > timedelta() else None

    # What keeps even a person from logging in, then what keeps only machines.
    ceiling = after(_left_until_fewer(failures, FAILURES_AT_MOST, now_s))
    told = after(_left_of_wait(entries, now_s))
    back_off = after(_left_of_back_off(entries, now_s))
    spread = after(_end_s(logins[-1]) + LOGINS_APART.total_seconds() - now_s) if many_s > 0 else None
    closed = max((until for until in (ceiling, told) if until), default=None)
    waiting = max((until for until in (closed, back_off, spread) if until), default=None)

    counted = sum(1 for entry in failures if not entry.noted)
    reason = reason_to_lock(entries)
    person = not reason and _needs_person(entries)
    if reason:
        why = f"{reason}; {UNLOCK}" + (f", though not before {moment(ceiling)}" if ceiling else "")
    elif closed and closed == ceiling:
        why = f"{_at_the_ceiling(failures)}, and IBKR locks a user at ten: nothing logs in before {moment(closed)}"
    elif closed:
        why = f"IBKR says to wait until {moment(closed)}"
    elif person:
        why = "the last login needed a person; `ibkr-tools login` tries again, `ibkr-tools unlock` lets machines do so"
    elif waiting and waiting == spread:
        why = (
            f"{len(logins)} logins succeeded within 24 hours (login.logins_a_day is {logins_a_day}), so they are an "
            f"hour apart; the next unattended one not before {moment(waiting)}"
        )
    elif waiting:
        why = f"the last login failed; the next unattended one not before {moment(waiting)}"
    else:
        why = f"{counted} of {FAILURES_A_DAY} failures within 24 hours"
    return Budget(
        allowed=not reason and not person and waiting is None,
        wait_until=None if reason or person else waiting,
        closed_until=closed,
        logins_limited_until=after(many_s),
        failures_24h=len(failures),
        logins_24h=len(logins),
        locked=bool(reason),
        person=person,
        failures_left=0 if reason else max(0, min(FAILURES_A_DAY - counted, FAILURES_AT_MOST - len(failures))),
        why=why,
    )


def _at_the_ceiling(failures: Sequence[Entry]) -> str:
    if any(entry.mark is Mark.UNKNOWN for entry in failures):
        return f"the login ledger was lost, so {FAILURES_AT_MOST} failures within 24 hours are assumed"
    return f"{FAILURES_AT_MOST} logins failed within 24 hours"


def pruned(book: Book) -> Book:
    """Forgets what can no longer matter: old entries before the last success, or before an unlock."""
    if reason_to_lock(since_unlock(book)):
        return book
    row = {entry.id for entry in since_success(book.entries) if not entry.noted}
    kept = tuple(
        entry
        for entry in book.entries
        if book.time_s - entry.begun_s < KEPT.total_seconds()
        or (entry.id in row and entry.mark in (Mark.REFUSED, Mark.PERSON))
    )
    if len(kept) > MOST_ENTRIES:
        # Only harmless ones can be that many: four failures lock.
        surplus = len(kept) - MOST_ENTRIES
        harmless = [entry.id for entry in kept if entry.mark in (Mark.UNSUBMITTED, Mark.SUCCEEDED)][:surplus]
        kept = tuple(entry for entry in kept if entry.id not in set(harmless))
    book = counted(book)
    forgotten = book.forgotten + len(book.entries) - len(kept)
    return msgspec.structs.replace(book, entries=kept, forgotten=forgotten)
