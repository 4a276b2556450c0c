"""The user of the simulator, with whom everything can be tried without an account. Pure."""

from collections.abc import Mapping
from typing import Any

from ibkr_tools.config import example
from ibkr_tools.simulator_ports import SIMULATOR_PORT

USERNAME = "demo-reader"
PASSWORD = "demo-password"  # noqa: S105  # it opens a made-up account
ACCOUNT = "U1234567"
UPSTREAM = f"http://127.0.0.1:{SIMULATOR_PORT}"


def simulated_configuration(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the configuration for the simulator; None if `document` is somebody's own, which stays as it is.

    An empty one and the example are nobody's; one that is the simulator's is returned as it is, but for a password.
    """
    gateway = document.get("gateway")
    if isinstance(gateway, Mapping) and gateway.get("upstream") == UPSTREAM:
        return {key: value for key, value in document.items() if key != "password"}
    if document and "username" not in dict(example.unreplaced_values(document)):
        return None
    return {"username": USERNAME, "account": ACCOUNT, "gateway": {"upstream": UPSTREAM}}
