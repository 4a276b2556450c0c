"""The table of endpoints, the simulator's routes and its limits say the same; none can drift from the others."""

import re
from fnmatch import fnmatchcase

import pytest

from ibkr_tools.portal.endpoints import ENDPOINTS, READS, Endpoint
from ibkr_tools.simulator.application import make_application, make_context
from ibkr_tools.simulator.options import SimulatorOptions
from ibkr_tools.simulator.rate_limits import ENDPOINT_INTERVALS_S
from tests.support import allow_list

PREFIX = "/v1/api"

NOT_OURS = {
    ("GET", "/tickle"): "the gateway's own tickle; we send the documented POST",
    ("GET", "/iserver/auth/status"): "the gateway's own question; we send the documented POST",
    ("GET", "/ssodh/init"): "how the gateway opens the brokerage session",
    ("GET", "/ssodh/st"): "how the gateway opens the brokerage session",
    ("POST", "/iserver/auth/ssodh/response"): "how the gateway opens the brokerage session",
    ("*", "/iserver/reauthenticate"): "the gateway answers it under every method; we send POST",
    ("GET", "/logout"): "ends the session; the gateway sends it by itself",
    ("POST", "/logout"): "ends the session",
    ("GET", "/ws"): "the WebSocket; its topics have a table of their own",
    ("GET", "/iserver/account/trades/"): "how ibind spells it",
    ("POST", "/iserver/secdef/search"): "another form of the GET",
    ("POST", "/trsrv/secdef"): "an older form of the GET",
    ("POST", "/portfolio/{}/positions/invalidate"): "empties a cache",
    ("POST", "/iserver/marketdata/unsubscribe"): "ends a stream",
    ("GET", "/iserver/marketdata/unsubscribeall"): "ends streams",
    ("GET", "/iserver/marketdata/{}/unsubscribe"): "ends a stream",
}
"""What the simulator serves and this program never sends, and why; what would change or cost something aside."""


def template(path: str) -> str:
    """Returns a path without the names in its braces, which each side calls differently."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def served() -> set[tuple[str, str]]:
    """Returns what the simulator has a route for, by method and path."""
    application = make_application(make_context(SimulatorOptions(positions=1)))
    return {
        (route.method, template(route.resource.canonical.removeprefix(PREFIX)))
        for route in application.router.routes()
        if route.resource and route.resource.canonical.startswith(PREFIX) and "{rest" not in route.resource.canonical
    }


ROUTES = served()
TRAPS = {(row.method, template(row.path)) for row in allow_list.ENDPOINTS if row.kind in "WF"}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_the_simulator_has_a_route_for_every_row(endpoint: Endpoint) -> None:
    path = template(endpoint.path)
    assert ROUTES & {(endpoint.method, path), ("*", path)}


def test_the_simulator_serves_nothing_else() -> None:
    """But what is trapped, and what is said here, with a reason."""
    listed = {(one.method, template(one.path)) for one in ENDPOINTS}
    # aiohttp answers HEAD wherever it answers GET.
    others = {(method, path) for method, path in ROUTES - listed - TRAPS if method != "HEAD"}
    assert others == set(NOT_OURS)
    assert not listed & set(NOT_OURS)


def test_every_mutation_is_trapped_by_the_simulator() -> None:
    """So that a test that counts them counts all of them."""
    assert TRAPS <= ROUTES


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_the_limits_are_the_same(endpoint: Endpoint) -> None:
    path = re.sub(r"\{\w+\}", "1", endpoint.path)
    limits = {interval for pattern, interval in ENDPOINT_INTERVALS_S.items() if fnmatchcase(path, pattern)}
    assert limits == ({endpoint.interval_s} if endpoint.interval_s else set())


def test_no_limit_is_of_nothing() -> None:
    """A limit of the simulator is one of a row, or of a call that changes settings."""
    paths = [re.sub(r"\{\w*\}", "1", path) for _, path in {(one.method, one.path) for one in READS.values()} | ROUTES]
    paths += [one.path for one in ENDPOINTS]
    assert [pattern for pattern in ENDPOINT_INTERVALS_S if not any(fnmatchcase(path, pattern) for path in paths)] == []
