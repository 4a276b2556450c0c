"""The errors of selenium and of its way to the driver, and what they are called here."""

from selenium.common import exceptions as selenium_errors
from urllib3.exceptions import HTTPError

from ibkr_tools.errors import BrowserUnavailable, LoginFailed
from ibkr_tools.login.browser_protocol import BrowserLost, PageChanging
from ibkr_tools.login.redaction import MAX_TEXT_LENGTH, Redactor, one_line, truncated

__all__ = ["DRIVER_ERRORS", "translate_error"]

_TRANSIENT = (
    selenium_errors.JavascriptException,
    selenium_errors.StaleElementReferenceException,
    selenium_errors.NoSuchFrameException,
    selenium_errors.NoSuchElementException,
    selenium_errors.DetachedShadowRootException,
    selenium_errors.UnexpectedAlertPresentException,
    selenium_errors.NoAlertPresentException,
    selenium_errors.ScreenshotException,
    selenium_errors.TimeoutException,
)
_START_ERRORS = (selenium_errors.SessionNotCreatedException, selenium_errors.NoSuchDriverException)
_LOADING_TEXTS = (
    "navigat",
    "execution context",
    "document unloaded",
    "node with given id",
    "target frame detached",
    "no frame for given id",
    "context with specified id",
)


def translate_error(
    error: selenium_errors.WebDriverException | HTTPError | OSError, redactor: Redactor | None = None
) -> LoginFailed | BrowserUnavailable:
    """Returns our error for the driver's. Its texts can quote the page: they are redacted, then cut to a line."""
    text = getattr(error, "msg", None) or str(error) or type(error).__name__
    redacted = (redactor or Redactor())(text[:MAX_TEXT_LENGTH], is_cut=len(text) > MAX_TEXT_LENGTH)
    line = truncated(one_line((redacted.splitlines() or [""])[0]), 200)
    if isinstance(error, _START_ERRORS):
        return BrowserUnavailable(line)
    if isinstance(error, _TRANSIENT) or (
        isinstance(error, selenium_errors.WebDriverException) and any(text in line.lower() for text in _LOADING_TEXTS)
    ):
        return PageChanging(f"the page changed under our eyes: {line}")
    if isinstance(error, HTTPError | OSError):
        return BrowserLost(f"the browser's driver does not answer any more ({type(error).__name__})")
    return BrowserLost(f"the browser is gone: {line}")


DRIVER_ERRORS = (selenium_errors.WebDriverException, HTTPError, OSError)
