"""What a page could do without hinders no login: images, fonts, frames, scripts and calls that fail or never come."""

from typing import Any

import pytest

from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.outcomes import Outcome
from tests.browser.conftest import Home
from tests.browser.test_redesigned_pages import ONE_SUBMISSION, counted, seed_with

pytestmark = pytest.mark.browser

TROUBLE: dict[str, dict[str, Any]] = {
    "403": {"kind": "status", "status": 403, "body": "Forbidden"},
    "404": {"kind": "html", "status": 404},
    "500": {"kind": "status", "status": 500},
}
PATHS = ("/portal.proxy/*", "/sso/report")
HANGING = ["*/logo*", "*/*.woff2", "*/gstat/bulletins", "*/analytics.js", "*/news.html", "*/tour.*", "*/events"]


@pytest.mark.parametrize(
    ("page", "silent", "trouble"),
    [
        ("today's", False, "403"),
        ("today's", True, "404"),
        ("redesigned", False, "500"),
        ("redesigned", True, "403"),
        ("redesigned in a frame", False, "404"),
        ("redesigned in a frame", True, "500"),
    ],
)
def test_decorations_hinder_no_login(home: Home, page: str, silent: bool, trouble: str) -> None:
    """One password, as if everything had come; whether the form talks to IBKR first or not."""
    more: dict[str, Any] = {}
    if page != "today's":
        container: Any = "frame" if "frame" in page else "document"
        more["redesign"] = seed_with(container, two_steps=False, talks_first=True)
    home.control.page(decorated=True, silent=silent, **more)
    for path in PATHS:
        home.control.fault(path, **TROUBLE[trouble])
    assert home.login(patience=Patience()).outcome is Outcome.SUCCEEDED
    assert counted(home) == ONE_SUBMISSION
    requests = home.control.state()["requests"]
    assert {"GET /portal.proxy/logo@2x.png", "GET /portal.proxy/logo.png"} & requests.keys()
    assert "GET /portal.proxy/analytics.js" in requests


@pytest.mark.parametrize(("number", "path"), list(enumerate(HANGING)))
def test_decoration_that_hangs_is_not_waited_for(home: Home, number: int, path: str) -> None:
    """Each alone: Chromium opens no more than six connections to one host, so six of them would keep it busy."""
    more = {"redesign": seed_with("document", two_steps=False, talks_first=True)} if number % 2 else {}
    home.control.page(decorated=True, **more)
    home.control.fault(path, "hang")
    assert home.login(patience=Patience()).outcome is Outcome.SUCCEEDED
    assert counted(home) == ONE_SUBMISSION
