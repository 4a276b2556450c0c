"""The portal client and the push listener against the simulator as the gateway."""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from ibkr_tools.errors import (
    BrokerageUnavailable,
    ConfigError,
    DataError,
    ErrorResponse,
    PreflightMissing,
    RateLimited,
    SessionUnavailable,
    UpstreamSilent,
    UpstreamUnavailable,
)
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.push_listener import (
    Heartbeat,
    PushClosed,
    PushEvent,
    PushListener,
    SessionFrame,
    WaitingForSession,
)
from ibkr_tools.simulator import Simulator
from tests.support.patience import within
from tests.support.portal import asked, client_of, signed_in
from tests.support.simulation import make_certificate, wait_until
from tests.support.tls_server import Scripted, http


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with signed_in(tmp_path / "tls") as simulator:
        yield simulator


def test_a_living_session(simulator: Simulator) -> None:
    with client_of(simulator) as client:
        tickle = client.tickle()
        assert (tickle.has_session, tickle.authenticated) == (True, False)
        assert client.validate()
        assert [row["id"] for row in client.accounts()] == ["U1234567"]


def test_a_trading_users_brokerage_tier(tmp_path: Path) -> None:
    with signed_in(tmp_path / "tls", user="demo-trader", speed=100.0) as simulator, client_of(simulator) as client:
        wait_until(lambda: client.tickle().authenticated)
        simulator.control.compete()
        assert client.tickle().competing


@pytest.mark.parametrize("shape", ["401", "error", "302"])
def test_no_session_in_all_its_shapes(tmp_path: Path, shape: str) -> None:
    with signed_in(tmp_path / "tls", user=None) as simulator, client_of(simulator) as client:
        simulator.control.behaviour(no_session=shape)
        for call in (client.tickle, client.validate, client.accounts):
            with pytest.raises(SessionUnavailable) as caught:
                call()
            assert type(caught.value) is SessionUnavailable


FAULTS = [
    ({"kind": "status", "status": 500, "body": "Internal Server Error"}, UpstreamUnavailable),
    ({"kind": "status", "status": 503}, UpstreamUnavailable),
    ({"kind": "html", "status": 200}, UpstreamUnavailable),
    ({"kind": "html", "status": 404}, ErrorResponse),
    ({"kind": "truncate"}, UpstreamUnavailable),
    ({"kind": "close"}, UpstreamUnavailable),
    ({"kind": "hang"}, UpstreamSilent),
    ({"kind": "json", "body": {"error": "failed to process request"}}, UpstreamUnavailable),
    ({"kind": "json", "status": 400, "body": {"error": "Bad Request: no bridge"}}, BrokerageUnavailable),
    ({"kind": "json", "status": 500, "body": {"error": "Please query /accounts first"}}, PreflightMissing),
    ({"kind": "status", "status": 410}, SessionUnavailable),
    ({"kind": "status", "status": 429}, RateLimited),
    ({"kind": "json", "body": {"no": "list"}}, DataError),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS, ids=[str(fault) for fault, _ in FAULTS])
def test_faults(simulator: Simulator, fault: dict[str, object], kind: type[Exception]) -> None:
    simulator.control.fault("/portfolio/accounts", **fault)  # type: ignore[arg-type]
    with client_of(simulator, read_timeout_s=2.0) as client:
        with pytest.raises(kind) as caught:
            client.accounts()
        assert type(caught.value) is kind
        simulator.control.clear_faults()
        assert client.accounts(), "the client is usable afterwards"


def test_one_closed_connection_is_not_noticed(simulator: Simulator) -> None:
    simulator.control.fault("/portfolio/accounts", "close", count=1)
    with client_of(simulator) as client:
        assert client.accounts()
    assert asked(simulator, "/portfolio/accounts") == 2


def test_an_answer_in_two_pieces_is_whole(simulator: Simulator) -> None:
    simulator.control.behaviour(split=True)
    with client_of(simulator) as client:
        assert client.accounts()


def test_the_gateways_address_filter_is_a_matter_of_configuration(simulator: Simulator) -> None:
    simulator.control.behaviour(access_denied=True)
    with client_of(simulator) as client, pytest.raises(ConfigError, match="does not admit this address"):
        client.tickle()


def test_brokerage_calls_of_a_read_only_user(simulator: Simulator) -> None:
    with client_of(simulator, owns_session=True) as client, pytest.raises(DataError, match="not entitled"):
        client.request(endpoints.SSODH_INIT, body={"publish": True, "compete": False})


# The push.


