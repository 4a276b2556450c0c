"""The rate limiter that all processes share: IBKR counts per user, and shuts an address out for 15 minutes.

Times are seconds of the machine's monotonic clock, which all processes see alike and no clock jump moves.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from ibkr_tools import files
from ibkr_tools.boot_id import read_boot_id
from ibkr_tools.duration_format import format_wait
from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.endpoints import Endpoint, RequestKind
from ibkr_tools.portal.rate_limit_state import (
    HANDSHAKE_HEADROOM_S,
    PENALTY_S,
    RATE_WINDOW_S,
    RateLimitState,
    Reservation,
    earliest_send_time,
    mark_completed,
    merged,
    penalty_duration_s,
    remove_reservation,
    sanitized,
    space_after,
    with_request,
)
from ibkr_tools.portal.read_semaphore import ReadSemaphore

RATE_LIMIT_LOCK_TIMEOUT_S = 0.5
"""A lock that is held for longer belongs to a stopped process: we go on without it."""


PENALTY_SCHEMA = 1
"""The schema of the file of a penalty that outlives a boot."""


class _StoredPenalty(msgspec.Struct):
    """The penalty's end in Unix time, for after a boot."""

    until: float
    schema: int = PENALTY_SCHEMA


class RequestCounts(msgspec.Struct, frozen=True):
    """Requests to IBKR of all processes in this boot, and how many were answered with 429."""

    sent: int = 0
    limited: int = 0


def read_request_counts(*paths: Path) -> RequestCounts:
    """Returns the sums of the limiters' files; a file that is missing, damaged or of another boot counts nothing."""
    states = [state for state in map(_read_state, paths) if state.boot_id == read_boot_id()]
    return RequestCounts(sum(state.sent for state in states), sum(state.limited for state in states))


def _read_state(path: Path) -> RateLimitState:
    """Reads one file; what is missing or damaged is a state of no boot."""
    try:
        return msgspec.json.decode(files.read_regular(path), type=RateLimitState)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return RateLimitState()


