"""A login goes on when IBKR has changed its page; it waits for nothing but the form, and for no form not for long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.config.loader import load_config
from ibkr_tools.errors import LoginFailed, LoginRefused
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_explanation import PageExplanation, explain_page, render_explanation
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.simulator.redesign import Container, choose_redesign
from tests.browser.conftest import Home
from tests.support.no_rate_limit import NoRateLimit

pytestmark = pytest.mark.browser

DECOY_PASSWORD = """<!DOCTYPE html><title>Interactive Brokers</title>
<p>Log in</p><label>Username <input type="text"></label><label>Password <input type="text"></label>
<button>Log in</button>"""
NO_FORM = (
    "<!DOCTYPE html><title>Interactive Brokers</title><h1>Welcome</h1><p>Choose your country.</p><a href='#'>Go</a>"
)
TWO_FORMS = (
    "<!DOCTYPE html><title>Interactive Brokers</title>"
    + """<div><input type="text"><input type="password"><button>Go</button></div>""" * 2
)


def seed_with(container: Container, **wanted: object) -> int:
    """Returns the first seed of a page like that."""
    return next(
        seed
        for seed in range(10_000)
        if (redesign := choose_redesign(seed)).container == container
        and all(getattr(redesign, name) == value for name, value in wanted.items())
    )


def counted(home: Home) -> dict[str, int]:
    counters: dict[str, int] = home.control.state()["counters"]
    return {name: counters[name] for name in ("submitted", "misplaced", "races")}


ONE_SUBMISSION = {"submitted": 1, "misplaced": 0, "races": 0}


@pytest.mark.parametrize(
    "wanted",
    [
        {"container": "document", "labelling": "label", "submit": "button"},
        {"container": "document", "labelling": "nothing", "form": False, "two_steps": False},
        {"container": "document", "labelling": "placeholder", "two_steps": True, "submit": "div"},
        {"container": "shadow", "labelling": "aria-label", "submit": "element"},
        {"container": "nested-shadow", "labelling": "beside", "submit": "link"},
        {"container": "frame", "labelling": "labelledby", "submit": "role"},
        {"container": "document", "language": "ja", "submit_text": False, "two_steps": False},
        {"container": "document", "talks_first": False, "mounts": True},
    ],
    ids=str,
)
def test_form_is_recognised_without_a_selector(home: Home, wanted: dict[str, Any]) -> None:
    """One password, in the password field; the status says what was recognised, and by what."""
    home.control.page(redesign=seed_with(**wanted))
    result = home.login()
    assert result.outcome is Outcome.SUCCEEDED
    assert counted(home) == ONE_SUBMISSION
    assert {"username", "submit"} <= home.section.recognised.keys()
    assert set(home.section.recognised.values()) <= {"role", "structure"}


@pytest.mark.parametrize("paper", ["checkbox", "select", "radio", "switch", "tabs"])
def test_paper_is_chosen_on_a_redesigned_page(home: Home, paper: str) -> None:
    """Whatever the choice looks like, it is made before the password."""
    home.control.page(redesign=seed_with("document", paper=paper))
    assert home.login("demo-paper", paper=True).outcome is Outcome.SUCCEEDED
    assert counted(home) == ONE_SUBMISSION


def test_code_is_typed_on_a_redesigned_page(home: Home) -> None:
    """Into the one field that a code belongs into."""
    kept = home.root / "totp"
    kept.touch(mode=0o600)
    kept.write_text("JBSWY3DPEHPK3PXP\n")
    home.settings["login"] = {"second_factor": {"method": "totp", "totp_file": str(kept)}}
    home.control.page(redesign=seed_with("shadow"), second_factor="silver", second_factor_secret="JBSWY3DPEHPK3PXP")
    assert home.login(patience=Patience()).outcome is Outcome.SUCCEEDED
    assert counted(home) == ONE_SUBMISSION


@pytest.mark.parametrize("error", ["alert", "live", "plain", "described", "toast"])
def test_refusal_is_understood_on_a_redesigned_page(home: Home, error: str) -> None:
    """By where it appears and what it says: a machine submits that password no more."""
    home.control.page(redesign=seed_with("document", error=error, language="fr" if error == "plain" else "en"))
    with pytest.raises(LoginRefused):
        home.login(password="mistaken")
    assert home.results == ["refused"]


def test_known_page_is_not_a_recognised_one(home: Home) -> None:
    """Nobody is told of a change that there is none of."""
    home.login()
    assert home.section.recognised == {}


@pytest.mark.parametrize(
    "document", [NO_FORM, TWO_FORMS, DECOY_PASSWORD], ids=["no form", "two forms", "no password field"]
)
def test_page_without_the_form_is_named_soon(home: Home, document: str) -> None:
    """Long before a form would be given up, and nothing is submitted: not where two things are possible either."""
    home.control.page(document=document)
    with pytest.raises(LoginFailed, match=r"unknown page|no field for a password"):
        home.login(patience=Patience(form=timedelta(minutes=1)))
    assert counted(home) == {"submitted": 0, "misplaced": 0, "races": 0}


@pytest.mark.parametrize("hangs", ["image", "script", "frame"])
@pytest.mark.parametrize("silent", [False, True])
def test_decoration_that_never_comes_is_not_waited_for(home: Home, hangs: str, silent: bool) -> None:
    """Nothing but the form is."""
    home.control.page(hangs=hangs, silent=silent)
    assert home.login(patience=Patience()).outcome is Outcome.SUCCEEDED
    assert counted(home) == ONE_SUBMISSION


@pytest.mark.parametrize("delay_ms", [0, 900])
def test_silent_page_is_submitted_when_its_script_is_ready(home: Home, delay_ms: int) -> None:
    """The handler of the loader does not count, so that no password goes out without a proof."""
    home.control.page(silent=True, script_delay_ms=delay_ms)
    assert home.login(patience=Patience()).outcome is Outcome.SUCCEEDED
    assert counted(home) == ONE_SUBMISSION


def explain(home: Home) -> PageExplanation:
    with PortalClient(home.port, home.certificate, NoRateLimit(), read_timeout_s=5) as client:
        config = load_config(home.configure())
        return explain_page(config, home.directories, client, now=datetime.now(UTC), open_browser=home.open_browser)


def test_what_a_login_would_do_is_explained_without_a_submission(home: Home) -> None:
    """By which selector each element of the known page is found, in a stripped document that names nobody."""
    explanation = explain(home)
    found = {element.name: element for element in explanation.elements if element.by}
    assert explanation.problem is None
    assert found["username"].by == "#xyz-field-username"
    assert found["password"].element == '<input password> "Password"'
    assert render_explanation(explanation).splitlines()[-2] == "a login would go on"
    assert explanation.document is not None
    assert "demo-reader" not in Path(explanation.document).read_text()
    assert counted(home) == {"submitted": 0, "misplaced": 0, "races": 0}


def test_page_that_has_changed_is_explained(home: Home) -> None:
    """By what each element is recognised; and of a page without a form, why there is none."""
    home.control.page(redesign=seed_with("shadow", language="de", labelling="label", two_steps=False))
    explanation = explain(home)
    found = {element.name: element for element in explanation.elements if element.by}
    assert {found[name].by for name in ("username", "submit")} <= {"role", "structure"}
    assert "by what it recognises" in render_explanation(explanation)
    home.control.page(document=NO_FORM)
    explanation = explain(home)
    assert explanation.problem is not None
    assert f"a login would end here: {explanation.problem}" in render_explanation(explanation)
