"""In a real browser the simulated login page behaves as IBKR's does, trouble included."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.sso import INVALID, WRONG_MODE_LIVE
from tests.support.chromium import chromium, page_text, sign_in
from tests.support.simulation import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.simulator(gateway=True, positions=1)]

SUCCESS = "Client login succeeds"


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    with chromium() as browser:
        yield browser


def wait_for(browser: WebDriver, text: str) -> None:
    wait_until(lambda: text in page_text(browser))


def is_shown(browser: WebDriver, selector: str) -> bool:
    return any(element.is_displayed() for element in browser.find_elements(By.CSS_SELECTOR, selector))


def test_the_password_never_leaves_the_page(browser: WebDriver, simulator: Simulator) -> None:
    """One submit is one submitted password, and no request carries it."""
    before = simulator.control.submitted()
    sign_in(browser, simulator.url, "Demo-Reader")
    wait_for(browser, SUCCESS)
    assert simulator.control.submitted() == before + 1
    assert "demo-password" not in str(simulator.control.state())


def test_refusals_are_shown(browser: WebDriver, simulator: Simulator) -> None:
    sign_in(browser, simulator.url, "demo-reader", "wrong")
    wait_for(browser, INVALID)
    assert browser.find_element(By.ID, "xyz-field-password").get_attribute("value") == ""
    sign_in(browser, simulator.url, "demo-paper")
    wait_for(browser, WRONG_MODE_LIVE)


def test_the_paper_switch_asks_again_and_changes_the_button(browser: WebDriver, simulator: Simulator) -> None:
    sign_in(browser, simulator.url, "demo-paper", paper=True)
    wait_for(browser, SUCCESS)


def test_submitting_before_the_script_is_ready_is_refused(browser: WebDriver, simulator: Simulator) -> None:
    """The right password, too early: the text of a wrong one, and it counts."""
    simulator.control.page(script_delay_ms=20_000)
    races = simulator.control.state()["counters"]["races"]
    browser.get(simulator.url + "/")
    browser.find_element(By.ID, "xyz-field-username").send_keys("demo-reader")
    browser.find_element(By.ID, "xyz-field-password").send_keys("demo-password")
    browser.find_element(By.CSS_SELECTOR, ".xyz-button-login").click()
    wait_for(browser, INVALID)
    assert simulator.control.state()["counters"]["races"] == races + 1


@pytest.mark.parametrize("kind", ["silver", "gold", "bronze", "temp"])
def test_codes_are_asked_for_in_their_block(browser: WebDriver, simulator: Simulator, kind: str) -> None:
    simulator.control.page(second_factor=kind)
    sign_in(browser, simulator.url, "demo-reader")
    wait_until(lambda: is_shown(browser, f".xyzblock-{kind}"))
    assert not is_shown(browser, ".xyzblock-username")
    field = browser.find_element(By.ID, f"xyz-field-{kind}-response")
    field.send_keys("000000\n")
    wait_for(browser, "Invalid security code")
    field.send_keys("123456\n")
    wait_for(browser, SUCCESS)


def test_a_push_waits_for_approval(browser: WebDriver, simulator: Simulator) -> None:
    simulator.control.page(second_factor="multiplesf")
    sign_in(browser, simulator.url, "demo-reader")
    wait_until(lambda: is_shown(browser, ".xyzblock-multiplesf"))
    Select(browser.find_element(By.CSS_SELECTOR, ".xyz-multipleselect")).select_by_visible_text("IB Key")
    wait_until(lambda: is_shown(browser, ".xyzblock-notification"))
    simulator.control.page(push_approved=True)
    wait_for(browser, SUCCESS)


def test_the_advert_must_be_skipped(browser: WebDriver, simulator: Simulator) -> None:
    simulator.control.page(promo=True)
    sign_in(browser, simulator.url, "demo-reader")
    wait_until(lambda: is_shown(browser, ".ibkey-promo-skip"))
    browser.find_element(By.CSS_SELECTOR, ".ibkey-promo-skip").click()
    wait_for(browser, SUCCESS)


def test_a_suspicious_login_lands_on_the_restricted_page(browser: WebDriver, simulator: Simulator) -> None:
    simulator.control.page(restricted=True)
    sign_in(browser, simulator.url, "demo-reader")
    wait_for(browser, "Verification Needed")
    assert "/restricted/" in browser.current_url


def test_the_consent_layer_covers_the_form(browser: WebDriver, simulator: Simulator) -> None:
    simulator.control.page(consent=True, maintenance="Maintenance tonight", form_delay_ms=300)
    browser.get(simulator.url + "/")
    wait_until(lambda: is_shown(browser, "#cookie-modal"))
    wait_for(browser, "Maintenance tonight")
    covered = browser.execute_script(
        "const box = document.querySelector('.xyz-button-login').getBoundingClientRect();"
        "const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);"
        "return top === null || !top.classList.contains('xyz-button-login');"
    )
    assert covered
    browser.find_element(By.ID, "gdpr-reject-all").click()
    wait_until(lambda: not is_shown(browser, "#cookie-modal"))


def test_a_hidden_button_may_come_first(browser: WebDriver, simulator: Simulator) -> None:
    simulator.control.page(duplicate_submit=True)
    sign_in(browser, simulator.url, "demo-reader")
    wait_for(browser, SUCCESS)
    browser.get(simulator.url + "/")
    buttons = browser.find_elements(By.CSS_SELECTOR, ".btn.btn-lg.xyz-button-login")
    assert [button.is_displayed() for button in buttons] == [False, True]


def test_the_page_asks_for_nothing_outside(browser: WebDriver, simulator: Simulator, tmp_path: Path) -> None:
    sign_in(browser, simulator.url, "demo-reader", "wrong")
    wait_for(browser, INVALID)
    names: list[str] = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert names
    assert all(name.startswith((simulator.url, "data:")) for name in names), names
