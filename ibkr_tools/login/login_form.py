"""The way through the form, up to the moment the password is out: wait until it is ready, fill it, submit it once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never
from urllib.parse import urlsplit

from loguru import logger

from ibkr_tools.config.secrets import Secret
from ibkr_tools.login import page_scripts
from ibkr_tools.login.browser_protocol import PageChanging
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_page_object import LoginPageObject
from ibkr_tools.login.login_timers import ConditionTimer, Timer
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_handlers import (
    dismiss_overlay,
    end_for_other_host,
    end_for_stall,
    end_for_state,
    is_final,
)
from ibkr_tools.login.page_snapshot import AUTHENTICATOR, PageSnapshot
from ibkr_tools.login.page_state_policy import Reaction
from ibkr_tools.login.page_states import BLOCKING_ELEMENTS, FORM, PageState, classify
from ibkr_tools.page_elements import LOGIN_TYPE, PageElement

__all__ = ["Credentials", "LoginForm"]

REOPEN_INTERVAL = timedelta(seconds=1)
"""After how long a page that could not be opened is opened again."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who logs in, with what, to which of the two modes."""

    username: str
    password: Secret
    paper: bool = False


class _Readiness:
    """Notices when the form is ready, or when it will not be.

    A form that is submitted before its script is ready sends no proof, and IBKR calls the password wrong. The script is
    ready when it has talked to IBKR. One that does not talk is ready when the page has nothing to do for a while and a
    script file handles the form's submission; without such a handler, when the form has stood there for long. `timer`
    bounds the wait.
    """

    def __init__(self, page: LoginPageObject, timer: Timer, open_page: Callable[[], None], hindrance: str) -> None:
        self._page = page
        self._timer = timer
        self._document_timer = timer
        self._open_page = open_page
        self._hindrance = hindrance
        self._quiet = ConditionTimer(page.patience.quiet)
        self._silent = ConditionTimer(page.patience.recognised_form), ConditionTimer(page.patience.silent_form)
        self._busy = ConditionTimer(page.patience.loading)
        self._no_form = ConditionTimer(page.patience.no_form)
        self._foreign = ConditionTimer(page.patience.quiet)
        self._unreachable = ConditionTimer(REOPEN_INTERVAL)
        self._previous = ""

    def look(self) -> PageSnapshot | LoginEnd | None:
        """Returns the snapshot of a form that is ready, how the login ends without one, or None for not yet."""
        snapshot = self._page.inspect(until=self._document_timer)
        state = classify(snapshot)
        if state.policy.reaction in (Reaction.PERSON, Reaction.ANSWER):
            return end_for_state(self._page, snapshot, state)
        if self._is_ready(snapshot, state):
            return snapshot
        if end := self._end(snapshot, state):
            return end
        self._react(snapshot, state)
        return None

    def _is_ready(self, snapshot: PageSnapshot, state: PageState) -> bool:
        is_usable = state in FORM and snapshot.is_parsed and not snapshot.is_exchange_broken
        key = f"{snapshot.document} {snapshot.exchanges} {snapshot.text}" if is_usable else ""
        is_unchanged, self._previous = bool(key) and key == self._previous, key
        if snapshot.exchanges and is_unchanged and not self._timer.is_expired:
            self._page.on_step("The form is ready")
            return True
        is_idle = is_usable and is_unchanged and self._idle_s() > 0
        # A script that did not come is none of the form's, if another one handles it.
        if self._quiet.has_lasted(condition=is_idle) and not is_waiting_for_ibkr(self._page) and self._has_handler():
            self._page.on_step("The form is ready; it has not talked to IBKR")
            return True
        is_known = not snapshot.recognised
        is_silent = is_usable and not snapshot.missing and not snapshot.form_host
        lasted = [timer.has_lasted(condition=is_silent and snapshot.is_complete) for timer in self._silent]
        if lasted[is_known] and not is_waiting_for_ibkr(self._page):
            self._page.on_step("The form is there but has not talked to IBKR; going on")
            return True
        return False

    def _idle_s(self) -> float:
        try:
            return self._page.browser.idle_s()
        except PageChanging:
            return 0.0

    def _has_handler(self) -> bool:
        """Says whether a script file of the page waits for the form's submission."""
        page = self._page
        try:
            return page.browser.has_handler(
                page_scripts.SUBMITTERS,
                page.selectors_of([PageElement.SUBMIT, PageElement.CONTINUE]),
                page.selectors_of([PageElement.PASSWORD, PageElement.USERNAME]),
            )
        except PageChanging:
            return False

    def _is_sent_elsewhere(self, snapshot: PageSnapshot, state: PageState) -> bool:
        """Says whether the browser itself would send the form to another host: no script is there that proves."""
        is_plain = state in FORM and bool(snapshot.form_host) and not snapshot.exchanges
        return is_plain and self._idle_s() > 0 and not self._has_handler()

    def _end(self, snapshot: PageSnapshot, state: PageState) -> LoginEnd | None:
        if self._foreign.has_lasted(condition=self._is_sent_elsewhere(snapshot, state)):
            return end_for_other_host(f"the form of IBKR's page sends what is typed to {snapshot.form_host}")
        is_incomplete_form = state in FORM and not snapshot.is_complete and not snapshot.exchanges
        is_busy = not snapshot.missing and (state.policy.patience == "loading" or is_incomplete_form)
        if is_busy and self._timer.is_expired:
            # What comes of it gets some time as well.
            self._timer.extend(self._page.patience.switch)
        is_settled = state is PageState.UNKNOWN and snapshot.is_parsed and self._idle_s() > 0
        is_over = self._busy.has_lasted(condition=is_busy) or self._no_form.has_lasted(condition=is_settled)
        if not (is_over or self._timer.is_expired or is_final(snapshot, state)):
            return None
        if self._hindrance and state in FORM and not snapshot.is_exchange_broken:
            return LoginEnd(outcome=Outcome.TIMED_OUT, why=f"the form could not be submitted: {self._hindrance}")
        return end_for_stall(self._page, snapshot, state)

    def _react(self, snapshot: PageSnapshot, state: PageState) -> None:
        is_unreachable = False
        match state.policy.reaction:
            case Reaction.READ:
                if PageElement.USERNAME in snapshot.visible:
                    # A notice above a usable form; after the password it would not be news.
                    self._page.known_error = snapshot.error
                    self._page.on_step(f"Above the form stands {snapshot.error[:120]!r}")
            case Reaction.HIDE | Reaction.SKIP:
                dismiss_overlay(self._page, state)
            case Reaction.REOPEN:
                is_unreachable = True
            case Reaction.FILL | Reaction.WAIT | Reaction.GIVE_UP | Reaction.PERSON | Reaction.ANSWER:
                pass
            case _:
                assert_never(state.policy.reaction)
        if self._unreachable.has_lasted(condition=is_unreachable):
            # Java may still be starting, or starting anew.
            self._open_page()
            self._unreachable = ConditionTimer(REOPEN_INTERVAL)
            # At the end of the wait the browser may not have said yet what it has met this time.
            self._document_timer = self._timer.at_least(self._page.patience.switch)


