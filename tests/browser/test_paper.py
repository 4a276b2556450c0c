"""Logins to the paper account: the live/paper switch in every shape, and the wrong mode."""

import pytest

from ibkr_tools.errors import ConfigError, LoginFailed
from ibkr_tools.login.outcomes import Outcome
from tests.browser.conftest import Home
from tests.browser.test_login import meanwhile
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    "page",
    [
        {"paper_shape": "wrapper"},
        {"paper_shape": "label"},
        {"paper_clears_fields": True},
        {"paper_remounts": True},
        {"paper_remounts": True, "paper_clears_fields": True, "init_delay_ms": 500},
        {"init_delay_ms": 900},
        {"duplicate_submit": True},
        {"consent": True, "consent_returns": True},
    ],
    ids=str,
)
def test_switch_is_set_before_the_fields(home: Home, page: dict[str, object]) -> None:
    """IBKR knows of the mode before the password goes out, whatever the switch looks like and does to the fields."""
    home.control.page(**page)
    assert home.login("demo-paper", paper=True).outcome is Outcome.SUCCEEDED
    counters = home.control.state()["counters"]
    assert (counters["submitted"], counters["failures"], counters["races"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("username", "paper", "page"),
    [
        ("demo-paper", False, {}),
        ("demo-reader", True, {}),
        # An older page, or another region's: there is nothing to set, so IBKR decides.
        ("demo-paper", True, {"paper_switch": False}),
    ],
)
def test_wrong_mode_is_a_mistake_in_the_configuration(
    home: Home, username: str, paper: bool, page: dict[str, object]
) -> None:
    """It costs one submission, opens no session, is no refusal of the password, and names the key to change."""
    home.control.page(**page)
    with pytest.raises(ConfigError, match="Account Mode") as caught:
        home.login(username, paper=paper)
    assert "session.paper" in str(caught.value.hint)
    state = home.control.state()
    assert state["counters"]["submitted"] == 1
    assert "POST /sso/Dispatcher" not in state["requests"]
    assert home.section.state == "action-required"
    assert Outcome.WRONG_MODE.value in home.diagnostics[0].name


def test_live_user_on_a_page_without_switch(home: Home) -> None:
    """Without a switch there is nothing to do."""
    home.control.page(paper_switch=False)
    assert home.login().outcome is Outcome.SUCCEEDED


def test_form_that_does_not_follow_the_switch(home: Home) -> None:
    """If the hidden field of the form still says live, no password goes out."""
    home.control.page(rename={'$(".xyz-logintype").value = loginType();': ""})
    with pytest.raises(LoginFailed, match="the form still asks for the other mode"):
        home.login("demo-paper", paper=True)
    assert home.control.submitted() == 0


def test_servers_that_break_at_the_switch(home: Home) -> None:
    """If IBKR was not told of the mode, no password goes out."""
    home.control.page(init_delay_ms=1500, script_delay_ms=0)

    def break_it() -> None:
        wait_until(lambda: home.control.state()["requests"].get("POST /sso/Authenticator", 0) >= 1, 15)
        home.control.fault("/sso/Authenticator", "status", status=503)

    with meanwhile(break_it), pytest.raises(LoginFailed, match="IBKR answers 503"):
        home.login("demo-paper", paper=True)
    assert home.control.submitted() == 0


def test_switch_that_cannot_be_set(home: Home) -> None:
    """A switch that jumps back ends the login before the password."""
    home.control.page(rename={"function switchMode() {": 'function switchMode() { $("#toggle1").checked = false;'})
    with pytest.raises(LoginFailed, match="switch cannot be set"):
        home.login("demo-paper", paper=True)
    assert home.control.submitted() == 0
