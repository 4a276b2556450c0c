"""The login page as one login sees it: looks, acts, and the time that is left. It decides nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Any, Protocol

from loguru import logger

from ibkr_tools.config import Element
from ibkr_tools.config_secrets import Secret
from ibkr_tools.errors import ConfigError
from ibkr_tools.login import page, scripts
from ibkr_tools.login.browser import Browser, PageChanging
from ibkr_tools.login.outcome import Outcome
from ibkr_tools.login.page import Facts, Sight

__all__ = [
    "FORM",
    "Challenge",
    "Credentials",
    "Ended",
    "Patience",
    "Portal",
    "SessionAnswer",
    "Standing",
    "Timer",
    "View",
    "quiet",
]


class SessionAnswer(Protocol):
    """What a login wants to know from a tickle."""

    @property
    def has_session(self) -> bool:
        """Whether there is an SSO session."""

    @property
    def session(self) -> str | None:
        """Names the session, if IBKR does. A secret: never logged."""


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
    stand unchanged before it counts as ready. `loading`: how long the page may say that it is busy. `switch`: for the
    page's answer to the live/paper switch. `again`: how long the same form may stand there after the submission
    without any sign. `strange`: how long an unknown or blank page may stand. `proof`: from leaving the form to a
    session; `logged_out`: how long the API may say that there is none, though the page says success, before the gateway
    is taken to have ended it (see `Flow`). `look`: between two looks.
    """

    whole: timedelta = timedelta(seconds=90)
    form: timedelta = timedelta(seconds=30)
    silent_form: timedelta = timedelta(seconds=10)
    loading: timedelta = timedelta(seconds=60)
    switch: timedelta = timedelta(seconds=6)
    again: timedelta = timedelta(seconds=20)
    strange: timedelta = timedelta(seconds=15)
    proof: timedelta = timedelta(seconds=30)
    logged_out: timedelta = timedelta(seconds=4)
    look: timedelta = timedelta(milliseconds=40)


HINT = "CSS as in document.querySelector, or `text:` and a pattern for what a button says; see docs/login.md."

FORM = frozenset({Sight.CREDENTIALS, Sight.USERNAME_STEP})


class Ended(Exception):
    """Carries an ending out of the depths; never leaves `Flow.run`.

    `wait`: how long IBKR says to stay away. `logged_out`: see `outcome.Ending`.
    """

    def __init__(self, outcome: Outcome, why: str, *, wait: timedelta | None = None, logged_out: bool = False) -> None:
        super().__init__(why)
        self.outcome = outcome
        self.why = why
        self.wait = wait
        self.logged_out = logged_out


class Timer:
    """Counts down from now."""

    def __init__(self, span: timedelta) -> None:
        self._end = monotonic() + span.total_seconds()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return monotonic() >= self._end

    def extend(self, span: timedelta) -> None:
        """Moves the end."""
        self._end += span.total_seconds()


class Standing:
    """Measures how long something is the case without a break."""

    def __init__(self, span: timedelta) -> None:
        self._span = span
        self._timer: Timer | None = None

    def is_over(self, *, while_it_is: bool) -> bool:
        """Takes note whether it is the case now; says whether it has been for longer than the span."""
        self._timer = (self._timer or Timer(self._span)) if while_it_is else None
        return self._timer is not None and self._timer.is_over


def quiet(_text: str, _seconds: float) -> None:
    """Tells nobody about a wait."""


