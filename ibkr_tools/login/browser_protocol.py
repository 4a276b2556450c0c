"""What a login needs of a browser; `browser.Browser` is Chromium, and a test may bring another one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.errors import LoginFailed
from ibkr_tools.login.redaction import Redactor

__all__ = ["BrowserLost", "LoginBrowser", "OpenBrowser", "PageChanging"]


class BrowserLost(LoginFailed):
    """The browser or its driver died or hangs."""


class PageChanging(LoginFailed):
    """The page was replaced, or is being left, while it was being asked: ask again."""


class LoginBrowser(Protocol):
    """A browser with one page. Every method raises BrowserLost or PageChanging and nothing else.

    Every text that comes out is redacted by `redactor`. Addresses of requests are named by how they end.
    """

    redactor: Redactor

    def open(self, url: str) -> None:
        """Begins to load `url`; returns before the page is there."""

    def run(self, script: str, *arguments: object) -> Any:
        """Evaluates JavaScript in the page; `arguments` and the result are JSON."""

    def read_document(self, script: str, *arguments: object, most: int) -> tuple[str, int]:
        """Evaluates JavaScript that returns a text of at most `most` characters, and a number."""

    def stop(self) -> None:
        """Stays on the page that is there: what was being loaded is not."""

    def screenshot(self) -> bytes:
        """Returns a PNG of what the page shows."""

    def is_waiting_for(self, suffix: str) -> bool:
        """Says whether the page has asked an address that ends in `suffix` and has no answer yet."""

    def idle_s(self) -> float:
        """Returns for how many seconds the page has neither asked for anything that it can need nor waited for it."""

    def last_document(self) -> str | None:
        """Returns the address of the last document that was asked for, without its query; None before the first."""

    def has_handler(self, script: str, *arguments: object) -> bool:
        """Says whether a script file of the page handles the submission at one of the nodes that `script` returns."""

    def last_answer(self, suffix: str) -> str | None:
        """Returns the body of the last answer from such an address; None if it is gone."""

    def waits_after_429_s(self) -> list[float]:
        """Returns of each 429 that the page was answered the seconds that its Retry-After states, 0 without one."""

    def clock_offset(self, suffix: str) -> float | None:
        """Returns how many seconds the clock of whoever answered last there is ahead of ours; None: nobody knows."""


OpenBrowser = Callable[[Config, Directories, Redactor], AbstractContextManager[LoginBrowser]]
"""Starts a browser for the login at the configured gateway; it has ended when the context is left.

Raises:
    BrowserUnavailable, ConfigError: it cannot start here.
    BrowserLost: it died while starting.
    OutputError: there is no room for its profile.
"""
