"""The brokerage tier of a user who wants it, while the portfolio tier is up: what a tickle says, what to do. Pure.

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
from ibkr_tools.watchdog.observations import Action

HANDSHAKE_S = 8.0
"""How long the jar's handshake may take before it counts as stalled, and how long a try may take to show.

It takes 3 s and a few round trips. The timer of a session before, which nothing stops, may log this one out within 30 s
of its loss while the tier is missing (observed with the build of 2023-04-24): waiting longer makes that more likely.
"""

LOOK_S = 2.0
GAPS_S = (HANDSHAKE_S, HANDSHAKE_S, 30.0, 60.0, 120.0, 300.0)
"""After each try in a row, while IBKR's side is there."""

UNLINKED_GAPS_S = (30.0, 60.0, 120.0, 300.0, 600.0)
"""After each try in a row, while the gateway has no link to IBKR's brokerage side at all."""

CALM_S = 900.0
"""Between tries once a person was told."""

FRESH_S = 900.0
"""After this long without the tier, while IBKR's side is there, a new login is worth its price."""

FRESH_EVERY_S = 86_400.0
"""IBKR ends every session within a day: once a session's life."""

SETTLED_S = 300.0
"""What a new login has not brought after this long, it does not bring."""

UNLINKED_S = 3600.0
TAKES = 3
CONTEST_S = 600.0
"""A tier that was taken so often within this time, and is taken back again, is left to the other program."""

MISSING_TODO = (
    "Log in once on IBKR's website as this user and confirm what it asks for, often by e-mail; see that the user may"
    ' trade and that no other program uses it. For a user without that right: session.tier "portfolio"'
)
TAKEN_BACK = f"the brokerage session was taken {TAKES} times, and another program has it again"
CONTESTED_TODO = "End the other program that trades as this user, or give it a user of its own"


@dataclass(frozen=True)
class Policy:
    """When another program has the tier: `take` it, or stay away for `quiet_s` seconds."""

    take: bool = False
    quiet_s: float = 1800.0


@dataclass(frozen=True)
class Handshake:
    """What is remembered of the tier; seconds of the machine's clock.

    It is missing since `missing_s`, None while it is there or another program has it; `tries` in a row were made, the
    next is due at `next_s`. `was_up`: in this session's life. `found`: no login of ours began it, so that the jar may
    not have thrown others out just now. A fresh login was asked for at `fresh_s`. Until
    `quiet_s` it is left to another program; `takes` are when we took it lately. `trouble` is what the last try met.
    """

    missing_s: float | None = None
    next_s: float = 0.0
    tries: int = 0
    was_up: bool = False
    found: bool = False
    fresh_s: float = -math.inf
    quiet_until_s: float | None = None
    takes: tuple[float, ...] = ()
    contested: bool = False
    exhausted: bool = False
    trouble: str = ""

    def begun(self, now_s: float, *, found: bool = False) -> "Handshake":
        """A session begins: the jar opens the tier by itself, which throws others out whatever we remember."""
        return Handshake(
            missing_s=now_s,
            next_s=now_s + HANDSHAKE_S,
            found=found,
            fresh_s=self.fresh_s,
            exhausted=self.exhausted,
        )

    def renewed(self, now_s: float) -> "Handshake":
        """The fresh login has succeeded: the jar's turn again, in a session that is missed as before."""
        return replace(self, next_s=now_s + HANDSHAKE_S, tries=0, was_up=False, found=False, trouble="")

    def resumed(self, now_s: float) -> "Handshake":
        """A pause is over: what is missing is missing since now."""
        return self if self.missing_s is None else replace(self, missing_s=now_s, next_s=now_s, tries=0)


@dataclass(frozen=True)
class View:
    """What to show and do; `next` happens at `at_s` (None: at the next look), which is due in `again_s` seconds."""

    handshake: Handshake
    phase: SessionState
    why: str
    next: str
    at_s: float | None = None
    again_s: float = math.inf
    todo: str | None = None
    actions: tuple[Action, ...] = ()


def look(past: Handshake, tickle: Tickle, now_s: float, policy: Policy, *, paused: bool, calm: bool) -> View:
    """Returns what one tickle of a living portfolio tier means for the brokerage tier.

    Args:
        past: what is remembered.
        tickle: the answer.
        now_s: the machine's clock.
        policy: the user's wish.
        paused: nothing may be done.
        calm: one of IBKR's windows is open, in which a new login is no cure.
    """
    if tickle.competing or (tickle.collision and not tickle.authenticated):
        return _competing(past, now_s, policy, paused=paused)
    if tickle.authenticated:
        takes = _lately(past.takes, now_s)
        # One that is taken again and again is at peace only when it has been left to us for a while.
        handshake = Handshake(was_up=True, takes=takes, contested=past.contested and bool(takes))
        return View(handshake, SessionState.UP, "both tiers answer", "the next tickle")
    if past.quiet_until_s is not None and now_s < past.quiet_until_s:
        # It has been pushed out altogether; what looks free now is not.
        return _left_alone(replace(past, missing_s=None), now_s)
    if past.missing_s is None:
        # The jar does nothing about a tier that was there, and where there is no link there is nothing to ask.
        next_s = now_s if tickle.connected else now_s + HANDSHAKE_S
        past = replace(past, missing_s=now_s, next_s=next_s, tries=0, quiet_until_s=None, trouble="")
    return _missing(past, tickle, now_s, paused=paused, calm=calm)


