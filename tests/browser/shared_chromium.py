"""One Chromium for the tests that are about pages: its start and its end cost more than a login does."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.login.browser import Browser, BrowserSettings, open_browser
from ibkr_tools.login.browser_protocol import BrowserLost
from ibkr_tools.login.driver_errors import DRIVER_ERRORS
from ibkr_tools.login.redaction import Redactor
from ibkr_tools.polling import poll_until

__all__ = ["SharedChromium"]


class SharedChromium:
    """A Chromium that is started when it is first wanted, and again when it was lost.

    Who opens it finds it as if new: an empty page, no cookies, and a network record that has nothing in it. Who is done
    with it leaves no page behind: one that polls for an approval would go on, which no page of an ended browser does.
    Simulators come and go, each on a port of its own, so it reaches every port of this machine; storage and cache are
    per port, and empty with each of them.
    """

    def __init__(self, profile: Path, spki: str) -> None:
        self._settings = BrowserSettings(profile=profile, spki=spki)
        self._running = contextlib.ExitStack()
        self._browser: Browser | None = None

    @contextlib.contextmanager
    def open(self, _config: Config, _directories: Directories, redactor: Redactor) -> Iterator[Browser]:
        """Is an `OpenBrowser`."""
        with self.lend(redactor) as browser:
            yield browser

    @contextlib.contextmanager
    def lend(self, redactor: Redactor | None = None) -> Iterator[Browser]:
        """Gives the browser for the length of the block."""
        driver = self._driver_as_if_new()
        browser = Browser(driver, redactor)
        try:
            yield browser
        finally:
            if browser.is_lost:
                self.close()
            else:
                with self._closed_when_lost():
                    self._leave_page(driver)

    def close(self) -> None:
        """Ends it, if it runs: nothing of it is left."""
        self._browser = None
        self._running.close()

    def _driver_as_if_new(self) -> Any:
        if self._browser is not None:
            with self._closed_when_lost():
                return self._forgotten(self._browser._driver)
        self._browser = self._running.enter_context(open_browser(self._settings))
        return self._browser._driver

    @contextlib.contextmanager
    def _closed_when_lost(self) -> Iterator[None]:
        try:
            yield
        except (*DRIVER_ERRORS, BrowserLost):
            self.close()

    @staticmethod
    def _leave_page(driver: Any) -> None:
        driver.get("about:blank")
        if not poll_until(lambda: driver.current_url == "about:blank", 5, 0.01):
            raise BrowserLost("Chromium does not leave the page")

    @staticmethod
    def _forgotten(driver: Any) -> Any:
        driver.execute("executeCdpCommand", {"cmd": "Network.clearBrowserCookies", "params": {}})
        # What the page before has asked for until now.
        driver.execute("getLog", {"type": "performance"})
        return driver
