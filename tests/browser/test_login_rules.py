"""What a login obeys besides the page: a pause, a stated wait, a request for a fresh session, the configuration."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ibkr_tools import pause_file
from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ActionRequired, LoginFailed, LoginRefused
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import AttemptResult, Outcome
from ibkr_tools.login_request import FRESH
from ibkr_tools.status import LoginSection, StatusFile, utc_now
from tests.browser.conftest import HURRIED, Home
from tests.browser.test_login import meanwhile
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser

QUICK = replace(HURRIED, logged_out=timedelta(seconds=1))


def ask_for(home: Home, content: bytes) -> None:
    """Leaves a login request."""
    home.directories.runtime.mkdir(exist_ok=True)
    home.directories.login_request.write_bytes(content)


def test_pause_that_comes_before_the_submission(home: Home) -> None:
    """The last look is right before the password: nothing goes out, nothing is counted, and it is no fault."""
    home.control.page(init_delay_ms=1500)

    def begin() -> None:
        status = StatusFile(home.directories.status_file)
        wait_until(lambda: (one := status.read_section(LoginSection)) is not None and one.state == "running", 20)
        pause_file.begin(home.directories.pause_file, pause_file.Pause(since=utc_now()))

    with meanwhile(begin), pytest.raises(LoginFailed, match="paused by a person; `ibkr-tools resume`"):
        home.login()
    assert home.control.submitted() == 0
    assert home.results == []
    assert (home.section.state, home.section.todo) == ("failed", None)
    assert not home.diagnostics
    pause_file.end(home.directories.pause_file)
    home.control.page(init_delay_ms=20)
    assert home.login().outcome is Outcome.SUCCEEDED


def test_pause_leaves_a_living_session_alone(home: Home) -> None:
    """With a session there is nothing to refuse."""
    home.control.login()
    pause_file.begin(home.directories.pause_file, pause_file.Pause(since=utc_now()))
    assert home.login().outcome is Outcome.NOT_NEEDED


@pytest.mark.parametrize("unattended", [True, False])
def test_stated_wait_is_obeyed(home: Home, unattended: bool) -> None:
    """IBKR's word holds for people too; the watchdog learns when it is over."""
    login_log = LoginLog(home.directories.login)
    entry = login_log.record_submission(utc_now(), "demo-reader", Secret("x"))
    login_log.record_result(entry, AttemptResult.FAILED, utc_now(), wait=timedelta(hours=2))
    with pytest.raises(LoginFailed, match="IBKR says to wait until") as caught:
        home.login(unattended=unattended)
    assert caught.value.exit_code == 75
    assert home.section.retry_at is not None
    assert timedelta(minutes=119) < home.section.retry_at - utc_now() <= timedelta(hours=2)
    assert home.control.submitted() == 0


def test_after_what_needs_a_person_only_a_person_logs_in(home: Home) -> None:
    """The unattended login stops without a browser, and says whose turn it is."""
    login_log = LoginLog(home.directories.login)
    login_log.record_result(
        login_log.record_submission(utc_now(), "demo-reader", Secret("x")), AttemptResult.PERSON, utc_now()
    )
    with pytest.raises(ActionRequired, match="needed a person"):
        home.login(unattended=True)
    assert home.section.state == "action-required"
    assert home.section.retry_at is None
    assert home.login().outcome is Outcome.SUCCEEDED
    assert LoginLog(home.directories.login).budget(utc_now()).allowed


def test_advice_of_the_login_that_failed_is_repeated(home: Home) -> None:
    """After a restart a machine that may not try says the very words of the login that failed."""
    home.control.page(restricted=True)
    with pytest.raises(ActionRequired) as first:
        home.login()
    with pytest.raises(ActionRequired) as then:
        home.login(unattended=True)
    assert home.control.submitted() == 1
    assert then.value.hint == first.value.hint == home.section.todo


def test_session_counts_though_the_disk_does_not_take_its_outcome(home: Home) -> None:
    """The login succeeded; its entry stays without an outcome, which counts as a failure."""
    home.control.page(dispatcher_delay_ms=1500)

    def fill_the_disk() -> None:
        wait_until(lambda: home.control.submitted() == 1, 20)
        login_log = home.directories.login / "login_log.json"
        login_log.rename(login_log.with_suffix(".saved"))
        login_log.mkdir()

    with meanwhile(fill_the_disk):
        assert home.login().outcome is Outcome.SUCCEEDED
    assert home.section.state == "succeeded"


def test_fresh_session_is_made_though_there_is_one(home: Home) -> None:
    """The brokerage escalation asks for it; the request is consumed, and it costs one submission."""
    home.control.login()
    ask_for(home, FRESH + b"\n")
    assert home.login(unattended=True).outcome is Outcome.SUCCEEDED
    assert not home.directories.login_request.exists()
    assert home.control.submitted() == 1
    assert home.results == ["succeeded"]


def test_old_session_does_not_prove_a_fresh_login(home: Home) -> None:
    """A refused password is refused, and a form that comes back is no session, though the old one still answers."""
    home.control.login()
    ask_for(home, FRESH)
    home.control.page(dispatcher="200-form")
    with pytest.raises(LoginFailed):
        home.login(unattended=True)
    assert home.results == ["failed"]
    LoginLog(home.directories.login).unlock(utc_now())
    ask_for(home, FRESH)
    with pytest.raises(LoginRefused):
        home.login(password="mistaken-secret", unattended=True)
    assert home.results == ["failed", "refused"]


def test_fresh_request_obeys_budget_and_pause(home: Home) -> None:
    """It is a login like any other."""
    home.control.login()
    pause_file.begin(home.directories.pause_file, pause_file.Pause(since=utc_now()))
    ask_for(home, FRESH)
    with pytest.raises(LoginFailed, match="paused"):
        home.login(unattended=True)
    assert home.control.submitted() == 0


def test_foreign_account_is_told(home: Home) -> None:
    """There is a session all the same, but not the one that the configuration means."""
    home.settings["account"] = "U7654321"
    result = home.login()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.todo == "Correct account in the configuration: this user may not view U7654321."
    assert (home.section.state, home.section.todo) == ("succeeded", result.todo)


@pytest.mark.parametrize("old", [False, True])
def test_session_that_the_gateway_logs_out_again(home: Home, old: bool) -> None:
    """The timer of the session before does so: the login that follows one that had a session tries once more itself.

    The jar does it within the seconds after the login; see tests/gateway. After no such login it is IBKR's trouble.
    """
    if old:
        home.login()
        home.control.drop(push="silent")
    before = list(home.results)
    home.control.page(dispatcher="302-nothing")

    def let_it_be() -> None:
        wait_until(lambda: len(home.results) > len(before) and home.results[-1] == "failed", 30)
        home.control.page(dispatcher="302")

    with meanwhile(let_it_be):
        if old:
            assert home.login(patience=QUICK).outcome is Outcome.SUCCEEDED
        else:
            with pytest.raises(LoginFailed, match="the page says success, the API has no session"):
                home.login(patience=QUICK)
    assert home.results == (["succeeded", "failed", "succeeded"] if old else ["failed"])
    assert home.section.state == ("succeeded" if old else "failed")
    assert len(home.diagnostics) == (0 if old else 2)
