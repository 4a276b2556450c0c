"""The brokerage session of a user who wants it, while the portfolio tier is up: from a tickle to a decision. Pure.

The jar opens this tier by itself after a login (3.2 s), but gives up for good after one bad reply; its local
`reauthenticate` repeats the handshake and cures that (observed with the build of 2023-04-24). Both always compete, so
they throw another program of the user out; `ssodh/init` does only if it says so.

When the jar finds the tier gone at its own tickle, every 30 s, it logs the whole session out: a lost tier is asked for
at once.
"""

import math
from dataclasses import dataclass, replace

from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.events import Command, GatewayRequest, LocalCommand

HANDSHAKE_TIMEOUT_S = 8.0
"""How long the jar's handshake may take before it counts as stalled, and how long an attempt may take to show.

It takes 3 s and a few round trips. The timer of a session before, which nothing stops, may log this one out within 30 s
of its loss while the tier is missing (observed with the build of 2023-04-24): waiting longer makes that more likely.
"""

BROKERAGE_RECHECK_S = 2.0
ATTEMPT_BACKOFF_S = (HANDSHAKE_TIMEOUT_S, HANDSHAKE_TIMEOUT_S, 30.0, 60.0, 120.0, 300.0)
"""After each attempt in a row, while the gateway has its link to IBKR's brokerage side."""

UNLINKED_BACKOFF_S = (30.0, 60.0, 120.0, 300.0, 600.0)
"""After each attempt in a row, while the gateway has no link to IBKR's brokerage side at all."""

EXHAUSTED_RETRY_S = 900.0
"""Between attempts once a person was alerted."""

FRESH_LOGIN_AFTER_S = 900.0
"""After this long without the tier, while there is a link to IBKR's brokerage side, a fresh login is requested."""

FRESH_LOGIN_INTERVAL_S = 86_400.0
"""IBKR ends every session within a day: one fresh login for each."""

FRESH_LOGIN_SETTLE_S = 300.0
"""A fresh login that has not brought the tier after this long does not bring it."""

UNLINKED_LIMIT_S = 3600.0
"""After this long without a link a person is alerted."""

MAX_TAKES = 3
TAKES_COUNTED_S = 600.0
"""A tier that was taken MAX_TAKES times within this time, and is taken back, is left to the other program."""

MISSING_TODO = (
    "Log in once on IBKR's website as this user and confirm what it asks for, often by e-mail; see that the user may"
    ' trade and that no other program uses it. For a user without that right: session.tier "portfolio"'
)
CONTESTED_REASON = f"the brokerage session was taken {MAX_TAKES} times, and another program has it again"
CONTESTED_TODO = "End the other program that trades as this user, or give it a user of its own"


@dataclass(frozen=True)
class CompetingPolicy:
    """When another program has the tier: `take` it, or stay away for `quiet_s` seconds."""

    take: bool = False
    quiet_s: float = 1800.0


@dataclass(frozen=True)
class BrokerageState:
    """What is remembered of the tier; times are seconds of the state machine's clock.

    The tier is missing since `missing_since_s`, None while it is up or another program has it; `attempts` in a row were
    made, the next is due at `next_attempt_at_s`. `was_up`: it was up in this session. `preexisting`: no login of ours
    opened the session, so that the jar may not have thrown others out just now. A fresh login was requested at
    `fresh_login_at_s`. Until `quiet_until_s` the tier is left to another program; `taken_at_s` are the times at which
    it was taken from one lately. `contested`: the other program took it back MAX_TAKES times. `exhausted`: no attempt
    has helped, and a person was alerted. `last_error` is the error of the last attempt.
    """

    missing_since_s: float | None = None
    next_attempt_at_s: float = 0.0
    attempts: int = 0
    was_up: bool = False
    preexisting: bool = False
    fresh_login_at_s: float = -math.inf
    quiet_until_s: float | None = None
    taken_at_s: tuple[float, ...] = ()
    contested: bool = False
    exhausted: bool = False
    last_error: str = ""

    def session_started(self, now_s: float, *, preexisting: bool = False) -> "BrokerageState":
        """A session begins: the jar opens the tier by itself, which throws other programs out in any case."""
        return BrokerageState(
            missing_since_s=now_s,
            next_attempt_at_s=now_s + HANDSHAKE_TIMEOUT_S,
            preexisting=preexisting,
            fresh_login_at_s=self.fresh_login_at_s,
            exhausted=self.exhausted,
        )

    def fresh_login_succeeded(self, now_s: float) -> "BrokerageState":
        """The fresh login has succeeded: the jar opens the tier by itself; `missing_since_s` stays."""
        return replace(
            self,
            next_attempt_at_s=now_s + HANDSHAKE_TIMEOUT_S,
            attempts=0,
            was_up=False,
            preexisting=False,
            last_error="",
        )

    def pause_ended(self, now_s: float) -> "BrokerageState":
        """A pause is over: a tier that is missing counts as missing since now."""
        return (
            self
            if self.missing_since_s is None
            else replace(self, missing_since_s=now_s, next_attempt_at_s=now_s, attempts=0)
        )


