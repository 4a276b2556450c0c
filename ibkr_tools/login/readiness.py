"""Waits for the gateway while it starts: the watchdog has a login begin as soon as a new Java does."""

from collections.abc import Callable
from datetime import datetime

from ibkr_tools.login.relay import wait_until_listening
from ibkr_tools.status import GatewaySection, StatusFile

GATEWAY_START_S = 60.0
"""The gateway's parent gives Java 50 s to answer."""

SOCKET_OPENS_S = 5.0
"""How long systemd may take from the gateway's readiness to ibkr-relay.socket, which comes after it."""


def await_gateway(status: StatusFile, port: int, clock: Callable[[], datetime]) -> None:
    """Returns when the gateway no longer starts, and can be reached from this process's network if it is up.

    Raises:
        OSError: see `StatusFile.wait`.
    """

    def settled() -> bool:
        gateway = status.read_section(GatewaySection)
        return gateway is None or gateway.state != "starting" or gateway.is_stale(clock())

    status.wait(settled, GATEWAY_START_S)
    gateway = status.read_section(GatewaySection)
    if gateway is not None and gateway.state == "up" and not gateway.is_stale(clock()):
        wait_until_listening(port, SOCKET_OPENS_S)
