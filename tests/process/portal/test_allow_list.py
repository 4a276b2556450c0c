"""Read-only by construction: every read can be asked for, and nothing else ever reaches the wire.

What each endpoint does is known here from tests.support.allow_list, which is written without the product's table.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ibkr_tools.config.loader import load_config
from ibkr_tools.fetch.client_factory import ClientFactory
from ibkr_tools.login.login_runner import make_client as login_client
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import (
    ENDPOINTS,
    READS,
    Endpoint,
    Pagination,
    Parameter,
    ParamIn,
    RequestKind,
    Tier,
)
from tests.support import allow_list
from tests.support.allow_list import Row
from tests.support.examples import examples
from tests.support.installation import Installation
from tests.support.no_rate_limit import NoRateLimit
from tests.support.simulation import make_certificate
from tests.support.tls_server import Scripted, http

REFUSED = "SCDWFGX"
"""The kinds that are never sent, but for the two session calls of the watchdog."""

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "")

TIERS = {"O": Tier.PORTFOLIO, "B": Tier.BROKERAGE}

OK = http("200 OK", b"{}", "Content-Type: application/json")


def template(path: str) -> str:
    """Returns a path without the names in its braces, which each source calls differently."""
    return re.sub(r"\{\w+\}", "{}", path)


def example(path: str) -> str:
    """Returns a path with every name filled in."""
    return re.sub(r"\{\w+\}", "1234567", path)


LISTED = {(one.method, template(one.path)): one for one in ENDPOINTS}
ROWS_READ = [row for row in allow_list.ENDPOINTS if row.kind == "R"]
ROWS_REFUSED = [row for row in allow_list.ENDPOINTS if row.kind in REFUSED]


def forged(method: str, path: str, kind: RequestKind = RequestKind.READ) -> Endpoint:
    """Returns a row that says it is harmless, which a mistake in our own code could make."""
    return Endpoint("forged", method, path, Tier.PORTFOLIO, kind)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scripted, Path]]:
    """A TLS server that takes everything and counts, and the certificate to reach it by."""
    folder = tmp_path_factory.mktemp("wire")
    make_certificate(folder)
    with Scripted(folder, OK) as server:
        yield server, folder / "certificate.pem"


@pytest.fixture(scope="module")
def clients(wire: tuple[Scripted, Path]) -> Iterator[list[PortalClient]]:
    """A client of every process, and one of the process that owns the session."""
    server, certificate = wire
    with (
        PortalClient(server.port, certificate, NoRateLimit()) as everyone,
        PortalClient(server.port, certificate, NoRateLimit(), owns_session=True) as owner,
    ):
        yield [everyone, owner]


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Scripted]:
    """A TLS server to which nothing may come: not one connection."""
    make_certificate(tmp_path)
    with Scripted(tmp_path, OK) as server:
        yield server
        assert server.connections == 0
        assert not server.requests


@pytest.fixture
def refusing(silent: Scripted, tmp_path: Path) -> Iterator[list[PortalClient]]:
    """Both kinds of client, of the server to which nothing may come."""
    certificate = tmp_path / "certificate.pem"
    with (
        PortalClient(silent.port, certificate, NoRateLimit()) as everyone,
        PortalClient(silent.port, certificate, NoRateLimit(), owns_session=True) as owner,
    ):
        yield [everyone, owner]


def test_the_allow_list_is_whole() -> None:
    """Its size, so that a slip of the pen in its text cannot empty it; reads may come to it."""
    counts = {kind: sum(row.kind == kind for row in allow_list.ENDPOINTS) for kind in "RKSCDWFGX"}
    assert counts.pop("R") >= 75
    assert counts == {"K": 3, "S": 14, "C": 4, "D": 17, "W": 35, "F": 1, "G": 16, "X": 57}
    assert len(set(allow_list.ENDPOINTS)) == len(allow_list.ENDPOINTS)


@pytest.mark.parametrize("row", ROWS_READ, ids=lambda row: f"{row.method} {row.path}")
def test_every_read_can_be_asked_for(row: Row, wire: tuple[Scripted, Path], clients: list[PortalClient]) -> None:
    """Under a name, by any process, with its own method; and that is what reaches IBKR."""
    endpoint = LISTED[row.method, template(row.path)]
    assert READS[endpoint.name] is endpoint
    assert endpoint.tier is TIERS[row.tier]
    server, _ = wire
    clients[0].request(endpoint, dict.fromkeys(endpoint.names, "1234567"))
    assert server.requests[-1].startswith(f"{row.method} /v1/api{example(row.path)} HTTP/1.1\r\n".encode())


def test_nothing_is_listed_that_is_not_a_read() -> None:
    """But what keeps the session alive, and the two calls that open the brokerage tier, the watchdog's alone."""
    known = {(row.method, template(row.path)): row.kind for row in allow_list.ENDPOINTS}
    kinds = {RequestKind.READ: "R", RequestKind.KEEPALIVE: "K", RequestKind.SESSION: "S"}
    for place, endpoint in LISTED.items():
        assert known[place] == kinds[endpoint.kind], place
    session = {one.path for one in ENDPOINTS if one.kind is RequestKind.SESSION}
    assert session == {"/iserver/auth/ssodh/init", "/iserver/reauthenticate"}


