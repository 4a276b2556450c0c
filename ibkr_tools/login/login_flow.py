"""The way through the login page: wait for its states, act once, and ask the API whether there is a session.

One flow submits at most one password. It waits for conditions, never for a fixed time, and it believes the page only
when it says no.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from urllib.parse import urlsplit

from loguru import logger

from ibkr_tools.errors import DataError, RateLimited, SessionUnavailable, UpstreamUnavailable
from ibkr_tools.login import page_states
from ibkr_tools.login.browser import Browser, BrowserLost
from ibkr_tools.login.login_form import LoginForm
from ibkr_tools.login.login_page import (
    FORM,
    ConditionTimer,
    Credentials,
    LoginPage,
    LoginStopped,
    Patience,
    Portal,
    SecondFactorHandler,
    SessionAnswer,
    Timer,
    ignore_wait,
)
from ibkr_tools.login.outcomes import LoginEnd, Outcome
from ibkr_tools.login.page_handlers import (
    FINAL_STATES,
    dismiss_overlay,
    end_for_stall,
    end_if_person_needed,
    stop_if_person_needed,
)
from ibkr_tools.login.page_states import PageSnapshot, PageState

__all__ = ["Credentials", "LoginFlow", "Patience", "Portal", "SessionAnswer"]

UNEXPECTED = (
    frozenset(PageState)
    - FORM
    - {PageState.LOADING, PageState.ERROR, PageState.SECOND_FACTOR, PageState.PROMO, PageState.CONSENT}
)
"""States of the login page that should give way to another one."""
LANDING = frozenset({PageState.UNREACHABLE, PageState.UNKNOWN, PageState.BLANK})
"""Where IBKR may send a browser that has logged in: nothing of that need be there behind the gateway."""
MAY_HAVE_SESSION = frozenset({PageState.RESTRICTED, PageState.TASKS})
"""States that IBKR may also show to somebody who has a session."""
SESSION_SETTLE = timedelta(seconds=2)
"""How long a session that is there already may take to show."""
NO_SESSION = "the API has no session"


@dataclass(frozen=True, kw_only=True)
class SessionCheck:
    """What to ask the API: for how long, and how the login ends if there is no session until then.

    `is_success`: the page says that there is one.
    """

    otherwise: LoginStopped
    span: timedelta = timedelta()
    is_success: bool = False


class StallDetector:
    """Notices that the page does not go on after the password."""

    def __init__(self, patience: Patience) -> None:
        self._unchanged, self._unexpected = ConditionTimer(patience.unchanged_form), ConditionTimer(patience.unexpected)
        self._busy, self._broken = ConditionTimer(patience.loading), ConditionTimer(patience.unchanged_form)

    def check(self, page: LoginPage, snapshot: PageSnapshot, state: PageState) -> LoginStopped | None:
        """Records a snapshot; says how the login ends if this has been going on for too long."""
        unchanged = self._unchanged.has_lasted(condition=state in FORM)
        unexpected = self._unexpected.has_lasted(condition=state in UNEXPECTED)
        busy = self._busy.has_lasted(condition=state is PageState.LOADING)
        broken = self._broken.has_lasted(condition=state is PageState.LOADING and snapshot.is_exchange_broken)
        if unexpected or busy or broken or (unchanged and snapshot.is_exchange_broken):
            return end_for_stall(page, snapshot, state)
        return LoginStopped(Outcome.FORM_AGAIN, "the form just stayed, no word why") if unchanged else None


@dataclass
class LoginFlow:
    """One login through `browser`.

    `before_submit` is called right before the password goes out; what it raises keeps it from going out.
    `on_withdrawn` is called when the page turned out not to take it after all. `second_factor` answers a second factor;
    without it the login ends there. `user_selectors` are the user's own. `old_session` names the session that this
    login is to replace, None if there was none; `on_wait` is told of long waits.

    `after_success`: the login before this one had a session through the same gateway. Of that session the jar keeps a
    timer, which nothing but its own next call, every 30 s, can stop; should it come in the seconds between the new
    login and the end of the jar's handshake for the brokerage tier, the jar logs the new session out (observed with
    the build of 2023-04-24, users who may trade). The page says success then, and the API at once and for ever that
    there is no session: that is not waited for.
    """

    browser: Browser
    portal: Portal
    base: str
    credentials: Credentials
    before_submit: Callable[[], None]
    on_withdrawn: Callable[[], None]
    second_factor: SecondFactorHandler | None = None
    user_selectors: page_states.Selectors = field(default_factory=dict)
    old_session: str | None = None
    after_success: bool = False
    patience: Patience = field(default_factory=Patience)
    on_step: Callable[[str], None] = logger.info
    on_wait: Callable[[str, float], None] = ignore_wait

    def run(self) -> LoginEnd:
        """Goes through the page once; never raises LoginFailed, which is a LoginEnd too.

        Raises:
            IbkrError: what `before_submit` raises, and what the API answers when it is not about the session
                (GatewayUnavailable, ConfigError).
        """
        self._page = page = LoginPage(
            self.browser,
            self.portal,
            patience=self.patience,
            user_selectors=self.user_selectors,
            on_step=self.on_step,
            on_wait=self.on_wait,
        )
        address = self.base + page_states.LOGIN_PATH
        form = LoginForm(
            page, address, self.credentials, before_submit=self.before_submit, on_withdrawn=self.on_withdrawn
        )
        try:
            accounts = self._sign_in(form)
        except LoginStopped as stopped:
            return LoginEnd(
                outcome=stopped.outcome,
                why=stopped.why,
                submitted=page.submitted,
                wait=stopped.wait,
                logged_out=stopped.logged_out,
            )
        who = ", ".join(accounts) or "no account"
        return LoginEnd(
            outcome=Outcome.SUCCEEDED, why=f"the session is proven: {who}", submitted=True, accounts=accounts
        )

    def _sign_in(self, form: LoginForm) -> tuple[str, ...]:
        """Goes through the page; what may have worked although the page does not say so, the API is asked about."""
        try:
            self._page.require_selectors()
            return self._await_result(form.submit())
        except BrowserLost as error:
            lost = LoginStopped(Outcome.BROWSER_DIED, error.message)
            if not self._page.submitted:
                raise lost from error
            self.on_step("The browser died after the password was submitted; asking the API")
            return self._verify_session(SessionCheck(otherwise=lost, span=SESSION_SETTLE), inspecting=False)
        except LoginStopped as stopped:
            if stopped.outcome is not Outcome.TIMED_OUT or not self._page.submitted:
                raise
            return self._verify_session(SessionCheck(otherwise=stopped), inspecting=False)

    def _handle_state(self, snapshot: PageSnapshot, state: PageState) -> bool | None:
        """Does what a state after the password demands.

        Returns None if that was nothing; else whether to ask the API now, or look at the page anew.
        """
        if state is PageState.SECOND_FACTOR and self.second_factor is not None:
            return self.second_factor.answer(snapshot, self._page)
        stop_if_person_needed(self._page, snapshot, state)
        return None

    def _await_result(self, before: PageSnapshot) -> tuple[str, ...]:
        """Waits for what the page makes of it; returns the accounts of the session that the API proves."""
        page, stall_detector = self._page, StallDetector(self.patience)
        while True:
            snapshot = page.inspect()
            state = page_states.classify(snapshot)
            if state in MAY_HAVE_SESSION and (stopped := end_if_person_needed(page, snapshot, state)):
                return self._verify_session(SessionCheck(otherwise=stopped, span=SESSION_SETTLE), inspecting=False)
            if (asking := self._handle_state(snapshot, state)) is not None:
                if asking:
                    return self._verify_session(self._success("the second factor was accepted"))
                stall_detector = StallDetector(self.patience)
                continue
            if check := self._session_check(snapshot, state, before):
                return self._verify_session(check)
            dismiss_overlay(page, state)
            if stalled := stall_detector.check(page, snapshot, state):
                return self._verify_session(SessionCheck(otherwise=stalled))
            page.pause()

    def _session_check(self, snapshot: PageSnapshot, state: PageState, before: PageSnapshot) -> SessionCheck | None:
        """Returns what to ask the API after this state, None if nothing."""
        if state in FORM and snapshot.document != before.document:
            return SessionCheck(otherwise=LoginStopped(Outcome.FORM_AGAIN, "IBKR shows the form again, no word why"))
        if not snapshot.left_the_form:
            return None
        if state is PageState.FINISHED:
            self.on_step("The gateway says that the login succeeded")
            return self._success("the page says success")
        if state in LANDING:
            self.on_step(f"The browser left the form for {urlsplit(snapshot.url).path or 'another page'}")
            stopped = LoginStopped(Outcome.UNPROVEN, f"the browser left the form, {NO_SESSION}")
            return SessionCheck(otherwise=stopped, span=self.patience.session)
        if state in FINAL_STATES:
            return SessionCheck(otherwise=end_for_stall(self._page, snapshot, state), span=SESSION_SETTLE)
        return None

    def _success(self, what: str) -> SessionCheck:
        stopped = LoginStopped(Outcome.UNPROVEN, f"{what}, {NO_SESSION}")
        return SessionCheck(otherwise=stopped, span=self.patience.session, is_success=True)

    def _verify_session(self, check: SessionCheck, *, inspecting: bool = True) -> tuple[str, ...]:
        """Asks the API until it has a session and gives its accounts; IBKR may need some time to settle.

        Every answer that is not about the session is taken for "not yet": a timeout says nothing.
        """
        timer, denied = Timer(check.span), ConditionTimer(self.patience.logged_out)
        while True:
            is_denied = False
            try:
                if self._is_new_session(self.portal.tickle(), check):
                    accounts = self.portal.accounts()
                    return tuple(str(account.get("accountId") or account.get("id")) for account in accounts)
            except RateLimited as error:
                raise LoginStopped(Outcome.UNPROVEN, f"{check.otherwise.why}: {error.message}") from error
            except (UpstreamUnavailable, SessionUnavailable, DataError) as error:
                logger.debug("Not proven yet: {}", error.message)
                is_denied = type(error) is SessionUnavailable
            may_be = self.after_success and check.is_success
            if denied.has_lasted(condition=is_denied and may_be):
                raise LoginStopped(check.otherwise.outcome, check.otherwise.why, logged_out=True)
            if timer.is_expired:
                raise check.otherwise
            self._page.require_time_left()
            if inspecting:
                # A person may be needed after all.
                snapshot = self._page.inspect()
                self._handle_state(snapshot, page_states.classify(snapshot))
            Event().wait(0.25)

    def _is_new_session(self, answer: SessionAnswer, check: SessionCheck) -> bool:
        """Whether this login made the session: unless the page says success, the old one may just still be there."""
        if self.old_session is None or check.is_success:
            return answer.has_session
        return answer.has_session and answer.session != self.old_session
