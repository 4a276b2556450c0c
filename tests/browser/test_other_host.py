"""A page that leads to another host: the login names it and the setting, and types no password there."""

from typing import Any

import pytest

from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ConfigError
from ibkr_tools.login.login_flow import LoginFlow
from ibkr_tools.login.login_form import Credentials
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.simulator import Simulator
from tests.browser.conftest import HURRIED, PASSWORD, Home
from tests.browser.shared_chromium import SharedChromium
from tests.browser.test_redesigned_pages import counted, seed_with
from tests.support.logins import NoSession
from tests.support.simulation import simulator_options

pytestmark = pytest.mark.browser

HOST = "login.interactivebrokers.example"
FIELDS = "<label>User <input name=username></label><label>Password <input type=password></label><button>Log in</button>"


def document(body: str, head: str = "") -> dict[str, Any]:
    return {"document": f"<!DOCTYPE html><title>Interactive Brokers</title>{head}{body}"}


NOT_SUBMITTED = {
    "302": {"redirect": f"https://{HOST}/sso/Login?x=1"},
    "meta": document("<p>One moment", f'<meta http-equiv="refresh" content="0;url=https://{HOST}/sso/Login?x=1">'),
    "location": document(f"<script>location.replace('https://{HOST}/sso/Login?x=1')</script>"),
    "late location": document(f"<p>One moment<script>setTimeout(() => location = 'https://{HOST}/', 700)</script>"),
    "window.top in a frame": document(
        f"<iframe width=600 height=600 srcdoc=\"<script>top.location='https://{HOST}/'</script>\"></iframe>"
    ),
    "action": document(f'<form method="post" action="https://{HOST}/sso/Login">{FIELDS}</form>'),
    "base": document(f"<form method=post action=Login>{FIELDS}</form>", f'<base href="https://{HOST}/sso/">'),
    "formaction": document(
        "<form method=post><input name=username><input type=password>"
        f'<button formaction="https://{HOST}/">Log in</button></form>'
    ),
    "frame": document(f'<iframe width=600 height=600 src="https://{HOST}/sso/Login?x=1"></iframe>'),
    "frame that is sent on": document('<iframe width=600 height=600 src="/sso/on"></iframe>'),
}


@pytest.mark.parametrize("case", NOT_SUBMITTED)
def test_page_at_another_host_is_named_before_the_password(home: Home, case: str) -> None:
    """However the page leads there: by a redirect, a form, a frame."""
    home.control.page(**NOT_SUBMITTED[case])
    home.control.fault("/sso/on", "status", status=302, headers={"Location": f"https://{HOST}/sso/Login"})
    with pytest.raises(ConfigError, match=HOST) as caught:
        home.login()
    assert "gateway.upstream" in str(caught.value.hint)
    assert home.section.state == "broken"
    assert "other-host" in home.diagnostics[0].name
    assert counted(home) == {"submitted": 0, "misplaced": 0, "races": 0}
    assert home.results == ["unsubmitted"]


def test_chain_of_redirects_is_followed_to_the_other_host(home: Home) -> None:
    home.control.page(redirect="/sso/on")
    home.control.fault("/sso/on", "status", status=307, headers={"Location": f"https://{HOST}/sso/Login"})
    with pytest.raises(ConfigError, match=HOST):
        home.login()


@pytest.mark.parametrize("redesigned", [False, True])
def test_page_that_leads_elsewhere_after_the_password(home: Home, redesigned: bool) -> None:
    """The API is asked first: the session may be there; then the host is named."""
    page: dict[str, Any] = {"redesign": seed_with("document", two_steps=False)} if redesigned else {}
    home.control.page(**page)
    home.control.fault("/sso/Dispatcher", "status", status=302, headers={"Location": f"https://{HOST}/portal"})
    with pytest.raises(ConfigError, match=HOST) as caught:
        home.login()
    assert "gateway.upstream" in str(caught.value.hint)
    assert home.results == ["failed"]


def test_form_with_a_script_may_name_another_host(home: Home) -> None:
    """What the browser itself would do with it does not matter where a script of the page sends a proof."""
    home.control.page(rename={'action="/sso/Login"': f'action="https://{HOST}/sso/Login"'})
    assert home.login().outcome is Outcome.SUCCEEDED


def test_nothing_is_typed_at_another_origin(home: Home, shared_chromium: SharedChromium) -> None:
    """Even where the browser could reach it: another port of this machine with the very same page and certificate."""
    options = simulator_options(certificate=home.certificate, key=home.certificate.with_name("key.pem"))
    with Simulator(options) as other:
        home.control.page(redirect=f"https://127.0.0.1:{other.port}/sso/Login")
        with shared_chromium.lend() as browser:
            end = LoginFlow(
                browser=browser,
                portal=NoSession(),
                base=f"https://127.0.0.1:{home.port}",
                credentials=Credentials(username="demo-reader", password=Secret(PASSWORD)),
                before_submit=lambda: None,
                on_withdrawn=lambda: None,
                patience=HURRIED,
            ).run()
            assert browser.run("return document.querySelector('#xyz-field-password').value") == ""
        assert other.control.submitted() == 0
    assert end.outcome is Outcome.OTHER_HOST
    assert f"127.0.0.1:{other.port}" in end.why