class RateLimiter(Protocol):
    """Says when a request may be sent."""

    def acquire(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Reservation:
        """Reserves one request and returns when to send it.

        Raises:
            RateLimited: the wait would be longer than `max_wait_s`; nothing is reserved.
        """

    def read_slot(
        self, max_wait_s: float, pause: Callable[[float], object], on_wait: Callable[[float], None]
    ) -> AbstractContextManager[float]:
        """Holds a slot of the read semaphore for the block; see `read_semaphore.ReadSemaphore.acquire`."""

    def record_completion(self, reservation: Reservation) -> None:
        """Takes note that IBKR has answered: the request has arrived there."""

    def release(self, reservation: Reservation) -> None:
        """Gives a reservation back: nothing was sent."""

    def record_429(self, stated_s: float | None = None) -> None:
        """Takes note of a 429 (docs/reference/pacing.md#after-a-429); `stated_s` is the wait that the answer states."""

    def reserve_headroom(self) -> None:
        """Keeps headroom for what the gateway sends by itself in the seconds after a login."""

    def penalty_s(self) -> float:
        """Returns how many seconds are left of the penalty that this process obeys, 0 if there is none."""


class SharedRateLimiter:
    """The limiter whose state is a file that every process locks before each request; threads may share one object.

    The systemd units write one file, which members of the group may only read; members write a second one. Reservations
    in the second file delay reads, but never what keeps the session alive. Penalties in the second file, whose end any
    member could forge, are ignored by the units: docs/reference/pacing.md#after-a-429.

    Where its file cannot be written (a full disk, a person without rights) the process still obeys the others'
    reservations, and keeps its own ones in memory: keeping a session alive must not depend on a free kilobyte.
    """

    def __init__(
        self,
        path: Path,
        penalty_file: Path | None = None,
        *,
        shared: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boot_id: Callable[[], str] = read_boot_id,
    ) -> None:
        """Prepares it; nothing is read yet.

        Args:
            path: the units' file; gone after a boot.
            penalty_file: a file that outlives a boot, for a penalty; None: none does.
            shared: the file of those who may not write `path`; None: there are none.
            clock: seconds that never jump, the same for all processes of one boot.
            wall: Unix time.
            boot_id: which boot `clock` is of.
        """
        self._is_unit = shared is None or files.is_writable(path.parent)
        self._units_file = path
        self._shared_file = shared
        self._file = path if shared is None or self._is_unit else shared
        self._penalty_file = penalty_file if self._is_unit else None
        self._clock = clock
        self._wall = wall
        self._boot_id = boot_id()
        self._unwritten = RateLimitState()
        self._known_penalty_until = 0.0
        self._stored_penalty_until = 0.0
        self._read_semaphore = ReadSemaphore(path.parent, None if shared is None else shared.parent)
        self._mutex = threading.Lock()

    def _load(self) -> tuple[RateLimitState, RateLimitState]:
        """Reads both files: the one that this process writes, and the other one."""
        own_state = merged(self._read(self._file), self._unwritten)
        if self._shared_file is None:
            return own_state, RateLimitState()
        if not self._is_unit:
            return own_state, self._read(self._units_file)
        other_state = self._read(self._shared_file)
        other_state.penalty_until = other_state.handshake_until = 0.0
        return own_state, other_state

    def _read(self, path: Path) -> RateLimitState:
        """Reads one file; damage, or another boot's clock, means nothing was reserved, but for a penalty that lasts."""
        state = _read_state(path)
        now_s = self._clock()
        if state.boot_id != self._boot_id:
            # The file may have been lost since; a process that lives on knows better.
            known_until = (
                max(self._penalty_of_last_boot(now_s), self._known_penalty_until) if path == self._file else 0.0
            )
            state = RateLimitState(self._boot_id, penalty_until=known_until)
        return sanitized(state, now_s)

    def _penalty_of_last_boot(self, now_s: float) -> float:
        """Returns the end of a penalty from before the boot, at most `PENALTY_S` from now: wall clocks may be wrong."""
        if self._penalty_file is None:
            return 0.0
        try:
            stored = msgspec.json.decode(files.read_regular(self._penalty_file), type=_StoredPenalty)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return 0.0
        # Of another version: nobody knows for how long, and one that has passed costs one penalty.
        left_s = stored.until - self._wall() if stored.schema == PENALTY_SCHEMA else PENALTY_S
        return now_s + min(left_s, PENALTY_S) if left_s > 0 else 0.0

    def _store_penalty(self, until_s: float) -> None:
        """Writes the end of the penalty for after a boot; 0 removes the file."""
        if self._penalty_file is None or until_s == self._stored_penalty_until:
            return
        was_stored, self._stored_penalty_until = self._stored_penalty_until, until_s
        with suppress(OSError):
            if until_s:
                penalty = _StoredPenalty(self._wall() + until_s - self._clock())
                files.write_atomically(self._penalty_file, msgspec.json.encode(penalty), mode=0o640)
            elif was_stored:
                self._penalty_file.unlink()

    def _store(self, state: RateLimitState) -> None:
        self._unwritten, self._known_penalty_until = state, state.penalty_until
        mode = 0o640 if self._is_unit else files.SHARED_MODE
        try:
            files.write_atomically(self._file, msgspec.json.encode(state), mode=mode, fsync=False)
        except OSError:
            return
        self._unwritten = RateLimitState()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._mutex, ExitStack() as stack:
            for path, mode in self._locks():
                with suppress(OSError):
                    files.make_directory(path.parent, mode=0o700)
                    stack.enter_context(
                        files.locked(path.with_suffix(".lock"), mode=mode, timeout_s=RATE_LIMIT_LOCK_TIMEOUT_S)
                    )
            yield

    def _locks(self) -> Iterator[tuple[Path, int]]:
        """Yields what to lock, always in this order: no member can hold the lock of the units' file."""
        if self._is_unit:
            yield self._units_file, 0o600
        if self._shared_file is not None:
            yield self._shared_file, files.SHARED_MODE

    def acquire(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Reservation:
        """Reserves under the lock; see `RateLimiter.acquire`."""
        with self._locked():
            own_state, other_state = self._load()
            now_s = self._clock()
            is_penalty = max(own_state.penalty_until, other_state.penalty_until) > now_s
            at = earliest_send_time(merged(own_state, other_state), endpoint, now_s, urgent=urgent)
            if self._is_unit and (urgent or endpoint.kind is not RequestKind.READ):
                # Members can delay what keeps the session alive by one window of IBKR's at most.
                at = min(at, max(earliest_send_time(own_state, endpoint, now_s, urgent=urgent), now_s + RATE_WINDOW_S))
            if at - now_s <= max_wait_s:
                self._store(with_request(own_state, endpoint, at, now_s, urgent=urgent))
        self._store_penalty(own_state.penalty_until if own_state.penalty_until > now_s else 0.0)
        if (wait_s := at - now_s) > max_wait_s:
            reason = "IBKR said too many requests" if is_penalty else "asked too often"
            text = f"{endpoint.method} {endpoint.path}: {reason}; possible in {format_wait(wait_s)}"
            raise RateLimited(text, wait_s=wait_s)
        return Reservation(endpoint, at, wait_s)

    def read_slot(
        self, max_wait_s: float, pause: Callable[[float], object], on_wait: Callable[[float], None]
    ) -> AbstractContextManager[float]:
        """Holds a slot of the semaphore of all processes; see `read_semaphore.ReadSemaphore.acquire`."""
        with suppress(OSError):
            for path, _ in self._locks():
                files.make_directory(path.parent, mode=0o700)
        return self._read_semaphore.acquire(max_wait_s, pause, on_wait)

    def record_completion(self, reservation: Reservation) -> None:
        """Takes note of it for all processes; see `RateLimiter.record_completion`."""
        with self._locked():
            own_state, _ = self._load()
            mark_completed(own_state, reservation.at_s, self._clock())
            space_after(own_state, reservation.endpoint, self._clock())
            self._store(own_state)

    def release(self, reservation: Reservation) -> None:
        """Frees it for all processes; see `RateLimiter.release`."""
        with self._locked():
            own_state, _ = self._load()
            remove_reservation(own_state, reservation)
            self._store(own_state)

    def record_429(self, stated_s: float | None = None) -> None:
        """Stores the end of the penalty; that of a unit outlives a boot. See `RateLimiter.record_429`."""
        with self._locked():
            own_state, _ = self._load()
            own_state.penalty_until = max(own_state.penalty_until, self._clock() + penalty_duration_s(stated_s))
            own_state.limited += 1
            self._store(own_state)
        self._store_penalty(own_state.penalty_until)

    def reserve_headroom(self) -> None:
        """Keeps it free in all processes; see `RateLimiter.reserve_headroom`."""
        with self._locked():
            own_state, _ = self._load()
            own_state.handshake_until = self._clock() + HANDSHAKE_HEADROOM_S
            self._store(own_state)

    def penalty_s(self) -> float:
        """Reads without the lock: the files are replaced atomically."""
        with self._mutex:
            own_state, other_state = self._load()
        now_s = self._clock()
        self._store_penalty(own_state.penalty_until if own_state.penalty_until > now_s else 0.0)
        return max(0.0, own_state.penalty_until - now_s, other_state.penalty_until - now_s)
