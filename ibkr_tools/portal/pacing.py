"""The request budget that all processes share: IBKR counts per user, and shuts an address out for 15 minutes.

Times are seconds of the machine's monotonic clock, which all processes see alike and no clock jump moves.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from ibkr_tools import files
from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.endpoints import Endpoint, Kind

REQUESTS_PER_S = 10
"""IBKR's overall limit."""

JITTER_S = 0.1
"""IBKR counts when requests arrive: one that was slow on its way brings the next one closer than they were sent."""

HEADROOM_PER_S = 2
"""What reads leave for the watchdog."""

PENALTY_S = 15 * 60.0
"""How long IBKR shuts an address out after a 429."""

SAME_BOOT_S = 30.0
"""Corrections of the wall clock smaller than this do not make another boot. The kernel's boot id would say it exactly,
but a unit with ProcSubset=pid cannot read it."""


class Reservations(msgspec.Struct):
    """What has been sent or promised: slots of the last second and later, next time per endpoint, penalty's end.

    `booted_at` (Unix time) says which boot's monotonic clock the others are of.
    """

    booted_at: float = 0.0
    slots: list[float] = []
    next_at: dict[str, float] = {}
    penalty_until: float = 0.0


def reserve(past: Reservations, endpoint: Endpoint, now_s: float) -> tuple[Reservations, float]:
    """Returns the reservations with one more request, and when that one may be sent (`now_s` or later)."""
    limit = REQUESTS_PER_S if endpoint.kind is Kind.KEEPALIVE else REQUESTS_PER_S - HEADROOM_PER_S
    slots = sorted(slot for slot in past.slots if slot > now_s - 1.0 - JITTER_S)
    at = max(now_s, past.penalty_until, past.next_at.get(endpoint.name, 0.0))
    if len(slots) >= limit:
        at = max(at, slots[-limit] + 1.0 + JITTER_S)
    next_at = {name: when for name, when in past.next_at.items() if when > now_s}
    if endpoint.interval_s:
        next_at[endpoint.name] = at + endpoint.interval_s + JITTER_S
    return Reservations(past.booted_at, sorted([*slots, at]), next_at, past.penalty_until), at


class Pacing(Protocol):
    """Says when a request may be sent."""

    def claim(self, endpoint: Endpoint, max_wait_s: float) -> float:
        """Reserves one request and returns how many seconds to wait before sending it.

        Raises:
            RateLimited: the wait would be longer than `max_wait_s`; nothing is reserved.
        """

    def forgo(self, endpoint: Endpoint) -> None:
        """Gives the last claim of that endpoint back: it was never sent."""

    def penalise(self) -> None:
        """Notes a 429: nobody sends anything for `PENALTY_S`."""


class Unpaced:
    """No budget: for one process alone, against something that is not IBKR."""

    def claim(self, endpoint: Endpoint, max_wait_s: float) -> float:
        """Never waits."""
        del endpoint, max_wait_s
        return 0.0

    def forgo(self, endpoint: Endpoint) -> None:
        """Has nothing to give back."""

    def penalise(self) -> None:
        """Forgets it."""


def _believable(past: Reservations, now_s: float) -> Reservations:
    """Returns the reservations without those that no process of ours can have made: nothing waits longer."""
    end_s = now_s + PENALTY_S
    return Reservations(
        past.booted_at,
        [slot for slot in past.slots if slot <= end_s],
        {name: when for name, when in past.next_at.items() if when <= end_s},
        min(past.penalty_until, end_s),
    )


def _together(one: Reservations, other: Reservations) -> Reservations:
    """Returns what both say, where one process could not tell the others of its own."""
    next_at = dict(one.next_at)
    for name, when in other.next_at.items():
        next_at[name] = max(when, next_at.get(name, 0.0))
    slots = sorted({*one.slots, *other.slots})
    return Reservations(one.booted_at, slots, next_at, max(one.penalty_until, other.penalty_until))


class SharedPacing:
    """The budget in a file that every process locks for a moment before each request.

    Where the file cannot be written (a full disk, a person without rights) the process still obeys what the others
    reserved, and remembers its own requests by itself: keeping a session alive must not depend on a free kilobyte.
    """

    def __init__(
        self, path: Path, *, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        """Prepares it; nothing is read yet.

        Args:
            path: the file that all processes share.
            clock: seconds that never jump, the same for all processes of one boot.
            wall: Unix time.
        """
        self._path = path
        self._clock = clock
        self._wall = wall
        self._own = Reservations()

    def _load(self) -> Reservations:
        """Reads what was reserved; damage, or another boot's clock, means nothing was."""
        try:
            past = msgspec.json.decode(self._path.read_bytes(), type=Reservations)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            past = Reservations()
        now_s = self._clock()
        booted_at = self._wall() - now_s
        past = past if abs(past.booted_at - booted_at) < SAME_BOOT_S else Reservations(booted_at)
        return _together(_believable(past, now_s), self._own)

    def _store(self, reservations: Reservations) -> None:
        self._own = reservations
        try:
            files.write_atomically(self._path, msgspec.json.encode(reservations), mode=0o664, durable=False)
        except OSError:
            return
        self._own = Reservations()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(OSError):
                files.make_directory(self._path.parent, mode=0o775)
                stack.enter_context(files.locked(self._path.with_suffix(".lock"), mode=0o664))
            yield

    def claim(self, endpoint: Endpoint, max_wait_s: float) -> float:
        """Reserves under the lock; see `Pacing.claim`."""
        with self._locked():
            past = self._load()
            now_s = self._clock()
            reservations, at = reserve(past, endpoint, now_s)
            wait_s = at - now_s
            if wait_s > max_wait_s:
                reason = "IBKR said too many requests" if past.penalty_until > now_s else "asked too often"
                raise RateLimited(f"{endpoint.method} {endpoint.path}: {reason}; possible in {wait_s:.0f} s")
            self._store(reservations)
        return wait_s

    def forgo(self, endpoint: Endpoint) -> None:
        """Frees the endpoint and the latest slot, whoever's they are by now; see `Pacing.forgo`."""
        with self._locked():
            past = self._load()
            past.next_at.pop(endpoint.name, None)
            del past.slots[-1:]
            self._own = Reservations()
            self._store(past)

    def penalise(self) -> None:
        """Stores the end of the penalty for every process, now and after restarts."""
        with self._locked():
            past = self._load()
            past.penalty_until = self._clock() + PENALTY_S
            self._store(past)
