"""The watchdog as a real process against the simulator as the gateway."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from ibkr_tools import alert_outbox, pause_file, session_hint
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.pause_file import Pause
from ibkr_tools.simulator import Simulator
from ibkr_tools.status import FetchSection, GatewaySection, LoginSection, SessionState, utc_now
from tests.support.installation import Installation
from tests.support.patience import slowdown, within
from tests.support.portal import asked, signed_in
from tests.support.simulation import wait_until
from tests.support.watchdog import WatchdogProcess, running


def gateway_section(state: Literal["starting", "up"], java_pid: int) -> GatewaySection:
    now = utc_now()
    return GatewaySection(
        updated_at=now, fresh_for_s=60.0, state=state, since=now, port=1, upstream="https://x", java_pid=java_pid
    )


def next_tickle_s(dog: WatchdogProcess) -> float:
    """Returns how far the next tickle was when the status was written."""
    session = dog.session
    if session is None or session.next_at is None or session.state is not SessionState.UP:
        return 0.0
    last = session.last_tickle_at or session.updated_at
    return (session.next_at - last).total_seconds()


def outbox(dog: WatchdogProcess) -> list[AlertMessage]:
    found = [alert_outbox.read(path) for path in alert_outbox.pending(dog.place.directories.outbox)]
    return [message for message in found if message is not None]


def told(dog: WatchdogProcess) -> list[tuple[str, bool]]:
    return [(message.topic, message.over) for message in outbox(dog)]


NOTICED_S = 5.0
"""Typically under 0.1 s; generous, for a machine that does other things."""


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    return Installation(tmp_path, environment)


Watched = Callable[..., WatchdogProcess]


@pytest.fixture
def watch(place: Installation) -> Iterator[Watched]:
    """Starts a simulator and a watchdog; `user` None: nobody is signed in."""
    with ExitStack() as stack:

        def start(
            *,
            user: str | None = "demo-reader",
            tier: str = "portfolio",
            competing: str = "yield",
            outcome: str = "succeeded",
            environment: dict[str, str] | None = None,
            **options: object,
        ) -> WatchdogProcess:
            simulator = stack.enter_context(signed_in(place.root / "tls", user=user, **options))
            session = {"tier": tier, "competing": competing}
            place.configure(simulator.port, simulator.options.certificate, session=session)
            return stack.enter_context(running(place, simulator, outcome=outcome, **(environment or {})))

        yield start


def test_it_finds_a_living_session(watch: Watched) -> None:
    """READY, one line of status for systemd, a complete section; no login is asked for."""
    dog = watch()
    dog.wait_for(SessionState.UP)
    session = dog.session
    assert session
    assert (session.tier, session.accounts, session.losses, session.todo) == ("portfolio", ("U1234567",), 0, None)
    assert session.pid == dog.process.pid
    assert session.up_since
    assert session.last_tickle_at
    assert session.next_at
    assert session.why
    assert 10 <= (session.fresh_for_s or 0) <= 120
    wait_until(lambda: dog.systemd.heard("READY=1") and dog.systemd.heard("WATCHDOG=1"))
    wait_until(lambda: dog.systemd.heard("STATUS=") and any("up" in text for _, text in dog.systemd.messages))
    assert dog.login.requests == 0
    wait_until(lambda: dog.simulator.control.state()["websockets"] == 1)


def test_a_cold_start_asks_for_a_login(watch: Watched) -> None:
    dog = watch(user=None)
    dog.wait_for(SessionState.UP)
    assert dog.login.requests == 1
    assert not dog.place.directories.login_request.exists()


@pytest.mark.parametrize("push", ["sts", "close"])
def test_a_lost_session_is_noticed_and_back_at_once(watch: Watched, push: str) -> None:
    dog = watch()
    dog.wait_for(SessionState.UP)
    wait_until(lambda: dog.simulator.control.state()["websockets"] == 1)
    with within(NOTICED_S):
        dog.simulator.control.drop(push=push)  # type: ignore[arg-type]
        wait_until(lambda: dog.login.requests == 1, NOTICED_S, 0.01)
        dog.wait_for(SessionState.UP)
    session = dog.session
    assert session
    assert session.losses == 1
    # It listens again, and the next loss is noticed as fast.
    wait_until(lambda: dog.simulator.control.state()["websockets"] == 1)
    dog.simulator.control.drop(push=push)  # type: ignore[arg-type]
    wait_until(lambda: dog.login.requests == 2, 15.0, 0.01)
    dog.wait_for(SessionState.UP)


def test_a_hint_from_fetch_is_followed(watch: Watched) -> None:
    """The socket said nothing; a fetch met the loss first."""
    dog = watch()
    dog.wait_for(SessionState.UP)
    wait_until(lambda: dog.simulator.control.state()["websockets"] == 1)
    dog.simulator.control.drop(push="silent")
    section = FetchSection(updated_at=utc_now(), state="failed", why="lost", session_lost=True)
    dog.place.status.write(section)
    wait_until(lambda: dog.login.requests == 1, NOTICED_S, 0.01)


def test_a_hint_of_a_member_of_the_group_is_followed(watch: Watched) -> None:
    """Whoever may not write the status leaves a file where the group may write."""
    dog = watch()
    dog.wait_for(SessionState.UP)
    wait_until(lambda: dog.simulator.control.state()["websockets"] == 1)
    dog.simulator.control.drop(push="silent")
    session_hint.touch(dog.place.directories.session_hint)
    wait_until(lambda: dog.login.requests == 1, NOTICED_S, 0.01)


def test_a_refusal_waits_for_a_person_and_unlock_ends_it(watch: Watched) -> None:
    dog = watch(user=None, outcome="refused")
    dog.wait_for(SessionState.LOCKED_OUT)
    session = dog.session
    assert session
    assert (session.why, session.todo) == ("wrong password", "Check it")
    assert dog.place.run("status").returncode == 77
    assert dog.login.requests == 1
    dog.login.outcome = "succeeded"
    dog.login.say(LoginSection(updated_at=utc_now(), state="unlocked", why="a person"))
    dog.wait_for(SessionState.UP)
    assert dog.login.requests == 2


def test_trouble_at_ibkr_is_no_loss(watch: Watched) -> None:
    """503 twice: unreachable, or maintenance if this is one of IBKR's hours for it; no login; and back when IBKR is."""
    dog = watch()
    dog.wait_for(SessionState.UP)
    dog.simulator.control.fault("/tickle", "status", status=503)
    dog.place.status.write(FetchSection(updated_at=utc_now(), state="failed", why="x", session_lost=True))
    wait_until(lambda: dog.is_in(SessionState.UNREACHABLE) or dog.is_in(SessionState.MAINTENANCE), 15.0)
    dog.simulator.control.clear_faults()
    dog.wait_for(SessionState.UP, 15.0)
    assert dog.login.requests == 0
    assert (dog.session and dog.session.losses) == 0


