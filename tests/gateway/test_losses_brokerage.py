"""The brokerage tier alone is lost, or never comes: the portfolio tier stays, and nobody logs in for it."""

import time
from typing import Any

import pytest

from bench.loss import Blow, Loss
from bench.prober import BROKERAGE
from ibkr_tools.simulator.control_client import ControlClient
from ibkr_tools.simulator.settings import Push
from tests.gateway.conftest import Begin
from tests.support.patience import slowdown
from tests.support.simulation import wait_until
from tests.support.stages import TRADER, Scene

pytestmark = [pytest.mark.gateway, pytest.mark.browser]

INIT = "/iserver/auth/ssodh/init"
TROUBLES: dict[str, dict[str, Any]] = {
    "refused once": {"kind": "json", "body": {"error": "user is not entitled to a brokerage session"}},
    "told to wait": {"kind": "json", "body": {"wait": True}},
    "503": {"kind": "status", "status": 503},
}
"""What IBKR may answer to whoever asks for the tier."""


@pytest.fixture
def ours(begin: Begin) -> Scene:
    """A session with both tiers."""
    return begin(TRADER, tier="brokerage")


def blow(ours: Scene) -> Blow:
    return Blow(ours.stage, BROKERAGE)


def is_the_same_session(ours: Scene, before: list[str]) -> None:
    assert ours.session_ids == before
    assert ours.brokerage == ["up"]
    assert ours.logins == 1
    assert ours.asked("GET /v1/portal/logout") == 0


@pytest.mark.parametrize("step", ["/iserver/auth/status", INIT])
def test_the_jars_handshake_has_stalled(begin: Begin, step: str) -> None:
    """One answer in two pieces, and the jar gives up after the login: it is told to begin anew."""

    def split(control: ControlClient) -> None:
        # On a busy machine a shorter pause would let both pieces arrive as one.
        control.behaviour(split_pause_ms=1000)
        control.fault(step, "split", count=1)

    ours = begin(TRADER, before=split, tier="brokerage")
    print(f"{TRADER}, {step} in two pieces after the login: {seconds_without(ours):.1f} s without the brokerage tier")
    assert ours.logged("asked for the brokerage tier: ") == 1
    assert ours.handshakes() <= 2
    assert ours.logins == 1


def seconds_without(ours: Scene) -> float:
    """Returns how long the portfolio tier was there without the brokerage tier, after the login."""

    def said(word: str) -> float | None:
        return next((at for at, line in ours.program.lines if f"session {word}:" in line), None)

    wait_until(lambda: said("up") is not None, 15.0)
    begun, ended = said("degraded"), said("up")
    assert begun is not None
    assert ended is not None
    return ended - begun


@pytest.mark.parametrize("what", TROUBLES)
def test_lost_and_not_given_back_at_once(ours: Scene, what: str) -> None:
    """IBKR ends the tier and does not open it at the first try: the next one does, in the same session."""
    before = ours.session_ids
    ours.control.fault(INIT, count=1, **TROUBLES[what])
    loss = blow(ours).strike(lambda: ours.control.drop("brokerage"))
    ours.print(f"brokerage tier lost, {what}", loss)
    assert loss.noticed_s < 3 * slowdown()
    is_the_same_session(ours, before)


@pytest.mark.parametrize("push", ["sts", "close"])
def test_lost(ours: Scene, push: Push) -> None:
    """It is asked for at once, before the jar finds out and logs the whole session out."""
    before = ours.session_ids
    loss = blow(ours).strike(lambda: ours.control.drop("brokerage", push=push))
    ours.print(f"brokerage tier lost ({push})", loss)
    assert loss.noticed_s < 3 * slowdown()
    assert loss.served_s < 15 * slowdown()
    is_the_same_session(ours, before)


def test_idle_for_too_long(ours: Scene) -> None:
    """Six minutes in which nobody asked for anything: IBKR ends the brokerage tier, and only that."""
    before = ours.session_ids
    loss = blow(ours).strike(lambda: ours.control.advance(400))
    ours.print("brokerage tier idle for too long", loss)
    assert loss.served_s < 15 * slowdown()
    is_the_same_session(ours, before)


def test_yields_to_another_program(begin: Begin) -> None:
    """Another program has the tier: nothing is done about it, and when it is given back all is well at once."""
    ours = begin(TRADER, tier="brokerage", competing="yield")
    before = ours.session_ids
    ours.control.compete()
    ours.wait_for_state("competing")
    began_s = time.monotonic()
    wait_until(lambda: time.monotonic() > began_s + 10, 15)
    assert ours.stage.session()["state"] == "competing"
    ours.control.compete(competing=False)
    ours.wait_for_state("up", 5)
    assert ours.session_control() == {}
    assert ours.handshakes() == 1
    is_the_same_session(ours, before)


def test_takes_it_back(begin: Begin) -> None:
    """With the policy `take` the other program is pushed out."""
    ours = begin(TRADER, tier="brokerage", competing="take")
    before = ours.session_ids
    loss = Blow(ours.stage).strike(ours.control.compete)
    ours.print("brokerage tier competed for, taken back", loss)
    assert loss.status_s < 15 * slowdown()
    is_the_same_session(ours, before)


def test_stolen_until_the_jar_logs_out(begin: Begin) -> None:
    """The jar ends the whole session when it finds its tier stolen, and a login would throw the thief out: it waits."""
    ours = begin(TRADER, tier="brokerage", competing="yield", competing_quiet_min=1)

    def steal() -> None:
        ours.control.compete(authenticated=False)
        ours.wait_for_state("competing", 5)
        wait_until(lambda: ours.asked("GET /v1/portal/logout") == 1, 35)
        ours.wait_for_state("backing-off", 10)

    loss = Blow(ours.stage).strike(steal)
    print(f"{TRADER}, stolen, the jar's own logout, a minute of quiet: served again {loss.served_s:.2f} s")
    assert 59 < loss.served_s < 90 * slowdown()
    assert ours.session_control() == {}
    assert (ours.logins, ours.brokerage) == (2, ["up"])


def test_the_jar_has_given_up(ours: Scene) -> None:
    """After a lost session the jar counts its failures on; one answer in two pieces is then its last word.

    Its timer of the lost session may still run: finding no brokerage tier in the new one, it logs that out too.
    """
    ours.control.page(dispatcher_delay_ms=15_000)

    def strike() -> None:
        ours.lose_the_jar()
        ours.wait_for_line("giving up", 30)
        ours.control.behaviour(split_pause_ms=1000)
        ours.control.fault("/iserver/auth/status", "split", count=1)

    loss: Loss = blow(ours).strike(strike)
    ours.print("the jar has given up, and stalls after the login", loss)
    assert ours.logins <= 3
    assert ours.brokerage == ["up"]
