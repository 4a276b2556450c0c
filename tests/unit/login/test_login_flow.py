"""One way through the login page, with a browser that shows what a test says and a portal beside it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import DataError, RateLimited, SessionUnavailable
from ibkr_tools.login import page_scripts
from ibkr_tools.login.browser_protocol import BrowserLost
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_flow import LoginFlow
from ibkr_tools.login.login_form import Credentials
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_states import SUCCESS_TEXT
from tests.support.logins import AFTER_PASSWORD, AT_ONCE, FORM, NoSession, PageBrowser, form_with
from tests.support.patience import slowdown

PASSWORD = "a-password-4711"
ELSEWHERE = {**FORM, "url": "https://127.0.0.1:5000/sso/Dispatcher", "visible": {}}
SUCCESS = {**ELSEWHERE, "text": SUCCESS_TEXT}
HASTE = replace(
    AT_ONCE,
    unchanged_form=timedelta(),
    unexpected=timedelta(),
    loading=timedelta(),
    session=timedelta(milliseconds=5),
    settle=timedelta(),
)


class Session(NoSession):
    """A portal with a session."""

    session = "new"
    has_session = True


class Failing(NoSession):
    """A portal that raises the same error for ever."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def tickle(self) -> NoSession:
        """Raises it."""
        raise self._error


class Recording(PageBrowser):
    """A browser that remembers what scripts were given; `refusals` are what the form answers to being submitted."""

    def __init__(self, shown: list[dict[str, Any]], refusals: list[str] | None = None) -> None:
        super().__init__(lambda: shown)
        self.given: list[tuple[str, tuple[object, ...]]] = []
        self._refusals = refusals or []

    def run(self, script: str, *arguments: object) -> Any:
        """Takes note."""
        self.given.append((script, arguments))
        if script == page_scripts.SUBMIT_FORM and arguments[-1] and self._refusals:
            return self._refusals.pop(0)
        return super().run(script, *arguments)


def flow_through(
    browser: PageBrowser,
    portal: NoSession | None = None,
    *,
    patience: Patience = HASTE,
    before_submit: Callable[[], LoginEnd | None] = lambda: None,
    on_withdrawn: Callable[[], None] = lambda: None,
    old_session: str | None = None,
    after_success: bool = False,
) -> LoginFlow:
    """Returns a login that has not begun."""
    return LoginFlow(
        browser=browser,
        portal=portal or NoSession(),
        base="https://127.0.0.1:5000",
        credentials=Credentials(username="reader", password=Secret(PASSWORD)),
        before_submit=before_submit,
        on_withdrawn=on_withdrawn,
        patience=patience,
        old_session=old_session,
        after_success=after_success,
    )


def end_after(*shown: dict[str, Any], portal: NoSession | None = None, **more: Any) -> LoginEnd:
    """Returns how a login ends after whose password the page shows these things."""
    return flow_through(PageBrowser(lambda: list(shown)), portal, **more).run()


@pytest.mark.parametrize("outcome", [outcome for outcome in AFTER_PASSWORD if outcome is not Outcome.PUSH_MISSED])
def test_what_the_page_shows_after_the_password_has_an_end(outcome: Outcome) -> None:
    """Each end says that a password went out, and why it ended."""
    portal = Session() if outcome is Outcome.SUCCEEDED else NoSession()
    end = end_after(*AFTER_PASSWORD[outcome], portal=portal)
    # A refused code without a second factor is what the words say.
    assert (end.outcome, end.submitted) == (outcome, True)
    assert end.why


def test_what_follows_a_success_at_the_form_counts() -> None:
    """The page may say success for a moment, and then show the form again."""
    patience = replace(HASTE, loading=timedelta(seconds=5))
    says_success = {**FORM, "text": SUCCESS_TEXT, "visible": {}}
    end = end_after(says_success, {**FORM, "document": 2.0}, patience=patience)
    assert end.outcome is Outcome.FORM_AGAIN


@pytest.mark.parametrize(
    ("shown", "outcome", "why"),
    [
        (form_with("tasks"), Outcome.TASKS, "confirm data"),
        (form_with("restricted"), Outcome.RESTRICTED, "e-mail"),
        ({**FORM, "exchange": 500}, Outcome.SERVER_ERROR, "answers 500"),
        (FORM, Outcome.FORM_AGAIN, "just stayed"),
        (form_with("loading"), Outcome.STILL_LOADING, "busy"),
        ({**FORM, "visible": {}}, Outcome.UNKNOWN_PAGE, "after the password there was an unknown page"),
        ({**ELSEWHERE, "status": 503, "text": "x"}, Outcome.SERVER_ERROR, "503"),
        ({**ELSEWHERE, "status": 429, "text": "x"}, Outcome.TOLD_TO_WAIT, "429"),
        (ELSEWHERE, Outcome.UNPROVEN, "left the form"),
        (SUCCESS, Outcome.UNPROVEN, "the page says success"),
    ],
)
def test_an_end_without_a_session(shown: dict[str, Any], outcome: Outcome, why: str) -> None:
    """The API is asked where there may be a session, and then the page's word counts."""
    end = end_after(shown)
    assert end.outcome is outcome
    assert why in end.why


class Refused(PageBrowser):
    """A browser whose page was answered 429, with these waits."""

    def __init__(self, shown: list[dict[str, Any]], waits_s: list[float]) -> None:
        super().__init__(lambda: shown)
        self._waits_s = waits_s

    def waits_after_429_s(self) -> list[float]:
        """Returns them."""
        return self._waits_s


class Dying(Refused):
    """A browser that cannot tell any more what it was answered."""

    def waits_after_429_s(self) -> list[float]:
        """Says so."""
        raise BrowserLost("gone")


