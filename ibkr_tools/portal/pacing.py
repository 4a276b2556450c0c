"""The request budget that all processes share: IBKR counts per user, and shuts an address out for 15 minutes.

Times are seconds of the machine's monotonic clock, which all processes see alike and no clock jump moves.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from ibkr_tools import files
from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.endpoints import Endpoint, Kind
from ibkr_tools.portal.flight import Flights

REQUESTS_PER_S = 10
"""IBKR's overall limit."""

JITTER_S = 0.1
"""How much longer than IBKR's interval we wait between two calls of one endpoint: IBKR counts when they arrive, and one
that was slow on its way brings the next one closer than they were sent."""

HEADROOM_PER_S = 2
"""What reads leave for the watchdog."""

WINDOW_S = 1.02
"""IBKR's second, and a little."""

LATEST_S = 1.0
"""How long after it was sent a read without an answer may still arrive at IBKR."""

_ROUNDING_S = 1e-6
"""What adding a window to a time and taking it away again may differ by."""

PENALTY_S = 15 * 60.0
"""How long IBKR shuts an address out after a 429."""

LONGEST_PENALTY_S = 60 * 60.0
"""What we believe of a longer penalty that an answer states; a shorter one than IBKR documents is not tried out."""

SAME_BOOT_S = 30.0
"""Corrections of the wall clock smaller than this do not make another boot. The kernel's boot id would say it exactly,
but a unit with ProcSubset=pid cannot read it."""


class Read(msgspec.Struct, array_like=True, frozen=True):
    """When a read is sent, and when it has arrived at the latest."""

    sent_s: float
    latest_s: float


class Reservations(msgspec.Struct):
    """What has been sent or promised: slots of the last second and later, next time per endpoint, penalty's end.

    `reads` are those of the `slots` that reads took. `booted_at` (Unix time) says which boot's monotonic clock the
    others are of.
    """

    booted_at: float = 0.0
    slots: list[float] = []
    reads: list[Read] = []
    next_at: dict[str, float] = {}
    penalty_until: float = 0.0


@dataclass(frozen=True)
class Turn:
    """When one request may be sent: at a time of the budget's clock, `wait_s` from when it was claimed."""

    endpoint: Endpoint
    at_s: float
    wait_s: float


class _Kept(msgspec.Struct):
    """The penalty's end in Unix time, for after a boot."""

    until: float


def _has_room(slots: list[float], at: float, most: int) -> bool:
    """Says whether one more at that time leaves every window with `most` at most."""
    window_s = WINDOW_S - _ROUNDING_S
    near = sorted([*(slot for slot in slots if abs(slot - at) < window_s), at])
    return all(later - earlier >= window_s for earlier, later in zip(near, near[most:], strict=False))


def _fits(slots: list[float], reads: list[Read], at: float) -> bool:
    """Says whether a read may be sent then: whichever of the others are late, IBKR's second has room for a tickle."""
    late = sum(1 for read in reads if read.latest_s > at - 1.0 + _ROUNDING_S)
    return (
        late < REQUESTS_PER_S - 1
        and _has_room([read.sent_s for read in reads], at, REQUESTS_PER_S - HEADROOM_PER_S)
        and _has_room(slots, at, REQUESTS_PER_S)
    )


def reserve(
    past: Reservations, endpoint: Endpoint, now_s: float, *, urgent: bool = False
) -> tuple[Reservations, float]:
    """Returns the reservations with one more request, and when that one may be sent (`now_s` or later).

    What is not a read, or `urgent`, uses the room that reads leave.
    """
    slots = [slot for slot in past.slots if slot > now_s - WINDOW_S]
    reads = [read for read in past.reads if read.latest_s > now_s - WINDOW_S]
    is_read = endpoint.kind is Kind.READ and not urgent
    first = max(now_s, past.penalty_until, past.next_at.get(endpoint.name, 0.0))
    ends = {slot + WINDOW_S for slot in slots}
    if is_read:
        ends |= {read.latest_s + 1.0 for read in reads}
    times = (first, *(end for end in sorted(ends) if end > first))
    at = next(
        time for time in times if (_fits(slots, reads, time) if is_read else _has_room(slots, time, REQUESTS_PER_S))
    )
    next_at = {name: when for name, when in past.next_at.items() if when > now_s}
    if endpoint.interval_s:
        next_at[endpoint.name] = at + endpoint.interval_s + JITTER_S
    reads = [*reads, Read(at, at + LATEST_S)] if is_read else reads
    return Reservations(past.booted_at, sorted([*slots, at]), reads, next_at, past.penalty_until), at


