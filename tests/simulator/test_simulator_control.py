"""The control port plays every kind of trouble, and tells what happened."""

import http.client
import threading
import time

import pytest

from ibkr_tools.simulator import ControlError, Simulator
from tests.support.caller import Caller
from tests.support.simulation import simulator_options, wait_until

pytestmark = pytest.mark.simulator(positions=3)


def test_status_faults_are_counted(simulator: Simulator, reader: Caller) -> None:
    simulator.control.fault("/tickle", "status", status=503, count=2)
    assert [reader.post("/v1/api/tickle").status for _ in range(3)] == [503, 503, 200]


def test_patterns_and_methods_choose_calls(simulator: Simulator, reader: Caller) -> None:
    simulator.control.fault("/portfolio/*", "status", status=500, method="GET")
    assert reader.get("/v1/api/portfolio/accounts").status == 500
    assert reader.get("/v1/api/sso/validate").status == 200
    simulator.control.fault("/sso/Login", "status", status=502)
    assert Caller(simulator.port).get("/sso/Login").status == 502
    simulator.control.clear_faults("/portfolio/*")
    assert reader.get("/v1/api/portfolio/accounts").status == 200
    assert Caller(simulator.port).get("/sso/Login").status == 502


def test_bodies_can_be_anything(simulator: Simulator, reader: Caller) -> None:
    simulator.control.fault("/tickle", "json", body={"error": "no session"}, count=1)
    assert reader.post("/v1/api/tickle").body == b'{"error":"no session"}'
    simulator.control.fault("/tickle", "html", count=1)
    answer = reader.post("/v1/api/tickle")
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (200, "text/html")


def test_answers_can_be_cut_short(simulator: Simulator, reader: Caller) -> None:
    simulator.control.fault("/tickle", "truncate", count=1)
    with pytest.raises(http.client.IncompleteRead):
        reader.post("/v1/api/tickle")


def test_connections_can_be_closed(simulator: Simulator, reader: Caller) -> None:
    simulator.control.fault("/tickle", "close", count=1)
    with pytest.raises(ConnectionError):
        reader.post("/v1/api/tickle")


def test_answers_can_be_slow_or_in_pieces(simulator: Simulator, reader: Caller) -> None:
    simulator.control.fault("/tickle", "slow", delay_s=0.4, count=1)
    simulator.control.fault("/tickle", "split", count=1)
    began = time.monotonic()
    assert reader.post("/v1/api/tickle").data["session"]
    assert time.monotonic() - began >= 0.4
    assert reader.post("/v1/api/tickle").data["session"]


def test_a_hanging_call_ends_when_the_fault_is_cleared(simulator: Simulator, reader: Caller) -> None:
    simulator.control.fault("/tickle", "hang")
    with pytest.raises(TimeoutError):
        reader.post("/v1/api/tickle", timeout_s=0.3)
    outcome: list[type[BaseException]] = []

    def call() -> None:
        try:
            reader.post("/v1/api/tickle")
        except ConnectionError as error:
            outcome.append(type(error))

    def calls() -> int:
        return int(simulator.control.state()["requests"]["POST /v1/api/tickle"])

    before = calls()
    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: calls() > before)
    assert thread.is_alive()
    simulator.control.clear_faults()
    thread.join(5)
    assert outcome
    assert reader.post("/v1/api/tickle").status == 200


def test_pacing_refuses_the_eleventh_call_and_punishes(simulator: Simulator, reader: Caller) -> None:
    simulator.control.limits(enabled=True, endpoints=False, penalty_s=900)
    # All within one second, however long they take.
    simulator.control.set_speed(0.001)
    statuses = [reader.get("/v1/api/one/user").status for _ in range(12)]
    simulator.control.set_speed(1.0)
    assert statuses == [200] * 10 + [429] * 2
    simulator.control.advance(800)
    assert reader.get("/v1/api/one/user").status in (401, 429)
    simulator.control.limits(enabled=False)


def test_endpoints_have_limits_of_their_own(simulator: Simulator, reader: Caller) -> None:
    simulator.control.limits(enabled=True)
    assert [reader.get("/v1/api/portfolio/accounts").status for _ in range(2)] == [200, 429]
    assert reader.get("/v1/api/one/user").status == 200
    simulator.control.advance(5)
    assert reader.get("/v1/api/portfolio/accounts").status == 200


def test_a_limit_belongs_to_the_endpoint_whatever_is_asked(simulator: Simulator, reader: Caller) -> None:
    simulator.control.limits(enabled=True, per_second=100)
    body = {"acctIds": ["U1234567"], "period": "1D"}
    assert reader.post("/v1/api/pa/performance", body).status == 200
    assert reader.post("/v1/api/pa/performance", {**body, "period": "7D"}).status == 429
    assert reader.post("/v1/api/pa/allperiods", body).status == 200
    assert simulator.control.state()["counters"]["refused_by_pacing"] >= 1


def test_the_busiest_second_is_told(simulator: Simulator, reader: Caller) -> None:
    """Calls within one second, and under way at once; each order measures anew."""
    simulator.control.measure()
    # Long enough for the last of them to begin while the first is under way, also on a busy machine.
    simulator.control.behaviour(latency_ms=2000)
    simulator.control.set_speed(0.001)
    calls = [threading.Thread(target=reader.get, args=("/v1/api/one/user",)) for _ in range(4)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    simulator.control.set_speed(1.0)
    state = simulator.control.state()["traffic"]
    assert (state["in_flight"], state["most_in_flight"], state["most_per_second"]) == (0, 4, 4)
    assert simulator.control.measure()["most_in_flight"] == 4
    assert simulator.control.measure() == {"in_flight": 0, "most_in_flight": 0, "most_per_second": 0}


def test_state_tells_users_sessions_and_requests(simulator: Simulator, reader: Caller) -> None:
    began = time.time()
    reader.post("/v1/api/tickle")
    state = simulator.control.state()
    assert state["users"]["demo-reader"]["kind"] == "read-only"
    assert [session["user"] for session in state["sessions"]] == ["demo-reader"]
    assert state["requests"]["POST /v1/api/tickle"] >= 1
    note = state["last_requests"][-1]
    assert (note["path"], note["status"]) == ("/v1/api/tickle", 200)
    assert began - 1 <= note["at"] <= time.time()


def test_drop_can_be_for_one_user(simulator: Simulator, reader: Caller) -> None:
    simulator.control.login("demo-trader")
    assert simulator.control.drop(user="demo-trader") == 1
    assert reader.get("/v1/api/sso/validate").status == 200


def test_wrong_orders_are_refused_with_a_reason(simulator: Simulator) -> None:
    orders = (
        lambda: simulator.control.page(colour="red"),
        lambda: simulator.control.fault("/tickle", "explode"),
        lambda: simulator.control.login("nobody"),
    )
    for order in orders:
        with pytest.raises(ControlError, match=r"colour|explode|nobody"):
            order()


def test_time_can_run_faster() -> None:
    with Simulator(simulator_options(speed=2000.0)) as simulator:
        simulator.control.login()
        wait_until(lambda: not simulator.control.state()["sessions"], timeout_s=5)


def test_a_taken_port_is_an_error(simulator: Simulator) -> None:
    with pytest.raises(OSError, match="in use"), Simulator(simulator_options(port=simulator.port)):
        pass