@pytest.mark.parametrize(
    ("browser", "portal", "recorded"),
    [
        (Refused([FORM], []), NoSession(), []),
        (Refused([FORM], [0.0]), NoSession(), [0.0]),
        (Refused([{**ELSEWHERE, "status": 429, "text": "x"}], [60.0, 1200.0, 0.0]), NoSession(), [1200.0]),
        (Refused([SUCCESS], [60.0]), NoSession(), [60.0]),
        (Refused([SUCCESS], [60.0]), Session(), []),
        (Dying([FORM], []), NoSession(), []),
    ],
)
def test_429_to_the_page_is_recorded_for_every_process(
    browser: PageBrowser, portal: NoSession, recorded: list[float]
) -> None:
    """Once, with the longest wait, and not where the API has answered with a session since."""
    flow = flow_through(browser, portal)
    flow.record_429(flow.run())
    assert list(portal.recorded_429) == recorded


@pytest.mark.parametrize(
    "shown",
    [
        form_with("tasks"),
        form_with("restricted"),
        FORM,
        {**FORM, "visible": {}},
        {**FORM, "document": 2.0},
        {**ELSEWHERE, "status": 503, "text": "x"},
        ELSEWHERE,
        SUCCESS,
    ],
)
def test_a_session_behind_it_is_a_success(shown: dict[str, Any]) -> None:
    """Whatever the page looks like."""
    end = end_after(shown, portal=Session())
    assert (end.outcome, end.accounts, end.submitted) == (Outcome.SUCCEEDED, ("U1234567",), True)


def test_the_old_session_proves_nothing_but_if_the_page_says_success() -> None:
    """A login that replaces a session is not taken for done because the old one is still there."""
    assert end_after(ELSEWHERE, portal=Session(), old_session="new").outcome is Outcome.UNPROVEN
    assert end_after(ELSEWHERE, portal=Session(), old_session="older").outcome is Outcome.SUCCEEDED
    assert end_after(SUCCESS, portal=Session(), old_session="new").outcome is Outcome.SUCCEEDED


def test_an_answer_that_is_not_about_the_session_is_no_proof_against_it() -> None:
    """It is asked again until the time for it is over; IBKR's order to wait ends that at once."""
    assert "success" in end_after(SUCCESS, portal=Failing(DataError("odd"))).why
    assert "slow down" in end_after(SUCCESS, portal=Failing(RateLimited("slow down"))).why


@pytest.mark.parametrize("after_success", [True, False])
def test_a_session_that_the_gateway_ended_is_known_by_what_was_before(after_success: bool) -> None:
    """The API denies it at once and for ever, though the page says success: worth another login, if there was one."""
    patience = replace(HASTE, logged_out=timedelta(), session=timedelta(seconds=0.3))
    portal = Failing(SessionUnavailable("none"))
    end = end_after(SUCCESS, portal=portal, patience=patience, after_success=after_success)
    assert (end.outcome, end.logged_out) == (Outcome.UNPROVEN, after_success)


def test_the_password_is_given_to_one_script_and_once() -> None:
    """What submits the form compares it within the page."""
    browser = Recording(AFTER_PASSWORD[Outcome.REFUSED])
    flow_through(browser).run()
    assert [script for script, arguments in browser.given if PASSWORD in repr(arguments)] == [page_scripts.FILL]
    submitting = [arguments[-1] for script, arguments in browser.given if script == page_scripts.SUBMIT_FORM]
    assert submitting == [False, True]


def test_nothing_is_submitted_when_the_record_of_it_says_no() -> None:
    """Such as a person who asked for a pause meanwhile."""
    browser = Recording(AFTER_PASSWORD[Outcome.SUCCEEDED])
    paused = LoginEnd(outcome=Outcome.PAUSED, why="paused")
    assert flow_through(browser, Session(), before_submit=lambda: paused).run() == paused
    assert [arguments[-1] for script, arguments in browser.given if script == page_scripts.SUBMIT_FORM] == [False]


def test_a_form_that_changed_after_the_record_is_withdrawn_and_filled_again() -> None:
    """Each submission is recorded before the button is pressed, and taken back if it was not."""
    browser = Recording(AFTER_PASSWORD[Outcome.REFUSED], ["a field was emptied"])
    told: list[str] = []

    def begin() -> None:
        told.append("recorded")

    end = flow_through(browser, before_submit=begin, on_withdrawn=lambda: told.append("withdrawn")).run()
    assert end.outcome is Outcome.REFUSED
    assert told == ["recorded", "withdrawn", "recorded"]


@pytest.mark.parametrize("has_session", [True, False])
def test_a_browser_that_dies_after_the_password_may_have_logged_in(has_session: bool) -> None:
    """The API says whether it did; before the password there is nothing to ask."""

    def die() -> list[dict[str, Any]]:
        raise BrowserLost("the browser is gone")

    end = flow_through(PageBrowser(die), Session() if has_session else NoSession()).run()
    assert end.outcome is (Outcome.SUCCEEDED if has_session else Outcome.BROWSER_DIED)
    assert end.submitted


@pytest.mark.parametrize("has_session", [True, False])
def test_the_whole_login_has_a_limit(has_session: bool) -> None:
    """At its end the API is asked once more, if a password went out."""
    patience = replace(AT_ONCE, total=timedelta(seconds=0.3 * slowdown()))
    portal = Session() if has_session else NoSession()
    end = end_after(form_with("loading"), portal=portal, patience=patience)
    assert end.outcome is (Outcome.SUCCEEDED if has_session else Outcome.TIMED_OUT)
    assert has_session or "at the end there was loading" in end.why
