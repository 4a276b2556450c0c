"""A page that IBKR has changed, and the user's own selectors for it."""

import pytest

from ibkr_tools.errors import ConfigError, LoginFailed
from ibkr_tools.login import page_scripts
from ibkr_tools.login.outcomes import Outcome
from tests.browser.conftest import Home
from tests.browser.shared_chromium import SharedChromium
from tests.support.selector_texts import REFUSED, TAKEN

pytestmark = pytest.mark.browser

NEW_NAMES = {
    "xyz-": "abc-",
    "xyzblock": "abcblock",
    "xyzform": "abcform",
    "loginformWrapper": "abcWrapper",
    'name="username"': 'name="who"',
    'name="password"': 'name="what"',
    "btn-lg btn-primary": "big",
    ">Login<": ">Enter<",
    "toggle1": "mode",
    "paperSwitch": "mode",
    "toggle-wrapper": "mode-wrapper",
}
OWN = {
    "username": ["#abc-field-username"],
    "password": ["[name=what]"],
    "submit": ["text:^(enter|simulated login)$"],
    "error": [".abc-errormessage"],
    "paper-switch": [".abc-paperswitch"],
    "paper-checkbox": ["#mode"],
}


@pytest.mark.parametrize(("username", "paper"), [("demo-reader", False), ("demo-paper", True)])
def test_changed_page_is_a_known_one_with_own_selectors(home: Home, username: str, paper: bool) -> None:
    """Without a release: what the document shows goes into the configuration, and nothing has to be recognised."""
    home.control.page(rename=NEW_NAMES)
    home.settings = {"login": {"selectors": OWN}}
    assert home.login(username, paper=paper).outcome is Outcome.SUCCEEDED
    assert home.section.recognised == {}
    counters = home.control.state()["counters"]
    assert (counters["submitted"], counters["failures"], counters["races"]) == (1, 0, 0)


def test_changed_page_works_without_them(home: Home) -> None:
    """By what the page says of its fields."""
    home.control.page(rename=NEW_NAMES)
    assert home.login().outcome is Outcome.SUCCEEDED
    assert home.section.recognised


def test_own_selectors_come_first(home: Home) -> None:
    """A user's selector counts before the built-in ones; one that fits nothing does no harm."""
    home.control.page(maintenance="Back on Sunday", hide=[".loginformWrapper"])
    home.settings = {"login": {"selectors": {"bulletin": ["#not-there", "footer"], "username": ["#not-there"]}}}
    with pytest.raises(LoginFailed, match="IBKR says 'Fictitious accounts only"):
        home.login()
    home.control.page(maintenance="", hide=[])
    assert home.login().outcome is Outcome.SUCCEEDED


def test_selector_that_is_none_is_named(home: Home) -> None:
    """One line says which; no password goes out and nothing counts."""
    home.settings = {
        "login": {"selectors": {"username": ["#fine", "##user"], "submit": ["text:(", "button"], "code": [":has("]}}
    }
    with pytest.raises(ConfigError) as caught:
        home.login()
    for text in ("login.selectors.username: '##user'", "login.selectors.submit: 'text:('", "login.selectors.code"):
        assert text in caught.value.message
    assert "#fine" not in caught.value.message
    assert caught.value.exit_code == 78
    assert home.section.state == "broken"
    assert home.control.submitted() == 0
    assert home.results == []


def test_chromium_agrees_on_what_is_plainly_none(shared_chromium: SharedChromium) -> None:
    """`config check` objects to nothing that Chromium takes."""
    pairs = [("x", selector) for selector in (*TAKEN, *REFUSED)]
    with shared_chromium.lend() as browser:
        browser.open("about:blank")
        wrong = browser._run(page_scripts.FIND_INVALID_SELECTORS, pairs)
    assert [selector for _, selector in wrong] == REFUSED
