"""IBKR's side of a second factor: authenticator codes in real time, refusals, pushes."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.second_factor_authentication import totp
from tests.simulator.test_simulator_sso import submit
from tests.support.caller import Caller
from tests.support.simulation import simulator_options, wait_until

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(simulator_options(positions=1)) as simulator:
        yield simulator


def passes(caller: Caller, nonce: str = "a1", **fields: str) -> bool:
    answer = caller.form("/sso/Authenticator", ACTION="COMPLETETWOFACT", A=nonce, **fields).data
    assert bool(answer.get("message")) != answer["auth_res"] or "push" in answer
    return bool(answer["auth_res"])


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")],
)
def test_codes_are_those_of_the_standard(moment: int, code: str) -> None:
    """RFC 6238, appendix B, the last six digits."""
    assert totp(SECRET, moment) == code


@pytest.mark.parametrize("skew_s", [0, 3600])
def test_code_counts_on_the_servers_clock_and_only_once(caller: Caller, simulator: Simulator, skew_s: int) -> None:
    simulator.control.behaviour(clock_skew_s=skew_s)
    simulator.control.page(second_factor="silver", second_factor_secret=SECRET)
    # Not across the end of a window.
    wait_until(lambda: time.time() % 30 < 25, timeout_s=10)
    right = totp(SECRET, time.time() + skew_s)
    for nonce in ("a1", "a2"):
        assert submit(caller, "demo-reader", "demo-password", nonce=nonce).data["auth_res"] is True
    assert not passes(caller, RESPONSE=totp(SECRET, time.time() + skew_s - 60))
    assert passes(caller, RESPONSE=right)
    assert not passes(caller, "a2", RESPONSE=right)
    assert simulator.control.state()["counters"]["codes"] == 3


def test_answers_say_what_time_it_is_on_the_servers_clock(caller: Caller, simulator: Simulator) -> None:
    simulator.control.behaviour(clock_skew_s=40)
    answer = caller.form("/sso/Authenticator", ACTION="INIT", LOGIN_TYPE="1")
    said = parsedate_to_datetime(answer.headers["date"]).timestamp()
    assert said - time.time() == pytest.approx(40, abs=3)


def test_first_codes_can_be_refused_in_any_words(caller: Caller, simulator: Simulator) -> None:
    simulator.control.page(second_factor="temp", second_factor_refusals=1, second_factor_error="Login failed")
    submit(caller, "demo-reader", "demo-password")
    refused = caller.form("/sso/Authenticator", ACTION="COMPLETETWOFACT", A="a1", RESPONSE="123456").data
    assert refused == {"auth_res": False, "message": "Login failed"}
    assert passes(caller, RESPONSE="123456")


def test_push_is_approved_late_or_flips(caller: Caller, simulator: Simulator) -> None:
    simulator.control.page(second_factor="notification", push_approved_after_ms=3_600_000)
    submit(caller, "demo-reader", "demo-password")
    caller.form("/sso/Authenticator", ACTION="COMPLETEAUTH_1", A="a1", SF="5.2a")
    assert not passes(caller, PUSH="true")
    simulator.control.page(push_approved_after_ms=300)
    wait_until(lambda: passes(caller, PUSH="true"), timeout_s=5)
    assert simulator.control.state()["counters"]["pushes"] == 1
    simulator.control.page(push_approved_after_ms=None, push_flips_after_ms=0)
    answer = caller.form("/sso/Authenticator", ACTION="COMPLETETWOFACT", A="a1", PUSH="true").data
    assert answer["push"] == "over"
