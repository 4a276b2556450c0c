"""Selenium's page object of the login page: snapshots, actions, and the time that is left. It decides nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Any, Protocol

from loguru import logger

from ibkr_tools.config.schema import Element
from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ConfigError
from ibkr_tools.login import page_scripts, page_states
from ibkr_tools.login.browser import Browser, PageChanging
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_states import PageSnapshot, PageState

__all__ = [
    "FORM",
    "ConditionTimer",
    "Credentials",
    "LoginPage",
    "LoginStopped",
    "Patience",
    "Portal",
    "SecondFactorHandler",
    "SessionAnswer",
    "Timer",
    "ignore_wait",
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
    """How long the flow waits for what. `total` bounds everything.

    `form`: from opening the page to a usable form. `silent_form`: how long a form that never talks to IBKR must
    stand unchanged before it counts as ready. `loading`: how long the page may say that it is busy. `switch`: for the
    page's answer to the live/paper switch. `unchanged_form`: how long the same form may stand there after the
    submission without any sign. `unexpected`: how long an unknown or blank page may stand. `session`: from leaving the
    form to a session; `logged_out`: how long the API may say that there is none, though the page says success,
    before the gateway is taken to have ended it (see `LoginFlow`). `poll`: between two snapshots.
    """

    total: timedelta = timedelta(seconds=90)
    form: timedelta = timedelta(seconds=30)
    silent_form: timedelta = timedelta(seconds=10)
    loading: timedelta = timedelta(seconds=60)
    switch: timedelta = timedelta(seconds=6)
    unchanged_form: timedelta = timedelta(seconds=20)
    unexpected: timedelta = timedelta(seconds=15)
    session: timedelta = timedelta(seconds=30)
    logged_out: timedelta = timedelta(seconds=4)
    poll: timedelta = timedelta(milliseconds=40)


SELECTOR_HINT = "CSS as in document.querySelector, or `text:` and a pattern for what a button says; see docs/login.md."

FORM = frozenset({PageState.CREDENTIALS, PageState.USERNAME_STEP})


class LoginStopped(Exception):
    """Ends the login; `LoginFlow.run` turns it into a `LoginEnd` and never lets it out.

    `wait` and `logged_out`: see `outcomes.LoginEnd`.
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
    def is_expired(self) -> bool:
        """Whether nothing is left."""
        return monotonic() >= self._end

    def extend(self, span: timedelta) -> None:
        """Moves the end."""
        self._end += span.total_seconds()


class ConditionTimer:
    """Measures how long a condition holds without a break."""

    def __init__(self, span: timedelta) -> None:
        self._span = span
        self._timer: Timer | None = None

    def has_lasted(self, *, condition: bool) -> bool:
        """Records whether `condition` holds now; says whether it has held for longer than the span."""
        self._timer = (self._timer or Timer(self._span)) if condition else None
        return self._timer is not None and self._timer.is_expired


def ignore_wait(_text: str, _seconds: float) -> None:
    """Ignores a wait; the default of `on_wait`."""


