"""The request budget that all processes share: IBKR counts per user, and shuts an address out for 15 minutes.

Times are seconds of the machine's monotonic clock, which all processes see alike and no clock jump moves.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from ibkr_tools import files
from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.endpoints import Endpoint, Kind
from ibkr_tools.portal.flight import Flights
from ibkr_tools.portal.reservations import (
    HANDSHAKE_S,
    LONGEST_PENALTY_S,
    PENALTY_S,
    WINDOW_S,
    Reservations,
    Turn,
    believable,
    earliest,
    note_arrival,
    take_back,
    together,
    with_request,
)

PATIENCE_S = 0.5
"""A lock that is held for so much longer than a claim takes is a stopped process's: we go on without it."""

SAME_BOOT_S = 30.0
"""Corrections of the wall clock smaller than this do not make another boot. The kernel's boot id would say it exactly,
but a unit with ProcSubset=pid cannot read it."""


class _Kept(msgspec.Struct):
    """The penalty's end in Unix time, for after a boot."""

    until: float


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

    def leave_room(self) -> None:
        """Leaves room for what the gateway sends by itself in the seconds after a login."""

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

    def leave_room(self) -> None:
        """Has all there is."""

    def penalty_s(self) -> float:
        """Knows of none."""
        return 0.0


def in_words(seconds: float) -> str:
    """Returns a wait as a person says it: seconds, or minutes from two on; never too short."""
    whole = math.ceil(seconds)
    return f"{whole} s" if whole < 120 else f"{math.ceil(whole / 60)} min"  # noqa: PLR2004


class SharedPacing:
    """The budget in a file that every process locks for a moment before each request; threads may share one object.

    The units have a file of their own, which members of the group may only read; those write a second one. What stands
    in the second one holds up a read, but never what keeps the session alive; and of its penalties, whose end anybody
    could write there, the next request of a unit finds out.

    Where its file cannot be written (a full disk, a person without rights) the process still obeys what the others
    reserved, and remembers its own requests by itself: keeping a session alive must not depend on a free kilobyte.
    """

    def __init__(
        self,
        path: Path,
        kept: Path | None = None,
        *,
        shared: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepares it; nothing is read yet.

        Args:
            path: the units' file; gone after a boot.
            kept: a file that outlives a boot, for a penalty; None: none does.
            shared: the file of those who may not write `path`; None: there are none.
            clock: seconds that never jump, the same for all processes of one boot.
            wall: Unix time.
        """
        self._is_unit = shared is None or files.is_writable(path.parent)
        self._units_file = path
        self._shared_file = shared
        self._file = path if shared is None or self._is_unit else shared
        self._kept = kept if self._is_unit else None
        self._clock = clock
        self._wall = wall
        self._own = Reservations()
        self._known_until = 0.0
        self._kept_until = 0.0
        self._flights = Flights(path.parent, None if shared is None else shared.parent)
        self._mutex = threading.Lock()

    def _load(self) -> tuple[Reservations, Reservations]:
        """Reads what was reserved: in the file that we write, and in the other one."""
        own = together(self._read(self._file), self._own)
        if self._shared_file is None:
            return own, Reservations()
        if not self._is_unit:
            return own, self._read(self._units_file)
        others = self._read(self._shared_file)
        others.penalty_until = others.handshake_until = 0.0
        return own, others

    def _read(self, path: Path) -> Reservations:
        """Reads one file; damage, or another boot's clock, means nothing was reserved, but for a penalty that lasts."""
        try:
            past = msgspec.json.decode(files.read_regular(path), type=Reservations)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            past = Reservations()
        now_s = self._clock()
        booted_at = self._wall() - now_s
        if abs(past.booted_at - booted_at) >= SAME_BOOT_S:
            # A clock that was set looks like a boot, but for a process that lives on.
            known_until = max(self._outlived(now_s), self._known_until) if path == self._file else 0.0
            past = Reservations(booted_at, penalty_until=known_until)
        return believable(past, now_s)

    def _outlived(self, now_s: float) -> float:
        """Returns the end of a penalty of before the boot. A clock that stands wrong makes it no longer."""
        if self._kept is None:
            return 0.0
        try:
            left_s = msgspec.json.decode(files.read_regular(self._kept), type=_Kept).until - self._wall()
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
        mode = 0o640 if self._is_unit else files.SHARED_MODE
        try:
            files.write_atomically(self._file, msgspec.json.encode(reservations), mode=mode, durable=False)
        except OSError:
            return
        self._own = Reservations()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._mutex, ExitStack() as stack:
            for path, mode in self._locks():
                with suppress(OSError):
                    files.make_directory(path.parent, mode=0o700)
                    stack.enter_context(files.locked(path.with_suffix(".lock"), mode=mode, patience_s=PATIENCE_S))
            yield

    def _locks(self) -> Iterator[tuple[Path, int]]:
        """Yields what to lock, always in this order; whatever others do to the second, the first is the units' own."""
        if self._is_unit:
            yield self._units_file, 0o600
        if self._shared_file is not None:
            yield self._shared_file, files.SHARED_MODE

    def claim(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Turn:
        """Reserves under the lock; see `Pacing.claim`."""
        with self._locked():
            own, others = self._load()
            now_s = self._clock()
            is_penalty = max(own.penalty_until, others.penalty_until) > now_s
            at = earliest(together(own, others), endpoint, now_s, urgent=urgent)
            if self._is_unit and (urgent or endpoint.kind is not Kind.READ):
                # Others can hold up what keeps the session alive by no more than one of IBKR's seconds.
                at = min(at, max(earliest(own, endpoint, now_s, urgent=urgent), now_s + WINDOW_S))
            if at - now_s <= max_wait_s:
                self._store(with_request(own, endpoint, at, now_s, urgent=urgent))
        self._keep(own.penalty_until if own.penalty_until > now_s else 0.0)
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
            for path, _ in self._locks():
                files.make_directory(path.parent, mode=0o700)
        return self._flights.take(max_wait_s, pause, tell)

    def arrived(self, turn: Turn) -> None:
        """Notes it for everybody; see `Pacing.arrived`."""
        with self._locked():
            own, _ = self._load()
            note_arrival(own, turn.at_s, self._clock())
            self._store(own)

    def forgo(self, turn: Turn) -> None:
        """Frees it for everybody; see `Pacing.forgo`."""
        with self._locked():
            own, _ = self._load()
            take_back(own, turn)
            self._store(own)

    def penalise(self, stated_s: float | None = None) -> None:
        """Stores the end of the penalty for every process, now, after restarts and after a boot."""
        with self._locked():
            own, _ = self._load()
            lasts_s = min(max(PENALTY_S, stated_s or 0.0), LONGEST_PENALTY_S)
            own.penalty_until = max(own.penalty_until, self._clock() + lasts_s)
            self._store(own)
        self._keep(own.penalty_until)

    def leave_room(self) -> None:
        """Tells it to everybody; see `Pacing.leave_room`."""
        with self._locked():
            own, _ = self._load()
            own.handshake_until = self._clock() + HANDSHAKE_S
            self._store(own)

    def penalty_s(self) -> float:
        """Looks without the lock: the files are replaced in one step."""
        with self._mutex:
            own, others = self._load()
        now_s = self._clock()
        self._keep(own.penalty_until if own.penalty_until > now_s else 0.0)
        return max(0.0, own.penalty_until - now_s, others.penalty_until - now_s)
