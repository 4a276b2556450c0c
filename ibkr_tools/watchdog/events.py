"""The events that the state machine handles, and the commands that it gives."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ibkr_tools.portal.push_listener import PushEvent
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.status import LoginSection


class Verdict(StrEnum):
    """What one call to the gateway says about the portfolio tier.

    ALIVE and DEAD are IBKR's own words. UNKNOWN is anything else that came back, SILENT is nothing within the
    deadline: neither is ever a reason to log in. GATEWAY_DOWN: nothing listens. RATE_LIMITED: our own rate limit or
    IBKR's penalty kept the call from being made.
    """

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"
    SILENT = "silent"
    GATEWAY_DOWN = "gateway-down"
    RATE_LIMITED = "rate-limited"


@dataclass(frozen=True)
class Tick:
    """The deadline of the state machine has come, or the interval between two status writes is over."""


@dataclass(frozen=True)
class TickleResult:
    """The answer to `/tickle`; `tickle` is there when the verdict is ALIVE."""

    verdict: Verdict
    why: str = ""
    tickle: Tickle | None = None


@dataclass(frozen=True)
class ValidationResult:
    """The answer to `/sso/validate`, or to `/iserver/auth/status` where that one may not be asked."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class AccountsResult:
    """The answer to `/portfolio/accounts`: the proof that the portfolio tier serves what it is for."""

    verdict: Verdict
    why: str = ""
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class BrokerageResult:
    """The answer to `reauthenticate` or `ssodh/init`; whether the tier came of it, the next tickle tells."""

    verdict: Verdict
    why: str = ""


GatewayResult = TickleResult | ValidationResult | AccountsResult | BrokerageResult
"""The result of a GatewayRequest."""


@dataclass(frozen=True)
class GatewayChanged:
    """The gateway's parent has reported a change: Java answers locally, or it does not."""

    up: bool


@dataclass(frozen=True)
class GatewayStarting:
    """The gateway's parent has started a new Java, which does not answer yet."""


@dataclass(frozen=True)
class LoginReported:
    """The login wrote its section; `retry_in_s` is its `retry_at` in seconds from now."""

    section: LoginSection
    retry_in_s: float | None = None


@dataclass(frozen=True)
class LoginResultUnknown:
    """No login runs, and how the last one ended is unknown.

    It was killed, and so was what would have reported that; or no process could write the status file for a while.
    """


@dataclass(frozen=True)
class FetchHinted:
    """A fetch has met a lost session."""


@dataclass(frozen=True)
class PauseStarted:
    """A person asked that nothing logs in, until `until` or, if that is None, until they say otherwise."""

    until: datetime | None = None


@dataclass(frozen=True)
class PauseEnded:
    """The pause is over."""


@dataclass(frozen=True)
class WindowChanged:
    """One of IBKR's reset or maintenance windows opened, for `ends_in_s` seconds more; `name` None: none is open."""

    name: str | None
    ends_in_s: float = 0.0


Event = (
    Tick
    | GatewayResult
    | GatewayChanged
    | GatewayStarting
    | LoginReported
    | LoginResultUnknown
    | FetchHinted
    | PauseStarted
    | PauseEnded
    | WindowChanged
    | PushEvent
)


class GatewayRequest(StrEnum):
    """A request to the gateway that the state machine wants sent; its result comes back as an event.

    INIT_BROKERAGE asks for the brokerage tier if it is free, TAKE_BROKERAGE takes it from whoever has it, and so does
    REAUTHENTICATE: the jar always competes.
    """

    TICKLE = "tickle"
    VALIDATE = "validate"
    CHECK_AUTH_STATUS = "check-auth-status"
    LIST_ACCOUNTS = "list-accounts"
    REAUTHENTICATE = "reauthenticate"
    INIT_BROKERAGE = "init-brokerage"
    TAKE_BROKERAGE = "take-brokerage"


class LocalCommand(StrEnum):
    """What the state machine wants done on this machine; nothing comes back.

    REQUEST_FRESH_LOGIN asks for a login although there is a session. LISTEN opens the WebSocket for the push, whose
    frames are events.
    """

    REQUEST_LOGIN = "request-login"
    REQUEST_FRESH_LOGIN = "request-fresh-login"
    LISTEN = "listen"
    STOP_LISTENING = "stop-listening"
    RESTART_GATEWAY = "restart-gateway"


Command = GatewayRequest | LocalCommand
"""What the loop executes for the state machine."""
