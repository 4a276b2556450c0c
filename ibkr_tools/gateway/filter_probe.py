"""Is the packet filter in the kernel, for this port, now? Anybody may ask: one of its rules refuses everybody.

The filter rejects whatever goes to our ports at `PROBE_ADDRESS`, an address of this machine that nobody uses. While
something listens on the port of every address, a connection there is refused by the filter, or made because there is
none. Standard library only: the gateway's parent asks with every probe.
"""

import errno
import socket
from enum import StrEnum

from ibkr_tools.installation import INSTALL_SERVICES
from ibkr_tools.polling import poll_until

PROBE_ADDRESS = "127.0.0.2"

_TIMEOUT_S = 1.0
_POLL_S = 0.25
"""Nobody accepts the connections that are made meanwhile, and the kernel keeps a hundred or so waiting."""


class FilterPolicy(StrEnum):
    """What the gateway makes of the packet filter; docs/systemd.md."""

    REQUIRED = "required"
    """Without it the gateway does not run."""

    PROBED = "probed"
    """Without it the gateway warns, and runs."""

    OTHER = "other"
    """Another packet filter does its work: nobody asks."""


def exposure_warning(port: int) -> str:
    """Returns what it means that nothing guards `port`, in a sentence."""
    return (
        f"EXPOSED: no packet filter guards port {port}. Every local user, and everybody on this machine's network, "
        f"can use the gateway as its IBKR user. Run it as a service ({INSTALL_SERVICES}), which brings the filter"
    )


def is_filtered(port: int) -> bool | None:
    """Says whether the filter guards `port`, on which something listens at every address of this machine.

    None: nobody can say now, as on a machine that has no more sockets or ports to give, which any local user can bring
    about. Only a connection that was made shows that there is no filter.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(_TIMEOUT_S)
        return {errno.ECONNREFUSED: True, 0: False}.get(probe.connect_ex((PROBE_ADDRESS, port)))


def await_filter(port: int, timeout_s: float) -> bool | None:
    """Asks `is_filtered` until it says True, for at most `timeout_s` seconds, and returns its last answer.

    The filter may be missing for a moment because it is loaded anew.
    """
    is_guarded: bool | None = None

    def is_guarded_now() -> bool | None:
        nonlocal is_guarded
        is_guarded = is_filtered(port)
        return is_guarded

    poll_until(is_guarded_now, timeout_s, _POLL_S)
    return is_guarded
