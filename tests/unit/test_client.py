"""The portal client against a real TLS server that misbehaves in every way a gateway could."""

import contextlib
import inspect
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from requests import exceptions
from urllib3 import exceptions as urllib3_exceptions

from ibkr_tools.errors import (
    ConfigError,
    DataError,
    GatewayUnavailable,
    IbkrError,
    RateLimited,
    SessionUnavailable,
    UpstreamSilent,
    UpstreamUnavailable,
)
from ibkr_tools.portal import client as module
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.client import Answer, PortalClient
from ibkr_tools.portal.endpoints import Endpoint, Kind, Tier
from ibkr_tools.portal.pacing import SharedPacing, Unpaced
from ibkr_tools.portal.recall import Recall
from ibkr_tools.portal.reservations import JITTER_S, Turn
from tests.support.simulation import make_certificate, wait_until
from tests.support.tls_server import Scripted, http

OK = http("200 OK", b"[]", "Content-Type: application/json")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate and key of the one gateway to trust."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    return folder


class Recording(Unpaced):
    """A budget that never waits, notes what was claimed, and refuses from the `limit`th claim on."""

    def __init__(self, limit: int = 1000) -> None:
        self.claims: list[str] = []
        self.penalties = 0
        self._limit = limit

    def claim(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Turn:
        if len(self.claims) >= self._limit:
            raise RateLimited("enough")
        self.claims.append(endpoint.name)
        return Turn(endpoint, 0.0, 0.0)

    def penalise(self, stated_s: float | None = None) -> None:
        self.penalties += 1


@contextlib.contextmanager
def client_of(server: Scripted | int, material: Path, **options: Any) -> Iterator[PortalClient]:
    """Opens a client of a server, with a short patience."""
    port = server if isinstance(server, int) else server.port
    options.setdefault("read_timeout_s", 0.5)
    with PortalClient(port, material / "certificate.pem", **options) as client:
        yield client


def close(connection: socket.socket) -> None:
    """Ends the connection without an answer."""
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """Ends it with RST, as a dying process does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_read_is_sent_as_ibkr_wants_it(material: Path) -> None:
    with Scripted(material, OK) as server, client_of(server, material) as client:
        assert client.accounts() == []
        head = server.requests[0].decode()
    assert head.startswith("GET /v1/api/portfolio/accounts HTTP/1.1\r\n")
    assert "User-Agent: ibkr-tools\r\n" in head
    assert "Accept: */*\r\n" in head


def test_a_post_without_a_body_says_its_length(material: Path) -> None:
    """IBKR's edge answers 411 otherwise."""
    answer = http("200 OK", json.dumps({"session": "a" * 32}).encode())
    with Scripted(material, answer) as server, client_of(server, material) as client:
        client.tickle()
        assert b"content-length: 0\r\n" in server.requests[0].lower()


def test_a_body_is_json(material: Path) -> None:
    answer = http("200 OK", b"{}")
    with Scripted(material, answer) as server, client_of(server, material, owns_session=True) as client:
        client.request(endpoints.SSODH_INIT, body={"publish": True, "compete": False})
        assert server.requests[0].endswith(b'{"publish": true, "compete": false}')


def test_the_wait_for_a_turn_is_the_callers(material: Path, tmp_path: Path) -> None:
    """Whoever has another time than the machine's can let it pass."""
    paused: list[float] = []
    pacing = SharedPacing(tmp_path / "pacing.json", clock=lambda: sum(paused), wall=lambda: sum(paused))
    with (
        Scripted(material, OK, OK) as server,
        client_of(server, material, pacing=pacing, pause=paused.append) as client,
    ):
        client.accounts()
        client.accounts()
    assert paused == [5.0 + JITTER_S]


def test_a_long_wait_is_told_before_it_begins(material: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    passed: list[float] = []
    pacing = SharedPacing(tmp_path / "pacing.json", clock=lambda: sum(passed), wall=lambda: sum(passed))
    with (
        Scripted(material, OK) as server,
        client_of(
            server,
            material,
            pacing=pacing,
            pause=passed.append,
            on_wait=lambda where, seconds: told.append((where, seconds)),
        ) as client,
    ):
        client.accounts()
        client.request(endpoints.SUMMARY, {"account": "U1234567"})
        assert told == []
        client.accounts()
    assert told == [("GET /portfolio/accounts", 5.0 + JITTER_S)]


def test_a_turn_that_comes_too_late_is_refused_at_once(material: Path, tmp_path: Path) -> None:
    pacing = SharedPacing(tmp_path / "pacing.json", clock=lambda: 0.0, wall=lambda: 0.0)
    with Scripted(material, OK) as server, client_of(server, material, pacing=pacing, max_wait_s=3.0) as client:
        client.accounts()
        with pytest.raises(RateLimited, match=r"asked too often; possible in 6 s") as caught:
            client.accounts()
        assert len(server.requests) == 1
    assert caught.value.wait_s == pytest.approx(5.0 + JITTER_S)


def test_a_long_wait_holds_no_place_among_those_under_way(material: Path, tmp_path: Path) -> None:
    """While one waits for its interval, four others go on."""
    passed: list[float] = []
    pacing = SharedPacing(tmp_path / "pacing.json", clock=lambda: sum(passed), wall=lambda: sum(passed))

    def pause(seconds: float) -> None:
        passed.append(seconds)
        with contextlib.ExitStack() as held:
            for _ in range(4):
                held.enter_context(pacing.under_way(0.0, passed.append, lambda _: None))

    with Scripted(material, OK) as server, client_of(server, material, pacing=pacing, pause=pause) as client:
        client.accounts()
        client.accounts()
        assert len(server.requests) == 2
    assert passed == [5.0 + JITTER_S]


def test_four_reads_are_under_way_at_most_and_a_tickle_besides(material: Path, tmp_path: Path) -> None:
    """Who keeps the session alive does not queue behind reads that hang."""
    pacing = SharedPacing(tmp_path / "pacing.json")
    tickled = http("200 OK", b'{"session": "a"}')
    with Scripted(material, tickled) as server, contextlib.ExitStack() as held:
        for _ in range(4):
            held.enter_context(pacing.under_way(0.0, lambda _: None, lambda _: None))
        with client_of(server, material, pacing=pacing, max_wait_s=0.1) as client:
            assert client.tickle().has_session
            with pytest.raises(RateLimited, match="4 reads are under way"):
                client.request(endpoints.SUMMARY, {"account": "U1234567"})
        with client_of(server, material, pacing=pacing, max_wait_s=0.1, owns_session=True) as owner:
            owner.request(endpoints.LEDGER, {"account": "U1234567"})
        assert len(server.requests) == 2


PERFORMANCE = http("200 OK", b'{"nav": 1.50, "rc":0 }')
ONE_MONTH: dict[str, Any] = {"acctIds": ["U1234567"], "period": "1M"}


def test_a_slow_endpoint_is_answered_from_what_is_remembered(material: Path, tmp_path: Path) -> None:
    """Bytes as they came, with their age, in any process of the same user; and then without a gateway."""
    pacing = SharedPacing(tmp_path / "pacing.json")
    with Scripted(material, PERFORMANCE) as server:
        with client_of(server, material, pacing=pacing, recall=Recall(tmp_path, "reader")) as client:
            first = client.ask(endpoints.PERFORMANCE, body=ONE_MONTH)
        with client_of(server, tmp_path, pacing=pacing, recall=Recall(tmp_path, "reader")) as client:
            again = client.ask(endpoints.PERFORMANCE, body=dict(reversed(ONE_MONTH.items())))
        assert len(server.requests) == 1
    assert (first.age_s, first.body) == (0.0, b'{"nav": 1.50, "rc":0 }')
    assert again.age_s > 0.0
    assert (again.payload, again.body) == (first.payload, first.body)


def test_a_slow_endpoint_with_other_parameters_has_to_wait(material: Path, tmp_path: Path) -> None:
    pacing = SharedPacing(tmp_path / "pacing.json")
    recall = Recall(tmp_path, "reader")
    with Scripted(material, PERFORMANCE) as server:
        with client_of(server, material, pacing=pacing, recall=recall) as client:
            client.ask(endpoints.PERFORMANCE, body=ONE_MONTH)
            with pytest.raises(RateLimited, match="possible in 16 min") as caught:
                client.ask(endpoints.PERFORMANCE, body={**ONE_MONTH, "period": "1Y"})
        assert len(server.requests) == 1
    assert caught.value.wait_s == pytest.approx(900.0, abs=5.0)


def test_two_who_ask_the_same_at_once_ask_ibkr_once(material: Path, tmp_path: Path) -> None:
    """The second would have to wait for a quarter of an hour otherwise."""
    pacing = SharedPacing(tmp_path / "pacing.json")
    waiting = threading.Event()
    got: list[Answer] = []

    def hold(connection: socket.socket) -> None:
        assert waiting.wait(10)
        connection.sendall(PERFORMANCE)

    def ask(pause: Callable[[float], object] | None = None) -> None:
        recall = Recall(tmp_path, "reader")
        with client_of(server, material, pacing=pacing, recall=recall, read_timeout_s=10.0, pause=pause) as client:
            got.append(client.ask(endpoints.PERFORMANCE, body=ONE_MONTH))

    def pause(seconds: float) -> None:
        waiting.set()
        threading.Event().wait(seconds)

    with Scripted(material, hold) as server:
        first = threading.Thread(target=ask)
        first.start()
        wait_until(lambda: len(server.requests) == 1)
        ask(pause)
        first.join()
        assert len(server.requests) == 1
    assert sorted(answer.age_s > 0.0 for answer in got) == [False, True]
    assert got[0].body == got[1].body


def test_a_call_that_failed_keeps_nobody_waiting(material: Path, tmp_path: Path) -> None:
    recall = Recall(tmp_path, "reader")
    with Scripted(material, http("503 Service Unavailable"), PERFORMANCE) as server:
        with client_of(server, material, recall=recall) as client, pytest.raises(UpstreamUnavailable):
            client.ask(endpoints.PERFORMANCE, body=ONE_MONTH)
        with client_of(server, material, recall=recall, pause=lambda _: pytest.fail("waited")) as client:
            assert client.ask(endpoints.PERFORMANCE, body=ONE_MONTH).age_s == 0.0


def test_another_users_answer_is_not_served(material: Path, tmp_path: Path) -> None:
    """Nor the paper account's."""
    with Scripted(material, PERFORMANCE) as server:
        for recall in (Recall(tmp_path, "one"), Recall(tmp_path, "other"), Recall(tmp_path, "one", paper=True)):
            with client_of(server, material, recall=recall) as client:
                assert client.ask(endpoints.PERFORMANCE, body=ONE_MONTH).age_s == 0.0
        assert len(server.requests) == 3


def test_a_quick_endpoint_is_remembered_only_for_who_wants_it(material: Path, tmp_path: Path) -> None:
    rows = http("200 OK", b'[{"id": "U1234567"}]')
    with Scripted(material, rows) as server, client_of(server, material, recall=Recall(tmp_path, "one")) as client:
        assert client.ask(endpoints.ACCOUNTS).age_s == 0.0
        assert client.ask(endpoints.ACCOUNTS).age_s == 0.0
        assert client.ask(endpoints.ACCOUNTS, recall=True).age_s > 0.0
        assert client.accounts(recall=True) == [{"id": "U1234567"}]
        assert len(server.requests) == 2


def test_nothing_is_worth_no_remembering(material: Path, tmp_path: Path) -> None:
    """A fresh session may list no accounts at first; asked again, it is IBKR who is asked."""
    with Scripted(material, OK) as server, client_of(server, material, recall=Recall(tmp_path, "one")) as client:
        for _ in range(2):
            assert client.accounts(recall=True) == []
        assert len(server.requests) == 2


def test_an_answer_without_a_body_is_null(material: Path) -> None:
    """A document that is made of answers' bytes stays JSON."""
    with Scripted(material, http("204 No Content")) as server, client_of(server, material) as client:
        answer = client.ask(endpoints.USER)
    assert (answer.payload, answer.body) == (None, b"null")


def test_what_is_not_listed_is_not_sent(material: Path) -> None:
    """Neither another path nor another parameter of a listed one."""
    order = Endpoint("order", "POST", "/iserver/account/{account}/orders", Tier.BROKERAGE, Kind.READ)
    with Scripted(material, OK) as server, client_of(server, material) as client:
        with pytest.raises(ValueError, match="not in the table"):
            client.request(order, {"account": "U1234567"})
        with pytest.raises(ValueError, match="no such parameter"):
            client.request(endpoints.ACCOUNTS, query={"_method": "DELETE"})
        with pytest.raises(ValueError, match="no such parameter"):
            client.request(endpoints.ACCOUNTS, body={"acctId": "U1234567"})
        with pytest.raises(ValueError, match="cannot be part of a path"):
            client.request(endpoints.SUMMARY, {"account": "../iserver/account"})
        assert server.connections == 0


def test_nobody_listens(material: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with client_of(port, material) as client, pytest.raises(GatewayUnavailable, match="nothing listens") as caught:
        client.tickle()
    assert caught.value.hint == "systemctl start ibkr-gateway"


def test_a_gateway_that_never_ran_has_no_certificate(tmp_path: Path) -> None:
    """requests answers a missing certificate with a bare OSError."""
    with PortalClient(1, tmp_path / "gateway.pem") as client, pytest.raises(GatewayUnavailable, match="never started"):
        client.tickle()


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "gateway.pem").mkdir()
    with PortalClient(1, tmp_path / "gateway.pem") as client, pytest.raises(ConfigError, match="directory"):
        client.tickle()


def test_a_stranger_on_the_port_gets_nothing(material: Path, tmp_path: Path) -> None:
    """Another certificate, even for the same name: not one byte of a request is sent."""
    make_certificate(tmp_path)
    with (
        Scripted(tmp_path, OK) as server,
        client_of(server, material) as client,
        pytest.raises(ConfigError, match="does not have the gateway's certificate"),
    ):
        client.tickle()
    assert server.requests == []


def test_a_certificate_of_a_public_authority_is_not_enough(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment cannot widen whom we trust."""
    certificate, _ = make_certificate(tmp_path)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(certificate))
    with Scripted(tmp_path, OK) as server, client_of(server, material) as client, pytest.raises(ConfigError):
        client.tickle()


def test_plain_http_on_the_port_is_told(material: Path) -> None:
    with (
        Scripted(material, b"HTTP/1.0 400 Bad Request\r\n\r\n", tls=False) as server,
        client_of(server, material) as client,
        pytest.raises(IbkrError) as caught,
    ):
        client.tickle()
    assert isinstance(caught.value, ConfigError | UpstreamUnavailable)


@pytest.mark.parametrize(
    "target",
    [
        "/sso/Login?forwardTo=22&RL=1",
        "https://api.ibkr.com/sso/Login",
        "https://[/sso/",
        "http://\x7f/sso/",
        "//\xff\xfe/sso/",
    ],
)
def test_a_redirect_is_never_followed_nor_even_parsed(material: Path, target: str) -> None:
    answer = http("302 Found", b"", "Location: ").replace(b"Location: ", b"Location: " + target.encode("latin-1"))
    with Scripted(material, answer) as server, client_of(server, material) as client:
        with pytest.raises(SessionUnavailable, match="asks for a login"):
            client.validate()
        assert len(server.requests) == 1


def test_a_cookie_is_neither_kept_nor_sent(material: Path) -> None:
    answer = http("200 OK", b'{"session": "a"}', "Set-Cookie: x-sess-uuid=1; Path=/")
    with Scripted(material, answer) as server, client_of(server, material) as client:
        client.tickle()
        client.tickle()
        assert len(server.requests) == 2
        assert b"cookie" not in b"".join(server.requests).lower()


def test_silence_ends_at_the_deadline(material: Path) -> None:
    """The jar never answers while IBKR cannot be reached."""

    def hang(_: socket.socket) -> None:
        server.stopped.wait(10)

    with Scripted(material, hang) as server, client_of(server, material) as client:
        begun = time.monotonic()
        with pytest.raises(UpstreamSilent, match=r"no answer within 0\.5 s"):
            client.tickle()
        assert time.monotonic() - begun < 2.0
        assert len(server.requests) == 1


def test_silence_in_the_middle_of_an_answer_ends_too(material: Path) -> None:
    def half(connection: socket.socket) -> None:
        connection.sendall(http("200 OK", b"[", length=100))
        server.stopped.wait(10)

    with Scripted(material, half) as server, client_of(server, material) as client, pytest.raises(UpstreamSilent):
        client.accounts()


def test_a_drip_ends_at_the_deadline(material: Path) -> None:
    """Chunks that keep coming renew a socket's own timeout for ever."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not server.stopped.wait(0.1):
            connection.sendall(b"1\r\n \r\n")

    with Scripted(material, drip) as server, client_of(server, material, read_timeout_s=0.3) as client:
        client._timeouts = (0.2, 0.3)
        begun = time.monotonic()
        with pytest.raises(UpstreamSilent):
            client.accounts()
        assert time.monotonic() - begun < 3.0


@pytest.mark.parametrize("end", [close, reset])
def test_a_closed_connection_is_tried_once_more(material: Path, end: Any) -> None:
    with Scripted(material, end, OK) as server, client_of(server, material) as client:
        assert client.accounts() == []
        assert len(server.requests) == 2


def test_a_second_closed_connection_is_told(material: Path) -> None:
    with Scripted(material, close) as server, client_of(server, material) as client:
        with pytest.raises(UpstreamUnavailable, match="closed without an answer") as caught:
            client.accounts()
        assert len(server.requests) == 2
    assert type(caught.value) is UpstreamUnavailable


@pytest.mark.parametrize("endpoint", [one for one in endpoints.ENDPOINTS if one.kind is Kind.SESSION])
def test_session_control_is_its_owners(material: Path, endpoint: Endpoint) -> None:
    with Scripted(material, OK) as server, client_of(server, material) as client:
        with pytest.raises(ValueError, match="owns the session"):
            client.request(endpoint)
        assert not server.requests


@pytest.mark.parametrize("endpoint", [one for one in endpoints.ENDPOINTS if one.kind is Kind.SESSION])
def test_session_control_is_never_sent_twice(material: Path, endpoint: Endpoint) -> None:
    """Each `ssodh/init` may throw another program out."""
    with Scripted(material, close) as server, client_of(server, material, owns_session=True) as client:
        with pytest.raises(UpstreamUnavailable):
            client.request(endpoint)
        assert len(server.requests) == 1


def test_the_second_try_counts_too(material: Path) -> None:
    """The first one may have reached IBKR: both draw on the budget, and without one left there is no second."""
    budget, poor = Recording(), Recording(limit=1)
    with Scripted(material, close, OK) as server, client_of(server, material, pacing=budget) as client:
        client.accounts()
    assert budget.claims == ["accounts", "accounts"]
    with Scripted(material, close, OK) as server, client_of(server, material, pacing=poor) as client:
        with pytest.raises(UpstreamUnavailable, match="closed"):
            client.accounts()
        assert len(server.requests) == 1


def test_a_connection_that_idled_away_is_no_failure(material: Path) -> None:
    """The gateway may close a kept connection between two tickles."""
    answered = http("200 OK", b'{"session": "a"}')

    def answer_and_close(connection: socket.socket) -> None:
        connection.sendall(answered)
        connection.shutdown(socket.SHUT_RDWR)

    with Scripted(material, answer_and_close, answered) as server, client_of(server, material) as client:
        assert client.tickle().has_session
        assert client.tickle().has_session
        assert server.connections == 2


BROKEN = {
    "truncated": http("200 OK", b'[{"id"', length=500),
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "bad-status": b"HTTP/1.1 abc\r\n\r\n",
    "bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad-gzip": http("200 OK", b"not gzip", "Content-Encoding: gzip"),
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "endless-header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "many-headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(300)) + b"\r\n",
    "binary-header": b"HTTP/1.1 200 OK\r\n\xff\xfe: \x80\r\nContent-Length: 3\r\n\r\n[1,",
    "empty": b"\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_our_error(material: Path, name: str) -> None:
    def send(connection: socket.socket) -> None:
        connection.sendall(BROKEN[name])
        connection.shutdown(socket.SHUT_RDWR)

    with (
        Scripted(material, send) as server,
        client_of(server, material) as client,
        pytest.raises(IbkrError) as caught,
    ):
        client.accounts()
    assert isinstance(caught.value, UpstreamUnavailable | DataError)


def test_a_huge_answer_is_cut_off(material: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressed answer counts by what it becomes."""
    import zlib

    compressor = zlib.compressobj(wbits=31)
    bomb = compressor.compress(b" " * (module.LARGEST_ANSWER + 1_000_000)) + compressor.flush()
    answer = http("200 OK", bomb, "Content-Encoding: gzip")
    with (
        Scripted(material, answer) as server,
        client_of(server, material, read_timeout_s=20.0) as client,
        pytest.raises(DataError, match="larger than 64 MB"),
    ):
        client.accounts()


def test_a_429_is_told_to_everyone(material: Path) -> None:
    budget = Recording()
    with (
        Scripted(material, http("429 Too Many Requests")) as server,
        client_of(server, material, pacing=budget) as client,
        pytest.raises(RateLimited),
    ):
        client.accounts()
    assert budget.penalties == 1


def test_our_own_budget_is_no_429(material: Path) -> None:
    """Having to wait is no reason to shut everybody out."""
    budget = Recording(limit=0)
    with Scripted(material, OK) as server, client_of(server, material, pacing=budget) as client:
        with pytest.raises(RateLimited):
            client.accounts()
        assert server.requests == []
    assert budget.penalties == 0


@pytest.mark.parametrize("no_proxy", ["", "internal.example"])
def test_proxies_of_the_environment_are_ignored(material: Path, monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    with Scripted(material, OK, tls=False) as proxy, Scripted(material, OK) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", no_proxy)
        with client_of(server, material) as client:
            assert client.accounts() == []
        assert proxy.connections == 0


def test_a_netrc_is_ignored(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Scripted(material, OK) as server, client_of(server, material) as client:
        client.accounts()
        assert b"authorization" not in server.requests[0].lower()


# Every foreign exception.


def foreign() -> list[BaseException]:
    """Builds one of each exception class that requests and urllib3 define."""
    found: list[BaseException] = []
    pool = urllib3.HTTPSConnectionPool("127.0.0.1", 1)
    for library, base in (
        (exceptions, exceptions.RequestException),
        (urllib3_exceptions, urllib3_exceptions.HTTPError),
    ):
        for _, kind in inspect.getmembers(library, inspect.isclass):
            if not issubclass(kind, base):
                continue
            for arguments in (
                (),
                ("text",),
                (pool, "text"),
                (pool, "url", "text"),
                ("text", "", 0),
                (urllib3.HTTPResponse(b""), b"zz"),
                ("a", "b", "c"),
            ):
                try:
                    found.append(kind(*arguments))
                except (TypeError, AttributeError):
                    continue
                break
            else:
                pytest.fail(f"{kind} could not be built")
    return found


@pytest.mark.parametrize("error", foreign(), ids=lambda error: f"{type(error).__module__}.{type(error).__name__}")
def test_no_foreign_exception_gets_through(material: Path, error: BaseException) -> None:
    """Whatever requests or urllib3 raise, callers see an IbkrError that has the cause chained."""

    class Raising(requests.adapters.HTTPAdapter):
        def send(self, *_: Any, **__: Any) -> requests.Response:
            raise error

    with client_of(1, material) as client:
        client._http.mount("https://", Raising())
        with pytest.raises(IbkrError) as caught:
            client.accounts()
    assert caught.value.__cause__ is error


def test_a_handshake_cut_short_is_not_a_stranger(material: Path) -> None:
    """A gateway that ends while somebody connects must not look like another program on its port."""
    with client_of(1, material) as client:

        class Raising(requests.adapters.HTTPAdapter):
            def send(self, *_: Any, **__: Any) -> requests.Response:
                raise exceptions.SSLError(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))

        client._http.mount("https://", Raising())
        with pytest.raises(UpstreamUnavailable, match="closed"):
            client.accounts()
