"""A push that was approved: whatever the page shows then, the session is looked for, and what is said is true."""

import pytest

from ibkr_tools.errors import LoginFailed
from ibkr_tools.login.outcomes import Outcome
from tests.browser.conftest import Home
from tests.browser.test_login import meanwhile
from tests.browser.test_second_factor import counters, use_push
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser

PLACES = ["notification", "loading", "finished", "error"]


@pytest.mark.parametrize("place", PLACES)
def test_session_behind_a_page_that_hangs_after_the_approval(home: Home, place: str) -> None:
    """The page says success and "communicating with the server" for ever; the API has the session."""
    use_push(home, 60)
    home.control.page(second_factor="notification", after_approval=place)

    def log_in() -> None:
        # The form, user name, password, method, and two questions whether somebody has approved.
        wait_until(lambda: home.control.state()["requests"].get("POST /sso/Authenticator", 0) >= 6, 30)
        home.control.page(second_factor="notification", after_approval=place, push_approved=True)
        home.control.login()

    with meanwhile(log_in):
        assert home.login(unattended=True).outcome is Outcome.SUCCEEDED
    assert home.results == ["succeeded"]
    assert counters(home)["pushes"] == 1


@pytest.mark.parametrize("place", PLACES)
def test_no_session_behind_a_page_that_hangs_after_the_approval(home: Home, place: str) -> None:
    """What ended the login is said as it was; a machine rings the phone no more."""
    use_push(home, 60)
    home.control.page(second_factor="notification", push_approved_after_ms=1200, after_approval=place)
    says = "communicating with the server" if place == "error" else "the login was approved on the phone"
    with pytest.raises(LoginFailed, match=says) as caught:
        home.login(unattended=True)
    assert "nobody" not in str(caught.value)
    assert home.results == ["person"]
    assert home.section.retry_at is None


def test_last_step_that_hangs_after_the_approval(home: Home) -> None:
    """The browser is on its way to a page that never comes: the session is found all the same."""
    use_push(home, 60)
    home.control.page(second_factor="notification", push_approved=True)
    home.control.fault("/sso/Dispatcher", "hang")

    def log_in() -> None:
        wait_until(lambda: home.control.state()["requests"].get("POST /sso/Dispatcher", 0) >= 1, 30)
        home.control.login()

    with meanwhile(log_in):
        assert home.login(unattended=True).outcome is Outcome.SUCCEEDED
