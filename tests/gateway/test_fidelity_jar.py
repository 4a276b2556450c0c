"""IBKR's real gateway program cannot tell the simulator from IBKR's servers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from ibkr_tools.simulator import Simulator
from tests.support.chromium import chromium, page_text, sign_in
from tests.support.jar import Jar, running_jar
from tests.support.patience import within
from tests.support.simulation import simulator_options, wait_until

pytestmark = [pytest.mark.gateway, pytest.mark.browser]

SUCCESS = "Client login succeeds"


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    with Simulator(simulator_options()) as simulator:
        yield simulator


@pytest.fixture
def jar(upstream: Simulator, tmp_path: Path) -> Iterator[Jar]:
    with running_jar(tmp_path / "gateway", upstream.url) as jar:
        yield jar


def auth_status(jar: Jar) -> dict[str, object]:
    status, body = jar.request("POST", "/v1/api/iserver/auth/status")
    assert status == 200
    answer: dict[str, object] = json.loads(body)
    return answer


def sign_in_through(jar: Jar, username: str) -> None:
    with chromium() as browser:
        sign_in(browser, jar.url, username)
        wait_until(lambda: page_text(browser) == SUCCESS)


def test_trading_user_gets_both_tiers_through_the_real_jar(jar: Jar, upstream: Simulator) -> None:
    """A browser login makes the jar complete its own handshake: brokerage authenticated, accounts asked for."""
    sign_in_through(jar, "demo-trader")
    with within(6):
        wait_until(lambda: bool(auth_status(jar)["authenticated"]))
    state = upstream.control.state()
    counted = {name: count for name, count in state["counters"].items() if count}
    assert counted == {"submitted": 1, "logins": 1}
    wait_until(lambda: "GET /v1/portal/iserver/accounts" in upstream.control.state()["requests"])
    handshake = [note["path"].removeprefix("/v1/portal") for note in upstream.control.state()["last_requests"]
                 if note["path"].startswith("/v1/portal/")]  # fmt: skip
    assert handshake[0] == "/sso/validate"
    # The jar sends these two at once.
    assert set(handshake[1:3]) == {"/one/user", "/ssodh/init"}
    assert handshake[3:] == [
        "/ssodh/st",
        "/iserver/auth/status",
        "/iserver/auth/ssodh/init",
        "/iserver/auth/ssodh/response",
        "/iserver/accounts",
    ]


def test_read_only_user_gets_the_portfolio_tier_only(jar: Jar, upstream: Simulator) -> None:
    """The jar asks once for brokerage, is refused and rests; validate and portfolio work."""
    sign_in_through(jar, "demo-reader")
    wait_until(lambda: "POST /v1/portal/iserver/auth/ssodh/init" in upstream.control.state()["requests"])
    assert auth_status(jar)["authenticated"] is False
    status, body = jar.request("GET", "/v1/api/sso/validate")
    assert (status, json.loads(body)["RESULT"]) == (200, True)
    assert jar.request("GET", "/v1/api/portfolio/accounts")[0] == 200
    status, body = jar.request("GET", "/v1/api/portfolio/U1234567/positions/0")
    assert (status, len(json.loads(body))) == (200, 100)
    assert jar.request("GET", "/v1/api/iserver/accounts")[0] == 400
    requests = upstream.control.state()["requests"]
    assert requests["POST /v1/portal/iserver/auth/ssodh/init"] == 1


def test_a_dropped_session_is_pushed_through_the_jars_socket(jar: Jar, upstream: Simulator) -> None:
    """Frames arrive as binary; after a drop the status change comes first, then the close."""
    sign_in_through(jar, "demo-reader")
    address = f"wss://127.0.0.1:{jar.port}/v1/api/ws"
    socket = websocket.create_connection(address, sslopt={"cert_reqs": 0, "check_hostname": False}, timeout=10)
    try:
        code, first = socket.recv_data()
        assert (code, json.loads(first)["success"]) == (websocket.ABNF.OPCODE_BINARY, "demo-reader")
        assert json.loads(socket.recv())["args"]["authenticated"] is False
        upstream.control.drop()
        assert json.loads(socket.recv()) == {
            "topic": "sts",
            "args": {"authenticated": False, "connected": False},
        }
        assert socket.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    finally:
        # `close` does nothing any more once the other side has closed.
        socket.shutdown()  # type: ignore[no-untyped-call]
    assert jar.request("GET", "/v1/api/sso/validate")[0] == 401


def test_answers_in_two_pieces_break_the_handshake_and_reauthenticate_cures_it(jar: Jar, upstream: Simulator) -> None:
    """The jar decodes every piece alone; that is IBKR's bug, and the simulator can show it on demand."""
    # On a busy machine a shorter pause would let both pieces arrive as one.
    upstream.control.behaviour(split_pause_ms=1000)
    upstream.control.fault("/iserver/auth/status", "split", count=1)
    sign_in_through(jar, "demo-trader")
    wait_until(lambda: "GET /v1/portal/iserver/auth/status" in upstream.control.state()["requests"])
    assert auth_status(jar)["authenticated"] is False
    assert jar.request("POST", "/v1/api/iserver/reauthenticate") == (200, '{"message":"triggered"}')
    wait_until(lambda: bool(auth_status(jar)["authenticated"]))


def test_the_jar_hangs_when_the_servers_do(jar: Jar, upstream: Simulator) -> None:
    """A call without an answer stays open in the jar, which still answers `/` by itself."""
    upstream.control.login("demo-reader")
    upstream.control.fault("/tickle", "hang")
    with pytest.raises(TimeoutError):
        jar.request("POST", "/v1/api/tickle", timeout_s=1.5)
    assert jar.request("GET", "/")[0] == 302
    upstream.control.clear_faults()
