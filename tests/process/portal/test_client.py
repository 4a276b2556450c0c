"""What the portal client sends, when, and what it caches: against a real TLS server."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ibkr_tools.errors import RateLimited, UpstreamUnavailable
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Endpoint, RequestKind, Tier
from ibkr_tools.portal.rate_limit_state import ARRIVAL_JITTER_S, PENALTY_S
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.portal.response_cache import ResponseCache
from tests.support.scripted_client import client_of
from tests.support.simulation import wait_until
from tests.support.tls_server import Scripted, http

if TYPE_CHECKING:
    from ibkr_tools.portal.api_response import ApiResponse

OK = http("200 OK", b"[]", "Content-Type: application/json")


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


def test_the_wait_for_a_reservation_is_the_callers(material: Path, tmp_path: Path) -> None:
    """Whoever has another time than the machine's can let it pass."""
    paused: list[float] = []
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: sum(paused), wall=lambda: sum(paused))
    with (
        Scripted(material, OK, OK) as server,
        client_of(server, material, rate_limiter=rate_limiter, pause=paused.append) as client,
    ):
        client.accounts()
        client.accounts()
    assert paused == [5.0 + ARRIVAL_JITTER_S]


def test_a_long_wait_is_told_before_it_begins(material: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    passed: list[float] = []
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: sum(passed), wall=lambda: sum(passed))
    with (
        Scripted(material, OK) as server,
        client_of(
            server,
            material,
            rate_limiter=rate_limiter,
            pause=passed.append,
            on_wait=lambda where, seconds: told.append((where, seconds)),
        ) as client,
    ):
        client.accounts()
        client.request(endpoints.SUMMARY, {"account": "U1234567"})
        assert told == []
        client.accounts()
    assert told == [("GET /portfolio/accounts", 5.0 + ARRIVAL_JITTER_S)]


def test_a_reservation_that_is_too_late_is_refused_at_once(material: Path, tmp_path: Path) -> None:
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: 0.0, wall=lambda: 0.0)
    with (
        Scripted(material, OK) as server,
        client_of(server, material, rate_limiter=rate_limiter, max_wait_s=3.0) as client,
    ):
        client.accounts()
        with pytest.raises(RateLimited, match=r"asked too often; possible in 6 s") as caught:
            client.accounts()
        assert len(server.requests) == 1
    assert caught.value.wait_s == pytest.approx(5.0 + ARRIVAL_JITTER_S)


def test_a_request_that_waits_obeys_a_429_that_another_one_meets(material: Path, tmp_path: Path) -> None:
    """Its reservation was made before, and is given back."""
    passed: list[float] = []

    def limiter() -> SharedRateLimiter:
        return SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: sum(passed), wall=lambda: sum(passed))

    def pause(seconds: float) -> None:
        passed.append(seconds)
        limiter().record_429()

    answers = (http("200 OK", b'{"session": "a"}'), OK)
    for ask in (PortalClient.tickle, PortalClient.accounts):
        passed.clear()
        (tmp_path / "pacing.json").unlink(missing_ok=True)
        with (
            Scripted(material, answers[ask is PortalClient.accounts]) as server,
            client_of(server, material, rate_limiter=limiter(), pause=pause) as client,
        ):
            ask(client)
            with pytest.raises(RateLimited, match="IBKR said too many requests; possible in 15 min") as caught:
                ask(client)
            assert len(server.requests) == 1
        assert caught.value.wait_s == PENALTY_S
        assert len(json.loads((tmp_path / "pacing.json").read_bytes())["slots"]) == 0


def test_a_long_wait_holds_no_read_slot(material: Path, tmp_path: Path) -> None:
    """While one waits for its interval, four others go on."""
    passed: list[float] = []
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: sum(passed), wall=lambda: sum(passed))

    def pause(seconds: float) -> None:
        passed.append(seconds)
        with contextlib.ExitStack() as held:
            for _ in range(4):
                held.enter_context(rate_limiter.read_slot(0.0, passed.append, lambda _: None))

    with (
        Scripted(material, OK) as server,
        client_of(server, material, rate_limiter=rate_limiter, pause=pause) as client,
    ):
        client.accounts()
        client.accounts()
        assert len(server.requests) == 2
    assert passed == [5.0 + ARRIVAL_JITTER_S]


