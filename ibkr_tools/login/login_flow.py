"""The way through the login page: wait for its states, act once, and ask the API whether there is a session.

One flow submits at most one password. It waits for conditions, never for a fixed time, and it believes the page only
when it says no.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never
from urllib.parse import urlsplit

from loguru import logger

from ibkr_tools.errors import DataError, RateLimited, SessionUnavailable, UpstreamUnavailable
from ibkr_tools.login.browser_protocol import BrowserLost, LoginBrowser
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_form import Credentials, LoginForm
from ibkr_tools.login.login_page_object import LoginPageObject, LoginTimeout, NextStep, ignore_page, ignore_wait
from ibkr_tools.login.login_timers import ConditionTimer, Patience, Timer
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_handlers import dismiss_overlay, end_for_stall, end_for_state, leads_elsewhere
from ibkr_tools.login.page_snapshot import LOGIN_PATH, NO_DOCUMENT, PageSnapshot, Selectors
from ibkr_tools.login.page_state_policy import PatienceName, Reaction, SessionBehind
from ibkr_tools.login.page_states import FORM, PageState, classify
from ibkr_tools.login.portal_protocol import Portal, SessionAnswer
from ibkr_tools.polling import poll_until

if TYPE_CHECKING:
    from ibkr_tools.login.second_factor_flow import SecondFactorFlow

__all__ = ["LoginFlow"]

SESSION_POLL = timedelta(seconds=0.25)
"""Between two questions to the API whether there is a session."""
NO_SESSION = "the API has no session"


@dataclass(frozen=True, kw_only=True)
class SessionCheck:
    """What to ask the API: for how long, and how the login ends if there is no session until then.

    `is_success`: the page says that there is one. `document`: that of the form, where the page has not gone on from it
    yet; what it goes on to counts then.
    """

    otherwise: LoginEnd
    span: timedelta = timedelta()
    is_success: bool = False
    document: float | None = None


class StallDetector:
    """Notices that the page does not go on after the password."""

    def __init__(self, patience: Patience) -> None:
        names: tuple[PatienceName, ...] = ("unchanged_form", "unexpected", "loading")
        self._timers = {name: ConditionTimer(span) for name in names if (span := patience.span(name)) is not None}
        self._broken = ConditionTimer(patience.unchanged_form)

    def check(self, page: LoginPageObject, snapshot: PageSnapshot, state: PageState) -> LoginEnd | None:
        """Records a snapshot; says how the login ends if this has been going on for too long."""
        current = state.policy.patience
        stalled = [name for name, timer in self._timers.items() if timer.has_lasted(condition=name == current)]
        is_broken = self._broken.has_lasted(condition=current == "loading" and snapshot.is_exchange_broken)
        if stalled == ["unchanged_form"] and not snapshot.is_exchange_broken:
            return LoginEnd(outcome=Outcome.FORM_AGAIN, why="the form just stayed, no word why")
        return end_for_stall(page, snapshot, state) if stalled or is_broken else None


@dataclass
class LoginFlow:
    """One login through `browser`.

    `before_submit` is called right before the password goes out; the end that it returns, and what it raises, keep it
    from going out. `on_withdrawn` is called when the page turned out not to take it after all. `second_factor` answers
    a second factor; without it the login ends there. `user_selectors` are the user's own. `old_session` names the
    session that this login is to replace, None if there was none; `on_wait` is told of long waits, `on_changed_page` of
    pages that have changed: see `LoginPageObject`.

    `after_success`: the login before this one had a session through the same gateway. Of that session the jar keeps a
    timer, which nothing but its own next call, every 30 s, can stop; should it come in the seconds between the new
    login and the end of the jar's handshake for the brokerage tier, the jar logs the new session out (observed with
    the build of 2023-04-24, users who may trade). The page says success then, and the API at once and for ever that
    there is no session: that is not waited for.
    """

    browser: LoginBrowser
    portal: Portal
    base: str
    credentials: Credentials
    before_submit: Callable[[], LoginEnd | None]
    on_withdrawn: Callable[[], None]
    second_factor: "SecondFactorFlow | None" = None
    user_selectors: Selectors = field(default_factory=dict)
    old_session: str | None = None
    after_success: bool = False
    patience: Patience = field(default_factory=Patience)
    on_step: Callable[[str], None] = logger.info
    on_wait: Callable[[str, float], None] = ignore_wait
    on_changed_page: Callable[[Selectors], None] = ignore_page

    def run(self) -> LoginEnd:
        """Goes through the page once; never raises LoginFailed, which is a LoginEnd too.

        Raises:
            IbkrError: what `before_submit` raises, and what the API answers when it is not about the session
                (GatewayUnavailable, ConfigError).
        """
        self._page = page = LoginPageObject(
            self.browser,
            self.portal,
            patience=self.patience,
            user_selectors=self.user_selectors,
            on_step=self.on_step,
            on_wait=self.on_wait,
            on_changed_page=self.on_changed_page,
        )
        form = LoginForm(
            page,
            self.base + LOGIN_PATH,
            self.credentials,
            before_submit=self.before_submit,
            on_withdrawn=self.on_withdrawn,
        )
        try:
            page.require_selectors()
            submitted = form.submit()
            end = submitted if isinstance(submitted, LoginEnd) else self._await_result(submitted)
        except LoginTimeout as error:
            end = LoginEnd(outcome=Outcome.TIMED_OUT, why=error.message)
        except BrowserLost as error:
            end = LoginEnd(outcome=Outcome.BROWSER_DIED, why=error.message)
        end = self._confirm(end) if page.submitted else end
        return replace(end, submitted=page.submitted, recognised=dict(page.recognised))

    def record_429(self, end: LoginEnd) -> None:
        """Has every process obey a 429 that the page was answered; the last that is asked of the browser.

        A page that hangs makes the browser's driver hang too. After a success an answer of the API has proven that the
        address is not shut out.
        """
        if end.outcome is not Outcome.SUCCEEDED:
            self._page.record_429()

    def _confirm(self, end: LoginEnd) -> LoginEnd:
        """Asks the API about an end behind which there may be a session although the page did not come to say so."""
        if end.outcome is Outcome.TIMED_OUT:
            return self._prove_session(SessionCheck(otherwise=end))
        if end.outcome is Outcome.BROWSER_DIED:
            self.on_step("The browser died after the password was submitted; asking the API")
            return self._prove_session(SessionCheck(otherwise=end, span=self.patience.settle))
        return end

    def _await_result(self, before: PageSnapshot) -> LoginEnd:
        """Waits for what the page makes of the password; `before` is what it showed before that."""
        self._stall_detector = StallDetector(self.patience)
        return self._page.poll(lambda: self._look(before))

    def _look(self, before: PageSnapshot) -> LoginEnd | None:
        page = self._page
        snapshot = page.inspect()
        state = classify(snapshot)
        handled = self._handle_state(snapshot, state)
        if isinstance(handled, LoginEnd):
            return handled
        if handled is NextStep.ASK_API:
            what = "the login was approved on the phone" if self._is_approved else "the second factor was accepted"
            return self._watch_for_session(self._success(what))
        if handled is NextStep.LOOK_AGAIN:
            self._stall_detector = StallDetector(self.patience)
            return None
        if check := self._session_check(snapshot, state, before):
            return self._watch_for_session(check)
        dismiss_overlay(page, state)
        if stalled := self._stall_detector.check(page, snapshot, state):
            return self._watch_for_session(SessionCheck(otherwise=stalled))
        return None

    def _handle_state(self, snapshot: PageSnapshot, state: PageState) -> LoginEnd | NextStep | None:
        """Does what a state after the password demands; returns None if that was nothing."""
        match state.policy.reaction:
            case Reaction.ANSWER if self.second_factor is not None:
                answer = self.second_factor.answer(snapshot, self._page)
                return self._doubt(answer, state) if isinstance(answer, LoginEnd) else answer
            case Reaction.ANSWER | Reaction.PERSON | Reaction.READ:
                return self._doubt(end_for_state(self._page, snapshot, state), state)
            case Reaction.FILL | Reaction.WAIT | Reaction.REOPEN | Reaction.HIDE | Reaction.SKIP | Reaction.GIVE_UP:
                return None
            case _:
                assert_never(state.policy.reaction)

    def _doubt(self, end: LoginEnd, state: PageState) -> LoginEnd:
        """Asks the API about an end that the page names, where a session may be behind it all the same."""
        if self._is_approved:
            return self._prove_session(SessionCheck(otherwise=end, span=self.patience.session))
        # "Communicating with the server" failed after IBKR had let the user in, say.
        if state.policy.session is SessionBehind.POSSIBLE or end.outcome is Outcome.SERVER_ERROR:
            return self._prove_session(SessionCheck(otherwise=end, span=self.patience.settle))
        return end

    @property
    def _is_approved(self) -> bool:
        """Whether somebody has approved the login on the phone."""
        return self.second_factor is not None and self.second_factor.is_approved

    def _session_check(self, snapshot: PageSnapshot, state: PageState, before: PageSnapshot) -> SessionCheck | None:
        """Returns what to ask the API after this state, None if nothing."""
        if state in FORM and snapshot.document != before.document:
            why = "IBKR shows the form again, no word why"
            return SessionCheck(otherwise=LoginEnd(outcome=Outcome.FORM_AGAIN, why=why))
        if not snapshot.left_the_form:
            return self._check_at_the_form(snapshot, state)
        match state.policy.session:
            case SessionBehind.REPORTED:
                self.on_step("The gateway says that the login succeeded")
                return self._success("the page says success")
            case SessionBehind.LIKELY:
                self.on_step(f"The browser left the form for {urlsplit(snapshot.url).path or 'another page'}")
                end = LoginEnd(outcome=Outcome.UNPROVEN, why=f"the browser left the form, {NO_SESSION}")
                if leads_elsewhere(snapshot):
                    end = end_for_stall(self._page, snapshot, state)
                return SessionCheck(otherwise=end, span=self.patience.session)
            case SessionBehind.POSSIBLE:
                return SessionCheck(otherwise=end_for_stall(self._page, snapshot, state), span=self.patience.settle)
            case SessionBehind.UNLIKELY | SessionBehind.NO:
                return None
            case _:
                assert_never(state.policy.session)

    def _check_at_the_form(self, snapshot: PageSnapshot, state: PageState) -> SessionCheck | None:
        """Returns what to ask the API while the page has not gone on, None if nothing.

        A page that says success, and then communicates with the server for ever, may have said its last word: the
        session does not wait for it. Nor is it proof that IBKR was asked for one.
        """
        if self._is_approved and state.policy.reaction is Reaction.WAIT:
            what = "the login was approved on the phone"
        elif state.policy.session is SessionBehind.REPORTED:
            what = "the page says success"
        else:
            return None
        end = LoginEnd(outcome=Outcome.UNPROVEN, why=f"{what}, {NO_SESSION}")
        document = None if self._is_approved else snapshot.document
        return SessionCheck(otherwise=end, span=self.patience.loading, document=document)

    def _success(self, what: str) -> SessionCheck:
        end = LoginEnd(outcome=Outcome.UNPROVEN, why=f"{what}, {NO_SESSION}")
        return SessionCheck(otherwise=end, span=self.patience.session, is_success=True)

    def _watch_for_session(self, check: SessionCheck) -> LoginEnd | None:
        """Asks the API until it has a session, and watches the page meanwhile: a person may be needed after all.

        Returns None if the page has gone on from the form, and is to be looked at anew.
        """
        timer, denied = Timer(check.span), ConditionTimer(self.patience.logged_out)

        def look() -> LoginEnd | NextStep | None:
            if end := self._ask_api(check, denied) or (check.otherwise if timer.is_expired else None):
                return end
            # While the browser is on its way to the next page it shows none, for however long.
            snapshot = self._page.inspect(until=Timer(SESSION_POLL))
            handled = self._handle_state(snapshot, classify(snapshot))
            if isinstance(handled, LoginEnd):
                return handled
            has_gone_on = check.document not in {None, snapshot.document} and snapshot is not NO_DOCUMENT
            return NextStep.LOOK_AGAIN if has_gone_on else None

        found = self._page.poll(look, SESSION_POLL)
        return found if isinstance(found, LoginEnd) else None

    def _prove_session(self, check: SessionCheck) -> LoginEnd:
        """Asks the API until it has a session, without a look at the page."""
        denied = ConditionTimer(self.patience.logged_out)
        ends: list[LoginEnd] = []

        def has_ended() -> bool:
            if end := self._ask_api(check, denied):
                ends.append(end)
            return bool(ends)

        poll_until(has_ended, check.span.total_seconds(), SESSION_POLL.total_seconds())
        return ends[0] if ends else check.otherwise

    def _ask_api(self, check: SessionCheck, denied: ConditionTimer) -> LoginEnd | None:
        """Asks the API once; returns the login's end if it has a session with accounts, or never will.

        Every answer that is not about the session is taken for "not yet": a timeout says nothing. `denied` measures
        for how long the API has said that there is no session.
        """
        is_denied = False
        try:
            if self._is_new_session(self.portal.tickle(), check):
                rows = self.portal.accounts()
                accounts = tuple(str(account.get("accountId") or account.get("id")) for account in rows)
                why = f"the session is proven: {', '.join(accounts) or 'no account'}"
                return LoginEnd(outcome=Outcome.SUCCEEDED, why=why, accounts=accounts)
        except RateLimited as error:
            return LoginEnd(outcome=Outcome.UNPROVEN, why=f"{check.otherwise.why}: {error.message}")
        except (UpstreamUnavailable, SessionUnavailable, DataError) as error:
            logger.debug("Not proven yet: {}", error.message)
            is_denied = type(error) is SessionUnavailable
        may_be_logged_out = self.after_success and check.is_success
        if denied.has_lasted(condition=is_denied and may_be_logged_out):
            return replace(check.otherwise, logged_out=True)
        return None

    def _is_new_session(self, answer: SessionAnswer, check: SessionCheck) -> bool:
        """Whether this login made the session: unless the page says success, the old one may just still be there."""
        if self.old_session is None or check.is_success:
            return answer.has_session
        return answer.has_session and answer.session != self.old_session