@dataclass(frozen=True)
class BrokerageDecision:
    """The state after a tickle, what the status shows of it, and the commands.

    `next` happens at `next_at_s` (None: at the next tickle); the next tickle is due within `recheck_in_s` seconds.
    """

    brokerage: BrokerageState
    phase: SessionState
    why: str
    next: str
    next_at_s: float | None = None
    recheck_in_s: float = math.inf
    todo: str | None = None
    commands: tuple[Command, ...] = ()


def evaluate(
    state: BrokerageState, tickle: Tickle, now_s: float, policy: CompetingPolicy, *, paused: bool, in_window: bool
) -> BrokerageDecision:
    """Returns what one tickle means for the brokerage tier while the portfolio tier is up.

    Args:
        state: what is remembered.
        tickle: the answer.
        now_s: the state machine's clock.
        policy: what the user wants while another program has the tier.
        paused: nothing may be done.
        in_window: one of IBKR's windows is open, in which a new login is no cure.
    """
    if tickle.competing or (tickle.collision and not tickle.authenticated):
        return _competing(state, now_s, policy, paused=paused)
    if tickle.authenticated:
        taken_at_s = _recent(state.taken_at_s, now_s)
        # A contest is over only when no program has taken the tier for a while.
        state = BrokerageState(was_up=True, taken_at_s=taken_at_s, contested=state.contested and bool(taken_at_s))
        return BrokerageDecision(state, SessionState.UP, "both tiers answer", "the next tickle")
    if state.quiet_until_s is not None and now_s < state.quiet_until_s:
        # The other program has finished its login: the tier looks free now, and is not.
        return _yield_tier(replace(state, missing_since_s=None), now_s)
    if state.missing_since_s is None:
        # The jar does not reopen a tier that was up; without a link there is nothing to ask.
        next_attempt_at_s = now_s if tickle.connected else now_s + HANDSHAKE_TIMEOUT_S
        state = replace(
            state,
            missing_since_s=now_s,
            next_attempt_at_s=next_attempt_at_s,
            attempts=0,
            quiet_until_s=None,
            last_error="",
        )
    return _missing(state, tickle, now_s, paused=paused, in_window=in_window)


def _recent(taken_at_s: tuple[float, ...], now_s: float) -> tuple[float, ...]:
    return tuple(moment_s for moment_s in taken_at_s if now_s - moment_s < TAKES_COUNTED_S)


def _competing(state: BrokerageState, now_s: float, policy: CompetingPolicy, *, paused: bool) -> BrokerageDecision:
    state = replace(
        state,
        missing_since_s=None,
        attempts=0,
        was_up=True,
        taken_at_s=_recent(state.taken_at_s, now_s),
        exhausted=False,
    )
    if paused:
        return _yield_tier(state, now_s, "nothing while paused")
    quiet_until_s = state.quiet_until_s
    if policy.take and (quiet_until_s is None or now_s >= quiet_until_s):
        if state.taken_at_s and now_s - state.taken_at_s[-1] < HANDSHAKE_TIMEOUT_S:
            return replace(_yield_tier(state, now_s, "the gateway takes it back"), recheck_in_s=BROKERAGE_RECHECK_S)
        if len(state.taken_at_s) < MAX_TAKES:
            state = replace(state, taken_at_s=(*state.taken_at_s, now_s), quiet_until_s=None)
            decision = _yield_tier(state, now_s, "the gateway takes it back")
            return replace(decision, recheck_in_s=BROKERAGE_RECHECK_S, commands=(GatewayRequest.TAKE_BROKERAGE,))
        state = replace(state, contested=True)
    yielded = replace(state, quiet_until_s=now_s + policy.quiet_s)
    if quiet_until_s is None:
        return _yield_tier(yielded, now_s)
    if now_s < quiet_until_s:
        return _yield_tier(state, now_s)
    return replace(
        _yield_tier(yielded, now_s), recheck_in_s=BROKERAGE_RECHECK_S, commands=(GatewayRequest.INIT_BROKERAGE,)
    )