def _asks_for_password(snapshot: PageSnapshot) -> bool:
    """Whether there is a field for a password; one alone is a second step, and no state of its own.

    Whose password such a field asks for, only the first step says.
    """
    return PageElement.PASSWORD in snapshot.visible and classify(snapshot) in (
        PageState.CREDENTIALS,
        PageState.UNKNOWN,
    )


def is_waiting_for_ibkr(page: LoginPageObject) -> bool:
    """Says whether the page's script waits for an answer from IBKR, or may do so."""
    try:
        return page.browser.is_waiting_for(AUTHENTICATOR)
    except PageChanging:
        return True


@dataclass
class LoginForm:
    """The form with user name and password, at `address`.

    `before_submit` is called right before the password goes out; the end that it returns, and what it raises, keep it
    from going out. `on_withdrawn` is called when the page turned out not to take it after all.
    """

    page: LoginPageObject
    address: str
    credentials: Credentials
    before_submit: Callable[[], LoginEnd | None]
    on_withdrawn: Callable[[], None]
    _hindrance: str = ""
    _has_username: bool = True

    def open(self) -> PageSnapshot | LoginEnd:
        """Opens the page; returns what it shows when the form is ready, or how a login would end without one.

        Raises:
            LoginTimeout: the time is up.
            BrowserLost: the browser died.
        """
        self._open_page()
        timer = Timer(self.page.patience.form)
        return self.page.poll_or_end(_Readiness(self.page, timer, self._open_page, self._hindrance).look)

    def submit(self) -> PageSnapshot | LoginEnd:
        """Opens the page and fills the form until the password went out; returns the snapshot before that.

        Returns how the login ends if there is no form, or if it is of no use.

        Raises:
            LoginTimeout: the time is up.
            BrowserLost: the browser died.
        """
        self._open_page()
        timer = Timer(self.page.patience.form)
        return self.page.poll_or_end(lambda: self._try_to_submit(timer))

    def _open_page(self) -> None:
        self.page.browser.open(self.address)

    def _try_to_submit(self, timer: Timer) -> PageSnapshot | LoginEnd | None:
        page = self.page
        ready = page.poll_or_end(_Readiness(page, timer, self._open_page, self._hindrance).look)
        if isinstance(ready, LoginEnd):
            return ready
        switched = self._set_paper_switch(ready)
        if isinstance(switched, LoginEnd):
            return switched
        page.report_if_changed(switched)
        is_unknown = bool(switched.recognised) and classify(switched) is PageState.USERNAME_STEP
        filled = self._fill(switched)
        if isinstance(filled, LoginEnd):
            return filled
        if not filled:
            if is_unknown:
                return LoginEnd(
                    outcome=Outcome.UNKNOWN_PAGE, why="after the user name there was no field for a password"
                )
            self._hindrance = "it did not keep what was filled in"
            return None
        submitted = self._submit_filled()
        if submitted is None and switched.recognised and self._hindrance == page_scripts.DISABLED_BUTTON:
            return LoginEnd(outcome=Outcome.UNKNOWN_PAGE, why="the button of its form cannot be pressed")
        return submitted

    def _set_paper_switch(self, snapshot: PageSnapshot) -> PageSnapshot | LoginEnd:
        """Sets the live/paper switch, if there is one, and waits until the page has told IBKR."""
        page, wanted = self.page, self.credentials.paper
        if snapshot.paper is None or snapshot.paper == wanted:
            return snapshot
        before = page.execute(page_scripts.SET_PAPER_SWITCH, page.selectors[PageElement.PAPER_CHECKBOX], wanted)
        timer = Timer(page.patience.switch)
        settled: list[PageSnapshot] = []

        def look() -> PageSnapshot | LoginEnd | None:
            shown = page.inspect()
            is_reported = isinstance(before, int) and shown.exchanges > before
            if shown.paper == wanted and is_reported and classify(shown) is PageState.CREDENTIALS:
                settled.append(shown)
                if len(settled) > 1:
                    page.on_step(f"The switch is set to {'paper' if wanted else 'live'}")
                    return shown
            if not timer.is_expired:
                return None
            if shown.paper == wanted:
                return shown
            return LoginEnd(outcome=Outcome.UNKNOWN_PAGE, why="the live/paper switch cannot be set")

        return page.poll_or_end(look)

    def _fill(self, snapshot: PageSnapshot) -> bool | LoginEnd:
        page, self._has_username = self.page, True
        if classify(snapshot) is PageState.USERNAME_STEP:
            if not page.fill(PageElement.USERNAME, self.credentials.username):
                return False
            timer = Timer(page.patience.switch)
            page.poll(lambda: page.click(PageElement.CONTINUE) or timer.is_expired or None)
            second = self._await_second_step(timer)
            if second is None:
                return False
            self._has_username = PageElement.USERNAME in second.visible
            page.report_if_changed(second)
        fields = [(page.selectors[PageElement.PASSWORD], self.credentials.password.reveal(), True)]
        if self._has_username:
            fields.insert(0, (page.selectors[PageElement.USERNAME], self.credentials.username, False))
        address = urlsplit(self.address)
        filled = page.execute(page_scripts.FILL, fields, f"{address.scheme}://{address.netloc}")
        if isinstance(filled, str):
            return end_for_other_host(f"the form of IBKR's page is one of {filled}")
        return bool(filled)

    def _await_second_step(self, timer: Timer) -> PageSnapshot | None:
        """Waits for the field of the password that follows the user name; returns its snapshot, None without one.

        The user name may be gone by then, or be a text; and the password may be asked for in another document.
        """
        page = self.page
        seen: list[PageSnapshot] = []

        def look() -> bool | None:
            snapshot = page.inspect()
            if _asks_for_password(snapshot) and snapshot.is_complete:
                seen.append(snapshot)
            else:
                seen.clear()
            return len(seen) > 1 or timer.is_expired or None

        page.poll(look)
        return seen[-1] if seen else None

    def _submit_filled(self) -> PageSnapshot | LoginEnd | None:
        """Records the submission in the login log, then submits what still is as it was filled in."""
        page = self.page
        last = self._await_button()
        if last is None:
            return None
        if is_waiting_for_ibkr(page):
            self._hindrance = "its script is still talking to IBKR"
            return None
        page.note_recognised(last)
        if end := self.before_submit():
            return end
        page.submitted = True
        # Writing the log takes its time on a busy machine, and the script may have begun again meanwhile. If the page
        # goes away after that, nobody knows whether the button was pressed: it counts.
        refusal = (
            "its script is talking to IBKR again"
            if is_waiting_for_ibkr(page)
            else self._run_submit_script(last, really=True)
        )
        if refusal:
            page.submitted = False
            self.on_withdrawn()
            logger.warning("The form changed before it was submitted: {}", refusal)
            return None
        page.on_step("User name and password were submitted")
        return last

    def _await_button(self) -> PageSnapshot | None:
        """Waits until the filled form can be submitted: its script may look at it first. Returns what it shows then.

        None: it has changed, or cannot be submitted.
        """
        page, timer = self.page, Timer(self.page.patience.switch)
        ready: list[PageSnapshot] = []

        def look() -> bool | None:
            last = page.inspect()
            has_username = PageElement.USERNAME in last.visible
            if not _asks_for_password(last) or has_username is not self._has_username or last.is_exchange_broken:
                return False
            self._hindrance = self._run_submit_script(last, really=False) or ""
            if self._hindrance == page_scripts.DISABLED_BUTTON and not timer.is_expired:
                return None
            if not self._hindrance:
                ready.append(last)
            return True

        page.poll(look)
        return ready[0] if ready else None

    def _run_submit_script(self, last: PageSnapshot, *, really: bool) -> str | None:
        page, table = self.page, self.page.selectors
        refusal = page.execute(
            page_scripts.SUBMIT_FORM,
            table[PageElement.SUBMIT],
            {element: table[element] for element in BLOCKING_ELEMENTS},
            table[PageElement.PAPER_CHECKBOX],
            None if last.paper is None else self.credentials.paper,
            list(LOGIN_TYPE),
            table[PageElement.PASSWORD],
            really,
        )
        if refusal is None and not really:
            return "the page went away"
        return refusal if refusal is None else str(refusal)
