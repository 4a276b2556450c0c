"""Logins without Chromium: a browser that shows a page of ours, which ends each login in the same way."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from ibkr_tools.config.loader import load_config
from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.login import page_scripts
from ibkr_tools.login.login_end import LoginResult
from ibkr_tools.login.login_runner import run_login
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_snapshot import second_factor_element
from ibkr_tools.login.page_states import SUCCESS_TEXT
from ibkr_tools.login.redaction import Redactor
from ibkr_tools.page_elements import SecondFactor
from tests.support.installation import Installation

__all__ = ["AT_ONCE", "NoSession", "Page", "PageBrowser", "log_in"]

AT_ONCE = Patience(poll=timedelta(milliseconds=1))

FORM: dict[str, Any] = {
    "url": "https://127.0.0.1:5000/sso/Login",
    "parsed": True,
    "complete": True,
    "text": "Log in",
    "visible": {"username": "", "password": "", "submit": "Login"},
    "inputs": 3,
    "paper": None,
    "recognised": {},
    "exchanges": 1,
    "exchange": 200,
    "document": 1.0,
    "status": 200,
    "missing": 0,
    "error": "",
}
"""What `page_scripts.INSPECT` returns of a form that is ready."""


def form_with(element: str, text: str = "") -> dict[str, Any]:
    """Returns the form with one more thing that can be seen."""
    return {**FORM, "visible": {**FORM["visible"], element: text}}


AFTER_PASSWORD: dict[Outcome, list[dict[str, Any]]] = {
    Outcome.SUCCEEDED: [{**FORM, "url": "https://127.0.0.1:5000/sso/Dispatcher", "text": SUCCESS_TEXT, "visible": {}}],
    Outcome.REFUSED: [form_with("error", "Invalid username password combination")],
    Outcome.UNKNOWN_ERROR: [form_with("error", "as the test says")],
    Outcome.LOCKED: [form_with("error", "Your user is locked.")],
    Outcome.CODE_REFUSED: [form_with("error", "Incorrect security code")],
    Outcome.SECOND_FACTOR: [form_with(second_factor_element(SecondFactor.BRONZE))],
    Outcome.FORM_AGAIN: [{**FORM, "document": 2.0}],
    Outcome.PUSH_MISSED: [form_with(second_factor_element(SecondFactor.NOTIFICATION)), FORM],
}
"""What the page shows after the password, one thing a snapshot and the last for ever, so that a login ends so."""


class NoSession:
    """A portal without a session."""

    session: str | None = None
    has_session = False
    recorded_429: Sequence[float | None] = ()

    def tickle(self) -> "NoSession":
        """Says that there is no session."""
        return self

    def accounts(self) -> list[dict[str, str]]:
        """Gives the accounts that a session would have."""
        return [{"id": "U1234567"}]

    def record_429(self, stated_s: float | None) -> None:
        """Takes note."""
        self.recorded_429 = [*self.recorded_429, stated_s]


class PageBrowser:
    """A `LoginBrowser` with a form that is ready; `on_submit` is called when the password goes out.

    After that the page shows what `on_submit` returns, one thing a snapshot and the last one for ever.
    """

    def __init__(self, on_submit: Callable[[], list[dict[str, Any]]], redactor: Redactor | None = None) -> None:
        self.redactor = redactor or Redactor()
        self.opened: list[str] = []
        self._on_submit = on_submit
        self._shown = [FORM]

    def open(self, url: str) -> None:
        """Takes note."""
        self.opened.append(url)

    def run(self, script: str, *arguments: object) -> Any:
        """Does what a script of the login is for."""
        if script in (page_scripts.INSPECT, page_scripts.INSPECT_KNOWN):
            return self._shown.pop(0) if len(self._shown) > 1 else self._shown[0]
        if script == page_scripts.FILL:
            return True
        if script == page_scripts.SUBMIT_FORM:
            if arguments[-1]:
                self._shown = list(self._on_submit())
            return ""
        raise AssertionError(script)

    def read_document(self, _script: str, *_arguments: object, most: int) -> tuple[str, int]:
        """Has an empty document."""
        return "<html></html>"[:most], 0

    def stop(self) -> None:
        """Has nothing to stop."""

    def screenshot(self) -> bytes:
        """Returns something that begins like a picture."""
        return b"\x89PNG"

    def is_waiting_for(self, _suffix: str) -> bool:
        """Has had every answer."""
        return False

    def idle_s(self) -> float:
        """Has had every answer for ever."""
        return math.inf

    def last_document(self) -> str | None:
        """Has asked for none."""
        return None

    def has_handler(self, _script: str, *_arguments: object) -> bool:
        """Has a script that waits for the submission."""
        return True

    def last_answer(self, _suffix: str) -> str | None:
        """Has kept none."""
        return None

    def waits_after_429_s(self) -> list[float]:
        """Has been answered no 429."""
        return []

    def clock_offset(self, _suffix: str) -> float | None:
        """Knows no other clock."""
        return None


class Page(NoSession):
    """A login page that ends each login in the same way, and counts; it is the portal behind it as well.

    `opened` counts the browsers; `dies` is raised when the password has gone out.
    """

    def __init__(self, outcome: Outcome, *, dies: BaseException | None = None) -> None:
        self.outcome = outcome
        self.opened = 0
        self.submitted = 0
        self._dies = dies

    @contextmanager
    def open_browser(self, _config: Config, _directories: Directories, redactor: Redactor) -> Iterator[PageBrowser]:
        """Is an `OpenBrowser`."""
        self.opened += 1
        yield PageBrowser(self._submit, redactor)

    def _submit(self) -> list[dict[str, Any]]:
        self.submitted += 1
        if self._dies is not None:
            raise self._dies
        self.has_session = self.outcome is Outcome.SUCCEEDED
        return AFTER_PASSWORD[self.outcome]

    def log_in(self, config: Config, directories: Directories, *, unattended: bool, again: bool = False) -> LoginResult:
        """Logs in through this page; there is no session before that."""
        self.has_session = False
        return run_login(
            config,
            directories,
            directories.config_file,
            unattended=unattended,
            again=again,
            client=self,
            patience=AT_ONCE,
            open_browser=self.open_browser,
        )


def log_in(place: Installation, page: Page, *, user: str = "reader", again: bool = False) -> None:
    """Logs in as a person does."""
    place.configure(1025, username=user, password="mistaken")
    place.directories.config_file.chmod(0o600)
    page.log_in(load_config(place.directories.config_file), place.directories, unattended=False, again=again)