@dataclass
class LoginPage:
    """What `browser` shows, for the length of one login; and the callbacks that are told of it.

    `user_selectors` are the user's own. `submitted`: a password went out. `code_submitted`: so did a second factor's
    code. `known_error`: an error text that was there before the password, and is no news. `promo_timer`: runs after the
    click that skips an advert. `on_wait` is told what a long wait is for, and how many seconds it may take from now.
    """

    browser: Browser
    portal: Portal
    patience: Patience = field(default_factory=Patience)
    user_selectors: page_states.Selectors = field(default_factory=dict)
    on_step: Callable[[str], None] = logger.info
    on_wait: Callable[[str, float], None] = ignore_wait
    submitted: bool = False
    code_submitted: bool = False
    known_error: str = ""
    promo_timer: Timer = field(default_factory=lambda: Timer(timedelta()))
    _last_snapshot: PageSnapshot | None = None

    def __post_init__(self) -> None:
        self.selectors = page_states.merge_selectors(self.user_selectors)
        self._snapshot_selectors = page_states.snapshot_selectors(self.user_selectors)
        self._total = Timer(self.patience.total)
        self._limit = self.patience.total

    def require_selectors(self) -> None:
        """Has the browser read the user's own selectors.

        Raises:
            ConfigError: it does not understand one; the message names all of those.
            LoginStopped: the time is up.
            BrowserLost: the browser died.
        """
        pairs = [(name, selector) for name, selectors in self.user_selectors.items() for selector in selectors]
        while pairs:
            self.require_time_left()
            wrong = self.execute(page_scripts.FIND_INVALID_SELECTORS, pairs)
            if isinstance(wrong, list):
                if wrong:
                    named = "; ".join(f"login.selectors.{name}: {selector!r}" for name, selector in wrong)
                    raise ConfigError(f"no CSS selector that Chromium understands: {named}", hint=SELECTOR_HINT)
                return
            self.pause()

    def inspect(self, until: Timer | None = None) -> PageSnapshot:
        """Takes a snapshot; pages that are being replaced are asked again.

        With `until`, `page_states.NO_DOCUMENT` is returned when that timer has expired.

        Raises:
            LoginStopped: the time is up.
            BrowserLost: the browser died.
        """
        while True:
            self.require_time_left()
            table = self.selectors
            answer = self.execute(
                page_scripts.INSPECT, self._snapshot_selectors, table["paper-switch"], table["paper-checkbox"]
            )
            # A document that is just being born answers null.
            if isinstance(answer, dict):
                return self._record(page_states.parse_page_snapshot(answer, ignored_error=self.known_error))
            if until is not None and until.is_expired:
                return page_states.NO_DOCUMENT
            self.pause()

    def _record(self, snapshot: PageSnapshot) -> PageSnapshot:
        if self._last_snapshot is None or page_states.classify(snapshot) is not page_states.classify(
            self._last_snapshot
        ):
            logger.debug("The page shows {} at {}", page_states.classify(snapshot), snapshot.path or snapshot.url[:40])
        self._last_snapshot = snapshot
        return snapshot

    def execute(self, script: str, *arguments: object) -> Any:
        """Executes one of `page_scripts`; None if the page went away meanwhile."""
        try:
            return self.browser.run(script, *arguments)
        except PageChanging:
            return None

    def click(self, element: Element) -> bool:
        """Clicks the first visible element of that name, through anything on top of it; says whether there is one."""
        return bool(self.execute(page_scripts.CLICK, self.selectors[element]))

    def fill(self, element: Element, text: str) -> bool:
        """Sets the first visible field of that name and reads it back; says whether it holds `text`."""
        return bool(self.execute(page_scripts.FILL, [(self.selectors[element], text)]))

    def pause(self) -> None:
        """Waits for as long as two snapshots are apart."""
        Event().wait(self.patience.poll.total_seconds())

    def extend_time(self, span: timedelta) -> None:
        """Gives the login more time: a person is asked."""
        self._total.extend(span)
        self._limit += span

    def require_time_left(self) -> None:
        """Raises LoginStopped when the login's time is up."""
        if self._total.is_expired:
            state = page_states.classify(self._last_snapshot) if self._last_snapshot else PageState.BLANK
            limit = f"{self._limit.total_seconds():.0f} s"
            raise LoginStopped(Outcome.TIMED_OUT, f"the login took longer than {limit}; at the end there was {state}")


class SecondFactorHandler(Protocol):
    """What answers when IBKR asks for a second factor after the password."""

    def answer(self, snapshot: PageSnapshot, page: LoginPage) -> bool:
        """Answers what `snapshot` shows: `snapshot.second_factor` is not None.

        Returns when the page has gone on: whether the API should be asked now, without another snapshot. It takes
        the time that it may need with `page.extend_time`; it sets `page.code_submitted` when the first code goes out.

        Raises:
            LoginStopped: the login ends here.
            BrowserLost: the browser died.
        """
