"""The way through the login page: wait for what it shows, act once, and ask the API whether there is a session.

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
from ibkr_tools.login import page
from ibkr_tools.login.browser import Browser, BrowserLost
from ibkr_tools.login.form import Form
from ibkr_tools.login.outcome import Ending, Outcome
from ibkr_tools.login.page import Facts, Sight
from ibkr_tools.login.sights import FINAL, clear_the_way, dead_end, for_a_person, stop_for_a_person
from ibkr_tools.login.view import (
    FORM,
    Challenge,
    Credentials,
    Ended,
    Patience,
    Portal,
    SessionAnswer,
    Standing,
    Timer,
    View,
    quiet,
)

__all__ = ["Credentials", "Flow", "Patience", "Portal", "SessionAnswer"]

STRANGE = frozenset(Sight) - FORM - {Sight.LOADING, Sight.ERROR, Sight.SECOND_FACTOR, Sight.PROMO, Sight.CONSENT}
"""What should give way to something else, on the login page."""
SOMEWHERE = frozenset({Sight.UNREACHABLE, Sight.UNKNOWN, Sight.BLANK})
"""Where IBKR may send a browser that has logged in: nothing of that need be there behind the gateway."""
AFTER_ALL = frozenset({Sight.RESTRICTED, Sight.TASKS})
"""What IBKR may also show to somebody who has a session."""
SETTLED = timedelta(seconds=2)
"""How long a session that is there already may take to show."""
NONE = "the API has no session"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to ask the API: for how long, and how the login ends if there is no session until then.

    `is_success`: the page says that there is one.
    """

    otherwise: Ended
    span: timedelta = timedelta()
    is_success: bool = False


class Stuck:
    """Notices that the page does not go on after the password."""

    def __init__(self, patience: Patience) -> None:
        self._same, self._strange = Standing(patience.again), Standing(patience.strange)
        self._busy, self._broken = Standing(patience.loading), Standing(patience.again)

    def judge(self, view: View, facts: Facts, sight: Sight) -> Ended | None:
        """Takes note of a look; says how the login ends if this has been going on for too long."""
        same = self._same.is_over(while_it_is=sight in FORM)
        strange = self._strange.is_over(while_it_is=sight in STRANGE)
        busy = self._busy.is_over(while_it_is=sight is Sight.LOADING)
        broken = self._broken.is_over(while_it_is=sight is Sight.LOADING and facts.is_exchange_broken)
        if strange or busy or broken or (same and facts.is_exchange_broken):
            return dead_end(view, facts, sight)
        return Ended(Outcome.FORM_AGAIN, "the form just stayed, no word why") if same else None


