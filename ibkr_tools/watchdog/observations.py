"""What the machine is told, and what it may want done: the vocabulary between the machine and its loop."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ibkr_tools.portal.push_listener import PushEvent
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import LoginSection


class Verdict(StrEnum):
    """What one call to the gateway says about the portfolio tier.

    ALIVE and DEAD are IBKR's own words. UNKNOWN is anything else that came back, SILENT is nothing within the
    deadline: neither is ever a reason to log in. GATEWAY_GONE: nothing listens. LIMITED: our own pacing or IBKR's
    penalty kept the call from being made.
    """

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"
    SILENT = "silent"
    GATEWAY_GONE = "gateway-gone"
    LIMITED = "limited"


@dataclass(frozen=True)
class Tick:
    """Time went by."""


@dataclass(frozen=True)
class Tickled:
    """The answer to `/tickle`; `tickle` is there when the verdict is ALIVE."""

    verdict: Verdict
    why: str = ""
    tickle: Tickle | None = None


@dataclass(frozen=True)
class Validated:
    """The answer to `/sso/validate`, or to `/iserver/auth/status` where that one may not be asked."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class Listed:
    """The answer to `/portfolio/accounts`: the proof that the portfolio tier serves what it is for."""

    verdict: Verdict
    why: str = ""
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class BrokerageAsked:
    """The answer to `reauthenticate` or `ssodh/init`; whether the tier came of it, the next tickle tells."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class GatewayChanged:
    """The gateway's parent said something new: Java answers locally, or it does not."""

    up: bool


@dataclass(frozen=True)
class GatewayStarting:
    """The gateway's parent has started a new Java, which does not answer yet."""


@dataclass(frozen=True)
class LoginReported:
    """The login wrote its section; `retry_in_s` is its `retry_at` on the machine's clock, in seconds from now."""

    section: LoginSection
    retry_in_s: float | None = None


@dataclass(frozen=True)
class LoginUnheard:
    """Nobody could write the status file for a while, and no login runs: nobody knows how the last one ended."""


@dataclass(frozen=True)
class FetchHinted:
    """A fetch met a lost session."""


@dataclass(frozen=True)
class Paused:
    """A person asked that nothing logs in, until `until` or, if that is None, until they say otherwise."""

    until: datetime | None = None


@dataclass(frozen=True)
class Resumed:
    """The pause is over."""


@dataclass(frozen=True)
class WindowChanged:
    """One of IBKR's reset or maintenance windows opened, for `ends_in_s` seconds more; `name` None: none is open."""

    name: str | None
    ends_in_s: float = 0.0


Observation = (
    Tick
    | Tickled
    | Validated
    | Listed
    | BrokerageAsked
    | GatewayChanged
    | GatewayStarting
    | LoginReported
    | LoginUnheard
    | FetchHinted
    | Paused
    | Resumed
    | WindowChanged
    | PushEvent
)


class Action(StrEnum):
    """What the loop does for the machine; each question to the gateway comes back as an observation.

    INIT_BROKERAGE asks for the brokerage tier if it is free, TAKE_BROKERAGE takes it from whoever has it, and so does
    REAUTHENTICATE: the jar always competes. REQUEST_FRESH_LOGIN wants a login though there is a session.
    """

    TICKLE = "tickle"
    VALIDATE = "validate"
    ASK_STATUS = "ask-status"
    LIST_ACCOUNTS = "list-accounts"
    REAUTHENTICATE = "reauthenticate"
    INIT_BROKERAGE = "init-brokerage"
    TAKE_BROKERAGE = "take-brokerage"
    REQUEST_LOGIN = "request-login"
    REQUEST_FRESH_LOGIN = "request-fresh-login"
    LISTEN = "listen"
    STOP_LISTENING = "stop-listening"
    RESTART_GATEWAY = "restart-gateway"