def note_arrival(past: Reservations, at_s: float, now_s: float) -> None:
    """Notes that a read which was sent at `at_s` has arrived by now; of several sent at once it is any."""
    reads = [read for read in past.reads if read.sent_s == at_s and read.latest_s > now_s]
    if reads:
        past.reads.remove(reads[0])
        past.reads.append(Read(at_s, now_s))


def take_back(past: Reservations, turn: Turn) -> None:
    """Frees what a turn has reserved, and its endpoint unless somebody else has claimed it since."""
    name = turn.endpoint.name
    if past.next_at.get(name) == turn.at_s + turn.endpoint.interval_s + JITTER_S:
        del past.next_at[name]
    if turn.at_s in past.slots:
        past.slots.remove(turn.at_s)
    for read in [read for read in past.reads if read.sent_s == turn.at_s][-1:]:
        past.reads.remove(read)


class Pacing(Protocol):
    """Says when a request may be sent."""

    def claim(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Turn:
        """Reserves one request and returns when to send it.

        Raises:
            RateLimited: the wait would be longer than `max_wait_s`; nothing is reserved.
        """

    def under_way(
        self, max_wait_s: float, pause: Callable[[float], object], tell: Callable[[float], None]
    ) -> AbstractContextManager[float]:
        """Holds one of the reads that may be under way at once; see `flight.Flights.take`."""

    def arrived(self, turn: Turn) -> None:
        """Notes that IBKR has answered."""

    def forgo(self, turn: Turn) -> None:
        """Gives a claim back: nothing was sent."""

    def penalise(self, stated_s: float | None = None) -> None:
        """Notes a 429: nobody sends anything for `PENALTY_S`, or for longer if the answer states it."""

    def penalty_s(self) -> float:
        """Returns for how many seconds more nobody sends anything, 0 if there is no penalty."""


class Unpaced:
    """No budget: for one process alone, against something that is not IBKR."""

    def claim(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Turn:
        """Never waits."""
        del max_wait_s, urgent
        return Turn(endpoint, 0.0, 0.0)

    def under_way(
        self, max_wait_s: float, pause: Callable[[float], object], tell: Callable[[float], None]
    ) -> AbstractContextManager[float]:
        """Never waits."""
        del max_wait_s, pause, tell
        return nullcontext(0.0)

    def arrived(self, turn: Turn) -> None:
        """Forgets it."""

    def forgo(self, turn: Turn) -> None:
        """Has nothing to give back."""

    def penalise(self, stated_s: float | None = None) -> None:
        """Forgets it."""

    def penalty_s(self) -> float:
        """Knows of none."""
        return 0.0


def in_words(seconds: float) -> str:
    """Returns a wait as a person says it: seconds, or minutes from two on; never too short."""
    whole = math.ceil(seconds)
    return f"{whole} s" if whole < 120 else f"{math.ceil(whole / 60)} min"  # noqa: PLR2004


def _believable(past: Reservations, now_s: float) -> Reservations:
    """Returns the reservations without those that no process of ours can have made: nothing waits longer."""
    end_s = now_s + LONGEST_PENALTY_S
    return Reservations(
        past.booted_at,
        [slot for slot in past.slots if slot <= end_s],
        [read for read in past.reads if read.latest_s <= end_s],
        {name: when for name, when in past.next_at.items() if when <= end_s},
        min(past.penalty_until, end_s),
    )


def _together(one: Reservations, other: Reservations) -> Reservations:
    """Returns what both say, where one process could not tell the others of its own."""
    next_at = dict(one.next_at)
    for name, when in other.next_at.items():
        next_at[name] = max(when, next_at.get(name, 0.0))
    slots, reads = (
        sorted({*one.slots, *other.slots}),
        list({read.sent_s: read for read in (*one.reads, *other.reads)}.values()),
    )
    return Reservations(one.booted_at, slots, reads, next_at, max(one.penalty_until, other.penalty_until))


class SharedPacing:
    """The budget in a file that every process locks for a moment before each request; threads may share one object.

    Where the file cannot be written (a full disk, a person without rights) the process still obeys what the others
    reserved, and remembers its own requests by itself: keeping a session alive must not depend on a free kilobyte.
    """

    def __init__(
        self,
        path: Path,
        kept: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepares it; nothing is read yet.

        Args:
            path: the file that all processes share; gone after a boot.
            kept: a file that outlives a boot, for a penalty; None: none does.
            clock: seconds that never jump, the same for all processes of one boot.
            wall: Unix time.
        """
        self._path = path
        self._kept = kept
        self._clock = clock
        self._wall = wall
        self._own = Reservations()
        self._known_until = 0.0
        self._kept_until = 0.0
        self._flights = Flights(path.parent)
        self._mutex = threading.Lock()

    def _load(self) -> Reservations:
        """Reads what was reserved; damage, or another boot's clock, means nothing was, but for a penalty that lasts."""
        try:
            past = msgspec.json.decode(self._path.read_bytes(), type=Reservations)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            past = Reservations()
        now_s = self._clock()
        booted_at = self._wall() - now_s
        if abs(past.booted_at - booted_at) >= SAME_BOOT_S:
            # A clock that was set looks like a boot, but for a process that lives on.
            past = Reservations(booted_at, penalty_until=max(self._outlived(now_s), self._known_until))
        return _together(_believable(past, now_s), self._own)

    def _outlived(self, now_s: float) -> float:
        """Returns the end of a penalty of before the boot. A clock that stands wrong makes it no longer."""
        if self._kept is None:
            return 0.0
        try:
            left_s = msgspec.json.decode(self._kept.read_bytes(), type=_Kept).until - self._wall()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return 0.0
        return now_s + min(left_s, PENALTY_S) if left_s > 0 else 0.0

    def _keep(self, until_s: float) -> None:
        """Has the penalty outlive a boot, once it is known here; its file goes with it."""
        if self._kept is None or until_s == self._kept_until:
            return
        was_kept, self._kept_until = self._kept_until, until_s
        with suppress(OSError):
            if until_s:
                end = _Kept(self._wall() + until_s - self._clock())
                files.write_atomically(self._kept, msgspec.json.encode(end), mode=0o640)
            elif was_kept:
                self._kept.unlink()

    def _store(self, reservations: Reservations) -> None:
        self._own, self._known_until = reservations, reservations.penalty_until
        try:
            files.write_atomically(self._path, msgspec.json.encode(reservations), mode=0o664, durable=False)
        except OSError:
            return
        self._own = Reservations()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._mutex, ExitStack() as stack:
            with suppress(OSError):
                files.make_directory(self._path.parent, mode=0o775)
                stack.enter_context(files.locked(self._path.with_suffix(".lock")))
            yield

    def claim(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Turn:
        """Reserves under the lock; see `Pacing.claim`."""
        with self._locked():
            past = self._load()
            now_s = self._clock()
            is_penalty = past.penalty_until > now_s
            reservations, at = reserve(past, endpoint, now_s, urgent=urgent)
            if at - now_s <= max_wait_s:
                self._store(reservations)
        self._keep(past.penalty_until if is_penalty else 0.0)
        if (wait_s := at - now_s) > max_wait_s:
            reason = "IBKR said too many requests" if is_penalty else "asked too often"
            text = f"{endpoint.method} {endpoint.path}: {reason}; possible in {in_words(wait_s)}"
            raise RateLimited(text, wait_s=wait_s)
        return Turn(endpoint, at, wait_s)

    def under_way(
        self, max_wait_s: float, pause: Callable[[float], object], tell: Callable[[float], None]
    ) -> AbstractContextManager[float]:
        """Holds one of four; see `flight.Flights.take`."""
        with suppress(OSError):
            files.make_directory(self._path.parent, mode=0o775)
        return self._flights.take(max_wait_s, pause, tell)

    def arrived(self, turn: Turn) -> None:
        """Notes it for everybody; see `Pacing.arrived`."""
        with self._locked():
            past = self._load()
            note_arrival(past, turn.at_s, self._clock())
            self._store(past)

    def forgo(self, turn: Turn) -> None:
        """Frees it for everybody; see `Pacing.forgo`."""
        with self._locked():
            past = self._load()
            take_back(past, turn)
            self._own = Reservations()
            self._store(past)

    def penalise(self, stated_s: float | None = None) -> None:
        """Stores the end of the penalty for every process, now, after restarts and after a boot."""
        with self._locked():
            past = self._load()
            lasts_s = min(max(PENALTY_S, stated_s or 0.0), LONGEST_PENALTY_S)
            past.penalty_until = max(past.penalty_until, self._clock() + lasts_s)
            self._store(past)
        self._keep(past.penalty_until)

    def penalty_s(self) -> float:
        """Looks without the lock: the file is replaced in one step."""
        with self._mutex:
            until_s = self._load().penalty_until
        left_s = max(0.0, until_s - self._clock())
        self._keep(until_s if left_s else 0.0)
        return left_s
