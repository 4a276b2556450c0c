"""IPv4 or IPv6: what Java is told, by the routes that this machine has. Source: java.net's networking properties.

IBKR starts Java for IPv4 alone. On a machine that has IPv6 alone, no connection could then be made, and Java says no
more than that IBKR cannot be reached.
"""

import socket

__all__ = ["has_route", "java_properties"]

_DOCUMENTATION_ADDRESSES = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that are nobody's, so that only a default route leads there. Sources: RFC 5737, RFC 3849."""

_DISCARD_PORT = 9


def has_route(family: socket.AddressFamily) -> bool:
    """Says whether the machine has a default route for `family`. No packet is sent: only the route is looked up."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_DOCUMENTATION_ADDRESSES[family], _DISCARD_PORT))
    except OSError:
        return False
    return True


def java_properties(*, has_ipv4: bool, has_ipv6: bool) -> tuple[str, ...]:
    """Returns Java's options for a machine with these routes.

    Without IPv4, Java listens on every address of both families, and 127.0.0.1 is one of them. A name that has
    addresses of both families is reached by IPv6 then; where no route is known yet, as the system orders them, which
    Java 8 does not know and takes for IPv4 first.
    """
    if has_ipv4:
        return ("-Djava.net.preferIPv4Stack=true",)
    return (f"-Djava.net.preferIPv6Addresses={'true' if has_ipv6 else 'system'}",)