def _yield_tier(state: BrokerageState, now_s: float, then: str = "asking whether it is free") -> BrokerageDecision:
    why = "another program has the brokerage session"
    if state.contested:
        why = CONTESTED_REASON
    until_s = state.quiet_until_s
    recheck_in_s = math.inf if until_s is None else max(BROKERAGE_RECHECK_S, until_s - now_s)
    todo = CONTESTED_TODO if state.contested else None
    return BrokerageDecision(state, SessionState.COMPETING, why, then, until_s, recheck_in_s, todo)


def _missing(
    state: BrokerageState, tickle: Tickle, now_s: float, *, paused: bool, in_window: bool
) -> BrokerageDecision:
    missing_since_s = now_s if state.missing_since_s is None else state.missing_since_s
    # A fresh login is forgotten as soon as the tier is there.
    settled = (
        math.isfinite(state.fresh_login_at_s)
        and now_s - max(state.fresh_login_at_s, missing_since_s) >= FRESH_LOGIN_SETTLE_S
    )
    unlinked = not tickle.connected and now_s - missing_since_s >= UNLINKED_LIMIT_S
    state = replace(state, exhausted=state.exhausted or settled or unlinked)
    why = "the portfolio tier is up, the brokerage tier is not"
    if state.last_error:
        why = f"{why} ({state.last_error})"
    todo = MISSING_TODO if state.exhausted else None
    if not tickle.has_brokerage_status and state.was_up and now_s - missing_since_s < HANDSHAKE_TIMEOUT_S:
        # An answer without a word on the tier is no loss of it.
        return BrokerageDecision(
            state,
            SessionState.UP,
            "the tickle has no word on the brokerage tier",
            "looking again",
            None,
            BROKERAGE_RECHECK_S,
        )
    degraded = BrokerageDecision(state, SessionState.DEGRADED, why, "the gateway opens the brokerage tier", todo=todo)
    if paused:
        return replace(degraded, next="nothing while paused")
    if now_s < state.next_attempt_at_s:
        remaining_s = state.next_attempt_at_s - now_s
        is_soon = remaining_s <= HANDSHAKE_TIMEOUT_S
        then = degraded.next if is_soon and not state.attempts else "asking for the brokerage tier again"
        return replace(
            degraded,
            next=then,
            next_at_s=state.next_attempt_at_s,
            recheck_in_s=BROKERAGE_RECHECK_S if is_soon else remaining_s,
        )
    needs_fresh_login = (
        tickle.connected
        and now_s - missing_since_s >= FRESH_LOGIN_AFTER_S
        and now_s - state.fresh_login_at_s >= FRESH_LOGIN_INTERVAL_S
    )
    if needs_fresh_login and not in_window:
        state = replace(state, fresh_login_at_s=now_s, next_attempt_at_s=now_s + FRESH_LOGIN_SETTLE_S)
        return replace(degraded, brokerage=state, next="a new login", commands=(LocalCommand.REQUEST_FRESH_LOGIN,))
    attempted = replace(state, attempts=state.attempts + 1, next_attempt_at_s=now_s + _retry_delay_s(state, tickle))
    then = "the gateway opens the brokerage tier"
    return replace(
        degraded,
        brokerage=attempted,
        next=then,
        recheck_in_s=BROKERAGE_RECHECK_S,
        commands=(_next_attempt(state, tickle),),
    )


def _retry_delay_s(state: BrokerageState, tickle: Tickle) -> float:
    if state.exhausted:
        return EXHAUSTED_RETRY_S
    delays_s = ATTEMPT_BACKOFF_S if tickle.connected else UNLINKED_BACKOFF_S
    return delays_s[min(state.attempts, len(delays_s) - 1)]


def _next_attempt(state: BrokerageState, tickle: Tickle) -> Command:
    """Returns the next attempt; REAUTHENTICATE comes first only after a login, which has thrown others out anyway."""
    if state.exhausted or not tickle.connected:
        return GatewayRequest.INIT_BROKERAGE
    first, second = GatewayRequest.REAUTHENTICATE, GatewayRequest.INIT_BROKERAGE
    if state.was_up or state.preexisting:
        first, second = second, first
    return second if state.attempts % 2 else first
