"""Every state of a session at IBKR, switched on over the control port: what each call and the WebSocket say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import websocket

from ibkr_tools.simulator import Simulator
from tests.support.caller import Caller
from tests.support.conversation import (
    ALIVE,
    AUTH,
    CLOSED,
    DATA,
    INIT,
    OPEN,
    PORTFOLIO,
    REFUSED,
    SILENT,
    STATUS,
    TICKLE,
    VALIDATE,
    Said,
    heard,
    said,
    socket_of,
)

pytestmark = pytest.mark.simulator(gateway=True, positions=3)


@pytest.fixture
def simulator(simulator: Simulator) -> Iterator[Simulator]:
    """The gateway is up, and time goes on, after each test."""
    yield simulator
    simulator.control.gateway(up=True)
    simulator.control.set_speed(1.0)


def starting(simulator: Simulator) -> None:
    """As good as for ever: otherwise it is full after some seconds."""
    simulator.control.set_speed(0.001)


def full(simulator: Simulator) -> None:
    simulator.control.advance(3)


def brokerage_timed_out(simulator: Simulator) -> None:
    full(simulator)
    simulator.control.drop(tier="brokerage")


def expired(simulator: Simulator) -> None:
    full(simulator)
    simulator.control.advance(25 * 3600)


def competing(simulator: Simulator) -> None:
    full(simulator)
    simulator.control.compete()


def taken(simulator: Simulator) -> None:
    full(simulator)
    simulator.control.compete(authenticated=False)


@dataclass(frozen=True)
class Row:
    """One state: who is logged in before, how it is entered, what is said then.

    `greeting` is what a new socket hears; `told` what a socket of before hears of the change.
    """

    name: str
    user: str | None
    enter: Callable[[Simulator], object]
    tickle: Said
    validate: Said
    status: Said
    portfolio: Said
    data: Said
    greeting: tuple[str, ...]
    told: tuple[str, ...]


def refusing(status: int) -> tuple[Said, Said, Said, Said, Said]:
    return (status, {}), (status, {}), (status, {}), (status, {}), (status, {})


NOTHING: tuple[Said, Said, Said, Said, Said] = (SILENT, SILENT, SILENT, SILENT, SILENT)
GONE: tuple[Said, Said, Said, Said, Said] = (REFUSED, REFUSED, REFUSED, REFUSED, REFUSED)
NO_BRIDGE: Said = (400, {"error": "Bad Request: no bridge"})


def tiers(*, authenticated: bool, competing: bool = False) -> tuple[Said, Said, Said]:
    """What tickle, validate and status say while the portfolio tier is up."""
    flags = {"authenticated": authenticated, "competing": competing, "connected": True}
    return (200, {AUTH + key: value for key, value in flags.items()}), ALIVE, (200, flags)


SERVED: Said = (200, {})
ROWS = (
    Row("S0 gateway down", "demo-reader", lambda one: one.control.gateway(up=False), *GONE, (REFUSED,), (CLOSED,)),
    Row("S0 gateway hung", "demo-reader", lambda one: one.control.situation("gateway-hung"), *NOTHING, (REFUSED,), ()),
    Row("S1 never logged in", None, lambda _: None, *refusing(401), ("waiting for session",), ()),
    Row("S2 brokerage starting", "demo-trader", starting,
        *tiers(authenticated=False), SERVED, NO_BRIDGE, ("system", "sts"), ()),
    Row("S3 full", "demo-trader", full, *tiers(authenticated=True), SERVED,
        (200, {"selectedAccount": "U1234567"}), ("system", "act", "sts authenticated:true"),
        ("act", "sts authenticated:true")),
    Row("S4 outer only", "demo-reader", full, *tiers(authenticated=False), SERVED, NO_BRIDGE, ("system", "sts"), ()),
    Row("S5 brokerage timed out", "demo-trader", brokerage_timed_out,
        *tiers(authenticated=False), SERVED, NO_BRIDGE, ("system", "sts"), ("act", "sts authenticated:true", "sts")),
    Row("S6 competing", "demo-trader", competing,
        *tiers(authenticated=True, competing=True), SERVED, (200, {}),
        ("system", "act", "sts authenticated:true competing:true"),
        ("act", "sts authenticated:true", "act", "sts authenticated:true competing:true")),
    Row("S6 taken", "demo-trader", taken,
        *tiers(authenticated=False, competing=True), SERVED, NO_BRIDGE, ("system", "sts competing:true"),
        ("act", "sts authenticated:true", "sts competing:true")),
    Row("S7 expired", "demo-trader", expired, *refusing(401),
        ("waiting for session",), ("act", "sts authenticated:true", "sts", CLOSED)),
    Row("S7 idle", "demo-reader", lambda one: one.control.advance(601), *refusing(401),
        ("waiting for session",), ("sts", CLOSED)),
    Row("S7 logged out", "demo-reader", lambda one: Caller(one.port, tls=True).post("/v1/api/logout"), *refusing(401),
        ("waiting for session",), ("sts", CLOSED)),
    Row("S8 maintenance, 500", "demo-reader", lambda one: one.control.maintenance("500"), *refusing(500),
        (SILENT,), (CLOSED,)),
    Row("S8 maintenance, 503", "demo-reader", lambda one: one.control.maintenance("503", delay_s=0.1), *refusing(503),
        (SILENT,), (CLOSED,)),
    Row("S8 maintenance, hang", "demo-reader", lambda one: one.control.maintenance("hang"), *NOTHING,
        (SILENT,), (SILENT,)),
    Row("S9 penalised", "demo-reader", lambda one: one.control.penalty(), *refusing(429), ("system", "sts"), ()),
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_state_says_what_ibkr_says(simulator: Simulator, caller: Caller, row: Row) -> None:
    """The table of states, column by column."""
    if row.enter is starting:
        # On a busy machine the tier would be full before the socket is open.
        starting(simulator)
    if row.user is not None:
        simulator.control.login(row.user)
    with socket_of(simulator) as before:
        heard(before, 2 if row.user else 1)
        row.enter(simulator)
        assert tuple(heard(before, len(row.told))) == row.told
        for method, path, expected in (
            ("POST", TICKLE, row.tickle),
            ("GET", VALIDATE, row.validate),
            ("POST", STATUS, row.status),
            ("GET", PORTFOLIO, row.portfolio),
            ("GET", DATA, row.data),
        ):
            assert said(caller, method, path, expected) == expected, path
    if row.greeting == (REFUSED,):
        with pytest.raises((OSError, websocket.WebSocketException)), socket_of(simulator):
            pass
    else:
        with socket_of(simulator) as fresh:
            assert tuple(heard(fresh, len(row.greeting))) == row.greeting


def test_a_competing_session_gets_no_data(simulator: Simulator, caller: Caller) -> None:
    """`{}` and not an error."""
    simulator.control.login("demo-trader")
    competing(simulator)
    assert caller.get(DATA).data == {}
    simulator.control.compete(competing=False)
    assert caller.get(DATA).data["selectedAccount"] == "U1234567"


def test_the_jar_logs_a_taken_session_out_by_itself(simulator: Simulator, caller: Caller) -> None:
    """Its tickle every 30 s sees `connected` and not `authenticated`; a session that only competes it keeps."""
    simulator.control.login("demo-trader")
    competing(simulator)
    simulator.control.advance(31)
    assert caller.get(VALIDATE).status == 200
    simulator.control.compete(authenticated=False)
    assert caller.get(VALIDATE).status == 200
    simulator.control.advance(31)
    assert caller.get(VALIDATE).status == 401


@pytest.mark.parametrize(("compete", "opens"), [(False, False), (True, True)])
def test_a_taken_session_comes_back_by_force_alone(
    simulator: Simulator, caller: Caller, *, compete: bool, opens: bool
) -> None:
    """`compete` throws the other program out."""
    simulator.control.login("demo-trader")
    taken(simulator)
    assert caller.post(INIT, {"publish": True, "compete": compete}).data["authenticated"] is opens


def test_the_nightly_reset_ends_every_session_whatever_the_traffic(simulator: Simulator, caller: Caller) -> None:
    """Once at the time of day that is set, each day."""
    now = simulator.control.state()["now"]
    at = (now // 60 + 3) * 60
    simulator.control.behaviour(nightly_reset=f"{int(at % 86400 // 3600):02}:{int(at % 3600 // 60):02}")
    for _ in range(2):
        simulator.control.advance(at - simulator.control.state()["now"] - 5)
        simulator.control.login("demo-reader")
        assert caller.get(VALIDATE).status == 200
        simulator.control.advance(6)
        assert caller.get(VALIDATE).status == 401
        at += 86_400


def test_maintenance_comes_and_goes_by_simulated_time(simulator: Simulator, caller: Caller) -> None:
    """The page tells why, the calls fail, and afterwards all is as before."""
    simulator.control.login("demo-reader")
    simulator.control.maintenance("500", in_s=100, for_s=300, bulletin="Down until Sunday")
    assert caller.get(VALIDATE).status == 200
    simulator.control.advance(110)
    assert caller.get(VALIDATE).status == 500
    assert "Down until Sunday" in str(caller.post("/portal.proxy/v1/gstat/bulletins").data)
    assert caller.get("/sso/Login").status == 200
    assert caller.get("/").status == 302
    simulator.control.advance(300)
    assert caller.get(VALIDATE).status == 200
    assert caller.post("/portal.proxy/v1/gstat/bulletins").data == {"bulletins": []}


def test_maintenance_can_end_the_sessions(simulator: Simulator, caller: Caller) -> None:
    simulator.control.login("demo-reader")
    simulator.control.maintenance("500", for_s=300, ends_sessions=True)
    simulator.control.advance(301)
    assert caller.get(VALIDATE).status == 401


def test_a_hanging_window_lets_go_at_its_end(simulator: Simulator, caller: Caller) -> None:
    """Who waited is cut off, who asks again is served."""
    simulator.control.login("demo-reader")
    simulator.control.situation("unreachable", for_s=60)
    assert said(caller, "GET", "/sso/Login", SILENT) == SILENT
    assert caller.get("/").status == 302
    simulator.control.advance(61)
    assert caller.get(VALIDATE).status == 200


def test_faults_end_by_simulated_time(simulator: Simulator, caller: Caller) -> None:
    """`ssodh/init` gets 503 for an hour, then all is fine; the jar's own handshake fares as badly."""
    simulator.control.situation("init-503", for_s=3600)
    simulator.control.login("demo-trader")
    simulator.control.advance(5)
    assert caller.post(STATUS).data["authenticated"] is False
    assert caller.post(INIT, OPEN).status == 503
    for _ in range(7):
        simulator.control.advance(300)
        caller.post("/v1/api/iserver/reauthenticate")
        caller.get(VALIDATE)
        simulator.control.advance(240)
        caller.get(VALIDATE)
        assert caller.post(INIT, OPEN).status == (503 if simulator.control.state()["faults"] else 200)
    assert caller.post(STATUS).data["authenticated"] is True


