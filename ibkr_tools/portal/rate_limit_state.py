"""The sliding window of sent and reserved requests: when the next one may be sent. IBKR counts ten a second. Pure.

Times are seconds of the machine's monotonic clock, which all processes see alike and no clock jump moves.
"""

from collections import Counter

import msgspec

from ibkr_tools.portal.endpoints import Endpoint, RequestKind

REQUESTS_PER_S = 10
"""IBKR's overall limit."""

ARRIVAL_JITTER_S = 0.1
"""How much longer than IBKR's interval we wait between two calls of one endpoint: IBKR counts when they arrive, and one
that was slow on its way arrives closer to the next one than they were sent."""

HEADROOM_PER_S = 2
"""Requests in a second that reads leave to the watchdog."""

HANDSHAKE_HEADROOM_PER_S = 3
"""Requests of the gateway's own when it shakes hands for the brokerage tier, three seconds after a login; measured with
the jar of 2023-04-24. Reads leave so many more."""

HANDSHAKE_HEADROOM_S = 6.0
"""How long after a new session was confirmed these may come."""

_GATEWAY_REQUESTS = {"auth_status": 2, "ssodh_init": 2, "reauthenticate": 3}
"""Requests of its own that the gateway adds to these; measured with the same jar."""

RATE_WINDOW_S = 1.02
"""The window in which IBKR counts, a second, and a margin."""

MAX_ARRIVAL_DELAY_S = 10.0
"""How long after its reservation a read without an answer may still arrive at IBKR: a busy machine sends late, and four
at most are under way at a time."""

MAX_RESERVATIONS = 500
"""Reservations in one file; the processes of one user never have so many at the same time."""

MAX_COUNT = 2**53
"""Of requests: what a float still counts."""

_ROUNDING_S = 1e-6
"""Rounding error of adding a window to a time and taking it away again."""

PENALTY_S = 15 * 60.0
"""How long IBKR shuts an address out after a 429."""

MAX_PENALTY_S = 60 * 60.0
"""Limit of a longer penalty that an answer states."""


class SentRead(msgspec.Struct, array_like=True, frozen=True):
    """When a read is sent, and when it has arrived at IBKR at the latest."""

    sent_s: float
    arrived_by_s: float


class RateLimitState(msgspec.Struct):
    """Sent and reserved requests: slots of the last second and later, next time per endpoint, the penalty's end.

    `reads` are those of the `slots` that reads took; until `handshake_until` the gateway sends requests of its own.
    `boot_id` says which boot's monotonic clock the others are of; None: of none. `sent` counts the requests of this
    boot, `limited` the answers 429.
    """

    boot_id: str | None = None
    slots: list[float] = []
    reads: list[SentRead] = []
    next_at: dict[str, float] = {}
    penalty_until: float = 0.0
    handshake_until: float = 0.0
    sent: int = 0
    limited: int = 0


def _sent_s(read: SentRead) -> float:
    return read.sent_s


class Reservation(msgspec.Struct, frozen=True):
    """When one request may be sent: at a time of the limiter's clock, `wait_s` after it was reserved."""

    endpoint: Endpoint
    at_s: float
    wait_s: float


def _window_has_room(slots: list[float], at: float, limit: int) -> bool:
    """Says whether every window has `limit` slots at most with one more at that time."""
    window_s = RATE_WINDOW_S - _ROUNDING_S
    near = sorted([*(slot for slot in slots if abs(slot - at) < window_s), at])
    return all(later - earlier >= window_s for earlier, later in zip(near, near[limit:], strict=False))


def _read_fits(slots: list[float], reads: list[SentRead], at: float, headroom: int) -> bool:
    """Says whether a read may be sent then.

    Whichever of the others arrive late, IBKR's window has room for a tickle, and for `headroom` more.
    """
    late = sum(1 for read in reads if read.arrived_by_s > at - 1.0 + _ROUNDING_S)
    return (
        late < REQUESTS_PER_S - 1 - headroom
        and _window_has_room([read.sent_s for read in reads], at, REQUESTS_PER_S - HEADROOM_PER_S - headroom)
        and _window_has_room(slots, at, REQUESTS_PER_S)
    )


def _recent(state: RateLimitState, now_s: float) -> tuple[list[float], list[SentRead]]:
    """Returns the slots and the reads that still count at `now_s`."""
    slots = [slot for slot in state.slots if slot > now_s - RATE_WINDOW_S]
    return slots, [read for read in state.reads if read.arrived_by_s > now_s - RATE_WINDOW_S]


