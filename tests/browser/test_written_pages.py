"""Login pages written by hand, not by the simulator: what is found on them, and where nothing may be submitted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest

from ibkr_tools.config.secrets import Secret
from ibkr_tools.login.browser import Browser
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_flow import LoginFlow
from ibkr_tools.login.login_form import Credentials
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.otp import TotpCodes
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.second_factor_flow import SecondFactorFlow
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.simulator import ControlClient, Simulator
from tests.browser.conftest import PASSWORD
from tests.browser.shared_chromium import SharedChromium
from tests.support.no_rate_limit import NoRateLimit
from tests.support.simulation import simulator_options
from tests.support.written_pages import LANGUAGES, page_in, read_pages

pytestmark = pytest.mark.browser

SOON = Patience(
    total=timedelta(seconds=30),
    form=timedelta(seconds=6),
    recognised_form=timedelta(milliseconds=300),
    quiet=timedelta(milliseconds=200),
    silent_form=timedelta(seconds=1),
    no_form=timedelta(seconds=1),
    switch=timedelta(seconds=2),
    unchanged_form=timedelta(seconds=2),
    unexpected=timedelta(seconds=1),
    session=timedelta(seconds=5),
    settle=timedelta(seconds=1),
)


@dataclass
class Stage:
    """A simulator that is the gateway, and one browser for all pages."""

    control: ControlClient
    browser: Browser
    portal: PortalClient
    port: int

    def log_in(self, document: str, *, paper: bool = False, password: str = PASSWORD, **flow: Any) -> LoginEnd:
        """Logs in on a page; what was counted before is forgotten."""
        self.control.clear()
        self.control.drop()
        self.control.page(document=document, **flow.pop("page", {}))
        self.before = self.control.state()["counters"]
        username = "demo-paper" if paper else "demo-reader"
        return LoginFlow(
            self.browser,
            self.portal,
            f"https://127.0.0.1:{self.port}",
            Credentials(username=username, password=Secret(password), paper=paper),
            before_submit=lambda: None,
            on_withdrawn=lambda: None,
            patience=SOON,
            on_step=lambda _text: None,
            **flow,
        ).run()

    def counted(self, *names: str) -> list[int]:
        """Returns what the servers have counted since."""
        after = self.control.state()["counters"]
        return [after[name] - self.before[name] for name in names]

    @property
    def clicks(self) -> list[str]:
        """What was clicked that should not have been."""
        found: list[str] = self.browser.run("return typeof clicks === 'undefined' ? [] : clicks")
        return found


@pytest.fixture(scope="module")
def stage(certificate: Path, shared_chromium: SharedChromium) -> Iterator[Stage]:
    with (
        Simulator(simulator_options(certificate=certificate, key=certificate.with_name("key.pem"))) as simulator,
        PortalClient(simulator.port, certificate, NoRateLimit(), read_timeout_s=5) as portal,
        shared_chromium.lend() as browser,
    ):
        yield Stage(simulator.control, browser, portal, simulator.port)


FOUND = {**read_pages("frameworks"), **read_pages("steps"), **read_pages("companions")}
REFUSED = read_pages("refused")
OTHER_ENDS = {"a closed shadow root": Outcome.BLANK_PAGE}
"""How a login ends on such a page if not as an unknown one: to the scripts nothing is there."""


@pytest.mark.parametrize("name", FOUND)
def test_form_is_found(stage: Stage, name: str) -> None:
    """One password, in the field for it, submitted by the control for it."""
    end = stage.log_in(FOUND[name])
    assert (end.outcome, stage.counted("submitted", "failures", "misplaced")) == (Outcome.SUCCEEDED, [1, 0, 0]), end.why


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_submitted_where_two_things_are_possible(stage: Stage, name: str) -> None:
    """And the password stands in no field but one for a password."""
    end = stage.log_in(REFUSED[name])
    assert stage.clicks == []
    assert stage.counted("submitted", "misplaced") == [0, 0]
    assert not end.submitted
    assert end.outcome is OTHER_ENDS.get(name, Outcome.UNKNOWN_PAGE), end.why


PAPER = read_pages("paper")


@pytest.mark.parametrize("paper", [True, False], ids=["paper", "live"])
@pytest.mark.parametrize("name", PAPER)
def test_paper_is_chosen(stage: Stage, name: str, paper: bool) -> None:
    """Before the password, whatever the choice looks like."""
    end = stage.log_in(PAPER[name], paper=paper)
    assert (end.outcome, stage.counted("submitted", "failures", "misplaced")) == (Outcome.SUCCEEDED, [1, 0, 0]), end.why


CODES = read_pages("codes")


@pytest.mark.parametrize("name", CODES)
def test_code_is_typed(stage: Stage, name: str, tmp_path: Path) -> None:
    """One code, into as many fields as it has."""
    secret = pyotp.random_base32()
    end = stage.log_in(
        CODES[name],
        page={"second_factor": "silver", "second_factor_secret": secret},
        second_factor=SecondFactorFlow("totp", TotpCodes(Secret(secret), tmp_path)),
    )
    assert (end.outcome, stage.counted("submitted", "failures", "misplaced")) == (Outcome.SUCCEEDED, [1, 0, 0]), end.why


ERRORS = read_pages("errors")


@pytest.mark.parametrize("name", ERRORS)
def test_refusal_is_understood(stage: Stage, name: str) -> None:
    """Wherever it stands and whether or not the password stays in its field."""
    end = stage.log_in(ERRORS[name], password="mistaken")
    assert (end.outcome, stage.counted("submitted", "failures")) == (Outcome.REFUSED, [1, 1]), end.why


@pytest.mark.parametrize("layout", ["labels", "steps"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_page_is_read_in_its_language(stage: Stage, language: str, layout: str) -> None:
    """Among other controls that say what they do in that language as well."""
    end = stage.log_in(page_in(language, layout))
    assert (end.outcome, stage.counted("submitted", "failures", "misplaced")) == (Outcome.SUCCEEDED, [1, 0, 0]), end.why


@pytest.mark.parametrize("language", LANGUAGES)
def test_refusal_is_understood_in_its_language(stage: Stage, language: str) -> None:
    """By what it says alone: what was typed is still there."""
    end = stage.log_in(page_in(language, "labels"), password="mistaken")
    assert (end.outcome, stage.counted("submitted", "failures")) == (Outcome.REFUSED, [1, 1]), end.why
