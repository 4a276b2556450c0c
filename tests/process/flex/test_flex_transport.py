"""What no other request mends ends a fetch of statements at once: certificates, authorities and proxies."""

import socket
import threading
from datetime import date
from pathlib import Path

import pytest

from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ConfigError
from ibkr_tools.flex.flex_answers import Unreachable
from ibkr_tools.flex.flex_budget import TokenBudget, TokenIdentity
from ibkr_tools.flex.flex_periods import Period
from ibkr_tools.flex.flex_service import FlexServiceClient
from ibkr_tools.flex.statement_fetcher import StatementFetcher
from tests.support.simulation import make_certificate
from tests.support.tls_server import Scripted, http

IBKR = "https://ndcdyn.interactivebrokers.com"
TOKEN = Secret("1" * 24)
REFUSES_CONNECT = pytest.mark.parametrize(
    ("status", "passes"),
    [
        ("407 Proxy Authentication Required", False),
        ("403 Forbidden", False),
        ("405 Method Not Allowed", False),
        ("429 Too Many Requests", True),
        ("502 Bad Gateway", True),
        ("504 Gateway Timeout", True),
    ],
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "https_proxy", "all_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def ask(upstream: str) -> Unreachable:
    client = FlexServiceClient(upstream, TOKEN, read_timeout_s=5.0)
    try:
        answer = client.send_request("1", None)
    finally:
        client.close()
    assert isinstance(answer, Unreachable)
    assert TOKEN.reveal() not in repr(answer)
    return answer


def test_a_certificate_that_is_not_trusted_ends_the_fetch(tmp_path: Path) -> None:
    """With one attempt, no wait, and nothing said to IBKR; 78 is not repeated by the unit either."""
    make_certificate(tmp_path)
    pauses: list[float] = []
    with Scripted(tmp_path, http("200 OK")) as server:
        client = FlexServiceClient(f"https://127.0.0.1:{server.port}", TOKEN, read_timeout_s=5.0)
        budget = TokenBudget(tmp_path / "statements/service.json", TokenIdentity(TOKEN, "1"), boot_id=lambda: "a")
        fetcher = StatementFetcher(client, budget, "1", pause=pauses.append)
        with pytest.raises(ConfigError, match="does not prove who it is") as raised:
            fetcher.fetch(Period(date(2026, 5, 4), date(2026, 5, 5)))
        client.close()
    assert (server.connections, server.requests, sum(pauses)) == (1, [], 0)
    assert raised.value.hint is not None
    assert "update-ca-certificates" in raised.value.hint


def test_a_certificate_of_another_name_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, _ = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Scripted(tmp_path, http("200 OK")) as server:
        # The same address by a name that is not in the certificate.
        answer = ask(f"https://127.1:{server.port}")
    assert not answer.passes
    assert "mismatch" in answer.why
    assert server.requests == []


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(broken))
    make_certificate(tmp_path)
    with Scripted(tmp_path, http("200 OK")) as server:
        answer = ask(f"https://127.0.0.1:{server.port}")
    assert not answer.passes
    assert answer.why.startswith(f"{broken}: ")


@REFUSES_CONNECT
def test_a_proxy_that_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, passes: bool
) -> None:
    with Scripted(tmp_path, http(status), tls=False) as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:geheim@127.0.0.1:{proxy.port}")
        answer = ask(IBKR)
    assert answer.passes is passes
    assert "the proxy that https_proxy or all_proxy in the environment names" in answer.why
    assert (f"(HTTP {status[:3]})" in answer.why) is not passes
    assert ("user name and a password" in answer.why) is status.startswith("407")
    assert "geheim" not in repr(answer)


def test_a_proxy_that_is_not_there_is_trouble_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    assert ask(IBKR).passes


@pytest.mark.parametrize("script", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes.fromhex("15030300020250")])
def test_no_certificate_at_all_is_trouble_that_passes(script: bytes) -> None:
    """Such as a server that is being replaced, whose balancer answers without TLS or with an alert."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(script)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        answered = ask(f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(5)
    assert answered.passes
    assert "TLS" in answered.why