def test_documented_intervals() -> None:
    """Seconds between two calls, as IBKR's table of limits has them."""
    documented = {(row.method, template(row.path)): row.interval_s for row in allow_list.ENDPOINTS}
    assert {place: endpoint.interval_s for place, endpoint in LISTED.items()} == {
        place: documented[place] for place in LISTED
    }


@pytest.mark.parametrize("row", ROWS_REFUSED, ids=lambda row: f"{row.method} {row.path}")
def test_what_is_not_a_read_never_reaches_the_wire(row: Row, refusing: list[PortalClient]) -> None:
    """Under whatever kind, with names in the path or filled in, by whatever process."""
    for client in refusing:
        for path in {row.path, example(row.path)}:
            for kind in RequestKind:
                with pytest.raises(ValueError, match="not in the table"):
                    client.send(forged(row.method, path, kind), dict.fromkeys(forged("", path).names, "1234567"))


def test_only_the_owner_controls_the_session(refusing: list[PortalClient]) -> None:
    everyone, _ = refusing
    for endpoint in (one for one in ENDPOINTS if one.kind is RequestKind.SESSION):
        with pytest.raises(ValueError, match="owns the session"):
            everyone.send(endpoint, body={"publish": True, "compete": True} if endpoint.parameters else None)


def test_the_clients_of_a_fetch_and_of_a_login_do_not_control_the_session(silent: Scripted, tmp_path: Path) -> None:
    """Nothing is sent; that the watchdog's does is what tests/simulator/test_watchdog.py sees."""
    place = Installation(tmp_path / "place", {})
    place.configure(silent.port, tmp_path / "certificate.pem")
    config = load_config(place.directories.config_file)
    fetching, logging_in = ClientFactory(config, place.directories).create(), login_client(config, place.directories)
    assert isinstance(logging_in, PortalClient)
    with fetching, logging_in:
        for client in (fetching, logging_in):
            for endpoint in (one for one in ENDPOINTS if one.kind is RequestKind.SESSION):
                with pytest.raises(ValueError, match="owns the session"):
                    client.send(endpoint)


def test_a_listed_path_takes_no_other_method(refusing: list[PortalClient]) -> None:
    """DELETE /iserver/watchlist, PUT /fyi/disclaimer/{typecode} and POST …/allocation/presets write, for one."""
    for endpoint in ENDPOINTS:
        for method in METHODS:
            if (method, template(endpoint.path)) not in LISTED:
                with pytest.raises(ValueError, match="not in the table"):
                    refusing[1].send(replace(endpoint, method=method), dict.fromkeys(endpoint.names, "1"))


DETOURS = (
    "{}/",
    "/{}",
    "//{}",
    "{}?_method=DELETE",
    "{}#/iserver/account",
    "{}/../../logout",
    "{}/%2e%2e/logout",
    "{}%2f..%2flogout",
    "/../portal{}",
    "/../../v1/portal{}",
    "/%2e%2e/portal{}",
    "/v1/portal{}",
    "/v1/api{}",
    "{};x=1",
    "{}\r\nX-HTTP-Method-Override: DELETE\r\n",
    "@127.0.0.1/{}",
)
"""Other spellings of a path, some of which the gateway or IBKR would take for the same or for another."""


@pytest.mark.parametrize("detour", DETOURS)
def test_another_spelling_of_a_path_is_another_path(detour: str, refusing: list[PortalClient]) -> None:
    for endpoint in ENDPOINTS:
        with pytest.raises(ValueError, match="not in the table"):
            refusing[1].send(replace(endpoint, path=detour.replace("{}", endpoint.path)))


@pytest.mark.parametrize(
    "value", ["..", ".", "", "%2e%2e", "%2f", "a/b", "a//b", "a\\b", "a..b", "U1?force=true", "U1#", "U1\r\n", " "]
)
def test_a_name_is_one_segment(value: str, refusing: list[PortalClient]) -> None:
    for endpoint in (one for one in ENDPOINTS if one.names and one.kind is RequestKind.READ):
        for name in endpoint.names:
            with pytest.raises(ValueError, match="cannot be part of a path"):
                refusing[1].send(endpoint, dict.fromkeys(endpoint.names, "1") | {name: value})


