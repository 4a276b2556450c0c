"""Writes the watchdog's state: as the section `session` of the status file, and as lines of the log."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from loguru import logger

from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import SessionSection, SessionState, StatusFile
from ibkr_tools.watchdog import state_machine
from ibkr_tools.watchdog.push_health import PushHealth
from ibkr_tools.watchdog.state import State
from ibkr_tools.watchdog.time_source import TimeSource

HEARTBEAT_INTERVAL_S = 10.0
"""How often the status is written although nothing has changed; systemd gets its WATCHDOG=1 as often."""

FRESH_FOR_S = 2.5 * HEARTBEAT_INTERVAL_S
"""For how long a reader of the status believes it."""

_NO_PUSH_HEALTH = PushHealth()
_ROUTINE_PHASES = {SessionState.UP, SessionState.LOGGING_IN, SessionState.STARTING, SessionState.PAUSED}


def session_section(
    state: State, now_s: float, now: datetime, *, tier: str, fresh_for_s: float, rate_limited_s: float = 0.0
) -> SessionSection:
    """Returns the section; `now_s` and `now` are the same moment on the state machine's clock and in UTC.

    `rate_limited_s` is for how long nobody sends anything because IBKR has answered 429.
    """

    def to_utc(at_s: float | None) -> datetime | None:
        return None if at_s is None else now + timedelta(seconds=at_s - now_s)

    next_at_s = state.schedule.next_at_s
    next_at = to_utc(state_machine.deadline(state) if next_at_s is None else next_at_s)
    paused_until = None if state.pause is None else state.pause.until
    if state.phase is SessionState.PAUSED:
        # The next planned event is the end of the pause; checks for a person's login go on meanwhile.
        next_at = paused_until
    return SessionSection(
        updated_at=now,
        fresh_for_s=fresh_for_s,
        pid=os.getpid(),
        state=state.phase,
        since=to_utc(state.phase_since_s) or now,
        why=state.why,
        next=state.schedule.next,
        next_at=next_at,
        todo=state.todo,
        tier=tier,
        up_since=to_utc(state.up_since_s),
        accounts=state.accounts,
        last_tickle_at=to_utc(state.schedule.succeeded_at_s),
        losses=state.losses,
        recoveries=state.recoveries,
        recovery_total_s=state.recovery_total_s,
        last_recovery_s=state.last_recovery_s,
        paused=state.pause is not None,
        paused_until=paused_until,
        window=None if state.window is None else state.window.name,
        limited_until=now + timedelta(seconds=rate_limited_s) if rate_limited_s else None,
    )


def log_transition(before: State, after: State, now_s: float) -> None:
    """Logs what one step of the state machine has changed."""
    if after.losses > before.losses and before.up_since_s is not None:
        logger.warning(f"session lost after {now_s - before.up_since_s:.0f} s: {after.why}")
    _log_circumstances(before, after)
    is_reliable = after.push_health.is_reliable(now_s)
    if before.push_health.is_reliable(now_s) is not is_reliable and after.has_session:
        logger.info("the push is of use again" if is_reliable else "the push is of no use: tickling more often")
    if after.phase is before.phase and after.todo == before.todo:
        return
    text = f"session {after.phase.value}: {after.why}; next: {after.schedule.next}"
    if after.todo:
        logger.error(text)
        logger.error(f"to do: {after.todo}")
    elif after.phase in _ROUTINE_PHASES or _is_early(before, after):
        logger.info(text)
    elif after.phase is not before.phase:
        logger.warning(text)


def _is_early(before: State, after: State) -> bool:
    """Says whether the gateway may only be slower than the watchdog to start: one that fails says so itself."""
    return before.phase is SessionState.STARTING and after.phase is SessionState.GATEWAY_DOWN


def _log_circumstances(before: State, after: State) -> None:
    if before.pause is None and after.pause is not None:
        until = "" if after.pause.until is None else f" until {after.pause.until:%Y-%m-%d %H:%M} UTC"
        logger.info(f"paused{until}: nothing logs in")
    if before.pause is not None and after.pause is None:
        logger.info("resumed")
    if after.window is not None and (before.window is None or after.window.name != before.window.name):
        logger.info(f"{after.window.name} begins")
    if before.window is not None and after.window is None:
        logger.info(f"{before.window.name} is over")


class StatusWriter:
    """Writes the section whenever the state has changed, and at each heartbeat."""

    def __init__(
        self,
        status_file: StatusFile,
        notifier: SystemdNotifier,
        time_source: TimeSource,
        *,
        tier: str,
        penalty_s: Callable[[], float],
        on_writable: Callable[[], None],
    ) -> None:
        """Writes nothing yet.

        Args:
            status_file: the file.
            notifier: gets the state as systemd's STATUS=.
            time_source: the clocks.
            tier: the tier that the user wants.
            penalty_s: returns how many seconds are left of the units' penalty after a 429; 0 without one.
            on_writable: is called when the file can be written again.
        """
        self._status_file = status_file
        self._notifier = notifier
        self._time = time_source
        self._tier = tier
        self._penalty_s = penalty_s
        self._on_writable = on_writable
        self._written: State | None = None
        self._written_at_s = 0.0
        self._is_writable = True

    @property
    def due_at_s(self) -> float:
        """Returns when the next heartbeat is due, on the clock."""
        return self._written_at_s + HEARTBEAT_INTERVAL_S

    def update(self, state: State) -> bool:
        """Writes the section if that is due; says whether it was."""
        # A heartbeat of the push changes nothing in the status.
        state_without_push = replace(state, push_health=_NO_PUSH_HEALTH)
        now_s = self._time.clock()
        if now_s < self.due_at_s and self._written == state_without_push:
            return False
        if self._written is None or self._written.phase is not state.phase:
            self._notifier.status(f"{state.phase.value}: {state.why}")
        self._written, self._written_at_s = state_without_push, now_s
        self.write(state)
        return True

    def write(self, state: State, *, fresh_for_s: float = FRESH_FOR_S) -> None:
        """Writes the section; a file that cannot be written is an error in the log."""
        section = session_section(
            state,
            self._time.clock(),
            self._time.now(),
            tier=self._tier,
            fresh_for_s=fresh_for_s,
            rate_limited_s=self._penalty_s(),
        )
        try:
            self._status_file.write(section)
        except OSError as error:
            self._is_writable = False
            logger.error("{} cannot be written: {}", self._status_file.path, error.strerror)
            return
        if not self._is_writable:
            self._is_writable = True
            self._on_writable()