def test_a_new_gateway_has_forgotten_its_session(simulator: Simulator, caller: Caller) -> None:
    simulator.control.login("demo-reader")
    simulator.control.gateway(up=False)
    simulator.control.gateway(up=True)
    assert caller.get(VALIDATE).status == 401
    assert caller.post("/v1/api/iserver/reauthenticate").data == {"error": "not logged in"}


def test_after_a_logout_brokerage_is_gone_until_the_next_login(simulator: Simulator, caller: Caller) -> None:
    simulator.control.login("demo-trader")
    caller.post("/v1/api/logout")
    assert caller.post(INIT, OPEN).status == 410
    simulator.control.login("demo-trader")
    assert caller.post(INIT, OPEN).data["authenticated"] is True


def test_who_got_a_challenge_gets_the_tier(simulator: Simulator, caller: Caller) -> None:
    """A challenge that ends in `authenticated:false` would make the real gateway loop without delay."""
    simulator.control.login("demo-trader")
    caller.post(INIT, {"username": "demo-trader", "machineId": "12345678", "compete": True})
    for settings in ({"refuse_brokerage": True}, {"init": "status"}):
        simulator.control.behaviour(**settings)
        answer = caller.post("/v1/api/iserver/auth/ssodh/response", {"response": "00"})
        assert answer.status == 500
    assert "challenge" not in caller.post(INIT, {"machineId": "12345678"}).data