def test_four_reads_are_under_way_at_most_and_a_tickle_besides(material: Path, tmp_path: Path) -> None:
    """Who keeps the session alive does not queue behind reads that hang."""
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json")
    tickled = http("200 OK", b'{"session": "a"}')
    with Scripted(material, tickled) as server, contextlib.ExitStack() as held:
        for _ in range(4):
            held.enter_context(rate_limiter.read_slot(0.0, lambda _: None, lambda _: None))
        with client_of(server, material, rate_limiter=rate_limiter, max_wait_s=0.1) as client:
            assert client.tickle().has_session
            with pytest.raises(RateLimited, match="4 reads are under way"):
                client.request(endpoints.SUMMARY, {"account": "U1234567"})
        for kind in ("owns_session", "urgent"):
            with client_of(server, material, rate_limiter=rate_limiter, max_wait_s=0.1, **{kind: True}) as client:
                client.request(endpoints.LEDGER, {"account": "U1234567"})
        assert len(server.requests) == 3


PERFORMANCE = http("200 OK", b'{"nav": 1.50, "rc":0 }')
ONE_MONTH: dict[str, Any] = {"acctIds": ["U1234567"], "period": "1M"}


def test_a_slow_endpoint_is_answered_from_the_cache(material: Path, tmp_path: Path) -> None:
    """Bytes as they came, with their age, in any process of the same user; and then without a gateway."""
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json")
    with Scripted(material, PERFORMANCE) as server:
        with client_of(
            server, material, rate_limiter=rate_limiter, response_cache=ResponseCache(tmp_path, "reader")
        ) as client:
            first = client.send(endpoints.PERFORMANCE, body=ONE_MONTH)
        with client_of(
            server, tmp_path, rate_limiter=rate_limiter, response_cache=ResponseCache(tmp_path, "reader")
        ) as client:
            again = client.send(endpoints.PERFORMANCE, body=dict(reversed(ONE_MONTH.items())))
        assert len(server.requests) == 1
    assert (first.age_s, first.body) == (0.0, b'{"nav": 1.50, "rc":0 }')
    assert again.age_s > 0.0
    assert (again.payload, again.body) == (first.payload, first.body)


def test_a_slow_endpoint_with_other_parameters_has_to_wait(material: Path, tmp_path: Path) -> None:
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json", clock=lambda: 0.0, wall=lambda: 0.0)
    response_cache = ResponseCache(tmp_path, "reader", clock=lambda: 0.0)
    with Scripted(material, PERFORMANCE) as server:
        with client_of(server, material, rate_limiter=rate_limiter, response_cache=response_cache) as client:
            client.send(endpoints.PERFORMANCE, body=ONE_MONTH)
            with pytest.raises(RateLimited, match="possible in 16 min") as caught:
                client.send(endpoints.PERFORMANCE, body={**ONE_MONTH, "period": "1Y"})
        assert len(server.requests) == 1
    assert caught.value.wait_s == pytest.approx(900.0 + ARRIVAL_JITTER_S)


def test_two_who_ask_the_same_at_once_ask_ibkr_once(material: Path, tmp_path: Path) -> None:
    """The second would have to wait for a quarter of an hour otherwise."""
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json")
    waiting = threading.Event()
    got: list[ApiResponse] = []

    def hold(connection: socket.socket) -> None:
        assert waiting.wait(10)
        connection.sendall(PERFORMANCE)

    def ask(pause: Callable[[float], object] | None = None) -> None:
        response_cache = ResponseCache(tmp_path, "reader")
        with client_of(
            server, material, rate_limiter=rate_limiter, response_cache=response_cache, read_timeout_s=10.0, pause=pause
        ) as client:
            got.append(client.send(endpoints.PERFORMANCE, body=ONE_MONTH))

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
    response_cache = ResponseCache(tmp_path, "reader")
    with Scripted(material, http("503 Service Unavailable"), PERFORMANCE) as server:
        with client_of(server, material, response_cache=response_cache) as client, pytest.raises(UpstreamUnavailable):
            client.send(endpoints.PERFORMANCE, body=ONE_MONTH)
        with client_of(
            server, material, response_cache=response_cache, pause=lambda _: pytest.fail("waited")
        ) as client:
            assert client.send(endpoints.PERFORMANCE, body=ONE_MONTH).age_s == 0.0


