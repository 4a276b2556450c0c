"""The way through the login page: wait for what it shows, act once, and ask the API whether there is a session.

One flow submits at most one password. It waits for conditions, never for a fixed time, and it believes the page only
when it says no.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlsplit

from loguru import logger

from ibkr_tools.config import Secret
from ibkr_tools.errors import DataError, LoginFailed, RateLimited, SessionUnavailable, UpstreamUnavailable
from ibkr_tools.login import page, scripts
from ibkr_tools.login.browser import Browser, BrowserLost, PageChanging
from ibkr_tools.login.diagnostics import cover
from ibkr_tools.login.outcome import Ending, Outcome, judge_error
from ibkr_tools.login.page import Facts, Sight

__all__ = ["Credentials", "Flow", "Patience", "Portal", "SessionAnswer"]


class SessionAnswer(Protocol):
    """What the flow wants to know from a tickle."""

    @property
    def has_session(self) -> bool:
        """Whether there is an SSO session."""


class Portal(Protocol):
    """The two calls that prove a session; they raise the errors of `ibkr_tools.errors`."""

    def tickle(self) -> SessionAnswer:
        """Asks whether there is a session."""

    def accounts(self) -> Sequence[Mapping[str, Any]]:
        """Asks for the accounts, which only a session is given."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who logs in, with what, to which of the two modes."""

    username: str
    password: Secret
    paper: bool = False


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the flow waits for what. `whole` bounds everything.

    `form`: from opening the page to a usable form. `silent_form`: how long a form that never talks to IBKR must
    stand unchanged before it counts as ready. `switch`: for the page's answer to the live/paper switch. `again`: how
    long the same form may stand there after the submission without any sign. `strange`: how long an unknown or
    blank page may stand. `proof`: from leaving the form to a session. `look`: between two looks.
    """

    whole: timedelta = timedelta(seconds=90)
    form: timedelta = timedelta(seconds=30)
    silent_form: timedelta = timedelta(seconds=10)
    switch: timedelta = timedelta(seconds=6)
    again: timedelta = timedelta(seconds=20)
    strange: timedelta = timedelta(seconds=15)
    proof: timedelta = timedelta(seconds=30)
    look: timedelta = timedelta(milliseconds=40)


class _Ended(Exception):
    """Carries an ending out of the depths; never leaves this module."""

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome
        self.why = why


class _Timer:
    """Counts down from now."""

    def __init__(self, span: timedelta) -> None:
        self._end = monotonic() + span.total_seconds()

    @property
    def is_over(self) -> bool:
        return monotonic() >= self._end


@dataclass
class Flow:
    """One login through `browser`.

    `before_submit` is called right before the password goes out; what it raises keeps it from going out.
    `on_withdrawn` is called when the page turned out not to take it after all.
    """

    browser: Browser
    portal: Portal
    base: str
    credentials: Credentials
    before_submit: Callable[[], None]
    on_withdrawn: Callable[[], None]
    patience: Patience = field(default_factory=Patience)
    on_step: Callable[[str], None] = logger.info
    submitted: bool = False
    _last: Facts | None = None
    _old_error: str = ""

    def run(self) -> Ending:
        """Goes through the page once; never raises LoginFailed, that is an ending too.

        Raises:
            IbkrError: what `before_submit` raises, and what the API answers when it is not about the session
                (GatewayUnavailable, ConfigError).
        """
        self._whole = _Timer(self.patience.whole)
        try:
            self.browser.open(self.base + page.LOGIN_PATH)
            accounts = self._after(self._submit())
        except _Ended as ended:
            return Ending(outcome=ended.outcome, why=self._clean(ended.why), submitted=self.submitted)
        except BrowserLost as error:
            try:
                accounts = self._without_browser(error)
            except _Ended as ended:
                return Ending(outcome=ended.outcome, why=self._clean(ended.why), submitted=self.submitted)
        who = ", ".join(accounts) or "no account"
        return Ending(outcome=Outcome.SUCCEEDED, why=f"the session is proven: {who}", submitted=True, accounts=accounts)

    def _without_browser(self, error: BrowserLost) -> tuple[str, ...]:
        """The browser may have died after it had done its work."""
        if not self.submitted:
            raise _Ended(Outcome.BROWSER_DIED, error.message)
        self.on_step("The browser died after the password was submitted; asking the API")
        return self._prove(Outcome.BROWSER_DIED, error.message, timedelta(seconds=2), looking=False)

    def _clean(self, text: str) -> str:
        return cover(text, self.credentials.username, self.credentials.password)

    # Looking

    def _look(self) -> Facts:
        """Looks until a look succeeds; pages that are being replaced are asked again."""
        while True:
            self._check_time()
            try:
                answer = self.browser.run(
                    scripts.LOOK, dict(page.KNOWN), list(page.PAPER_SWITCH), list(page.PAPER_CHECKBOX)
                )
                # A document that is just being born answers null.
                if isinstance(answer, dict):
                    return self._noted(page.parse_facts(answer, ignored_error=self._old_error))
            except PageChanging:
                pass
            self._pause()

    def _noted(self, facts: Facts) -> Facts:
        if self._last is None or page.classify(facts) is not page.classify(self._last):
            logger.debug("The page shows {} at {}", page.classify(facts), facts.path or facts.url[:40])
        self._last = facts
        return facts

    def _pause(self) -> None:
        Event().wait(self.patience.look.total_seconds())

    def _check_time(self) -> None:
        if self._whole.is_over:
            sight = page.classify(self._last) if self._last else Sight.BLANK
            limit = f"{self.patience.whole.total_seconds():.0f} s"
            raise _Ended(Outcome.TIMED_OUT, f"the login took longer than {limit}; at the end there was {sight}")

    def _act(self, script: str, *arguments: object) -> Any:
        try:
            return self.browser.run(script, *arguments)
        except PageChanging:
            return None

    def _clear_the_way(self, sight: Sight) -> bool:
        """Removes what lies on top of the page; says whether there was something."""
        if sight is Sight.CONSENT:
            self._act(scripts.HIDE, list(page.CONSENT))
            self.on_step("A consent layer was hidden")
            return True
        return False

    def _stop_for_a_person(self, facts: Facts, sight: Sight) -> None:
        """Ends at the sights that mean the same wherever they appear."""
        if sight is Sight.SECOND_FACTOR:
            raise _Ended(Outcome.SECOND_FACTOR, f"IBKR asks for {facts.second_factor}")
        if sight is Sight.RESTRICTED:
            raise _Ended(Outcome.RESTRICTED, "IBKR wants to verify who this is, by e-mail")
        if sight is Sight.TASKS:
            raise _Ended(Outcome.TASKS, "IBKR wants this user to confirm data or change the password")
        if sight is Sight.DENIED:
            raise _Ended(Outcome.DENIED, "the gateway answers Access Denied to this machine")
        if sight is Sight.ERROR and self.submitted:
            raise self._judged(facts)

    def _judged(self, facts: Facts) -> _Ended:
        outcome = judge_error(facts.error)
        if outcome in (Outcome.REFUSED, Outcome.UNKNOWN_ERROR) and self.submitted and self._is_locked_at_ibkr():
            return _Ended(Outcome.LOCKED, "IBKR says that the number of failed logins is exhausted")
        if outcome is Outcome.UNKNOWN_ERROR and facts.bulletin:
            return _Ended(Outcome.MAINTENANCE, f"IBKR says {facts.bulletin[:120]!r}, and {facts.error[:120]!r}")
        return _Ended(outcome, f"IBKR says {facts.error[:200]!r}")

    def _is_locked_at_ibkr(self) -> bool:
        try:
            answer = json.loads(self.browser.last_answer("/sso/Authenticator") or "{}")
        except (LoginFailed, json.JSONDecodeError):
            return False
        return isinstance(answer, dict) and str(answer.get("reached_max_login", "")).lower() == "true"

    # Before the password

    def _submit(self) -> Facts:
        """Brings the form to the point where the password went out; returns the last look before that."""
        timer = _Timer(self.patience.form)
        while True:
            facts = self._ready_form(timer)
            facts = self._switch_mode(facts)
            if self._fill(facts) and (pressed := self._press()):
                return pressed
            if timer.is_over:
                raise _Ended(Outcome.TIMED_OUT, "the form did not keep what was filled in")
            self._pause()

    def _ready_form(self, timer: _Timer) -> Facts:
        """Waits until the form is there and its script is ready: not before it has talked to IBKR, twice seen.

        A form that is submitted before that sends no proof, and IBKR calls the password wrong.
        """
        quiet: _Timer | None = None
        answered = ""
        while True:
            facts = self._look()
            sight = page.classify(facts)
            self._stop_for_a_person(facts, sight)
            if sight in (Sight.CREDENTIALS, Sight.USERNAME_STEP) and facts.is_complete:
                key = f"{facts.document} {facts.exchanges}"
                if facts.exchanges and key == answered:
                    self.on_step("The form is ready")
                    return facts
                answered = key
                quiet = quiet or _Timer(self.patience.silent_form)
                if quiet.is_over and not self._is_asking():
                    self.on_step("The form is there but has not talked to IBKR; going on")
                    return facts
            elif sight is Sight.ERROR and "username" in facts.visible:
                # A notice above a usable form; after the password it would not be news.
                self._old_error = facts.error
                self.on_step(f"Above the form stands {facts.error[:120]!r}")
            elif not self._clear_the_way(sight):
                quiet, answered = None, ""
            if timer.is_over:
                raise self._no_form(facts, sight)
            self._pause()

    def _is_asking(self) -> bool:
        try:
            return self.browser.is_waiting_for("/sso/Authenticator")
        except PageChanging:
            return True

    def _no_form(self, facts: Facts, sight: Sight) -> _Ended:
        span = f"{self.patience.form.total_seconds():.0f} s"
        if facts.bulletin:
            return _Ended(Outcome.MAINTENANCE, f"IBKR says {facts.bulletin[:200]!r}")
        if sight is Sight.ERROR:
            return self._judged(facts)
        if sight is Sight.BLANK:
            return _Ended(Outcome.BLANK_PAGE, f"the login page stayed blank for {span}")
        if sight is Sight.UNREACHABLE:
            return _Ended(Outcome.UNREACHABLE, "the browser could not open the gateway's login page")
        if sight is Sight.LOADING:
            return _Ended(Outcome.TIMED_OUT, f"the login page was still loading after {span}")
        return _Ended(Outcome.UNKNOWN_PAGE, f"after {span} there was {sight} instead of the login form")

    def _switch_mode(self, facts: Facts) -> Facts:
        """Sets the live/paper switch, if there is one, and waits until the page has told IBKR."""
        wanted = self.credentials.paper
        if facts.paper is None or facts.paper == wanted:
            return facts
        before = self._act(scripts.SWITCH, list(page.PAPER_CHECKBOX), wanted)
        timer = _Timer(self.patience.switch)
        seen = False
        while not timer.is_over:
            facts = self._look()
            told = isinstance(before, int) and facts.exchanges > before
            if facts.paper == wanted and told and page.classify(facts) is Sight.CREDENTIALS:
                if seen:
                    self.on_step(f"The switch is set to {'paper' if wanted else 'live'}")
                    return facts
                seen = True
            self._pause()
        if facts.paper == wanted:
            return facts
        raise _Ended(Outcome.UNKNOWN_PAGE, "the live/paper switch cannot be set")

    def _fields(self) -> list[tuple[list[str], str]]:
        return [
            (list(page.USERNAME), self.credentials.username),
            (list(page.PASSWORD), self.credentials.password.reveal()),
        ]

    def _fill(self, facts: Facts) -> bool:
        if page.classify(facts) is Sight.USERNAME_STEP:
            if self._act(scripts.FILL, self._fields()[:1]):
                self._act(scripts.CLICK, list(page.CONTINUE))
                timer = _Timer(self.patience.switch)
                while page.classify(self._look()) is not Sight.CREDENTIALS and not timer.is_over:
                    self._pause()
            return False if page.classify(self._look()) is not Sight.CREDENTIALS else bool(self._fill_both())
        return self._fill_both()

    def _fill_both(self) -> bool:
        return bool(self._act(scripts.FILL, self._fields()))

    def _press(self) -> Facts | None:
        """Enters the submission in the ledger, then submits what still is as it was filled in."""
        last = self._look()
        if page.classify(last) is not Sight.CREDENTIALS:
            return None
        if self._press_button(last, really=False):
            return None
        self.before_submit()
        self.submitted = True
        # If the page goes away now, nobody knows whether the button was pressed: it counts.
        refusal = self._press_button(last, really=True)
        if refusal:
            self.submitted = False
            self.on_withdrawn()
            logger.warning("The form changed before it was submitted: {}", refusal)
            return None
        self.on_step("User name and password were submitted")
        return last

    def _press_button(self, last: Facts, *, really: bool) -> str | None:
        refusal = self._act(
            scripts.PRESS,
            self._fields(),
            list(page.SUBMIT),
            list(page.LOADING),
            list(page.CONSENT),
            list(page.PAPER_CHECKBOX),
            None if last.paper is None else self.credentials.paper,
            list(page.PASSWORD),
            really,
        )
        if refusal is None and not really:
            return "the page went away"
        return refusal if refusal is None else str(refusal)

    # After the password

    def _after(self, before: Facts) -> tuple[str, ...]:
        """Waits for what the page makes of it; returns the accounts of the session that the API proves."""
        strange: _Timer | None = None
        same: _Timer | None = None
        skipped: _Timer | None = None
        while True:
            facts = self._look()
            sight = page.classify(facts)
            self._stop_for_a_person(facts, sight)
            is_form = sight in (Sight.CREDENTIALS, Sight.USERNAME_STEP)
            if is_form and facts.document != before.document:
                return self._prove(Outcome.FORM_AGAIN, "IBKR shows the form again, without saying why", timedelta())
            if sight is Sight.FINISHED and facts.left_the_form:
                self.on_step("The gateway says that the login succeeded")
                return self._prove(Outcome.UNPROVEN, "the page says success, the API has no session")
            if facts.left_the_form and sight in (Sight.UNREACHABLE, Sight.UNKNOWN, Sight.BLANK):
                self.on_step(f"The browser left the form for {urlsplit(facts.url).path or 'another page'}")
                return self._prove(Outcome.UNPROVEN, "the browser left the form, the API has no session")
            if sight is Sight.PROMO and (skipped is None or skipped.is_over):
                self._act(scripts.CLICK, list(page.PROMO))
                self.on_step("An advert was skipped")
                skipped = _Timer(timedelta(seconds=3))
            self._clear_the_way(sight)
            if is_form:
                same = same or _Timer(self.patience.again)
                if same.is_over:
                    return self._prove(Outcome.FORM_AGAIN, "the form just stayed, without saying why", timedelta())
            else:
                same = None
            if sight in (Sight.UNKNOWN, Sight.BLANK, Sight.MAINTENANCE, Sight.UNREACHABLE, Sight.FINISHED):
                strange = strange or _Timer(self.patience.strange)
                if strange.is_over:
                    outcome = Outcome.MAINTENANCE if facts.bulletin else Outcome.UNKNOWN_PAGE
                    return self._prove(outcome, f"after the password there was {sight}", timedelta())
            else:
                strange = None
            self._pause()

    def _prove(
        self, otherwise: Outcome, why: str, span: timedelta | None = None, *, looking: bool = True
    ) -> tuple[str, ...]:
        """Asks the API until it has a session and gives its accounts; IBKR may need some time to settle.

        Every answer that is not about the session is taken for "not yet": a timeout says nothing.
        """
        timer = _Timer(self.patience.proof if span is None else span)
        while True:
            try:
                if self.portal.tickle().has_session:
                    accounts = self.portal.accounts()
                    return tuple(str(one.get("accountId") or one.get("id")) for one in accounts)
            except RateLimited as error:
                raise _Ended(Outcome.UNPROVEN, f"{why}: {error.message}") from error
            except (UpstreamUnavailable, SessionUnavailable, DataError) as error:
                logger.debug("Not proven yet: {}", error.message)
            if timer.is_over:
                raise _Ended(otherwise, why)
            self._check_time()
            if looking:
                # A person may be needed after all.
                facts = self._look()
                self._stop_for_a_person(facts, page.classify(facts))
            Event().wait(0.25)
