"""What is not known, or contradicts itself: unknown is not lost, and a loss is proven before a login. Pure."""

from dataclasses import replace

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import life, logins
from ibkr_tools.watchdog.hearing import TOGETHER_S
from ibkr_tools.watchdog.observations import Action, Verdict
from ibkr_tools.watchdog.state import ANSWER_S, LOOK_AGAIN_S, PERSON_LOOKS_S, State, Step, enter, pick, spread, wait

UNKNOWN_WAITS_S = (2.0, 5.0, 10.0, 20.0, 30.0)
WINDOW_WAITS_S = (2.0, 5.0, 10.0, 20.0, 40.0, 50.0)
"""In one of IBKR's windows nothing is expected soon; never more than a minute."""

STUCK_S = 600.0
"""After this long without any answer at all, the jar's five upstream connections may be the ones that are stuck."""

RESTART_EVERY_S = 3600.0
BLIND_S = 55.0
"""A session that could not be asked for this long may not be called up any more: it wants a word each minute."""

VALIDATE_EVERY_S = 60.0
"""IBKR takes one validation a minute; so long the last one counts."""

DEAD_APART_S = 3.0
"""Where no validation is to be had: two tickles at least this far apart, and the brokerage tier's status.

That one needs no more than the portfolio tier, and unlike the list of accounts, which the login's proof wants a moment
later, it may be asked at any time.
"""


def unknown(state: State, why: str, now_s: float, *, silent: bool) -> Step:
    """Something came back, or nothing, that says neither alive nor dead: look again, ever more calmly."""
    in_window = state.window is not None
    waits = WINDOW_WAITS_S if in_window else UNKNOWN_WAITS_S
    wait_s = spread(pick(waits, state.unknowns), state.since_s, state.unknowns)
    first_s = now_s if state.silent_since_s is None else state.silent_since_s
    state = replace(state, unknowns=state.unknowns + 1, silent_since_s=first_s if silent else None)
    if state.is_logging_in:
        return state, ()
    actions: tuple[Action, ...] = ()
    if state.unknowns > 1 and not state.is_locked_out:
        phase = SessionState.MAINTENANCE if in_window else SessionState.UNREACHABLE
        state = enter(state, phase, now_s, f"{state.window}: {why}" if in_window else why)
        is_stuck = silent and now_s - first_s > STUCK_S
        # While IBKR is known to be away, its silence says nothing about Java, whose memory holds the session.
        if is_stuck and not in_window and now_s - state.restarted_s > RESTART_EVERY_S:
            state = replace(state, restarted_s=now_s)
            actions = (Action.RESTART_GATEWAY,)
    return wait(state, now_s + wait_s, "looking again"), actions


def limited(state: State, why: str, now_s: float) -> Step:
    """The pacing kept us from asking."""
    if state.is_logging_in:
        return state, ()
    last_s = now_s if state.last_tickle_s is None else state.last_tickle_s
    if state.has_session and now_s - last_s > BLIND_S:
        state = enter(state, SessionState.UNREACHABLE, now_s, why)
    elif not state.has_session and state.phase not in {SessionState.LOCKED_OUT, SessionState.PAUSED}:
        state = replace(state, why=why)
    return wait(state, now_s + LOOK_AGAIN_S, "looking again when the pacing allows"), ()


def dead(state: State, why: str, now_s: float) -> Step:
    """A tickle, or the list of accounts while the tickle is fine, says that there is no session."""
    state = replace(state, silent_since_s=None)
    if state.is_logging_in:
        return state, ()
    if state.up_since_s is None:
        # There was none that we know of; the login looks by itself before it submits anything.
        return gone(state, why, now_s)
    if now_s - state.vouched_s < VALIDATE_EVERY_S:
        return unknown(state, f"{why}, but IBKR's validation says there is one", now_s, silent=False)
    first_s = now_s if state.dead_s is None else state.dead_s
    state = replace(state, dead_s=first_s)
    if now_s - state.validated_s >= VALIDATE_EVERY_S:
        return replace(state, validated_s=now_s, due_s=now_s + ANSWER_S), (Action.VALIDATE,)
    if state.hearing.is_witness(now_s):
        return agreed(state, why, now_s)
    if now_s - first_s >= DEAD_APART_S:
        return replace(state, due_s=now_s + ANSWER_S), (Action.ASK_STATUS,)
    return wait(state, first_s + DEAD_APART_S, "looking again"), ()


def denied(state: State, now_s: float) -> Step | None:
    """The push says that the session is over; None where that is a reason to look, and no more.

    A tickle has just said the same, and nothing else was heard since: where no validation is to be had, two of IBKR's
    words that agree are enough. The push alone never is.
    """
    is_near = state.dead_s is not None and now_s - state.dead_s <= TOGETHER_S
    if not is_near or state.is_logging_in or state.unknowns or not state.hearing.is_witness(now_s):
        return None
    return agreed(state, "a tickle found no session", now_s)


def agreed(state: State, why: str, now_s: float) -> Step:
    """A tickle and the push say, at the same time, that there is no session."""
    return gone(state, f"{why}, and so says the push", now_s)


def gone(state: State, why: str, now_s: float) -> Step:
    """IBKR has said beyond doubt that there is no session: the one thing, besides a new Java, that wants a login."""
    state = replace(state, unknowns=0, silent_since_s=None)
    if state.is_logging_in:
        return state, ()
    if state.is_locked_out:
        return wait(state, now_s + PERSON_LOOKS_S, state.next), ()
    if state.up_since_s is not None:
        state = life.lost(state, why, now_s)
    if now_s < state.fresh_until_s:
        # The fresh login is under way: it has ended the old session, and reports.
        state = wait(state, state.fresh_until_s, "the login reports")
        state = enter(state, SessionState.LOGGING_IN, now_s, "a new login replaces the session")
        return replace(state, fresh_until_s=now_s), (Action.STOP_LISTENING,)
    return logins.request(state, why, now_s)


def validated(state: State, verdict: Verdict, why: str, now_s: float) -> Step:
    """The second opinion: IBKR's own word on the session."""
    if state.is_logging_in or state.is_locked_out:
        return state, ()
    if verdict is Verdict.DEAD:
        return gone(state, why, now_s)
    if verdict is Verdict.ALIVE:
        state = replace(state, vouched_s=now_s, dead_s=None, silent_since_s=None)
        return wait(state, now_s + LOOK_AGAIN_S, "looking again"), ()
    if verdict is Verdict.LIMITED:
        if state.dead_s is not None and state.hearing.is_witness(now_s):
            return agreed(state, "a tickle found no session", now_s)
        first_s = now_s if state.dead_s is None else state.dead_s
        return wait(replace(state, dead_s=first_s), max(first_s + DEAD_APART_S, now_s), "looking again"), ()
    return unknown(state, why, now_s, silent=verdict is Verdict.SILENT)
