"""A 429 in answer to the login page shuts out the address: every process of ours obeys it, not only the login."""

from typing import Any

import pytest

from ibkr_tools.config.loader import load_config
from ibkr_tools.errors import IbkrError, LoginFailed, RateLimited
from ibkr_tools.login.login_runner import make_client, run_login
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_explanation import explain_page
from ibkr_tools.portal.rate_limit_state import PENALTY_S
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.status import utc_now
from tests.browser.conftest import HURRIED, PASSWORD, Home

pytestmark = pytest.mark.browser

FAULTS: dict[str, dict[str, Any]] = {
    "the form's script": {"path": "/sso/Authenticator", "kind": "status", "status": 429},
    "the password": {"path": "/sso/Dispatcher", "kind": "status", "status": 429},
    "a decoration": {"path": "/portal.proxy/v1/gstat/bulletins", "kind": "status", "status": 429},
}
"""Requests of the page that can be answered so."""


def log_in(home: Home, password: str = PASSWORD) -> Outcome:
    """Logs in as the program does, with the rate limiter that all processes share."""
    file = home.configure(password=password)
    return run_login(
        load_config(file),
        home.directories,
        file,
        unattended=False,
        patience=HURRIED,
        open_browser=home.open_browser,
    ).outcome


def penalty_s(home: Home) -> float:
    """Returns what the other processes obey, in seconds."""
    directories = home.directories
    return SharedRateLimiter(directories.pacing_file, directories.penalty_file).penalty_s()


@pytest.mark.parametrize("page", [{"instead": "429"}, {}], ids=["the page", "its script"])
def test_429_before_the_password_pauses_every_process(home: Home, page: dict[str, Any]) -> None:
    """Nobody asks the API for a quarter of an hour, and no login begins before that."""
    home.control.page(**page)
    if not page:
        home.control.fault(**FAULTS["the form's script"])
    with pytest.raises(LoginFailed, match="429"):
        log_in(home)
    assert home.control.submitted() == 0
    assert PENALTY_S - 60 < penalty_s(home) <= PENALTY_S
    with pytest.raises(RateLimited, match="IBKR said too many requests"):
        make_client(load_config(home.configure()), home.directories).tickle()
    assert home.section.retry_at is not None
    assert PENALTY_S - 60 < (home.section.retry_at - utc_now()).total_seconds() <= PENALTY_S


@pytest.mark.parametrize(("what", "password"), [("the password", PASSWORD), ("a decoration", "mistaken")])
def test_429_to_whatever_the_page_asks_for_pauses_every_process(home: Home, what: str, password: str) -> None:
    """However the login ends, if not with a session."""
    home.control.fault(**FAULTS[what])
    with pytest.raises(IbkrError):
        log_in(home, password)
    assert home.control.submitted() == 1
    assert PENALTY_S - 60 < penalty_s(home) <= PENALTY_S


def test_429_is_over_when_the_api_answers(home: Home) -> None:
    """A session that is proven is not left without its tickles."""
    home.control.fault(**FAULTS["a decoration"])
    assert log_in(home) is Outcome.SUCCEEDED
    assert penalty_s(home) == 0.0


def test_429_to_a_page_that_is_only_explained_pauses_every_process(home: Home) -> None:
    """It was sent to IBKR all the same."""
    home.control.page(instead="429")
    config = load_config(home.configure())
    client = make_client(config, home.directories)
    explanation = explain_page(
        config, home.directories, client, now=utc_now(), patience=HURRIED, open_browser=home.open_browser
    )
    assert explanation.problem is not None
    assert PENALTY_S - 60 < penalty_s(home) <= PENALTY_S