def test_a_gateway_that_goes_and_comes_back(place: Installation) -> None:
    with ExitStack() as first:
        simulator = first.enter_context(signed_in(place.root / "tls"))
        place.configure(simulator.port, simulator.options.certificate)
        with running(place, simulator) as dog:
            dog.wait_for(SessionState.UP)
            first.close()
            dog.wait_for(SessionState.GATEWAY_DOWN)
            assert place.run("status").returncode == 69
            with Simulator(replace(simulator.options, port=simulator.port)) as again:
                dog.login.simulator = again
                dog.wait_for(SessionState.UP)
                assert dog.login.requests == 1


def test_without_a_certificate_it_waits_for_the_gateway(place: Installation) -> None:
    """The watchdog may be up before the gateway has ever run."""
    with signed_in(place.root / "tls") as simulator:
        place.configure(simulator.port)
        with running(place, simulator) as dog:
            dog.wait_for(SessionState.GATEWAY_DOWN)
            place.configure(simulator.port, simulator.options.certificate)
            section = GatewaySection(updated_at=utc_now(), state="up", since=utc_now(), port=1, upstream="https://x")
            place.status.write(section)
            dog.wait_for(SessionState.UP)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_says_so(watch: Watched, number: signal.Signals) -> None:
    dog = watch()
    dog.wait_for(SessionState.UP)
    with within(NOTICED_S):
        assert dog.stop(number) == 0
    session = dog.session
    assert session
    assert session.fresh_for_s == 0.0
    assert session.is_stale(utc_now())
    wait_until(lambda: dog.simulator.control.state()["websockets"] == 0)
    assert dog.simulator.control.state()["sessions"], "a valid session is never thrown away"
    assert "Traceback" not in (dog.place.root / "watchdog.log").read_text()