def test_no_name_makes_a_read_into_something_else() -> None:
    """An account called `alert` would make another read of a read; nothing could make an order of it."""

    def may_be_equal(one: str, other: str) -> bool:
        parts = one.split("/"), other.split("/")
        pairs = zip(*parts, strict=False)
        return len(parts[0]) == len(parts[1]) and all(a == b or "{" in a or "{" in b for a, b in pairs)

    assert may_be_equal("/iserver/account/{account}/alerts", "/iserver/account/alert/{id}")
    for row in ROWS_REFUSED:
        for endpoint in READS.values():
            assert endpoint.method != row.method or not may_be_equal(endpoint.path, row.path)


@pytest.mark.parametrize("body", [{}, [], "", {"orders": []}, {"acctId": "U1234567"}, b"x"])
def test_a_get_has_no_body(body: object, refusing: list[PortalClient]) -> None:
    for endpoint in (one for one in READS.values() if one.method == "GET"):
        with pytest.raises(ValueError, match="no such parameter"):
            refusing[1].send(endpoint, dict.fromkeys(endpoint.names, "1"), body=body)


@pytest.mark.parametrize(
    "name", ["force", "_method", "X-HTTP-Method-Override", "method", "conid\r\nX: 1", "orders", ""]
)
def test_a_read_takes_its_own_parameters_only(name: str, refusing: list[PortalClient]) -> None:
    """`force` of the orders, which empties a cache, is none of ours."""
    for endpoint in READS.values():
        names = dict.fromkeys(endpoint.names, "1")
        with pytest.raises(ValueError, match="no such parameter"):
            refusing[1].send(endpoint, names, query={name: "true"})
        with pytest.raises(ValueError, match="no such parameter"):
            refusing[1].send(endpoint, names, body={name: "true"})


def test_no_header_says_another_method(wire: tuple[Scripted, Path], clients: list[PortalClient]) -> None:
    """A caller cannot give headers at all; these are all that ever leave."""
    server, _ = wire
    begun = len(server.requests)
    for endpoint in READS.values():
        clients[0].request(endpoint, dict.fromkeys(endpoint.names, "1"))
    clients[0].request(READS["performance"], body={"acctIds": ["U1234567"], "period": "1Y"})
    seen = {
        line.split(b":")[0].decode()
        for request in server.requests[begun:]
        for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    }
    ours = {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type"}
    assert seen == ours


values = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["..", "%2f", "U1/../../logout", "a?b", "a#b", "a&force=true", "é", "\r\nX: 1", "//", "@", "1"]),
)


def some_of(names: list[str]) -> st.SearchStrategy[str]:
    """Draws one of the names, or now and then another text."""
    return st.sampled_from(names * 5 + ["force", "..", "_method"]) if names else values


@examples(3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_values_make_another_request(
    data: st.DataObject, wire: tuple[Scripted, Path], clients: list[PortalClient]
) -> None:
    """Whatever is asked with any row: what reaches the wire is this row's method and path, with its own parameters."""
    endpoint = data.draw(st.sampled_from(list(READS.values())))
    own = [one.name for one in endpoint.parameters if one.location is ParamIn.QUERY]
    own += ["page"] if endpoint.pagination is Pagination.QUERY else []
    body_names = [one.name for one in endpoint.parameters if one.location is ParamIn.BODY]
    names = {name: data.draw(st.just("U1234567") | values) for name in endpoint.names}
    query = data.draw(st.dictionaries(some_of(own), values, max_size=3))
    body = data.draw(st.none() | st.dictionaries(some_of(body_names), values, max_size=2))
    server, _ = wire
    count = len(server.requests)
    try:
        clients[0].request(endpoint, names, query=query, body=body)
    except ValueError:
        assert len(server.requests) == count
        return
    (request,) = server.requests[count:]
    method, target, version = request.split(b"\r\n")[0].decode().split(" ")
    assert (method, version) == (endpoint.method, "HTTP/1.1")
    # An account's number may be anything that is no path; what is no letter of a path is escaped.
    account = re.sub(r"\{account\}", "[A-Za-z0-9_.~%-]+", endpoint.path)
    segments = re.sub(r"\{\w+\}", "[A-Za-z0-9_-]+", account)
    assert re.fullmatch(f"/v1/api{segments}", urlsplit(target).path)
    assert not re.search(r"%2f|%5c|%25|%3f|%23|%0|%1|\.\.", urlsplit(target).path.lower())
    assert {pair.split("=")[0] for pair in urlsplit(target).query.split("&") if pair} <= set(own)


@given(data=st.data())
def test_a_parameter_reads_what_fits_or_refuses(data: st.DataObject) -> None:
    """For a place in the path, what it lets through is one segment."""
    parameter: Parameter = data.draw(st.sampled_from([one for row in ENDPOINTS for one in row.parameters]))
    try:
        value = parameter.read(text := data.draw(values))
    except ValueError:
        return
    if parameter.location is not ParamIn.BODY:
        assert value == text
    if parameter.location is ParamIn.PATH:
        assert re.fullmatch("[A-Za-z0-9_-]+", value)
