"""The portal client against a real TLS server that misbehaves in every way a gateway could."""

import inspect
import socket
import ssl
import struct
import threading
from contextlib import suppress
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
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Endpoint, RequestKind
from ibkr_tools.portal.rate_limit_state import Reservation
from ibkr_tools.portal.transport_errors import refused_error
from tests.support.no_rate_limit import NoRateLimit
from tests.support.patience import within
from tests.support.scripted_client import client_of
from tests.support.simulation import make_certificate
from tests.support.tls_server import Scripted, http

OK = http("200 OK", b"[]", "Content-Type: application/json")


class Recording(NoRateLimit):
    """A budget that never waits, notes what was claimed, and refuses from the `limit`th one on."""

    def __init__(self, limit: int = 1000) -> None:
        self.claims: list[str] = []
        self.penalties = 0
        self._limit = limit

    def acquire(self, endpoint: Endpoint, max_wait_s: float, *, urgent: bool = False) -> Reservation:
        if len(self.claims) >= self._limit:
            raise RateLimited("enough")
        self.claims.append(endpoint.name)
        return Reservation(endpoint, 0.0, 0.0)

    def record_429(self, stated_s: float | None = None) -> None:
        self.penalties += 1


def close(connection: socket.socket) -> None:
    """Ends the connection without an answer."""
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """Ends it with RST, as a dying process does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_nobody_listens(material: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with client_of(port, material) as client, pytest.raises(GatewayUnavailable, match="nothing listens") as caught:
        client.tickle()
    assert caught.value.hint == "systemctl start ibkr-gateway"


def test_whom_the_packet_filter_may_not_know_is_told_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new member of the group; neither root nor the user of the units, whose the certificate is."""
    certificate = tmp_path / "gateway.pem"
    certificate.touch()
    owner = certificate.stat().st_uid
    for user, is_told in ((0, False), (owner, False), (owner + 1, True)):
        monkeypatch.setattr("os.geteuid", lambda user=user: user)
        error = refused_error("GET /tickle", "https://127.0.0.1:5000", certificate)
        assert ("packet filter" in error.message) is is_told
        assert error.hint is not None
        assert error.hint.endswith("systemctl try-reload-or-restart ibkr-firewall") is is_told
        assert "systemctl start ibkr-gateway" in error.hint


def test_a_gateway_that_never_ran_has_no_certificate(tmp_path: Path) -> None:
    """requests answers a missing certificate with a bare OSError."""
    with (
        PortalClient(1, tmp_path / "gateway.pem", NoRateLimit()) as client,
        pytest.raises(GatewayUnavailable, match="never started"),
    ):
        client.tickle()


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "gateway.pem").mkdir()
    with (
        PortalClient(1, tmp_path / "gateway.pem", NoRateLimit()) as client,
        pytest.raises(ConfigError, match="directory"),
    ):
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
    """Another program listens there, which a person has to know: it is no trouble that passes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                with suppress(OSError), listener.accept()[0] as connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(65536)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        with (
            PortalClient(port, material / "certificate.pem", NoRateLimit(), read_timeout_s=5) as client,
            pytest.raises(ConfigError, match="does not have the gateway's certificate"),
        ):
            client.tickle()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


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


def test_silence_ends_at_the_deadline(material: Path) -> None:
    """The jar never answers while IBKR cannot be reached."""

    def hang(_: socket.socket) -> None:
        server.stopped.wait(10)

    with Scripted(material, hang) as server, client_of(server, material, read_timeout_s=0.5) as client:
        with within(2.0), pytest.raises(UpstreamSilent, match=r"no answer within 0\.5 s"):
            client.tickle()
        assert len(server.requests) == 1


def test_silence_in_the_middle_of_an_answer_ends_too(material: Path) -> None:
    def half(connection: socket.socket) -> None:
        connection.sendall(http("200 OK", b"[", length=100))
        server.stopped.wait(10)

    with (
        Scripted(material, half) as server,
        client_of(server, material, read_timeout_s=0.5) as client,
        pytest.raises(UpstreamSilent),
    ):
        client.accounts()


def test_a_drip_ends_at_the_deadline(material: Path) -> None:
    """Chunks that keep coming renew a socket's own timeout for ever."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not server.stopped.wait(0.1):
            connection.sendall(b"1\r\n \r\n")

    with Scripted(material, drip) as server, client_of(server, material, read_timeout_s=0.3) as client:
        client._timeouts = (0.2, 0.3)
        with within(3.0), pytest.raises(UpstreamSilent):
            client.accounts()


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


@pytest.mark.parametrize("endpoint", [one for one in endpoints.ENDPOINTS if one.kind is RequestKind.SESSION])
def test_session_control_is_never_sent_twice(material: Path, endpoint: Endpoint) -> None:
    """Each `ssodh/init` may throw another program out."""
    with Scripted(material, close) as server, client_of(server, material, owns_session=True) as client:
        with pytest.raises(UpstreamUnavailable):
            client.request(endpoint)
        assert len(server.requests) == 1


def test_the_second_try_counts_too(material: Path) -> None:
    """The first one may have reached IBKR: both draw on the budget, and without one left there is no second."""
    budget, poor = Recording(), Recording(limit=1)
    with Scripted(material, close, OK) as server, client_of(server, material, rate_limiter=budget) as client:
        client.accounts()
    assert budget.claims == ["accounts", "accounts"]
    with Scripted(material, close, OK) as server, client_of(server, material, rate_limiter=poor) as client:
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
    bomb = compressor.compress(b" " * (module.MAX_RESPONSE_BYTES + 1_000_000)) + compressor.flush()
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
        client_of(server, material, rate_limiter=budget) as client,
        pytest.raises(RateLimited),
    ):
        client.accounts()
    assert budget.penalties == 1


def test_our_own_budget_is_no_429(material: Path) -> None:
    """Having to wait is no reason to shut everybody out."""
    budget = Recording(limit=0)
    with Scripted(material, OK) as server, client_of(server, material, rate_limiter=budget) as client:
        with pytest.raises(RateLimited):
            client.accounts()
        assert server.requests == []
    assert budget.penalties == 0


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