def test_a_hanging_ibkr_does_not_keep_it_from_stopping(watch: Watched) -> None:
    dog = watch()
    dog.wait_for(SessionState.UP)
    dog.simulator.control.fault("/tickle", "hang")
    dog.place.status.write(FetchSection(updated_at=utc_now(), state="failed", why="x", session_lost=True))
    wait_until(lambda: asked(dog.simulator, "/tickle") >= 2)
    # What its unit allows.
    with within(15):
        dog.process.send_signal(signal.SIGTERM)
        assert dog.process.wait(20) == 0


def test_a_damaged_status_file_is_mended(watch: Watched) -> None:
    dog = watch()
    dog.wait_for(SessionState.UP)
    dog.place.directories.status_file.write_bytes(b'{"half')
    dog.wait_for(SessionState.UP, 15.0)


def test_an_old_request_is_not_obeyed(watch: Watched, place: Installation) -> None:
    """What a former life asked for, this one decides anew."""
    place.directories.runtime.mkdir(parents=True)
    place.directories.login_request.touch()
    place.status.write(LoginSection(updated_at=utc_now(), state="failed", why="a former life"))
    dog = watch(outcome="silent")
    dog.wait_for(SessionState.UP)
    assert not place.directories.login_request.exists()


def test_the_brokerage_tier_if_it_is_wanted(watch: Watched) -> None:
    dog = watch(user="demo-trader", tier="brokerage")
    dog.wait_for(SessionState.UP)
    dog.simulator.control.compete()
    dog.wait_for(SessionState.COMPETING)
    dog.simulator.control.compete(competing=False)
    dog.wait_for(SessionState.UP)
    assert asked(dog.simulator, "ssodh/init") == 0


def test_a_read_only_user_never_asks_for_brokerage(watch: Watched) -> None:
    dog = watch()
    dog.wait_for(SessionState.UP)
    dog.simulator.control.drop()
    wait_until(lambda: dog.login.requests == 1)
    dog.wait_for(SessionState.UP)
    assert asked(dog.simulator, "/iserver/") == 0


def test_the_budget_is_kept(watch: Watched) -> None:
    """With IBKR's pacing switched on, nothing of what it does is refused."""
    dog = watch(user=None)
    dog.simulator.control.limits(enabled=True)
    for number in (1, 2):
        wait_until(lambda want=number: dog.login.requests >= want)  # type: ignore[misc]
        dog.wait_for(SessionState.UP)
        dog.simulator.control.drop()
    wait_until(lambda: dog.login.requests >= 3)
    assert dog.simulator.control.state()["counters"]["refused_by_pacing"] == 0


def test_a_pause_keeps_a_session_and_opens_none(watch: Watched) -> None:
    """A living session stays up; a lost one stays lost, until the person resumes; the status says all of it."""
    dog = watch()
    dog.wait_for(SessionState.UP)
    pause_file.begin(dog.place.directories.pause_file, Pause(since=utc_now()))
    # The file is watched: it would read it by itself every 10 s only.
    wait_until(lambda: dog.session is not None and dog.session.paused, 3.0)
    assert dog.is_in(SessionState.UP)
    dog.simulator.control.drop()
    dog.wait_for(SessionState.PAUSED)
    session = dog.session
    assert session
    assert (session.paused, session.paused_until, session.losses) == (True, None, 1)
    assert "ibkr-tools resume" in session.why
    dog.place.status.write(gateway_section("starting", 4711))
    dog.wait_for(SessionState.GATEWAY_DOWN)
    dog.place.status.write(gateway_section("up", 4711))
    dog.wait_for(SessionState.PAUSED)
    assert dog.login.requests == 0
    pause_file.end(dog.place.directories.pause_file)
    dog.wait_for(SessionState.UP)
    assert dog.login.requests == 1
    assert not (dog.session and dog.session.paused)


def test_a_pause_ends_by_itself_and_survives_a_restart(watch: Watched, place: Installation) -> None:
    # It has to begin before that.
    until = utc_now() + timedelta(seconds=6 * slowdown())
    pause_file.begin(place.directories.pause_file, Pause(since=utc_now(), until=until))
    dog = watch(user=None)
    dog.wait_for(SessionState.PAUSED)
    assert (dog.session and dog.session.next_at) == until
    dog.wait_for(SessionState.UP, 20.0)
    assert utc_now() >= until
    assert dog.login.requests == 1