def test_another_users_answer_is_not_served(material: Path, tmp_path: Path) -> None:
    """Nor the paper account's."""
    with Scripted(material, PERFORMANCE) as server:
        for response_cache in (
            ResponseCache(tmp_path, "one"),
            ResponseCache(tmp_path, "other"),
            ResponseCache(tmp_path, "one", paper=True),
        ):
            with client_of(server, material, response_cache=response_cache) as client:
                assert client.send(endpoints.PERFORMANCE, body=ONE_MONTH).age_s == 0.0
        assert len(server.requests) == 3


def test_a_quick_endpoint_is_cached_only_for_callers_that_allow_it(material: Path, tmp_path: Path) -> None:
    rows = http("200 OK", b'[{"id": "U1234567"}]')
    with (
        Scripted(material, rows) as server,
        client_of(server, material, response_cache=ResponseCache(tmp_path, "one")) as client,
    ):
        assert client.send(endpoints.ACCOUNTS).age_s == 0.0
        assert client.send(endpoints.ACCOUNTS).age_s == 0.0
        assert client.send(endpoints.ACCOUNTS, allow_cached=True).age_s > 0.0
        assert len(server.requests) == 2


def test_an_empty_answer_is_not_cached(material: Path, tmp_path: Path) -> None:
    """A fresh session may list no accounts at first; asked again, it is IBKR who is asked."""
    with (
        Scripted(material, OK) as server,
        client_of(server, material, response_cache=ResponseCache(tmp_path, "one")) as client,
    ):
        for _ in range(2):
            assert client.send(endpoints.ACCOUNTS, allow_cached=True).payload == []
        assert len(server.requests) == 2


def test_an_answer_without_a_body_is_null(material: Path) -> None:
    """A document that is made of answers' bytes stays JSON."""
    with Scripted(material, http("204 No Content")) as server, client_of(server, material) as client:
        answer = client.send(endpoints.USER)
    assert (answer.payload, answer.body) == (None, b"null")


def test_what_is_not_listed_is_not_sent(material: Path) -> None:
    """Neither another path nor another parameter of a listed one."""
    order = Endpoint("order", "POST", "/iserver/account/{account}/orders", Tier.BROKERAGE, RequestKind.READ)
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


def test_a_cookie_is_neither_kept_nor_sent(material: Path) -> None:
    answer = http("200 OK", b'{"session": "a"}', "Set-Cookie: x-sess-uuid=1; Path=/")
    with Scripted(material, answer) as server, client_of(server, material) as client:
        client.tickle()
        client.tickle()
        assert len(server.requests) == 2
        assert b"cookie" not in b"".join(server.requests).lower()


@pytest.mark.parametrize("endpoint", [one for one in endpoints.ENDPOINTS if one.kind is RequestKind.SESSION])
def test_session_control_is_its_owners(material: Path, endpoint: Endpoint) -> None:
    with Scripted(material, OK) as server, client_of(server, material) as client:
        with pytest.raises(ValueError, match="owns the session"):
            client.request(endpoint)
        assert not server.requests


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


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n["], ids=["silent", "half"])
def test_an_aborted_request_fails_at_once_and_is_not_sent_again(material: Path, begun: bytes) -> None:
    """Whoever has an error, or Ctrl-C, waits for no answer of another thread."""
    asked = threading.Event()

    def hang(connection: socket.socket) -> None:
        connection.sendall(begun)
        asked.set()
        server.stopped.wait(60)

    with Scripted(material, hang) as server, client_of(server, material, read_timeout_s=60.0) as client:
        with ThreadPoolExecutor(1) as executor:
            reading = executor.submit(client.accounts)
            assert asked.wait(10)
            client.abort()
            with pytest.raises(UpstreamUnavailable):
                reading.result(10)
        with pytest.raises(UpstreamUnavailable, match="aborted"):
            client.accounts()
        assert len(server.requests) == 1


def test_an_abort_ends_the_wait_for_a_reservation(material: Path, tmp_path: Path) -> None:
    rate_limiter = SharedRateLimiter(tmp_path / "pacing.json")
    waiting = threading.Event()
    with (
        Scripted(material, OK) as server,
        client_of(server, material, rate_limiter=rate_limiter, on_wait=lambda _, __: waiting.set()) as client,
        ThreadPoolExecutor(1) as executor,
    ):
        client.accounts()
        # IBKR takes the list of accounts once in five seconds.
        reading = executor.submit(client.accounts)
        assert waiting.wait(10)
        client.abort()
        with pytest.raises(UpstreamUnavailable, match="aborted"):
            reading.result(2)
        assert len(server.requests) == 1