def _lately(takes: tuple[float, ...], now_s: float) -> tuple[float, ...]:
    return tuple(at_s for at_s in takes if now_s - at_s < CONTEST_S)


def _competing(past: Handshake, now_s: float, policy: Policy, *, paused: bool) -> View:
    past = replace(past, missing_s=None, tries=0, was_up=True, takes=_lately(past.takes, now_s), exhausted=False)
    if paused:
        return _left_alone(past, now_s, "nothing while paused")
    quiet_s = past.quiet_until_s
    if policy.take and (quiet_s is None or now_s >= quiet_s):
        if past.takes and now_s - past.takes[-1] < HANDSHAKE_S:
            return replace(_left_alone(past, now_s, "the gateway takes it back"), again_s=LOOK_S)
        if len(past.takes) < TAKES:
            past = replace(past, takes=(*past.takes, now_s), quiet_until_s=None)
            view = _left_alone(past, now_s, "the gateway takes it back")
            return replace(view, again_s=LOOK_S, actions=(Action.TAKE_BROKERAGE,))
        past = replace(past, contested=True)
    handshake = replace(past, quiet_until_s=now_s + policy.quiet_s)
    if quiet_s is None:
        return _left_alone(handshake, now_s)
    if now_s < quiet_s:
        return _left_alone(past, now_s)
    return replace(_left_alone(handshake, now_s), again_s=LOOK_S, actions=(Action.INIT_BROKERAGE,))


def _left_alone(handshake: Handshake, now_s: float, then: str = "asking whether it is free") -> View:
    why = "another program has the brokerage session"
    if handshake.contested:
        why = TAKEN_BACK
    until_s = handshake.quiet_until_s
    again_s = math.inf if until_s is None else max(LOOK_S, until_s - now_s)
    todo = CONTESTED_TODO if handshake.contested else None
    return View(handshake, SessionState.COMPETING, why, then, until_s, again_s, todo)


def _missing(past: Handshake, tickle: Tickle, now_s: float, *, paused: bool, calm: bool) -> View:
    missing_s = now_s if past.missing_s is None else past.missing_s
    # A fresh login is forgotten as soon as the tier is there.
    settled = math.isfinite(past.fresh_s) and now_s - max(past.fresh_s, missing_s) >= SETTLED_S
    unlinked = not tickle.connected and now_s - missing_s >= UNLINKED_S
    past = replace(past, exhausted=past.exhausted or settled or unlinked)
    why = "the portfolio tier is up, the brokerage tier is not"
    if past.trouble:
        why = f"{why} ({past.trouble})"
    todo = MISSING_TODO if past.exhausted else None
    if not tickle.has_brokerage_status and past.was_up and now_s - missing_s < HANDSHAKE_S:
        # Half an answer is no loss.
        return View(
            past, SessionState.UP, "the tickle has no word on the brokerage tier", "looking again", None, LOOK_S
        )
    degraded = View(past, SessionState.DEGRADED, why, "the gateway opens the brokerage tier", todo=todo)
    if paused:
        return replace(degraded, next="nothing while paused")
    if now_s < past.next_s:
        left_s = past.next_s - now_s
        soon = left_s <= HANDSHAKE_S
        then = degraded.next if soon and not past.tries else "asking for the brokerage tier again"
        return replace(degraded, next=then, at_s=past.next_s, again_s=LOOK_S if soon else left_s)
    worth_a_login = tickle.connected and now_s - missing_s >= FRESH_S and now_s - past.fresh_s >= FRESH_EVERY_S
    if worth_a_login and not calm:
        past = replace(past, fresh_s=now_s, next_s=now_s + SETTLED_S)
        return replace(degraded, handshake=past, next="a new login", actions=(Action.REQUEST_FRESH_LOGIN,))
    tried = replace(past, tries=past.tries + 1, next_s=now_s + _gap_s(past, tickle))
    then = "the gateway opens the brokerage tier"
    return replace(degraded, handshake=tried, next=then, again_s=LOOK_S, actions=(_rung(past, tickle),))


def _gap_s(past: Handshake, tickle: Tickle) -> float:
    if past.exhausted:
        return CALM_S
    gaps = GAPS_S if tickle.connected else UNLINKED_GAPS_S
    return gaps[min(past.tries, len(gaps) - 1)]


def _rung(past: Handshake, tickle: Tickle) -> Action:
    """Returns the next try: what throws others out comes first only after a login, which has done so anyway."""
    if past.exhausted or not tickle.connected:
        return Action.INIT_BROKERAGE
    first, second = Action.REAUTHENTICATE, Action.INIT_BROKERAGE
    if past.was_up or past.found:
        first, second = second, first
    return second if past.tries % 2 else first