@dataclass
class View:
    """What `browser` shows, for the length of one login; and what else one may ask and tell meanwhile.

    `own` are the user's selectors. `submitted`: a password went out. `code_was_given`: so did a second factor's code.
    `old_error`: an error text that was there before the password, and is no news. `skipped`: runs after the click that
    skips an advert. `on_wait` is told what a long wait is for, and how many seconds it may take from now.
    """

    browser: Browser
    portal: Portal
    patience: Patience = field(default_factory=Patience)
    own: page.Selectors = field(default_factory=dict)
    on_step: Callable[[str], None] = logger.info
    on_wait: Callable[[str, float], None] = quiet
    submitted: bool = False
    code_was_given: bool = False
    old_error: str = ""
    skipped: Timer = field(default_factory=lambda: Timer(timedelta()))
    _last: Facts | None = None

    def __post_init__(self) -> None:
        self.selectors = page.selectors(self.own)
        self._looked_for = page.looked_for(self.own)
        self._whole = Timer(self.patience.whole)
        self._limit = self.patience.whole

    def require_selectors(self) -> None:
        """Has the browser read the user's own selectors.

        Raises:
            ConfigError: it does not understand one; the message names all of those.
            Ended: the time is up.
            BrowserLost: the browser died.
        """
        pairs = [(name, one) for name, selectors in self.own.items() for one in selectors]
        while pairs:
            self.check_time()
            wrong = self.act(scripts.CHECK, pairs)
            if isinstance(wrong, list):
                if wrong:
                    named = "; ".join(f"login.selectors.{name}: {selector!r}" for name, selector in wrong)
                    raise ConfigError(f"no CSS selector that Chromium understands: {named}", hint=HINT)
                return
            self.pause()

    def look(self, until: Timer | None = None) -> Facts:
        """Looks until a look succeeds; pages that are being replaced are asked again.

        With `until`, at the end of that `page.NOTHING` is what is seen.

        Raises:
            Ended: the time is up.
            BrowserLost: the browser died.
        """
        while True:
            self.check_time()
            table = self.selectors
            answer = self.act(scripts.LOOK, self._looked_for, table["paper-switch"], table["paper-checkbox"])
            # A document that is just being born answers null.
            if isinstance(answer, dict):
                return self._noted(page.parse_facts(answer, ignored_error=self.old_error))
            if until is not None and until.is_over:
                return page.NOTHING
            self.pause()

    def _noted(self, facts: Facts) -> Facts:
        if self._last is None or page.classify(facts) is not page.classify(self._last):
            logger.debug("The page shows {} at {}", page.classify(facts), facts.path or facts.url[:40])
        self._last = facts
        return facts

    def act(self, script: str, *arguments: object) -> Any:
        """Runs one of `scripts`; None if the page went away meanwhile."""
        try:
            return self.browser.run(script, *arguments)
        except PageChanging:
            return None

    def click(self, element: Element) -> bool:
        """Clicks the first visible element of that name, through anything on top of it; says whether there is one."""
        return bool(self.act(scripts.CLICK, self.selectors[element]))

    def fill(self, element: Element, text: str) -> bool:
        """Sets the first visible field of that name and reads it back; says whether it holds `text`."""
        return bool(self.act(scripts.FILL, [(self.selectors[element], text)]))

    def pause(self) -> None:
        """Lets the page breathe between two looks."""
        Event().wait(self.patience.look.total_seconds())

    def allow(self, span: timedelta) -> None:
        """Gives the login more time: a person is asked."""
        self._whole.extend(span)
        self._limit += span

    def check_time(self) -> None:
        """Ends the login when its time is up."""
        if self._whole.is_over:
            sight = page.classify(self._last) if self._last else Sight.BLANK
            limit = f"{self._limit.total_seconds():.0f} s"
            raise Ended(Outcome.TIMED_OUT, f"the login took longer than {limit}; at the end there was {sight}")


class Challenge(Protocol):
    """What answers when IBKR asks for a second factor after the password."""

    def answer(self, facts: Facts, view: View) -> bool:
        """Answers what `facts` shows: `facts.second_factor` is not None.

        Returns when the page has gone on: whether the API should be asked now, without another look. The time it may
        need it takes with `view.allow`; it sets `view.code_was_given` when the first code goes out.

        Raises:
            Ended: the login ends here.
            BrowserLost: the browser died.
        """
