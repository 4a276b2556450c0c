"""How the machine's state is told: as the status file's section, and as lines of the journal."""

import os
from datetime import datetime, timedelta

from ibkr_tools.log import Journal
from ibkr_tools.status import SessionSection, SessionState
from ibkr_tools.watchdog import machine
from ibkr_tools.watchdog.state import State

_QUIET = {SessionState.UP, SessionState.LOGGING_IN, SessionState.STARTING, SessionState.PAUSED}


def section(
    state: State, now_s: float, now: datetime, *, tier: str, fresh_for_s: float, limited_s: float = 0.0
) -> SessionSection:
    """Returns the section; `now_s` and `now` are the same moment on the machine's clock and in UTC.

    `limited_s` is for how long nobody sends anything because IBKR has answered 429.
    """

    def wall(at_s: float | None) -> datetime | None:
        return None if at_s is None else now + timedelta(seconds=at_s - now_s)

    next_at = wall(machine.deadline(state) if state.next_s is None else state.next_s)
    if state.phase is SessionState.PAUSED:
        # What is waited for is the end of the pause; that somebody logs in meanwhile is looked at besides.
        next_at = state.paused_until
    return SessionSection(
        updated_at=now,
        fresh_for_s=fresh_for_s,
        pid=os.getpid(),
        state=state.phase,
        since=wall(state.since_s) or now,
        why=state.why,
        next=state.next,
        next_at=next_at,
        todo=state.todo,
        tier=tier,
        up_since=wall(state.up_since_s),
        accounts=state.accounts,
        last_tickle_at=wall(state.last_tickle_s),
        losses=state.losses,
        paused=state.paused,
        paused_until=state.paused_until,
        window=state.window,
        limited_until=now + timedelta(seconds=limited_s) if limited_s else None,
    )


def log_change(journal: Journal, before: State, after: State, now_s: float) -> None:
    """Writes what a person who reads the journal wants to know of one step."""
    if after.losses > before.losses and before.up_since_s is not None:
        journal.warning(f"session lost after {now_s - before.up_since_s:.0f} s: {after.why}")
    if after.paused is not before.paused:
        until = "" if after.paused_until is None else f" until {after.paused_until:%Y-%m-%d %H:%M} UTC"
        journal.info(f"paused{until}: nothing logs in" if after.paused else "resumed")
    if after.window != before.window:
        journal.info(f"{before.window} is over" if after.window is None else f"{after.window} begins")
    useful = after.hearing.is_useful(now_s)
    if before.hearing.is_useful(now_s) is not useful and after.has_session:
        journal.info("the push is of use again" if useful else "the push is of no use: tickling more often")
    if after.phase is before.phase and after.todo == before.todo:
        return
    text = f"session {after.phase.value}: {after.why}; next: {after.next}"
    if after.todo:
        journal.error(text)
        journal.error(f"to do: {after.todo}")
    elif after.phase in _QUIET:
        journal.info(text)
    elif after.phase is not before.phase:
        journal.warning(text)
