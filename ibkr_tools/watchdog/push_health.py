"""The health of the WebSocket push: connection, frames, and whether it reports the losses of sessions. Pure."""

import math
from dataclasses import dataclass, replace

TICKLE_INTERVAL_S = 30.0
"""Between tickles while the push is reliable; IBKR ends a session that is silent for about five minutes."""

FAST_TICKLE_INTERVAL_S = 10.0
"""Between tickles while the push is not reliable; IBKR takes one tickle a second."""

WATCHDOG_HEARTBEAT_TIMEOUT_S = 35.0
"""After so long without a frame the push is not reliable. Heartbeats come every 10 s, and the listener itself closes a
silent socket earlier."""

MAX_FAILED_CONNECTIONS = 3
"""So many connections in a row that did not last make the push unreliable."""

STABLE_CONNECTION_S = 20.0
RECONNECT_BACKOFF_S = (0.0, 1.0, 5.0, 15.0, 30.0)
GREETING_PERIOD_S = 10.0
"""What a new connection says within this time is IBKR's greeting, and no report."""

CORROBORATION_S = 5.0
"""A report this close to a tickle that says the same is about the same moment."""

LOSS_ANNOUNCED_WITHIN_S = 25.0
"""A loss that is confirmed this soon after a frame was announced by it; longer than one call may hang."""


@dataclass(frozen=True)
class PushHealth:
    """What the state machine remembers of the push.

    `listening` since `listening_since_s`, with the last frame at `last_frame_at_s`. `failures` counts connections in a
    row that did not last; the next is made at `reconnect_at_s`. `waiting_for_session`: IBKR knows of no session on this
    connection; `stale`: and a tickle says that there is one. `trouble_at_s` is when a frame, or the end of the
    connection, last said that something is wrong. `missed_loss`: a session was lost without a report; only a loss that
    is reported ends that. `loss_reported_at_s` is when the push said that the session is over, `loss_disputed`: a
    tickle said that it is not. `gave_false_alarm`: the session lived on, and no report counts until one announces a
    loss.
    """

    listening: bool = False
    listening_since_s: float = -math.inf
    last_frame_at_s: float = -math.inf
    failures: int = 0
    reconnect_at_s: float | None = None
    waiting_for_session: bool = False
    stale: bool = False
    trouble_at_s: float = -math.inf
    missed_loss: bool = False
    loss_reported_at_s: float = -math.inf
    loss_disputed: bool = False
    gave_false_alarm: bool = False

    def is_reliable(self, now_s: float) -> bool:
        """Says whether the push is expected to report a loss."""
        is_silent = (
            self.listening and now_s - max(self.listening_since_s, self.last_frame_at_s) > WATCHDOG_HEARTBEAT_TIMEOUT_S
        )
        return not (is_silent or self.stale or self.missed_loss or self.failures >= MAX_FAILED_CONNECTIONS)

    def tickle_interval_s(self, now_s: float) -> float:
        """Returns how far apart tickles are, in seconds."""
        return TICKLE_INTERVAL_S if self.is_reliable(now_s) else FAST_TICKLE_INTERVAL_S

    def started(self, now_s: float, *, is_new_session: bool = False) -> "PushHealth":
        """A connection is being made; `is_new_session`: for another session, which has not failed yet."""
        failures = 0 if is_new_session else self.failures
        loss_reported_at_s = -math.inf if is_new_session else self.loss_reported_at_s
        return replace(
            self.stopped(),
            listening=True,
            listening_since_s=now_s,
            failures=failures,
            loss_reported_at_s=loss_reported_at_s,
        )

    def stopped(self) -> "PushHealth":
        """The watchdog has ended the connection."""
        return replace(
            self,
            listening=False,
            reconnect_at_s=None,
            waiting_for_session=False,
            stale=False,
            loss_reported_at_s=-math.inf,
            loss_disputed=False,
        )

    def frame_received(self, now_s: float) -> "PushHealth":
        """A heartbeat or a status came; IBKR greets with one, so only a connection that lasts resets `failures`."""
        failures = 0 if now_s - self.listening_since_s > STABLE_CONNECTION_S else self.failures
        return replace(self, last_frame_at_s=now_s, waiting_for_session=False, stale=False, failures=failures)

    def stale_if_waiting(self) -> "PushHealth":
        """A tickle says that there is a session; a connection that still waits for one is stale."""
        return replace(self, stale=True) if self.waiting_for_session and not self.stale else self

    def tickle_succeeded(self) -> "PushHealth":
        """A tickle says that there is a session: a loss that was reported is disputed, and then a false alarm."""
        if math.isfinite(self.loss_reported_at_s):
            return replace(self, loss_reported_at_s=-math.inf, loss_disputed=True)
        return replace(self, gave_false_alarm=True, loss_disputed=False) if self.loss_disputed else self

    def loss_reported(self, now_s: float) -> "PushHealth":
        """A frame says that the session is over."""
        is_report = self.listening and now_s - self.listening_since_s > GREETING_PERIOD_S
        return replace(self, loss_reported_at_s=now_s) if is_report and not self.gave_false_alarm else self

    def has_reported_loss(self, now_s: float) -> bool:
        """Says whether the push has just reported that the session is over."""
        return now_s - self.loss_reported_at_s <= CORROBORATION_S

    def closed(self, now_s: float) -> "PushHealth":
        """The connection has ended by itself."""
        delay_s = RECONNECT_BACKOFF_S[min(self.failures, len(RECONNECT_BACKOFF_S) - 1)]
        return replace(self, listening=False, failures=self.failures + 1, reconnect_at_s=now_s + delay_s)

    def trouble_signalled(self, now_s: float) -> "PushHealth":
        """A frame, or the end of the connection, says that something is wrong."""
        return replace(self, trouble_at_s=now_s)

    def session_lost(self, now_s: float) -> "PushHealth":
        """A session was lost: the push has announced it, or has missed it."""
        if now_s - self.trouble_at_s <= LOSS_ANNOUNCED_WITHIN_S:
            return replace(self, missed_loss=False, gave_false_alarm=False)
        return replace(self, missed_loss=True) if self.listening else self
