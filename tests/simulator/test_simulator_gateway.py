"""With TLS the simulator is the gateway: it also answers what IBKR's jar answers by itself."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.password_authentication import password_proof
from tests.support.caller import Caller
from tests.support.simulation import gateway_options, simulator_options, wait_until

SOCKET_OPTIONS = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(gateway_options(tmp_path, positions=3, speed=20.0)) as simulator:
        yield simulator


def sign_in(caller: Caller, username: str) -> None:
    first = caller.form("/sso/Authenticator", ACTION="INIT", USER=username, A="n", LOGIN_TYPE="1").data
    proof = password_proof(username, "demo-password", first["s"], first["B"])
    caller.form("/sso/Authenticator", ACTION="COMPLETEAUTH", USER=username, A="n", M1=proof)
    answer = caller.form("/sso/Dispatcher", A="n")
    assert (answer.status, answer.body) == (200, b"Client login succeeds")


def open_socket(simulator: Simulator, *, cookie: str | None = None) -> websocket.WebSocket:
    tls = simulator.options.is_gateway
    address = f"{'wss' if tls else 'ws'}://127.0.0.1:{simulator.port}/v1/api/ws"
    return websocket.create_connection(address, sslopt=SOCKET_OPTIONS if tls else None, cookie=cookie, timeout=5)


def test_it_answers_the_jars_own_routes(caller: Caller) -> None:
    root = caller.get("/")
    assert (root.status, root.headers["location"]) == (302, "/sso/Login?forwardTo=22&RL=1&ip2loc=US")
    assert caller.post("/v1/api/iserver/reauthenticate").data == {"error": "not logged in"}
    assert caller.get("/elsewhere").status == 302


def test_the_session_is_the_servers_not_the_clients(caller: Caller, simulator: Simulator) -> None:
    """No cookie is needed, and a wrong one does no harm; `/clear` ends it."""
    assert caller.get("/v1/api/sso/validate").status == 401
    sign_in(caller, "demo-reader")
    assert caller.get("/v1/api/sso/validate").status == 200
    stranger = Caller(simulator.port, tls=True, token="nonsense")
    assert stranger.get("/v1/api/sso/validate").status == 200
    assert caller.get("/clear").body == b"cleared"
    assert caller.get("/v1/api/sso/validate").status == 401
    assert caller.post("/v1/api/iserver/reauthenticate").data == {"message": "triggered"}


def test_brokerage_follows_by_itself_and_comes_back_on_reauthenticate(caller: Caller, simulator: Simulator) -> None:
    def authenticated() -> bool:
        return bool(caller.get("/v1/api/iserver/auth/status").data["authenticated"])

    # It opens three seconds after the login, which a busy machine may need for the next call.
    simulator.control.set_speed(0.1)
    sign_in(caller, "demo-trader")
    assert not authenticated()
    simulator.control.set_speed(20)
    wait_until(authenticated)
    # The jar logs the session out with its next tickle, and a busy machine needs more than a moment until then.
    simulator.control.set_speed(4)
    simulator.control.drop(tier="brokerage")
    assert not authenticated()
    caller.post("/v1/api/iserver/reauthenticate")
    wait_until(authenticated)


def test_answers_are_chunked_and_strangers_get_404(caller: Caller, simulator: Simulator) -> None:
    sign_in(caller, "demo-reader")
    headers = caller.get("/v1/api/sso/validate").headers
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers
    simulator.control.behaviour(access_denied=True)
    answer = caller.get("/v1/api/sso/validate")
    assert (answer.status, answer.body) == (404, b"Access Denied")


def test_sockets_wait_for_a_session_and_speak_binary(caller: Caller, simulator: Simulator) -> None:
    socket = open_socket(simulator)
    try:
        code, frame = socket.recv_data()
        assert (code, json.loads(frame)) == (websocket.ABNF.OPCODE_BINARY, {"message": "waiting for session"})
        sign_in(caller, "demo-trader")
        topics = [json.loads(socket.recv()) for _ in range(2)]
        assert topics[0] == {"topic": "system", "success": "demo-trader", "isFT": False, "isPaper": False}
        assert topics[1]["args"]["authenticated"] is False
        frames: list[dict[str, Any]] = []
        while "act" not in [frame.get("topic") for frame in frames]:
            frames.append(json.loads(socket.recv()))
        status = json.loads(socket.recv())
        assert (status["topic"], status["args"]["authenticated"]) == ("sts", True)
        simulator.control.drop(tier="brokerage")
        while (frame := json.loads(socket.recv())).get("topic") != "sts":
            assert "hb" in frame
        assert frame["args"] == {"authenticated": False}
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call]


def test_heartbeats_tic_and_unknown_topics(simulator: Simulator) -> None:
    simulator.control.set_speed(4)
    simulator.control.login("demo-reader")
    socket = open_socket(simulator)
    try:
        assert json.loads(socket.recv())["topic"] == "system"
        assert json.loads(socket.recv())["topic"] == "sts"
        socket.send("tic")
        socket.send("xyz+1")
        frames: list[dict[str, Any]] = []
        while len([frame for frame in frames if "hb" in frame]) < 2:
            frames.append(json.loads(socket.recv()))
        topics = {frame["topic"] for frame in frames}
        assert topics == {"system", "tic", "error"}
        beats = [frame["hb"] for frame in frames if "hb" in frame]
        # Ten simulated seconds are two real ones and a half here; a busy machine may be late.
        assert 5_000 <= beats[1] - beats[0] <= 40_000
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("push", ["sts", "close", "silent"])
def test_a_lost_session_is_told_in_three_ways(push: str) -> None:
    """Behind a gateway the socket belongs to the cookie, and frames are text."""
    with Simulator(simulator_options(positions=1)) as simulator:
        socket = open_socket(simulator, cookie="XYZAB=" + simulator.control.login("demo-reader"))
        try:
            code, _frame = socket.recv_data()
            assert code == websocket.ABNF.OPCODE_TEXT
            socket.recv()
            simulator.control.drop(push=push)  # type: ignore[arg-type]
            if push == "sts":
                assert json.loads(socket.recv()) == {
                    "topic": "sts",
                    "args": {"authenticated": False, "connected": False},
                }
            if push == "silent":
                socket.settimeout(0.5)
                with pytest.raises(websocket.WebSocketTimeoutException):
                    socket.recv_data()
            else:
                assert socket.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
        finally:
            socket.shutdown()  # type: ignore[no-untyped-call]
