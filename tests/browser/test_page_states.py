"""Each state of the login page, shown by the simulator and recognised in real Chromium."""

import pytest

from ibkr_tools.login.login_page_object import LoginPageObject
from ibkr_tools.login.login_timers import Timer
from ibkr_tools.login.page_states import FORM, PageState, classify
from ibkr_tools.page_elements import PageElement
from tests.browser.conftest import HURRIED, PASSWORD, Home
from tests.browser.shared_chromium import SharedChromium
from tests.support.logins import NoSession
from tests.support.page_state_cases import PAGE_STATE_CASES, PageStateCase
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("case", PAGE_STATE_CASES, ids=str)
def test_state_is_recognised(home: Home, shared_chromium: SharedChromium, case: PageStateCase) -> None:
    """What the simulator shows is the state that the row describes, by a snapshot of the real page."""
    home.control.page(**case.page)
    if case.fault:
        home.control.fault(**case.fault)
    with shared_chromium.lend() as browser:
        page = LoginPageObject(browser, NoSession(), patience=HURRIED)

        def state() -> PageState:
            return classify(page.inspect(until=Timer(HURRIED.poll)))

        def is_ready() -> bool:
            snapshot = page.inspect(until=Timer(HURRIED.poll))
            # The page refuses what is submitted before it has IBKR's answer.
            return classify(snapshot) in FORM and snapshot.exchanges > 0

        browser.open(f"https://127.0.0.1:{home.port}{case.path}")
        if case.submits:
            wait_until(is_ready, 20)
            assert page.fill(PageElement.USERNAME, "demo-reader")
            assert page.fill(PageElement.PASSWORD, PASSWORD)
            assert page.click(PageElement.SUBMIT)
        wait_until(lambda: state() is case.state, 20)
