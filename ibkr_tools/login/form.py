"""The way through the form, up to the moment the password is out: wait until it is ready, fill it, submit it once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from loguru import logger

from ibkr_tools.login import page, scripts
from ibkr_tools.login.browser import PageChanging
from ibkr_tools.login.outcome import Outcome
from ibkr_tools.login.page import Facts, Sight
from ibkr_tools.login.sights import FINAL, FOREIGN, clear_the_way, dead_end, stop_for_a_person
from ibkr_tools.login.view import FORM, Credentials, Ended, Standing, Timer, View

REOPEN = timedelta(seconds=1)
"""After how long a page that could not be opened is opened again."""


@dataclass
class Form:
    """The form with user name and password, at `address`.

    `before_submit` is called right before the password goes out; what it raises keeps it from going out.
    `on_withdrawn` is called when the page turned out not to take it after all.
    """

    view: View
    address: str
    credentials: Credentials
    before_submit: Callable[[], None]
    on_withdrawn: Callable[[], None]
    _hindrance: str = ""

    def submit(self) -> Facts:
        """Opens the page and brings the form to the point where the password went out; returns the look before that.

        Raises:
            Ended: there is no form, or it is of no use.
            BrowserLost: the browser died.
        """
        self.view.browser.open(self.address)
        timer = Timer(self.view.patience.form)
        while True:
            facts = self._switch_mode(self._ready(timer))
            if not self._fill(facts):
                self._hindrance = "it did not keep what was filled in"
            elif pressed := self._press():
                return pressed
            self.view.pause()

    def _ready(self, timer: Timer) -> Facts:
        """Waits until the form is there and its script is ready: not before it has talked to IBKR, twice seen.

        A form that is submitted before that sends no proof, and IBKR calls the password wrong.
        """
        view = self.view
        silent, busy = Standing(view.patience.silent_form), Standing(view.patience.loading)
        again = Standing(REOPEN)
        answered = ""
        while True:
            facts = view.look(until=timer)
            sight = page.classify(facts)
            stop_for_a_person(view, facts, sight)
            is_form = sight in FORM and facts.is_complete
            key = f"{facts.document} {facts.exchanges}" if is_form else ""
            is_broken = facts.is_exchange_broken
            if facts.exchanges and key and key == answered and not is_broken and not timer.is_over:
                view.on_step("The form is ready")
                return facts
            answered = key
            is_quiet = is_form and not is_broken and not facts.missing
            if silent.is_over(while_it_is=is_quiet) and not self._is_asking():
                view.on_step("The form is there but has not talked to IBKR; going on")
                return facts
            if sight is Sight.ERROR and "username" in facts.visible:
                # A notice above a usable form; after the password it would not be news.
                view.old_error = facts.error
                view.on_step(f"Above the form stands {facts.error[:120]!r}")
            is_busy = not facts.missing and (sight is Sight.LOADING or (sight in FORM and not facts.is_complete))
            clear_the_way(view, sight)
            if is_busy and timer.is_over:
                # What comes of it gets some time as well.
                timer.extend(view.patience.switch)
            if busy.is_over(while_it_is=is_busy) or timer.is_over or self._is_final(facts, sight):
                if self._hindrance and sight in FORM and not is_broken:
                    raise Ended(Outcome.TIMED_OUT, f"the form could not be submitted: {self._hindrance}")
                raise dead_end(view, facts, sight)
            if again.is_over(while_it_is=sight is Sight.UNREACHABLE):
                # Java may still be starting, or starting anew.
                view.browser.open(self.address)
                again = Standing(REOPEN)
            view.pause()

    def _is_final(self, facts: Facts, sight: Sight) -> bool:
        """Whether this page will not become another one by itself."""
        if sight is Sight.UNREACHABLE:
            return facts.net_error.startswith(FOREIGN)
        return sight in FINAL

    def _is_asking(self) -> bool:
        try:
            return self.view.browser.is_waiting_for(page.AUTHENTICATOR)
        except PageChanging:
            return True

    def _switch_mode(self, facts: Facts) -> Facts:
        """Sets the live/paper switch, if there is one, and waits until the page has told IBKR."""
        view, wanted = self.view, self.credentials.paper
        if facts.paper is None or facts.paper == wanted:
            return facts
        before = view.act(scripts.SWITCH, view.selectors["paper-checkbox"], wanted)
        timer = Timer(view.patience.switch)
        seen = False
        while not timer.is_over:
            facts = view.look()
            told = isinstance(before, int) and facts.exchanges > before
            if facts.paper == wanted and told and page.classify(facts) is Sight.CREDENTIALS:
                if seen:
                    view.on_step(f"The switch is set to {'paper' if wanted else 'live'}")
                    return facts
                seen = True
            view.pause()
        if facts.paper == wanted:
            return facts
        raise Ended(Outcome.UNKNOWN_PAGE, "the live/paper switch cannot be set")

    def _fields(self) -> list[tuple[list[str], str]]:
        table = self.view.selectors
        return [
            (table["username"], self.credentials.username),
            (table["password"], self.credentials.password.reveal()),
        ]

    def _fill(self, facts: Facts) -> bool:
        view = self.view
        if page.classify(facts) is Sight.USERNAME_STEP:
            if view.fill("username", self.credentials.username):
                view.click("continue")
                timer = Timer(view.patience.switch)
                while page.classify(view.look()) is not Sight.CREDENTIALS and not timer.is_over:
                    view.pause()
            if page.classify(view.look()) is not Sight.CREDENTIALS:
                return False
        return bool(view.act(scripts.FILL, self._fields()))

    def _press(self) -> Facts | None:
        """Enters the submission in the ledger, then submits what still is as it was filled in."""
        view = self.view
        last = view.look()
        if page.classify(last) is not Sight.CREDENTIALS or last.is_exchange_broken:
            return None
        if hindrance := self._press_button(last, really=False):
            self._hindrance = hindrance
            return None
        if self._is_asking():
            self._hindrance = "its script is still talking to IBKR"
            return None
        self.before_submit()
        view.submitted = True
        # Writing the entry takes its time on a busy machine, and the script may have begun again meanwhile. If the page
        # goes away after that, nobody knows whether the button was pressed: it counts.
        refusal = "its script is talking to IBKR again" if self._is_asking() else self._press_button(last, really=True)
        if refusal:
            view.submitted = False
            self.on_withdrawn()
            logger.warning("The form changed before it was submitted: {}", refusal)
            return None
        view.on_step("User name and password were submitted")
        return last

    def _press_button(self, last: Facts, *, really: bool) -> str | None:
        view, table = self.view, self.view.selectors
        refusal = view.act(
            scripts.PRESS,
            self._fields(),
            table["submit"],
            table["loading"],
            table["consent"],
            table["paper-checkbox"],
            None if last.paper is None else self.credentials.paper,
            list(page.LOGIN_TYPE),
            table["password"],
            really,
        )
        if refusal is None and not really:
            return "the page went away"
        return refusal if refusal is None else str(refusal)