@dataclass
class Flow:
    """One login through `browser`.

    `before_submit` is called right before the password goes out; what it raises keeps it from going out.
    `on_withdrawn` is called when the page turned out not to take it after all. `challenge` answers a second factor;
    without one the login ends there. `selectors` are the user's own. `old_session` names the session that this login is
    to replace, None if there was none; `on_wait` is told of long waits.

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
    challenge: Challenge | None = None
    selectors: page.Selectors = field(default_factory=dict)
    old_session: str | None = None
    after_success: bool = False
    patience: Patience = field(default_factory=Patience)
    on_step: Callable[[str], None] = logger.info
    on_wait: Callable[[str, float], None] = quiet

    def run(self) -> Ending:
        """Goes through the page once; never raises LoginFailed, that is an ending too.

        Raises:
            IbkrError: what `before_submit` raises, and what the API answers when it is not about the session
                (GatewayUnavailable, ConfigError).
        """
        self._view = view = View(
            self.browser,
            self.portal,
            patience=self.patience,
            own=self.selectors,
            on_step=self.on_step,
            on_wait=self.on_wait,
        )
        address = self.base + page.LOGIN_PATH
        form = Form(view, address, self.credentials, before_submit=self.before_submit, on_withdrawn=self.on_withdrawn)
        try:
            accounts = self._through(form)
        except Ended as ended:
            return Ending(
                outcome=ended.outcome,
                why=ended.why,
                submitted=view.submitted,
                wait=ended.wait,
                logged_out=ended.logged_out,
            )
        who = ", ".join(accounts) or "no account"
        return Ending(outcome=Outcome.SUCCEEDED, why=f"the session is proven: {who}", submitted=True, accounts=accounts)

    def _through(self, form: Form) -> tuple[str, ...]:
        """Goes through the page; what may have worked although the page does not say so, the API is asked about."""
        try:
            self._view.require_selectors()
            return self._after(form.submit())
        except BrowserLost as error:
            lost = Ended(Outcome.BROWSER_DIED, error.message)
            if not self._view.submitted:
                raise lost from error
            self.on_step("The browser died after the password was submitted; asking the API")
            return self._prove(Question(otherwise=lost, span=SETTLED), looking=False)
        except Ended as ended:
            if ended.outcome is not Outcome.TIMED_OUT or not self._view.submitted:
                raise
            return self._prove(Question(otherwise=ended), looking=False)

    def _react(self, facts: Facts, sight: Sight) -> bool | None:
        """Does what a sight after the password asks for.

        Returns None if that was nothing; else whether to ask the API now, or look at the page anew.
        """
        if sight is Sight.SECOND_FACTOR and self.challenge is not None:
            return self.challenge.answer(facts, self._view)
        stop_for_a_person(self._view, facts, sight)
        return None

    def _after(self, before: Facts) -> tuple[str, ...]:
        """Waits for what the page makes of it; returns the accounts of the session that the API proves."""
        view, stuck = self._view, Stuck(self.patience)
        while True:
            facts = view.look()
            sight = page.classify(facts)
            if sight in AFTER_ALL and (ended := for_a_person(view, facts, sight)):
                return self._prove(Question(otherwise=ended, span=SETTLED), looking=False)
            if (asking := self._react(facts, sight)) is not None:
                if asking:
                    return self._prove(self._success("the second factor was accepted"))
                stuck = Stuck(self.patience)
                continue
            if question := self._question(facts, sight, before):
                return self._prove(question)
            clear_the_way(view, sight)
            if stuck_at := stuck.judge(view, facts, sight):
                return self._prove(Question(otherwise=stuck_at))
            view.pause()

    def _question(self, facts: Facts, sight: Sight, before: Facts) -> Question | None:
        """Says what to ask the API after this sight, if anything."""
        if sight in FORM and facts.document != before.document:
            return Question(otherwise=Ended(Outcome.FORM_AGAIN, "IBKR shows the form again, no word why"))
        if not facts.left_the_form:
            return None
        if sight is Sight.FINISHED:
            self.on_step("The gateway says that the login succeeded")
            return self._success("the page says success")
        if sight in SOMEWHERE:
            self.on_step(f"The browser left the form for {urlsplit(facts.url).path or 'another page'}")
            ended = Ended(Outcome.UNPROVEN, f"the browser left the form, {NONE}")
            return Question(otherwise=ended, span=self.patience.proof)
        if sight in FINAL:
            return Question(otherwise=dead_end(self._view, facts, sight), span=SETTLED)
        return None

    def _success(self, what: str) -> Question:
        ended = Ended(Outcome.UNPROVEN, f"{what}, {NONE}")
        return Question(otherwise=ended, span=self.patience.proof, is_success=True)

    def _prove(self, question: Question, *, looking: bool = True) -> tuple[str, ...]:
        """Asks the API until it has a session and gives its accounts; IBKR may need some time to settle.

        Every answer that is not about the session is taken for "not yet": a timeout says nothing.
        """
        timer, denied = Timer(question.span), Standing(self.patience.logged_out)
        while True:
            is_denied = False
            try:
                if self._is_ours(self.portal.tickle(), question):
                    accounts = self.portal.accounts()
                    return tuple(str(one.get("accountId") or one.get("id")) for one in accounts)
            except RateLimited as error:
                raise Ended(Outcome.UNPROVEN, f"{question.otherwise.why}: {error.message}") from error
            except (UpstreamUnavailable, SessionUnavailable, DataError) as error:
                logger.debug("Not proven yet: {}", error.message)
                is_denied = type(error) is SessionUnavailable
            may_be = self.after_success and question.is_success
            if denied.is_over(while_it_is=is_denied and may_be):
                raise Ended(question.otherwise.outcome, question.otherwise.why, logged_out=True)
            if timer.is_over:
                raise question.otherwise
            self._view.check_time()
            if looking:
                # A person may be needed after all.
                facts = self._view.look()
                self._react(facts, page.classify(facts))
            Event().wait(0.25)

    def _is_ours(self, answer: SessionAnswer, question: Question) -> bool:
        """Whether this login made the session: unless the page says success, the old one may just still be there."""
        if self.old_session is None or question.is_success:
            return answer.has_session
        return answer.has_session and answer.session != self.old_session
