"""Writes the watchdog's state: as the section `session` of the status file, and as lines of the journal."""

import os
from datetime import datetime, timedelta

from ibkr_tools.log import Journal
from ibkr_tools.status import SessionSection, SessionState
from ibkr_tools.watchdog import state_machine
from ibkr_tools.watchdog.state import State

_ROUTINE_PHASES = {SessionState.UP, SessionState.LOGGING_IN, SessionState.STARTING, SessionState.PAUSED}


def session_section(
    state: State, now_s: float, now: datetime, *, tier: str, fresh_for_s: float, rate_limited_s: float = 0.0
) -> SessionSection:
    """Returns the section; `now_s` and `now` are the same moment on the state machine's clock and in UTC.

    `rate_limited_s` is for how long nobody sends anything because IBKR has answered 429.
    """

    def to_utc(at_s: float | None) -> datetime | None:
        return None if at_s is None else now + timedelta(seconds=at_s - now_s)

    next_at = to_utc(state_machine.deadline(state) if state.next_at_s is None else state.next_at_s)
    if state.phase is SessionState.PAUSED:
        # The next planned event is the end of the pause; checks for a person's login go on meanwhile.
        next_at = state.paused_until
    return SessionSection(
        updated_at=now,
        fresh_for_s=fresh_for_s,
        pid=os.getpid(),
        state=state.phase,
        since=to_utc(state.phase_since_s) or now,
        why=state.why,
        next=state.next,
        next_at=next_at,
        todo=state.todo,
        tier=tier,
        up_since=to_utc(state.up_since_s),
        accounts=state.accounts,
        last_tickle_at=to_utc(state.tickle_succeeded_at_s),
        losses=state.losses,
        paused=state.paused,
        paused_until=state.paused_until,
        window=state.window,
        limited_until=now + timedelta(seconds=rate_limited_s) if rate_limited_s else None,
    )


def log_transition(journal: Journal, before: State, after: State, now_s: float) -> None:
    """Logs what one step of the state machine has changed."""
    if after.losses > before.losses and before.up_since_s is not None:
        journal.warning(f"session lost after {now_s - before.up_since_s:.0f} s: {after.why}")
    if after.paused is not before.paused:
        until = "" if after.paused_until is None else f" until {after.paused_until:%Y-%m-%d %H:%M} UTC"
        journal.info(f"paused{until}: nothing logs in" if after.paused else "resumed")
    if after.window != before.window:
        journal.info(f"{before.window} is over" if after.window is None else f"{after.window} begins")
    is_reliable = after.push_health.is_reliable(now_s)
    if before.push_health.is_reliable(now_s) is not is_reliable and after.has_session:
        journal.info("the push is of use again" if is_reliable else "the push is of no use: tickling more often")
    if after.phase is before.phase and after.todo == before.todo:
        return
    text = f"session {after.phase.value}: {after.why}; next: {after.next}"
    if after.todo:
        journal.error(text)
        journal.error(f"to do: {after.todo}")
    elif after.phase in _ROUTINE_PHASES:
        journal.info(text)
    elif after.phase is not before.phase:
        journal.warning(text)
