"""The preconditions of a login: a gateway that has started, and no session.

The watchdog has a login begin as soon as a new Java does, so it waits while the gateway starts.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ibkr_tools.errors import RateLimited, SessionUnavailable, UpstreamUnavailable
from ibkr_tools.login.relay import wait_until_listening
from ibkr_tools.status import GatewaySection, StatusFile

if TYPE_CHECKING:
    from ibkr_tools.login.portal_protocol import Portal, SessionAnswer

GATEWAY_START_TIMEOUT_S = 60.0
"""The gateway's parent gives Java 50 s to answer."""

RELAY_SOCKET_TIMEOUT_S = 5.0
"""How long systemd may take from the gateway's readiness to ibkr-relay.socket, which comes after it."""


def await_gateway(status: StatusFile, port: int, clock: Callable[[], datetime]) -> None:
    """Returns when the gateway no longer starts, and can be reached from this process's network if it is up.

    Raises:
        OSError: see `StatusFile.wait`.
    """

    def has_started() -> bool:
        gateway = status.read_section(GatewaySection)
        return gateway is None or gateway.state != "starting" or gateway.is_stale(clock())

    status.wait(has_started, GATEWAY_START_TIMEOUT_S)
    gateway = status.read_section(GatewaySection)
    if gateway is not None and gateway.state == "up" and not gateway.is_stale(clock()):
        wait_until_listening(port, RELAY_SOCKET_TIMEOUT_S)


def find_session(portal: "Portal") -> "SessionAnswer | None":
    """Returns the session that there is, None without one.

    Raises:
        IbkrError: what is not an answer about the session: unknown is not lost.
    """
    try:
        answer = portal.tickle()
    except (RateLimited, UpstreamUnavailable):
        raise
    except SessionUnavailable:
        return None
    return answer if answer.has_session else None
