"""The login page has the known ids and blocks, and the exchange counts and locks as IBKR does."""

from collections.abc import Iterator

import pytest

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.password_authentication import password_proof
from ibkr_tools.simulator.sso import INVALID, WRONG_MODE_LIVE
from tests.support.caller import Answer, Caller
from tests.support.simulation import simulator_options

IDS = ("xyz-field-username", "xyz-field-password", "toggle1", "xyz-field-silver-response", "xyz-field-gold-response",
       "xyz-field-bronze-response", "xyz-field-temp-response")  # fmt: skip
BLOCKS = ("error", "username", "multiplesf", "otpselector", "silver", "notification", "gold", "bronze", "temp",
          "ibkey", "enablepush", "fido", "qrcode", "finished", "loading")  # fmt: skip


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(simulator_options(positions=1)) as simulator:
        yield simulator


def submit(caller: Caller, username: str, password: str, *, login_type: str = "1", nonce: str = "a1") -> Answer:
    """Do what the page's script does up to the proof."""
    first = caller.form("/sso/Authenticator", ACTION="INIT", USER=username, A=nonce, LOGIN_TYPE=login_type).data
    proof = password_proof(username, password, first["s"], first["B"])
    return caller.form(
        "/sso/Authenticator", ACTION="COMPLETEAUTH", USER=username, A=nonce, M1=proof, LOGIN_TYPE=login_type
    )


def test_every_block_is_in_the_page(caller: Caller) -> None:
    text = caller.get("/sso/Login?forwardTo=22&RL=1&ip2loc=US").body.decode()
    for name in IDS:
        assert text.count(f'id="{name}"') == 1, name
    for block in BLOCKS:
        assert f"xyzblock-{block}" in text, block
    for word in ("xyz-button-login", "xyz-errormessage", "gstat", "ibkey-promo-skip", "xyz-multipleselect",
                 "login-step-notification", "xyz-paperswitch", "loginformWrapper"):  # fmt: skip
        assert word in text, word
    assert 'name="user_name"' not in text, "that would be the page of before 2023"
    assert "Client login succeeds" not in text


def test_a_login_needs_proof_then_dispatcher(caller: Caller, simulator: Simulator) -> None:
    assert submit(caller, "Demo-Reader".lower(), "demo-password").data["auth_res"] is True
    answer = caller.form("/sso/Dispatcher", A="a1", loginType="1", forwardTo="22", password="****")
    assert answer.status == 302
    assert "set-cookie" in answer.headers
    (session,) = simulator.control.state()["sessions"]
    assert (session["user"], session["brokerage"]) == ("demo-reader", "none")
    again = caller.form("/sso/Dispatcher", A="a1", loginType="1", forwardTo="22")
    assert again.status == 200
    assert b"xyz-field-username" in again.body


def test_user_names_are_lower_case(caller: Caller) -> None:
    assert submit(caller, "DEMO-READER", "demo-password").data["auth_res"] is True


def test_wrong_passwords_are_counted_and_lock(caller: Caller, simulator: Simulator) -> None:
    """Ten failures in a row lock the user; the right password is then refused with the same text."""
    answers = [submit(caller, "demo-reader", "wrong").data for _ in range(10)]
    assert {answer["message"] for answer in answers} == {INVALID}
    assert [answer["reached_max_login"] for answer in answers] == [False] * 9 + [True]
    assert submit(caller, "demo-reader", "demo-password").data["message"] == INVALID
    user = simulator.control.state()["users"]["demo-reader"]
    assert (user["submitted"], user["failures"], user["locked"], user["logins"]) == (11, 11, True, 0)
    simulator.control.advance(23 * 3600)
    assert submit(caller, "demo-reader", "demo-password").data["auth_res"] is False
    simulator.control.advance(2 * 3600)
    assert submit(caller, "demo-reader", "demo-password").data["auth_res"] is True


def test_a_proof_without_exchange_is_the_false_refusal(caller: Caller, simulator: Simulator) -> None:
    answer = caller.form("/sso/Authenticator", ACTION="COMPLETEAUTH", USER="demo-reader", A="", M1="")
    assert answer.data["message"] == INVALID
    assert simulator.control.state()["users"]["demo-reader"]["races"] == 1


def test_a_paper_user_in_live_mode_is_told_so(caller: Caller, simulator: Simulator) -> None:
    assert submit(caller, "demo-paper", "demo-password").data["message"] == WRONG_MODE_LIVE
    assert simulator.control.state()["users"]["demo-paper"]["failures"] == 0
    assert submit(caller, "demo-paper", "demo-password", login_type="2").data["auth_res"] is True


def test_a_second_factor_can_be_asked_for(caller: Caller, simulator: Simulator) -> None:
    simulator.control.page(second_factor="silver")
    assert submit(caller, "demo-reader", "demo-password").data["sftypes"] == "silver"
    assert caller.form("/sso/Dispatcher", A="a1").status == 200
    for code, passed in (("000000", False), ("123456", True)):
        answer = caller.form("/sso/Authenticator", ACTION="COMPLETETWOFACT", A="a1", RESPONSE=code)
        assert answer.data["auth_res"] is passed
    assert caller.form("/sso/Dispatcher", A="a1").status == 302


def test_the_page_can_be_changed(caller: Caller, simulator: Simulator) -> None:
    simulator.control.page(rename={"xyz-field-username": "other-name"}, hide=[".xyz-button-login"],
                           maintenance="Maintenance tonight", paper_switch=False)  # fmt: skip
    text = caller.get("/sso/Login").body.decode()
    assert "xyz-field-username" not in text
    assert "toggle1" not in text
    assert ".xyz-button-login { display: none !important }" in text
    assert "Maintenance tonight" in caller.post("/portal.proxy/v1/gstat/bulletins", {}).body.decode()
    simulator.control.page(blank=True)
    assert "<form" not in caller.get("/sso/Login").body.decode()


def test_dispatcher_has_variants(caller: Caller, simulator: Simulator) -> None:
    simulator.control.page(dispatcher="302-body")
    submit(caller, "demo-reader", "demo-password")
    answer = caller.form("/sso/Dispatcher", A="a1")
    assert (answer.status, bool(answer.body)) == (302, True)
    simulator.control.page(dispatcher="200-form")
    submit(caller, "demo-reader", "demo-password")
    assert caller.form("/sso/Dispatcher", A="a1").status == 200
