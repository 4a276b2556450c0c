"""The brokerage tier of a user who wants it, while the portfolio tier is up: what a tickle says, what to do. Pure.

The jar opens this tier by itself after a login (3.2 s), but gives up for good after one bad reply; its local
`reauthenticate` repeats the handshake and cures that (observed with the build of 2023-04-24).
"""

from dataclasses import dataclass, replace

from ibkr_tools.portal.answers import Tickle
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.observations import Action

HANDSHAKE_S = 12.0
"""How long the jar's handshake may take before it counts as stalled."""

RETRY_S = 300.0
"""Between further tries; IBKR's side may be down, and each `ssodh/init` throws another program out."""

LOOK_S = 2.0


@dataclass(frozen=True)
class Handshake:
    """Since when the tier is awaited (seconds of the machine's clock), and how often it was asked for."""

    started_s: float | None = None
    tries: int = 0


@dataclass(frozen=True)
class View:
    """What to show and do; `again_s` is when to look again, None: at the usual time."""

    handshake: Handshake
    phase: SessionState
    why: str
    next: str
    again_s: float | None = None
    actions: tuple[Action, ...] = ()


def look(handshake: Handshake, tickle: Tickle, now_s: float) -> View:
    """Returns what one tickle of a living portfolio tier means for the brokerage tier."""
    if tickle.competing:
        why = "another program has the brokerage session, and keeps it"
        return View(Handshake(), SessionState.COMPETING, why, "looking whether it is free again")
    if tickle.authenticated:
        return View(Handshake(), SessionState.UP, "both tiers answer", "the next tickle")
    started_s = now_s if handshake.started_s is None else handshake.started_s
    handshake = replace(handshake, started_s=started_s)
    degraded = View(
        handshake,
        SessionState.DEGRADED,
        "the portfolio tier is up, the brokerage tier is not",
        "the gateway opens the brokerage tier",
        # While the next try is minutes away, the usual tickle is enough.
        LOOK_S if now_s >= started_s else None,
    )
    if now_s - started_s < HANDSHAKE_S:
        return degraded
    action = Action.REAUTHENTICATE if handshake.tries % 2 == 0 else Action.INIT_BROKERAGE
    pause_s = 0.0 if handshake.tries == 0 else RETRY_S
    tried = Handshake(now_s + pause_s, handshake.tries + 1)
    return replace(degraded, handshake=tried, actions=(action,))
