"""The scripts of the login, run in the page with something typed into its form: none of them gives it away."""

import functools
import json
from typing import Any

import pytest

from ibkr_tools.login import page_scripts, redaction_script
from ibkr_tools.login.page_snapshot import LOGIN_PATH, merge_selectors, snapshot_selectors
from ibkr_tools.page_elements import LOGIN_TYPE, PageElement
from tests.browser.conftest import Home
from tests.browser.shared_chromium import SharedChromium
from tests.support.page_questions import ask_page, wait_for_answer
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser

USERNAME, PASSWORD = "typed-username-4711", "typed-password-0815"
TABLE = merge_selectors()
FIELDS = [(TABLE["username"], USERNAME, False), (TABLE["password"], PASSWORD, True)]

ARGUMENTS: dict[str, list[Any]] = {
    "INSPECT": [snapshot_selectors(), TABLE["paper-switch"], TABLE["paper-checkbox"]],
    "INSPECT_KNOWN": [snapshot_selectors(), TABLE["paper-switch"], TABLE["paper-checkbox"]],
    "FIND_INVALID_SELECTORS": [[("username", selector) for selector in PageElement.USERNAME.selectors]],
    "EXPLAIN": [TABLE],
    "HIDE_CONSENT": [TABLE["consent"]],
    "SET_PAPER_SWITCH": [TABLE["paper-checkbox"], False],
    "CLICK": [TABLE["password"]],
    "FILL": [FIELDS],
    "SUBMIT_FORM": [
        *(TABLE["submit"], {"loading": TABLE["loading"]}, TABLE["paper-checkbox"]),
        *(False, list(LOGIN_TYPE), TABLE["password"], False),
    ],
    "READ_TEXT": [TABLE["password"]],
    "CHOOSE_METHOD": [["form"], ["typed"], ["1"]],
    "REDACT_DOCUMENT": [["nothing of the kind"]],
    # The last one submits what it types.
    "SUBMIT_CODE": [TABLE["password"], TABLE["submit"], TABLE["loading"], PASSWORD],
}
"""What each script is given here."""


def test_no_script_returns_what_is_typed(home: Home, shared_chromium: SharedChromium) -> None:
    """Whatever it is asked about, the fields with their values among it."""
    scripts = {**vars(page_scripts), **vars(redaction_script)}
    known = {name for name in scripts if name.isupper() and name[0] != "_"}
    # SUBMITTERS returns nodes, and is evaluated for a yes or no alone.
    others = {"DISABLED_BUTTON", "MAX_DOCUMENT_LENGTH", "MAX_TEXT_LENGTH", "PAGE_VOCABULARY", "SUBMITTERS"}
    assert known - others == set(ARGUMENTS), "a new script is tried here too"
    with shared_chromium.lend() as browser:
        browser.open(f"https://127.0.0.1:{home.port}{LOGIN_PATH}")
        wait_for_answer(browser, page_scripts.FILL, FIELDS)
        for name, arguments in ARGUMENTS.items():
            assert ask_page(browser, page_scripts.FILL, FIELDS), name
            told = json.dumps(browser.run(scripts[name], *arguments))
            assert USERNAME not in told, name
            assert PASSWORD not in told, name
            if name == "REDACT_DOCUMENT":
                assert "<form" in told
                left = browser.run("return [...document.querySelectorAll('input')].map((field) => field.value);")
                assert not {USERNAME, PASSWORD} & set(left)


CHANGES = {
    "a field was emptied": "document.querySelector('#xyz-field-password').value = '';",
    "over the form lies: loading": "document.querySelector('.xyzblock-loading').style.display = 'block';",
    "a field vanished": "for (const field of document.querySelectorAll('input')) field.remove();",
    "the form still asks for the other mode": "document.querySelector('[name=loginType]').value = '2';",
}
"""What SUBMIT_FORM says, and what changes the filled form so."""


def test_a_form_that_changed_is_not_submitted(home: Home, shared_chromium: SharedChromium) -> None:
    """The password is compared within the page, and another document knows nothing of it."""
    submit = ARGUMENTS["SUBMIT_FORM"]
    with shared_chromium.lend() as browser:
        run = functools.partial(ask_page, browser)
        for refusal, change in CHANGES.items():
            browser.open(f"https://127.0.0.1:{home.port}{LOGIN_PATH}")
            wait_until(lambda: "another page" in str(run(page_scripts.SUBMIT_FORM, *submit)), 20)
            assert run(page_scripts.FILL, FIELDS)
            assert run(page_scripts.SUBMIT_FORM, *submit) == ""
            run(change)
            assert run(page_scripts.SUBMIT_FORM, *submit) == refusal
    assert home.control.submitted() == 0


OTHER_NAMES = {"xyz-field-password": "abc", 'name="password"': 'name="abc"', "xyz-password": "abc"}


@pytest.mark.parametrize("is_known", [True, False])
def test_known_form_needs_no_recognition(home: Home, shared_chromium: SharedChromium, is_known: bool) -> None:
    """Its snapshot is the same without; whatever else is there takes the other script."""
    home.control.page(rename={} if is_known else OTHER_NAMES)
    with shared_chromium.lend() as browser:
        browser.open(f"https://127.0.0.1:{home.port}{LOGIN_PATH}")

        def take(script: str) -> Any:
            return ask_page(browser, script, *ARGUMENTS["INSPECT"])

        wait_until(lambda: (take(page_scripts.INSPECT) or {}).get("exchanges", 0) > 0, 20)
        known, other = take(page_scripts.INSPECT_KNOWN), take(page_scripts.INSPECT)
    assert {"username", "password", "submit"} <= other["visible"].keys()
    assert bool(other["recognised"]) is not is_known
    assert known == (other if is_known else None)