def earliest_send_time(state: RateLimitState, endpoint: Endpoint, now_s: float, *, urgent: bool = False) -> float:
    """Returns when one more request may be sent (`now_s` or later).

    What is not a read, or `urgent`, uses the headroom that reads leave.
    """
    slots, reads = _recent(state, now_s)
    until_s, gateway_requests = state.handshake_until, _GATEWAY_REQUESTS.get(endpoint.name, 0)
    is_read = endpoint.kind is RequestKind.READ and not urgent
    first = max(now_s, state.penalty_until, state.next_at.get(endpoint.name, 0.0))
    ends = {slot + RATE_WINDOW_S for slot in slots}
    if is_read:
        ends |= {until_s, *(read.arrived_by_s + 1.0 for read in reads)}
    times = (first, *(end for end in sorted(ends) if end > first))
    return next(
        time
        for time in times
        if (
            _read_fits(slots, reads, time, HANDSHAKE_HEADROOM_PER_S if time < until_s else 0)
            if is_read
            else _window_has_room(slots, time, REQUESTS_PER_S - gateway_requests)
        )
    )


def with_request(
    state: RateLimitState, endpoint: Endpoint, at: float, now_s: float, *, urgent: bool = False
) -> RateLimitState:
    """Returns the state with one more request that is sent at `at`, without what no longer counts at `now_s`."""
    slots, reads = _recent(state, now_s)
    gateway_requests = _GATEWAY_REQUESTS.get(endpoint.name, 0)
    next_at = {name: when for name, when in state.next_at.items() if when > now_s}
    if endpoint.interval_s:
        next_at[endpoint.name] = at + endpoint.interval_s + ARRIVAL_JITTER_S
    if endpoint.kind is RequestKind.READ and not urgent:
        reads = [*reads, SentRead(at, at + MAX_ARRIVAL_DELAY_S)]
    return msgspec.structs.replace(
        state,
        slots=sorted([*slots, *[at] * (1 + gateway_requests)]),
        reads=reads,
        next_at=next_at,
        sent=state.sent + 1,
    )


def mark_completed(state: RateLimitState, at_s: float, now_s: float) -> None:
    """Takes note that a read which was sent at `at_s` has arrived by now; of several sent at once it is any."""
    reads = [read for read in state.reads if read.sent_s == at_s and read.arrived_by_s > now_s]
    if reads:
        state.reads.remove(reads[0])
        state.reads.append(SentRead(at_s, now_s))


def space_after(state: RateLimitState, endpoint: Endpoint, now_s: float) -> None:
    """Has the next call of an endpoint come no sooner than its interval from now, when an earlier one was answered.

    IBKR counts from the arrival of that one, which a busy machine may have sent late.
    """
    if endpoint.interval_s:
        state.next_at[endpoint.name] = max(state.next_at.get(endpoint.name, 0.0), now_s + endpoint.interval_s)


def remove_reservation(state: RateLimitState, reservation: Reservation) -> None:
    """Frees the slots of a reservation, and its endpoint unless there is a later reservation for it."""
    name = reservation.endpoint.name
    state.sent = max(0, state.sent - 1)
    if state.next_at.get(name) == reservation.at_s + reservation.endpoint.interval_s + ARRIVAL_JITTER_S:
        del state.next_at[name]
    for slot in [slot for slot in state.slots if slot == reservation.at_s][: 1 + _GATEWAY_REQUESTS.get(name, 0)]:
        state.slots.remove(slot)
    for read in [read for read in state.reads if read.sent_s == reservation.at_s][-1:]:
        state.reads.remove(read)


def penalty_duration_s(stated_s: float | None) -> float:
    """Returns how long a 429 counts, in seconds; `stated_s` is what it states: docs/reference/pacing.md#after-a-429."""
    return min(max(PENALTY_S, stated_s or 0.0), MAX_PENALTY_S)


def sanitized(state: RateLimitState, now_s: float) -> RateLimitState:
    """Returns the state without reservations that no process of ours can have made: nothing waits for so long.

    Of more than `MAX_RESERVATIONS` the first are kept: looking for a gap takes the square of their number.
    """
    end_s = now_s + MAX_PENALTY_S
    slots, reads = _recent(state, now_s)
    return RateLimitState(
        state.boot_id,
        sorted(slot for slot in slots if slot <= end_s)[:MAX_RESERVATIONS],
        sorted((read for read in reads if read.arrived_by_s <= end_s), key=_sent_s)[:MAX_RESERVATIONS],
        {name: when for name, when in state.next_at.items() if when <= end_s},
        min(state.penalty_until, end_s),
        min(state.handshake_until, now_s + HANDSHAKE_HEADROOM_S),
        *(min(max(0, count), MAX_COUNT) for count in (state.sent, state.limited)),
    )


def merged(first: RateLimitState, second: RateLimitState) -> RateLimitState:
    """Returns the union of two states, of which one process could not write its own.

    Of slots at the same moment there are as many as in that state which has more of them.
    """
    next_at = dict(first.next_at)
    for name, when in second.next_at.items():
        next_at[name] = max(when, next_at.get(name, 0.0))
    slots = Counter(first.slots) | Counter(second.slots)
    reads = Counter(first.reads) | Counter(second.reads)
    return RateLimitState(
        first.boot_id,
        sorted(slots.elements()),
        list(reads.elements()),
        next_at,
        max(first.penalty_until, second.penalty_until),
        max(first.handshake_until, second.handshake_until),
        max(first.sent, second.sent),
        max(first.limited, second.limited),
    )
