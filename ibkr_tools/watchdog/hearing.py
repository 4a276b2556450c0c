"""What the WebSocket is worth: is there a connection, does it say anything, did it say so when it mattered. Pure."""

import math
from dataclasses import dataclass, replace

TICKLE_EVERY_S = 30.0
"""The floor beneath a push that is of use; IBKR ends a session that is silent for about five minutes."""

TICKLE_OFTEN_S = 10.0
"""The floor beneath a push that is not; IBKR takes one tickle a second."""

MUTE_S = 35.0
"""Heartbeats come every 10 s."""

FAILED_OFTEN = 3
"""So many connections in a row that did not last are not chance."""

LASTS_S = 20.0
RELISTEN_S = (0.0, 1.0, 5.0, 15.0, 30.0)
GREETING_S = 10.0
"""What a new connection says first is how it greets this user, and no news."""

TOGETHER_S = 5.0
"""So close to a tickle that says the same, a word about the session is about the same moment."""

ALARM_S = 25.0
"""A loss that is proven this soon after a push was announced by it; one call may take 11 s."""


@dataclass(frozen=True)
class Hearing:
    """The push, as far as the machine remembers it.

    `listening` since `since_s`, `heard_s` is the last word; `failures` in a row of connections that did not last; at
    `again_s` it is tried again. `waiting`: IBKR knows of no session on it, and `astray`: though there is one.
    `alarmed_s`: it said that something is wrong. `missed`: a session was lost, and it kept silent; only a loss that it
    announces makes up for that. `denied_s` is when it said that the session is over, `disputed`: a tickle that it is
    not. `cried`: it has said so of one that lived on, and is no witness until it announces a loss.
    """

    listening: bool = False
    since_s: float = -math.inf
    heard_s: float = -math.inf
    failures: int = 0
    again_s: float | None = None
    waiting: bool = False
    astray: bool = False
    alarmed_s: float = -math.inf
    missed: bool = False
    denied_s: float = -math.inf
    disputed: bool = False
    cried: bool = False

    def is_useful(self, now_s: float) -> bool:
        """Says whether a loss may be expected to be announced."""
        mute = self.listening and now_s - max(self.since_s, self.heard_s) > MUTE_S
        return not (mute or self.astray or self.missed or self.failures >= FAILED_OFTEN)

    def tickle_every_s(self, now_s: float) -> float:
        """Returns how far apart tickles may be."""
        return TICKLE_EVERY_S if self.is_useful(now_s) else TICKLE_OFTEN_S

    def started(self, now_s: float, *, anew: bool = False) -> "Hearing":
        """A connection is being made; `anew`: for another session, which has not failed yet."""
        failures = 0 if anew else self.failures
        denied_s = -math.inf if anew else self.denied_s
        return replace(self.stopped(), listening=True, since_s=now_s, failures=failures, denied_s=denied_s)

    def stopped(self) -> "Hearing":
        """We have ended the connection."""
        return replace(
            self, listening=False, again_s=None, waiting=False, astray=False, denied_s=-math.inf, disputed=False
        )

    def heard(self, now_s: float) -> "Hearing":
        """A heartbeat or a status came: IBKR greets with one, so only a connection that lasts ends a bad series."""
        failures = 0 if now_s - self.since_s > LASTS_S else self.failures
        return replace(self, heard_s=now_s, waiting=False, astray=False, failures=failures)

    def contradicted(self) -> "Hearing":
        """A tickle says that there is a session."""
        return replace(self, astray=True) if self.waiting and not self.astray else self

    def refuted(self) -> "Hearing":
        """A tickle says that the portfolio tier has a session: so it is not over, or was not when the push said so."""
        if math.isfinite(self.denied_s):
            return replace(self, denied_s=-math.inf, disputed=True)
        return replace(self, cried=True, disputed=False) if self.disputed else self

    def denied(self, now_s: float) -> "Hearing":
        """It said that the session is over."""
        is_news = self.listening and now_s - self.since_s > GREETING_S
        return replace(self, denied_s=now_s) if is_news and not self.cried else self

    def is_witness(self, now_s: float) -> bool:
        """Says whether it has just said that the session is over, as far as it is believed."""
        return now_s - self.denied_s <= TOGETHER_S

    def closed(self, now_s: float) -> "Hearing":
        """The connection has ended by itself."""
        wait_s = RELISTEN_S[min(self.failures, len(RELISTEN_S) - 1)]
        return replace(self, listening=False, failures=self.failures + 1, again_s=now_s + wait_s)

    def alarmed(self, now_s: float) -> "Hearing":
        """It said, or showed by its end, that something is wrong."""
        return replace(self, alarmed_s=now_s)

    def judged(self, now_s: float) -> "Hearing":
        """A session was lost: did it say so?"""
        if now_s - self.alarmed_s <= ALARM_S:
            return replace(self, missed=False, cried=False)
        return replace(self, missed=True) if self.listening else self
