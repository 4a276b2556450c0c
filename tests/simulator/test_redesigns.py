"""Redesigned login pages can be used by a person: whatever they look like, the same steps lead to a session."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.redesign import choose_redesign
from ibkr_tools.simulator.redesign_page import render_redesign
from tests.support.chromium import chromium, count_answered, page_text
from tests.support.simulation import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.simulator(gateway=True, positions=1)]

EXCHANGE = "/sso/Authenticator"
FIND = """
const roots = function* (root) {
  yield root;
  for (const element of root.querySelectorAll("*")) {
    if (element.shadowRoot) yield* roots(element.shadowRoot);
    if (element.tagName === "IFRAME" && element.contentDocument) yield* roots(element.contentDocument);
  }
};
const search = (selector) => {
  for (const root of roots(document)) {
    const found = root.querySelector(selector);
    if (found) return found;
  }
  return null;
};
const [parts, role, text] = arguments;
const part = search(parts[role]);
if (!part || !part.checkVisibility()) return false;
if (text === null) { part.click(); return true; }
part.value = text;
part.dispatchEvent(new InputEvent("input", {bubbles: true, composed: true}));
return true;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    with chromium() as browser:
        yield browser


def parts_of(seed: int) -> dict[str, str]:
    """What the script knows its elements by."""
    match = re.search(r"const settings = (\{.*\});", render_redesign(choose_redesign(seed), settings={}).script)
    assert match is not None
    settings: dict[str, Any] = json.loads(match[1])
    parts: dict[str, str] = settings["parts"]
    return parts


@pytest.mark.parametrize("seed", range(24))
def test_the_same_steps_lead_to_a_session(browser: WebDriver, simulator: Simulator, seed: int) -> None:
    """The user name, the password, the control that submits them; one submission, and no password in another field."""
    simulator.control.page(redesign=seed, script_delay_ms=0)
    before = simulator.control.state()["counters"]
    browser.delete_all_cookies()
    browser.get(simulator.url + "/")
    parts, redesign = parts_of(seed), choose_redesign(seed)

    def act(role: str, text: str | None = None) -> None:
        wait_until(lambda: bool(browser.execute_script(FIND, parts, role, text)))

    act("username", "demo-reader")
    # What is submitted before the page has its answer is refused.
    wait_until(lambda: count_answered(browser, EXCHANGE) >= redesign.talks_first)
    if redesign.two_steps:
        act("next")
    act("password", "demo-password")
    act("submit")
    wait_until(lambda: "Client login succeeds" in page_text(browser))
    after = simulator.control.state()["counters"]
    assert {name: after[name] - before[name] for name in ("submitted", "logins", "misplaced", "races")} == {
        "submitted": 1,
        "logins": 1,
        "misplaced": 0,
        "races": 0,
    }


def test_a_password_in_another_field_is_counted(browser: WebDriver, simulator: Simulator) -> None:
    """So that a run over many redesigns can say that there was none."""
    simulator.control.page(redesign=1)
    browser.get(simulator.url + "/")
    wait_until(lambda: bool(browser.execute_script(FIND, parts_of(1), "username", "demo-password")))
    wait_until(lambda: simulator.control.state()["counters"]["misplaced"] > 0)


def test_a_seed_is_one_page() -> None:
    """And another seed is another one, which has none of today's names."""
    pages = [render_redesign(choose_redesign(seed), settings={}) for seed in (7, 7, 8)]
    assert pages[0] == pages[1]
    assert pages[0].document != pages[2].document
    for seed in range(200):
        page = render_redesign(choose_redesign(seed), settings={})
        assert not re.search(r"xyz|toggle|paperswitch", page.document + page.frame), seed
