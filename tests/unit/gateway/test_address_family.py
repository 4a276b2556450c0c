"""What Java is told about IPv4 and IPv6."""

import pytest

from ibkr_tools.gateway.address_family import java_properties


@pytest.mark.parametrize(
    ("has_ipv4", "has_ipv6", "expected"),
    [
        (True, True, "-Djava.net.preferIPv4Stack=true"),
        (True, False, "-Djava.net.preferIPv4Stack=true"),
        (False, True, "-Djava.net.preferIPv6Addresses=true"),
        (False, False, "-Djava.net.preferIPv6Addresses=system"),
    ],
)
def test_properties(has_ipv4: bool, has_ipv6: bool, expected: str) -> None:
    """IPv4 alone wherever there is a route for it, as IBKR starts it; never where there is none."""
    assert java_properties(has_ipv4=has_ipv4, has_ipv6=has_ipv6) == (expected,)
