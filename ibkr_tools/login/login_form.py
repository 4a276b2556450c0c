"""The way through the form, up to the moment the password is out: wait until it is ready, fill it, submit it once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from loguru import logger

from ibkr_tools.login import page_scripts, page_states
from ibkr_tools.login.browser import PageChanging
from ibkr_tools.login.login_page import FORM, ConditionTimer, Credentials, LoginPage, LoginStopped, Timer
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_handlers import (
    FINAL_STATES,
    NOT_THE_GATEWAY,
    dismiss_overlay,
    end_for_stall,
    stop_if_person_needed,
)
from ibkr_tools.login.page_states import PageSnapshot, PageState

REOPEN_INTERVAL = timedelta(seconds=1)
"""After how long a page that could not be opened is opened again."""


@dataclass
class LoginForm:
    """The form with user name and password, at `address`.

    `before_submit` is called right before the password goes out; what it raises keeps it from going out.
    `on_withdrawn` is called when the page turned out not to take it after all.
    """

    page: LoginPage
    address: str
    credentials: Credentials
    before_submit: Callable[[], None]
    on_withdrawn: Callable[[], None]
    _hindrance: str = ""

    def submit(self) -> PageSnapshot:
        """Opens the page and fills the form until the password went out; returns the snapshot before that.

        Raises:
            LoginStopped: there is no form, or it is of no use.
            BrowserLost: the browser died.
        """
        self.page.browser.open(self.address)
        timer = Timer(self.page.patience.form)
        while True:
            snapshot = self._set_paper_switch(self._await_ready(timer))
            if not self._fill(snapshot):
                self._hindrance = "it did not keep what was filled in"
            elif submitted := self._submit_filled():
                return submitted
            self.page.pause()

    def _await_ready(self, timer: Timer) -> PageSnapshot:
        """Waits until the form is there and its script is ready: it has talked to IBKR, in two snapshots.

        A form that is submitted before that sends no proof, and IBKR calls the password wrong.
        """
        page = self.page
        silent, busy = ConditionTimer(page.patience.silent_form), ConditionTimer(page.patience.loading)
        unreachable = ConditionTimer(REOPEN_INTERVAL)
        previous = ""
        while True:
            snapshot = page.inspect(until=timer)
            state = page_states.classify(snapshot)
            stop_if_person_needed(page, snapshot, state)
            is_form = state in FORM and snapshot.is_complete
            key = f"{snapshot.document} {snapshot.exchanges}" if is_form else ""
            is_broken = snapshot.is_exchange_broken
            if snapshot.exchanges and key and key == previous and not is_broken and not timer.is_expired:
                page.on_step("The form is ready")
                return snapshot
            previous = key
            is_quiet = is_form and not is_broken and not snapshot.missing
            if silent.has_lasted(condition=is_quiet) and not self._is_waiting_for_ibkr():
                page.on_step("The form is there but has not talked to IBKR; going on")
                return snapshot
            if state is PageState.ERROR and "username" in snapshot.visible:
                # A notice above a usable form; after the password it would not be news.
                page.known_error = snapshot.error
                page.on_step(f"Above the form stands {snapshot.error[:120]!r}")
            is_busy = not snapshot.missing and (
                state is PageState.LOADING or (state in FORM and not snapshot.is_complete)
            )
            dismiss_overlay(page, state)
            if is_busy and timer.is_expired:
                # What comes of it gets some time as well.
                timer.extend(page.patience.switch)
            if busy.has_lasted(condition=is_busy) or timer.is_expired or self._is_final(snapshot, state):
                if self._hindrance and state in FORM and not is_broken:
                    raise LoginStopped(Outcome.TIMED_OUT, f"the form could not be submitted: {self._hindrance}")
                raise end_for_stall(page, snapshot, state)
            if unreachable.has_lasted(condition=state is PageState.UNREACHABLE):
                # Java may still be starting, or starting anew.
                page.browser.open(self.address)
                unreachable = ConditionTimer(REOPEN_INTERVAL)
            page.pause()

    def _is_final(self, snapshot: PageSnapshot, state: PageState) -> bool:
        """Whether this page will not become another one by itself."""
        if state is PageState.UNREACHABLE:
            return snapshot.net_error.startswith(NOT_THE_GATEWAY)
        return state in FINAL_STATES

    def _is_waiting_for_ibkr(self) -> bool:
        try:
            return self.page.browser.is_waiting_for(page_states.AUTHENTICATOR)
        except PageChanging:
            return True

    def _set_paper_switch(self, snapshot: PageSnapshot) -> PageSnapshot:
        """Sets the live/paper switch, if there is one, and waits until the page has told IBKR."""
        page, wanted = self.page, self.credentials.paper
        if snapshot.paper is None or snapshot.paper == wanted:
            return snapshot
        before = page.execute(page_scripts.SET_PAPER_SWITCH, page.selectors["paper-checkbox"], wanted)
        timer = Timer(page.patience.switch)
        seen = False
        while not timer.is_expired:
            snapshot = page.inspect()
            is_reported = isinstance(before, int) and snapshot.exchanges > before
            if snapshot.paper == wanted and is_reported and page_states.classify(snapshot) is PageState.CREDENTIALS:
                if seen:
                    page.on_step(f"The switch is set to {'paper' if wanted else 'live'}")
                    return snapshot
                seen = True
            page.pause()
        if snapshot.paper == wanted:
            return snapshot
        raise LoginStopped(Outcome.UNKNOWN_PAGE, "the live/paper switch cannot be set")

    def _fields(self) -> list[tuple[list[str], str]]:
        table = self.page.selectors
        return [
            (table["username"], self.credentials.username),
            (table["password"], self.credentials.password.reveal()),
        ]

    def _fill(self, snapshot: PageSnapshot) -> bool:
        page = self.page
        if page_states.classify(snapshot) is PageState.USERNAME_STEP:
            if page.fill("username", self.credentials.username):
                page.click("continue")
                timer = Timer(page.patience.switch)
                while page_states.classify(page.inspect()) is not PageState.CREDENTIALS and not timer.is_expired:
                    page.pause()
            if page_states.classify(page.inspect()) is not PageState.CREDENTIALS:
                return False
        return bool(page.execute(page_scripts.FILL, self._fields()))

    def _submit_filled(self) -> PageSnapshot | None:
        """Records the submission in the login log, then submits what still is as it was filled in."""
        page = self.page
        last = page.inspect()
        if page_states.classify(last) is not PageState.CREDENTIALS or last.is_exchange_broken:
            return None
        if hindrance := self._run_submit_script(last, really=False):
            self._hindrance = hindrance
            return None
        if self._is_waiting_for_ibkr():
            self._hindrance = "its script is still talking to IBKR"
            return None
        self.before_submit()
        page.submitted = True
        # Writing the log takes its time on a busy machine, and the script may have begun again meanwhile. If the page
        # goes away after that, nobody knows whether the button was pressed: it counts.
        refusal = (
            "its script is talking to IBKR again"
            if self._is_waiting_for_ibkr()
            else self._run_submit_script(last, really=True)
        )
        if refusal:
            page.submitted = False
            self.on_withdrawn()
            logger.warning("The form changed before it was submitted: {}", refusal)
            return None
        page.on_step("User name and password were submitted")
        return last

    def _run_submit_script(self, last: PageSnapshot, *, really: bool) -> str | None:
        page, table = self.page, self.page.selectors
        refusal = page.execute(
            page_scripts.SUBMIT_FORM,
            self._fields(),
            table["submit"],
            table["loading"],
            table["consent"],
            table["paper-checkbox"],
            None if last.paper is None else self.credentials.paper,
            list(page_states.LOGIN_TYPE),
            table["password"],
            really,
        )
        if refusal is None and not really:
            return "the page went away"
        return refusal if refusal is None else str(refusal)
