"""The seams of the browser: foreign errors, programs, users, and what its processes inherit."""

import inspect
import pwd
from pathlib import Path

import pytest
from selenium.common import exceptions as selenium_errors
from urllib3 import exceptions as transport

from ibkr_tools.errors import BrowserUnavailable, IbkrError
from ibkr_tools.login import browser_processes
from ibkr_tools.login.browser_processes import RunAs
from ibkr_tools.login.browser_protocol import BrowserLost, PageChanging
from ibkr_tools.login.chromium_flags import CHROMIUM_FLAGS
from ibkr_tools.login.driver_errors import translate_error
from ibkr_tools.login.redaction import Redactor


def all_selenium_errors() -> list[type[selenium_errors.WebDriverException]]:
    return [
        kind
        for _, kind in inspect.getmembers(selenium_errors, inspect.isclass)
        if issubclass(kind, selenium_errors.WebDriverException)
    ]


@pytest.mark.parametrize("kind", all_selenium_errors())
def test_every_error_of_selenium_becomes_ours(kind: type[selenium_errors.WebDriverException]) -> None:
    """No error of the driver gets through, and its stack trace stays behind."""
    translated = translate_error(kind("first line\nsecond line"))
    assert isinstance(translated, IbkrError)
    assert "second line" not in translated.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (selenium_errors.WebDriverException("disconnected: not connected to DevTools"), BrowserLost),
        (selenium_errors.InvalidSessionIdException("invalid session id"), BrowserLost),
        (selenium_errors.JavascriptException("javascript error: document unloaded while waiting"), PageChanging),
        (selenium_errors.WebDriverException("aborted by navigation"), PageChanging),
        (selenium_errors.SessionNotCreatedException("session not created"), BrowserUnavailable),
        (transport.ProtocolError("connection broken"), BrowserLost),
        (ConnectionRefusedError(), BrowserLost),
    ],
)
def test_translation(error: selenium_errors.WebDriverException, kind: type[IbkrError]) -> None:
    """A dead browser, a changing page and one that does not start are three things."""
    assert isinstance(translate_error(error), kind)


def test_sandbox_and_certificate_checks_are_never_switched_off() -> None:
    """No flag weakens the browser, and none opens a port."""
    text = " ".join(CHROMIUM_FLAGS)
    for word in ("no-sandbox", "ignore-certificate-errors", "debugging-port", "disable-web-security", "single-process"):
        assert word not in text


def test_browser_inherits_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials directory, notify socket and proxies stay with the login."""
    for name in ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "https_proxy", "IBKR_ANYTHING"):
        monkeypatch.setenv(name, "secret")
    environment = browser_processes.browser_environment(tmp_path, tmp_path / "tmp")
    assert "secret" not in environment.values()
    assert environment["HOME"] == str(tmp_path)


def test_directories_that_the_other_user_cannot_enter(tmp_path: Path) -> None:
    """Every directory on the way must let the unprivileged user pass."""
    nobody = RunAs(user=pwd.getpwnam("nobody"))
    open_root = Path("/tmp").resolve()
    assert nobody.can_enter(open_root / "profile")
    tmp_path.chmod(0o700)
    assert not nobody.can_enter(tmp_path / "profile")
    assert RunAs(user=None).can_enter(tmp_path / "profile")


@pytest.mark.parametrize(
    "text",
    [
        "welcome Demo-Reader",
        "p<ss & 'w\"rd",
        "p&lt;ss &amp; &#x27;w&quot;rd",
        "p&lt;ss &amp; 'w\"rd",
        "user=demo-reader&x=p%3Css%20%26%20%27w%22rd",
    ],
)
def test_redactor_hides_names_and_passwords_in_every_spelling(text: str) -> None:
    """User name and password do not survive, as text, HTML or in an address."""
    redacted = Redactor(["demo-reader", "p<ss & 'w\"rd"])(text)
    assert "demo-reader" not in redacted.lower()
    assert "ss" not in redacted
