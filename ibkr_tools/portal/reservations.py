"""When a request may be sent, given what has been sent and promised: IBKR counts ten in any second. Pure.

Times are seconds of the machine's monotonic clock, which all processes see alike and no clock jump moves.
"""

from collections import Counter
from dataclasses import dataclass

import msgspec

from ibkr_tools.portal.endpoints import Endpoint, Kind

REQUESTS_PER_S = 10
"""IBKR's overall limit."""

JITTER_S = 0.1
"""How much longer than IBKR's interval we wait between two calls of one endpoint: IBKR counts when they arrive, and one
that was slow on its way brings the next one closer than they were sent."""

HEADROOM_PER_S = 2
"""What reads leave for the watchdog."""

HANDSHAKE_PER_S = 3
"""What the gateway sends by itself when it shakes hands for the brokerage tier, three seconds after a login; measured
with the jar of 2023-04-24. Reads leave that much more."""

HANDSHAKE_S = 6.0
"""How long after a new session was proven that may come."""

_BRINGS = {"auth_status": 2, "ssodh_init": 2, "reauthenticate": 3}
"""How many requests of its own the gateway sends when it is asked these; measured with the same jar."""

WINDOW_S = 1.02
"""IBKR's second, and a little."""

LATEST_S = 1.0
"""How long after it was sent a read without an answer may still arrive at IBKR."""

MOST_RESERVED = 500
"""More requests than wait for their turn at the same time, whatever a file says."""

_ROUNDING_S = 1e-6
"""What adding a window to a time and taking it away again may differ by."""

PENALTY_S = 15 * 60.0
"""How long IBKR shuts an address out after a 429."""

LONGEST_PENALTY_S = 60 * 60.0
"""What we believe of a longer penalty that an answer states; a shorter one than IBKR documents is not tried out."""


class Read(msgspec.Struct, array_like=True, frozen=True):
    """When a read is sent, and when it has arrived at the latest."""

    sent_s: float
    latest_s: float


class Reservations(msgspec.Struct):
    """What has been sent or promised: slots of the last second and later, next time per endpoint, penalty's end.

    `reads` are those of the `slots` that reads took; until `handshake_until` the gateway sends requests of its own.
    `booted_at` (Unix time) says which boot's monotonic clock the others are of.
    """

    booted_at: float = 0.0
    slots: list[float] = []
    reads: list[Read] = []
    next_at: dict[str, float] = {}
    penalty_until: float = 0.0
    handshake_until: float = 0.0


def _sent_s(read: Read) -> float:
    return read.sent_s


@dataclass(frozen=True)
class Turn:
    """When one request may be sent: at a time of the budget's clock, `wait_s` from when it was claimed."""

    endpoint: Endpoint
    at_s: float
    wait_s: float


def _has_room(slots: list[float], at: float, most: int) -> bool:
    """Says whether one more at that time leaves every window with `most` at most."""
    window_s = WINDOW_S - _ROUNDING_S
    near = sorted([*(slot for slot in slots if abs(slot - at) < window_s), at])
    return all(later - earlier >= window_s for earlier, later in zip(near, near[most:], strict=False))


def _fits(slots: list[float], reads: list[Read], at: float, room: int) -> bool:
    """Says whether a read may be sent then.

    Whichever of the others are late, IBKR's second has place for a tickle; and for `room` more.
    """
    late = sum(1 for read in reads if read.latest_s > at - 1.0 + _ROUNDING_S)
    return (
        late < REQUESTS_PER_S - 1 - room
        and _has_room([read.sent_s for read in reads], at, REQUESTS_PER_S - HEADROOM_PER_S - room)
        and _has_room(slots, at, REQUESTS_PER_S)
    )


def _recent(past: Reservations, now_s: float) -> tuple[list[float], list[Read]]:
    """Returns the slots and the reads that still count at `now_s`."""
    slots = [slot for slot in past.slots if slot > now_s - WINDOW_S]
    return slots, [read for read in past.reads if read.latest_s > now_s - WINDOW_S]


def earliest(past: Reservations, endpoint: Endpoint, now_s: float, *, urgent: bool = False) -> float:
    """Returns when one more request may be sent (`now_s` or later).

    What is not a read, or `urgent`, uses the room that reads leave.
    """
    slots, reads = _recent(past, now_s)
    until_s, brings = past.handshake_until, _BRINGS.get(endpoint.name, 0)
    is_read = endpoint.kind is Kind.READ and not urgent
    first = max(now_s, past.penalty_until, past.next_at.get(endpoint.name, 0.0))
    ends = {slot + WINDOW_S for slot in slots}
    if is_read:
        ends |= {until_s, *(read.latest_s + 1.0 for read in reads)}
    times = (first, *(end for end in sorted(ends) if end > first))
    return next(
        time
        for time in times
        if (
            _fits(slots, reads, time, HANDSHAKE_PER_S if time < until_s else 0)
            if is_read
            else _has_room(slots, time, REQUESTS_PER_S - brings)
        )
    )


def with_request(
    past: Reservations, endpoint: Endpoint, at: float, now_s: float, *, urgent: bool = False
) -> Reservations:
    """Returns the reservations with one more request that is sent at `at`, without what no longer counts at `now_s`."""
    slots, reads = _recent(past, now_s)
    brings = _BRINGS.get(endpoint.name, 0)
    next_at = {name: when for name, when in past.next_at.items() if when > now_s}
    if endpoint.interval_s:
        next_at[endpoint.name] = at + endpoint.interval_s + JITTER_S
    if endpoint.kind is Kind.READ and not urgent:
        reads = [*reads, Read(at, at + LATEST_S)]
    return msgspec.structs.replace(past, slots=sorted([*slots, *[at] * (1 + brings)]), reads=reads, next_at=next_at)


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
    for slot in [slot for slot in past.slots if slot == turn.at_s][: 1 + _BRINGS.get(name, 0)]:
        past.slots.remove(slot)
    for read in [read for read in past.reads if read.sent_s == turn.at_s][-1:]:
        past.reads.remove(read)


def believable(past: Reservations, now_s: float) -> Reservations:
    """Returns the reservations without those that no process of ours can have made: nothing waits longer.

    Of more than `MOST_RESERVED` the first are kept: looking for a gap takes the square of their number.
    """
    end_s = now_s + LONGEST_PENALTY_S
    slots, reads = _recent(past, now_s)
    return Reservations(
        past.booted_at,
        sorted(slot for slot in slots if slot <= end_s)[:MOST_RESERVED],
        sorted((read for read in reads if read.latest_s <= end_s), key=_sent_s)[:MOST_RESERVED],
        {name: when for name, when in past.next_at.items() if when <= end_s},
        min(past.penalty_until, end_s),
        min(past.handshake_until, now_s + HANDSHAKE_S),
    )


def together(one: Reservations, other: Reservations) -> Reservations:
    """Returns what both say, where one process could not tell the others of its own.

    What several were promised for the same moment counts as often as the one of the two says that says more.
    """
    next_at = dict(one.next_at)
    for name, when in other.next_at.items():
        next_at[name] = max(when, next_at.get(name, 0.0))
    slots = Counter(one.slots) | Counter(other.slots)
    reads = Counter(one.reads) | Counter(other.reads)
    return Reservations(
        one.booted_at,
        sorted(slots.elements()),
        list(reads.elements()),
        next_at,
        max(one.penalty_until, other.penalty_until),
        max(one.handshake_until, other.handshake_until),
    )