def test_a_lost_brokerage_tier_comes_back_without_a_login(watch: Watched) -> None:
    dog = watch(user="demo-trader", tier="brokerage")
    dog.wait_for(SessionState.UP)
    wait_until(lambda: dog.simulator.control.state()["websockets"] == 1)
    dog.simulator.control.drop("brokerage")
    wait_until(lambda: asked(dog.simulator, "ssodh/init") == 1)
    dog.wait_for(SessionState.UP)
    assert (dog.login.requests, dog.session and dog.session.losses) == (0, 0)


def test_another_program_is_left_alone(watch: Watched) -> None:
    """Nothing is asked for, and a session lost meanwhile waits: a login would throw the other program out."""
    dog = watch(user="demo-trader", tier="brokerage")
    dog.wait_for(SessionState.UP, 15.0)
    dog.simulator.control.compete(authenticated=False)
    dog.wait_for(SessionState.COMPETING)
    session = dog.session
    assert session
    assert session.next_at
    assert timedelta(minutes=29) < session.next_at - utc_now() <= timedelta(minutes=30)
    dog.simulator.control.drop()
    dog.wait_for(SessionState.BACKING_OFF)
    session = dog.session
    assert session
    assert "another program" in session.why
    assert session.next_at
    assert timedelta(minutes=29) < session.next_at - utc_now() <= timedelta(minutes=30)
    assert (dog.login.requests, asked(dog.simulator, "ssodh/init")) == (0, 0)


def test_the_brokerage_tier_is_taken_back_if_that_is_wanted(watch: Watched) -> None:
    dog = watch(user="demo-trader", tier="brokerage", competing="take")
    dog.wait_for(SessionState.UP, 15.0)
    dog.simulator.control.compete(authenticated=False)
    wait_until(lambda: asked(dog.simulator, "ssodh/init") == 1)
    dog.wait_for(SessionState.UP)
    assert dog.login.requests == 0


def test_a_push_of_no_use_shortens_the_tickles(watch: Watched) -> None:
    """The socket waits for a session though there is one; where heartbeats come, tickles are 30 s apart."""
    dog = watch()
    dog.wait_for(SessionState.UP)
    wait_until(lambda: next_tickle_s(dog) > 15.0)
    dog.simulator.control.behaviour(read_only_socket="waiting")
    dog.simulator.control.drop(push="close")
    wait_until(lambda: dog.login.requests == 1)
    dog.wait_for(SessionState.UP)
    wait_until(lambda: dog.simulator.control.state()["websockets"] == 1)
    wait_until(lambda: 5.0 < next_tickle_s(dog) <= 10.1, 20.0)
    assert "the push is of no use" in (dog.place.root / "watchdog.log").read_text()


def test_a_person_is_told_and_told_when_it_is_over(watch: Watched) -> None:
    dog = watch(user=None, outcome="refused")
    dog.wait_for(SessionState.LOCKED_OUT)
    wait_until(lambda: ("person", False) in told(dog))
    (message,) = (one for one in outbox(dog) if one.topic == "person")
    assert (message.what, message.todo, message.user) == ("wrong password", "Check it", "demo-reader")
    assert ("unit:ibkr-watchdog.service", True) in told(dog)
    dog.login.outcome = "succeeded"
    dog.login.say(LoginSection(updated_at=utc_now(), state="unlocked", why="a person"))
    dog.wait_for(SessionState.UP)
    wait_until(lambda: ("person", True) in told(dog))
    assert told(dog).count(("person", False)) == 1
    dog.place.status.write(gateway_section("up", 4711))
    dog.place.status.write(FetchSection(updated_at=utc_now(), state="succeeded", why="ok"))
    wait_until(lambda: {("unit:ibkr-gateway.service", True), ("unit:ibkr-fetch.service", True)} <= set(told(dog)))


def test_without_time_zones_it_works_and_says_so(watch: Watched, tmp_path: Path) -> None:
    dog = watch(environment={"PYTHONTZPATH": str(tmp_path)})
    dog.wait_for(SessionState.UP)
    log = (dog.place.root / "watchdog.log").read_text()
    assert log.count("tzdata") == 1
    assert "WARNING" in log


def test_a_wrong_configuration_is_78(place: Installation) -> None:
    place.configure(1025, account="x")
    assert place.run("watchdog").returncode == 78
