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
from ibkr_tools.login.diagnostics import cover
from ibkr_tools.login.form import Form
from ibkr_tools.login.outcome import Ending, Outcome
from ibkr_tools.login.page import Facts, Sight
from ibkr_tools.login.sights import clear_the_way, stop_for_a_person
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
ASKED = {Sight.RESTRICTED: Outcome.RESTRICTED, Sight.TASKS: Outcome.TASKS}
"""Pages for a person that IBKR may show to somebody who has a session."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to ask the API: how the login ended if there is no session within `span`, and why.

    `is_success`: the page says that there is one.
    """

    otherwise: Outcome
    why: str
    span: timedelta = timedelta()
    is_success: bool = False


@dataclass
class Flow:
    """One login through `browser`.

    `before_submit` is called right before the password goes out; what it raises keeps it from going out.
    `on_withdrawn` is called when the page turned out not to take it after all. `challenge` answers a second factor;
    without one the login ends there. `selectors` are the user's own. `old_session` names the session that this login is
    to replace, None if there was none; `on_wait` is told of long waits.
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
            try:
                accounts = self._after(form.submit())
            except BrowserLost as error:
                accounts = self._without_browser(error)
        except Ended as ended:
            why = self._clean(ended.why)
            return Ending(outcome=ended.outcome, why=why, submitted=view.submitted, wait=ended.wait)
        who = ", ".join(accounts) or "no account"
        return Ending(outcome=Outcome.SUCCEEDED, why=f"the session is proven: {who}", submitted=True, accounts=accounts)

    def _without_browser(self, error: BrowserLost) -> tuple[str, ...]:
        """The browser may have died after it had done its work."""
        if not self._view.submitted:
            raise Ended(Outcome.BROWSER_DIED, error.message)
        self.on_step("The browser died after the password was submitted; asking the API")
        asked = Question(otherwise=Outcome.BROWSER_DIED, why=error.message, span=timedelta(seconds=2))
        return self._prove(asked, looking=False)

    def _clean(self, text: str) -> str:
        return cover(text, self.credentials.username, self.credentials.password)

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
        view = self._view
        same, strange = Standing(self.patience.again), Standing(self.patience.strange)
        while True:
            facts = view.look()
            sight = page.classify(facts)
            if (asking := self._react(facts, sight)) is not None:
                if asking:
                    return self._prove(self._question("the second factor was accepted, the API has no session"))
                same, strange = Standing(self.patience.again), Standing(self.patience.strange)
                continue
            if question := self._said(facts, sight, before):
                return self._prove(question)
            clear_the_way(view, sight)
            if same.is_over(while_it_is=sight in FORM):
                return self._prove(Question(otherwise=Outcome.FORM_AGAIN, why="the form just stayed, no word why"))
            if strange.is_over(while_it_is=sight in STRANGE):
                outcome = Outcome.MAINTENANCE if facts.bulletin else Outcome.UNKNOWN_PAGE
                return self._prove(Question(otherwise=outcome, why=f"after the password there was {sight}"))
            view.pause()

    def _said(self, facts: Facts, sight: Sight, before: Facts) -> Question | None:
        """Says what to ask the API after this sight, if anything."""
        if sight in FORM and facts.document != before.document:
            return Question(otherwise=Outcome.FORM_AGAIN, why="IBKR shows the form again, no word why")
        if not facts.left_the_form:
            return None
        if sight is Sight.FINISHED:
            self.on_step("The gateway says that the login succeeded")
            return self._question("the page says success, the API has no session")
        if sight in (Sight.UNREACHABLE, Sight.UNKNOWN, Sight.BLANK):
            self.on_step(f"The browser left the form for {urlsplit(facts.url).path or 'another page'}")
            return self._question("the browser left the form, the API has no session", is_success=False)
        return None

    def _question(self, why: str, *, is_success: bool = True) -> Question:
        return Question(otherwise=Outcome.UNPROVEN, why=why, span=self.patience.proof, is_success=is_success)

    def _prove(self, question: Question, *, looking: bool = True) -> tuple[str, ...]:
        """Asks the API until it has a session and gives its accounts; IBKR may need some time to settle.

        Every answer that is not about the session is taken for "not yet": a timeout says nothing.
        """
        timer = Timer(question.span)
        while True:
            try:
                if self._is_ours(self.portal.tickle(), question):
                    accounts = self.portal.accounts()
                    return tuple(str(one.get("accountId") or one.get("id")) for one in accounts)
            except RateLimited as error:
                raise Ended(Outcome.UNPROVEN, f"{question.why}: {error.message}") from error
            except (UpstreamUnavailable, SessionUnavailable, DataError) as error:
                logger.debug("Not proven yet: {}", error.message)
            if timer.is_over:
                raise Ended(question.otherwise, question.why)
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