class Ear:
    """A listener, and what it delivered."""

    def __init__(self, port: int, certificate: Path, **options: float) -> None:
        self.events: SimpleQueue[PushEvent] = SimpleQueue()
        self.listener = PushListener(port, certificate, self.events.put, **options)
        self.listener.start()

    def next(self) -> PushEvent:
        """Returns the next event; fails the test after half a minute."""
        return self.events.get(timeout=30)

    def until(self, kind: type[PushEvent]) -> PushEvent:
        """Returns the first event of a kind."""
        while not isinstance(event := self.next(), kind):
            pass
        return event

    def end(self) -> PushClosed:
        """Stops it; what comes last is PushClosed, and the thread ends."""
        self.listener.stop()
        closed = self.until(PushClosed)
        self.listener._thread.join(30)
        assert not self.listener._thread.is_alive()
        assert self.events.empty()
        assert isinstance(closed, PushClosed)
        return closed


def ear_of(simulator: Simulator, **options: float) -> Ear:
    """Starts a listener at the simulator."""
    assert simulator.options.certificate
    return Ear(simulator.port, simulator.options.certificate, **options)


def test_a_greeting_then_a_pushed_loss(simulator: Simulator) -> None:
    ear = ear_of(simulator)
    assert ear.next() == Heartbeat()
    assert ear.next() == SessionFrame(authenticated=False, competing=False, connected=True)
    with within(2):
        simulator.control.drop(push="sts")
        assert ear.next() == SessionFrame(authenticated=False, connected=False)
        assert isinstance(ear.next(), PushClosed)


def test_a_closed_socket_is_a_loss(simulator: Simulator) -> None:
    ear = ear_of(simulator)
    ear.until(SessionFrame)
    simulator.control.drop(push="close")
    assert isinstance(ear.next(), PushClosed)


def test_silence_is_a_loss(simulator: Simulator) -> None:
    ear = ear_of(simulator, silence_s=2.0)
    ear.until(SessionFrame)
    simulator.control.drop(push="silent")
    assert ear.next() == PushClosed("silent for 2 s")


def test_heartbeats_keep_it_open(tmp_path: Path) -> None:
    """One every ten simulated seconds."""
    with signed_in(tmp_path / "tls", speed=50.0) as simulator:
        ear = ear_of(simulator, silence_s=2.0)
        ear.until(SessionFrame)
        assert [ear.next() for _ in range(5)] == [Heartbeat()] * 5
        assert ear.end() == PushClosed("stopped")


def test_ibkr_hears_that_somebody_listens(tmp_path: Path) -> None:
    """`tic` renews the session at IBKR's side."""
    with signed_in(tmp_path / "tls", speed=50.0) as simulator:
        ear = ear_of(simulator, tic_interval_s=0.05)
        ear.until(SessionFrame)
        wait_until(lambda: simulator.control.state()["sessions"][0]["idle_s"] < 15)
        for _ in range(6):
            ear.next()
        wait_until(lambda: simulator.control.state()["sessions"][0]["idle_s"] < 30)
        ear.end()


def test_without_a_session_it_says_so(tmp_path: Path) -> None:
    with signed_in(tmp_path / "tls", user=None) as simulator:
        ear = ear_of(simulator)
        assert ear.next() == WaitingForSession()
        simulator.control.login("demo-reader")
        assert ear.next() == Heartbeat()
        ear.end()


def test_stop_is_quick_at_any_moment(simulator: Simulator) -> None:
    """Before, during and after the connection is made; the thread is gone and nothing comes after the end."""
    for pause_s in (0.0, 0.001, 0.01, 0.05, 0.2):
        ear = ear_of(simulator)
        threading.Event().wait(pause_s)
        with within(2):
            assert ear.end() == PushClosed("stopped")


def test_nobody_listens_is_an_end_too(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path)
    ear = Ear(1, certificate)
    closed = ear.next()
    assert isinstance(closed, PushClosed)
    assert "refused" in closed.why


def test_a_missing_certificate_is_an_end_too(tmp_path: Path) -> None:
    assert isinstance(Ear(1, tmp_path / "missing.pem").next(), PushClosed)


def test_a_stranger_hears_nothing(simulator: Simulator, tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path / "other")
    closed = Ear(simulator.port, certificate).next()
    assert isinstance(closed, PushClosed)
    assert "CERTIFICATE_VERIFY_FAILED" in closed.why


@pytest.mark.parametrize("status", ["302 Found", "200 OK", "404 Not Found", "500 Oops"])
def test_a_page_instead_of_a_socket_is_an_end(tmp_path: Path, status: str) -> None:
    """A redirect is not followed: it could lead anywhere."""
    make_certificate(tmp_path)
    with Scripted(tmp_path, http("200 OK")) as elsewhere:
        answer = http(status, b"x" * 5000, f"Location: wss://127.0.0.1:{elsewhere.port}/")
        with Scripted(tmp_path, answer) as server:
            closed = Ear(server.port, tmp_path / "certificate.pem", silence_s=2.0).next()
        assert elsewhere.connections == 0
    assert isinstance(closed, PushClosed)
    assert len(closed.why) <= 200


def test_proxies_of_the_environment_are_ignored(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "internal.example")
    ear = ear_of(simulator)
    assert ear.next() == Heartbeat()
    ear.end()
