"""Selenium's page object of the login page: snapshots, actions, and the time that is left. It decides nothing."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar

from loguru import logger

from ibkr_tools.errors import ConfigError, LoginFailed
from ibkr_tools.login import page_scripts
from ibkr_tools.login.browser_protocol import LoginBrowser, PageChanging
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_timers import Patience, Timer
from ibkr_tools.login.page_snapshot import (
    NO_DOCUMENT,
    PageSnapshot,
    Selectors,
    merge_selectors,
    parse_page_snapshot,
    snapshot_selectors,
)
from ibkr_tools.login.page_states import PageState, classify
from ibkr_tools.login.portal_protocol import Portal
from ibkr_tools.page_elements import PageElement
from ibkr_tools.polling import poll_until

__all__ = ["LoginPageObject", "LoginTimeout", "NextStep", "ignore_page", "ignore_wait"]

Found = TypeVar("Found")

SELECTOR_HINT = "CSS as in document.querySelector, or `text:` and a pattern for what a button says; see docs/login.md."


MAX_DECLINES = 3
"""How often the offer of a passkey is declined in one login."""


class LoginTimeout(LoginFailed):
    """The login's time is up. Raised by `require_time_left`; `LoginFlow.run` makes a `LoginEnd` of it."""


class NextStep(Enum):
    """What follows when something was done on the page and the login goes on."""

    LOOK_AGAIN = "another snapshot"
    ASK_API = "the question to the API whether there is a session"


def ignore_page(_selectors: Selectors) -> None:
    """Ignores a page that has changed; the default of `on_changed_page`."""


def ignore_wait(_text: str, _seconds: float) -> None:
    """Ignores a wait; the default of `on_wait`."""


