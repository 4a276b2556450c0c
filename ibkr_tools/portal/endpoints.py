"""The one table of what may be sent to IBKR; what is not listed here cannot leave the process.

Sources: IBKR Campus "Web API v1.0 Documentation" (paths, pacing); the tier of each family is IBKR's principle that
/portfolio needs no brokerage session.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """Which of the two sessions an endpoint needs."""

    PORTFOLIO = "portfolio"
    BROKERAGE = "brokerage"


class Kind(StrEnum):
    """What a request does.

    READ changes nothing. KEEPALIVE reads and keeps the session alive. SESSION controls the session (never orders,
    settings or money); only the process that owns the session may send it.
    """

    READ = "read"
    KEEPALIVE = "keepalive"
    SESSION = "session"


@dataclass(frozen=True)
class Endpoint:
    """One method and path under `/v1/api`, with `{names}` for what the caller fills in.

    `interval_s` is the least time between two calls that IBKR documents, in seconds; 0: only the overall limit.
    """

    name: str
    method: str
    path: str
    tier: Tier
    kind: Kind
    interval_s: float = 0.0

    def fill(self, **names: str) -> str:
        """Returns the path with its names filled in.

        Raises:
            ValueError: a value that could name another path (a slash, a dot, an escape).
        """
        for name, value in names.items():
            if not re.fullmatch(r"[A-Za-z0-9_\-]+", value):
                raise ValueError(f"{name} {value!r} cannot be part of a path")
        return self.path.format(**names)


TICKLE = Endpoint("tickle", "POST", "/tickle", Tier.PORTFOLIO, Kind.KEEPALIVE, 1.0)
VALIDATE = Endpoint("validate", "GET", "/sso/validate", Tier.PORTFOLIO, Kind.KEEPALIVE, 60.0)
AUTH_STATUS = Endpoint("auth-status", "POST", "/iserver/auth/status", Tier.PORTFOLIO, Kind.KEEPALIVE)
SSODH_INIT = Endpoint("ssodh-init", "POST", "/iserver/auth/ssodh/init", Tier.PORTFOLIO, Kind.SESSION)
REAUTHENTICATE = Endpoint("reauthenticate", "POST", "/iserver/reauthenticate", Tier.PORTFOLIO, Kind.SESSION)
USER = Endpoint("user", "GET", "/one/user", Tier.PORTFOLIO, Kind.READ)
ACCOUNTS = Endpoint("accounts", "GET", "/portfolio/accounts", Tier.PORTFOLIO, Kind.READ, 5.0)
SUMMARY = Endpoint("summary", "GET", "/portfolio/{account}/summary", Tier.PORTFOLIO, Kind.READ)
LEDGER = Endpoint("ledger", "GET", "/portfolio/{account}/ledger", Tier.PORTFOLIO, Kind.READ)
ALLOCATION = Endpoint("allocation", "GET", "/portfolio/{account}/allocation", Tier.PORTFOLIO, Kind.READ)
POSITIONS = Endpoint("positions", "GET", "/portfolio/{account}/positions/{page}", Tier.PORTFOLIO, Kind.READ)

ENDPOINTS = (
    TICKLE,
    VALIDATE,
    AUTH_STATUS,
    SSODH_INIT,
    REAUTHENTICATE,
    USER,
    ACCOUNTS,
    SUMMARY,
    LEDGER,
    ALLOCATION,
    POSITIONS,
)
