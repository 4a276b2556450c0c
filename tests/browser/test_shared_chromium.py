"""What one test leaves in the Chromium that the tests share, the next one does not find."""

import os
import signal
from contextlib import suppress

import pytest

from ibkr_tools.login import browser_processes
from ibkr_tools.login.browser_protocol import BrowserLost
from tests.browser.conftest import Home
from tests.browser.shared_chromium import SharedChromium
from tests.support.page_questions import LOADED, wait_for_answer

pytestmark = pytest.mark.browser


def test_next_test_finds_it_as_if_new(home: Home, shared_chromium: SharedChromium) -> None:
    """No page, no cookie, no request of the one before: the same processes all the same."""
    with shared_chromium.lend() as browser:
        browser.open(f"{home.url}/sso/Login")
        wait_for_answer(browser, LOADED)
        browser.run("document.cookie = 'device=this-one; max-age=86400; path=/'")
        assert browser.last_document() == f"{home.url}/sso/Login"
        before = browser_processes.find_browser_processes()
    with shared_chromium.lend() as browser:
        assert browser.run("return location.href") == "about:blank"
        assert browser.last_document() is None
        browser.open(f"{home.url}/sso/Login")
        wait_for_answer(browser, LOADED)
        assert "device" not in browser.run("return document.cookie")
        assert before & browser_processes.find_browser_processes()


def test_another_one_takes_the_place_of_one_that_was_killed(shared_chromium: SharedChromium) -> None:
    with shared_chromium.lend() as browser:
        before = browser_processes.find_browser_processes()
        for pid in before:
            # Those of a process that is gone go by themselves.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(BrowserLost):
            browser.run("return 1")
    with shared_chromium.lend() as browser:
        assert browser.run("return 1 + 1") == 2
        assert not before & browser_processes.find_browser_processes()