@dataclass
class LoginPageObject:
    """What `browser` shows, for the length of one login; and the callbacks that are told of it.

    `user_selectors` are the user's own. `submitted`: a password went out. `code_submitted`: so did a second factor's
    code. `known_error`: an error text that was there before the password, and is no news. `promo_timer`: runs after the
    click that skips an advert, and `promo_clicks` counts these. `recognised`: the elements that were used though no
    selector found them, and by what they were recognised instead.
    `on_wait` is told what a long wait is for, and how many seconds it may take from now. `on_changed_page` is given the
    selectors when elements are about to be used that none of them found, before anything is typed.
    """

    browser: LoginBrowser
    portal: Portal
    patience: Patience = field(default_factory=Patience)
    user_selectors: Selectors = field(default_factory=dict)
    on_step: Callable[[str], None] = logger.info
    on_wait: Callable[[str, float], None] = ignore_wait
    on_changed_page: Callable[[Selectors], None] = ignore_page
    submitted: bool = False
    code_submitted: bool = False
    known_error: str = ""
    promo_timer: Timer = field(default_factory=lambda: Timer(timedelta()))
    promo_clicks: int = 0
    recognised: dict[str, str] = field(default_factory=dict)
    _last_snapshot: PageSnapshot | None = None
    _is_known_form: bool = False

    def __post_init__(self) -> None:
        self.selectors = merge_selectors(self.user_selectors)
        self._snapshot_selectors = snapshot_selectors(self.user_selectors)
        self._total = Timer(self.patience.total)
        self._limit = self.patience.total

    def selectors_of(self, elements: Iterable[PageElement]) -> list[str]:
        """Returns the selectors of several elements, in their order."""
        return [selector for element in elements for selector in self.selectors[element]]

    def require_selectors(self) -> None:
        """Has the browser read the user's own selectors.

        Raises:
            ConfigError: it does not understand one; the message names all of those.
            LoginTimeout: the time is up.
            BrowserLost: the browser died.
        """
        pairs = [(name, selector) for name, selectors in self.user_selectors.items() for selector in selectors]
        if not pairs:
            return
        wrong = self.poll(lambda: self.execute(page_scripts.FIND_INVALID_SELECTORS, pairs))
        if wrong:
            named = "; ".join(f"login.selectors.{name}: {selector!r}" for name, selector in wrong)
            raise ConfigError(f"no CSS selector that Chromium understands: {named}", hint=SELECTOR_HINT)

    def inspect(self, until: Timer | None = None) -> PageSnapshot:
        """Takes a snapshot; pages that are being replaced are asked again.

        With `until`, `page_snapshot.NO_DOCUMENT` is returned when that timer has expired.

        Raises:
            LoginTimeout: the time is up.
            BrowserLost: the browser died.
        """

        def take() -> PageSnapshot | None:
            table = self.selectors
            arguments = (
                self._snapshot_selectors,
                table[PageElement.PAPER_SWITCH],
                table[PageElement.PAPER_CHECKBOX],
            )
            answer = self.execute(page_scripts.INSPECT_KNOWN, *arguments) if self._is_known_form else None
            if not isinstance(answer, dict):
                answer = self.execute(page_scripts.INSPECT, *arguments)
            # A document that is just being born answers null.
            if isinstance(answer, dict):
                return self._record(
                    self._without_vain_offer(parse_page_snapshot(answer, ignored_error=self.known_error))
                )
            return NO_DOCUMENT if until is not None and until.is_expired else None

        return self.poll(take)

    def _without_vain_offer(self, snapshot: PageSnapshot) -> PageSnapshot:
        """Returns the snapshot without what declines a passkey, if declining has led to nothing: it is compulsory."""
        if self.promo_clicks < MAX_DECLINES or PageElement.PROMO not in snapshot.recognised:
            return snapshot
        visible = {name: text for name, text in snapshot.visible.items() if name != PageElement.PROMO}
        return replace(snapshot, visible=visible)

    def _record(self, snapshot: PageSnapshot) -> PageSnapshot:
        if self._last_snapshot is None or classify(snapshot) is not classify(self._last_snapshot):
            logger.debug("The page shows {} at {}", classify(snapshot), snapshot.path or snapshot.url[:40])
        self._last_snapshot = snapshot
        self._is_known_form = classify(snapshot) is PageState.CREDENTIALS and not snapshot.recognised
        return snapshot

    def note_recognised(self, snapshot: PageSnapshot, *elements: str) -> None:
        """Keeps which of these elements (all without `elements`) no selector found; they are about to be used."""
        for element, way in snapshot.recognised.items():
            if not elements or element in elements:
                self.recognised[element] = way
                self.on_step(f"IBKR has changed its page: {element} was recognised by {way}")

    def report_if_changed(self, snapshot: PageSnapshot) -> None:
        """Tells `on_changed_page` if the form or the code's field of the snapshot is one that no selector found."""
        if not snapshot.recognised.keys() <= {PageElement.PROMO, PageElement.ERROR}:
            self.on_changed_page(self.selectors)

    def execute(self, script: str, *arguments: object) -> Any:
        """Executes one of `page_scripts`; None if the page went away meanwhile."""
        try:
            return self.browser.run(script, *arguments)
        except PageChanging:
            return None

    def click(self, *elements: PageElement) -> bool:
        """Clicks the first visible one of these elements, through anything on top of it; says whether there is one."""
        return bool(self.execute(page_scripts.CLICK, self.selectors_of(elements)))

    def fill(self, element: PageElement, text: str) -> bool:
        """Sets the first visible field of that name and reads it back; says whether it holds `text`."""
        return bool(self.execute(page_scripts.FILL, [(self.selectors[element], text, False)]))

    def poll(self, look: Callable[[], Found | None], step: timedelta | None = None) -> Found:
        """Calls `look`, at once and then `step` apart, until it returns something that is not None; returns that.

        Without `step` it is called as often as snapshots are taken.

        Raises:
            LoginTimeout: the time is up.
        """
        found: Found = self._poll(look, step)
        return found

    def poll_or_end(
        self, look: Callable[[], Found | LoginEnd | None], step: timedelta | None = None
    ) -> Found | LoginEnd:
        """Does what `poll` does with a `look` that may also say how the login ends."""
        found: Found | LoginEnd = self._poll(look, step)
        return found

    def _poll(self, look: Callable[[], Any], step: timedelta | None) -> Any:
        found = None

        def has_found() -> bool:
            nonlocal found
            self.require_time_left()
            found = look()
            return found is not None

        poll_until(has_found, math.inf, (step or self.patience.poll).total_seconds())
        return found

    def stated_wait_s(self) -> float | None:
        """Returns the longest wait in seconds that a 429 in answer to the page states, 0 if none does; None without."""
        try:
            return max(self.browser.waits_after_429_s(), default=None)
        except LoginFailed:
            return None

    def record_429(self) -> None:
        """Has every process obey a 429 in answer to the page: IBKR shuts out the address, not the browser."""
        if (stated_s := self.stated_wait_s()) is not None:
            logger.warning("IBKR has answered 429, too many requests, to the login page")
            self.portal.record_429(stated_s)

    def extend_time(self, span: timedelta) -> None:
        """Gives the login more time: a person is asked."""
        self._total.extend(span)
        self._limit += span

    def require_time_left(self) -> None:
        """Raises LoginTimeout when the login's time is up."""
        if self._total.is_expired:
            state = classify(self._last_snapshot) if self._last_snapshot else PageState.BLANK
            limit = f"{self._limit.total_seconds():.0f} s"
            raise LoginTimeout(f"the login took longer than {limit}; at the end there was {state}")
