"""The page's side of a second factor: choose the method, give the code or wait for the approval, see what comes of it.

At most two codes are sent, and one push: what fails then is for a person, not for another try.
"""

from datetime import timedelta
from pathlib import Path
from time import time
from typing import Literal

from loguru import logger

from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import Secret, SecretSource
from ibkr_tools.errors import ConfigError, DataError, SessionUnavailable
from ibkr_tools.login import page_scripts
from ibkr_tools.login.error_messages import classify_error
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_page_object import LoginPageObject, NextStep
from ibkr_tools.login.login_timers import ConditionTimer, Timer
from ibkr_tools.login.otp import (
    CodeRequest,
    CodeSource,
    CommandCodes,
    NoCode,
    TotpCodes,
    describe_clock_offset,
    time_at_ibkr,
)
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_handlers import end_for_error
from ibkr_tools.login.page_snapshot import (
    AUTHENTICATOR,
    MAX_SHOWN_CHARACTERS,
    RECOGNISED,
    PageSnapshot,
    second_factor_element,
)
from ibkr_tools.login.page_states import FORM, PageState, classify
from ibkr_tools.login.push_approval import PushApproval
from ibkr_tools.login.redaction import unredacted
from ibkr_tools.page_elements import CHALLENGES, CHANNEL_TEXT, PageElement, SecondFactor
from ibkr_tools.user_command import Spawn, spawn_locally

Method = Literal["totp", "push", "command"]

MAX_CODES = 2
MAX_CODE_WAIT_S = 150.0
"""A longer wait for the next code means that the clock was moved."""
ERROR_SETTLE = timedelta(milliseconds=500)
"""How long an error must stand: the answer to a code is there a moment before the page has acted on it."""
CODE_POLL = timedelta(seconds=0.25)
"""Between two looks at the page while a code is not valid for long enough."""
APPROVAL_POLL = timedelta(seconds=1)
"""Between two snapshots while the page asks for the approval: more frequent ones were seen to break its last step."""
SESSION_POLL = timedelta(seconds=10)
"""Between two requests to the API meanwhile."""

APPROVED_SETTLE = timedelta(seconds=3)
"""How long the page may go on asking for an approval that was given, before the API is asked instead of it."""

OUTCOMES_BEFORE_PUSH = frozenset({Outcome.MAINTENANCE, Outcome.TOLD_TO_WAIT, Outcome.SERVER_ERROR, Outcome.BLOCKED})
"""What IBKR says instead of asking for a second factor."""

METHOD_CHOICES: dict[Method, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "totp": (("authenticator",), ("4",)),
    "push": (("ib ?key", "ibkr mobile"), ("5.2a", "5.2i")),
    "command": (("one.?time|passcode|sms|text message", "authenticator", "card"), ("4.2", "4", "3")),
}
"""Which option of the choice of methods fits: patterns of its label in order, then IBKR's numbers."""

ANSWERABLE: dict[Method, tuple[SecondFactor, ...]] = {
    "totp": (SecondFactor.SILVER, SecondFactor.OLD),
    "push": (),
    "command": (
        SecondFactor.SILVER,
        SecondFactor.GOLD,
        SecondFactor.BRONZE,
        SecondFactor.TEMP,
        SecondFactor.OLD,
    ),
}
"""For which second factors a method has codes."""


class SecondFactorFlow:
    """Answers IBKR's questions after the password by one `method`; for one login.

    `push_sent`: a push was sent, or may have been.
    """

    def __init__(self, method: Method, codes: CodeSource | None = None, *, push_wait: timedelta = timedelta()) -> None:
        self.push_sent = False
        self._method = method
        self._codes = codes
        self._push_wait = push_wait
        self._approval_timer: Timer | None = None
        self._approved_timer = ConditionTimer(APPROVED_SETTLE)
        self._approval = PushApproval()
        self._had_session = False
        self._codes_sent = 0
        self._asked_at = 0.0
        self._channel_timer: Timer | None = None
        self._refusal = ""

    @property
    def is_approved(self) -> bool:
        """Whether somebody has approved a push, as IBKR or its page says."""
        return self._approval.is_given

    def answer(self, snapshot: PageSnapshot, page: LoginPageObject) -> LoginEnd | NextStep:
        """Answers what `snapshot` shows: `snapshot.second_factor` is not None.

        Returns how the login ends, or what follows when the page has gone on. The time that this may need it takes
        with `page.extend_time`; it sets `page.code_submitted` when the first code goes out.

        Raises:
            LoginTimeout: the time is up.
            BrowserLost: the browser died.
        """
        self._asked_at = self._asked_at or time()
        kind = snapshot.second_factor
        if kind is SecondFactor.NOTIFICATION and self._method == "push":
            return self._await_approval(page)
        if self.is_approved:
            return NextStep.ASK_API
        if self.push_sent and kind is not SecondFactor.PICKER:
            why = f"nobody approved in time: the page asks for {kind} now"
            return LoginEnd(outcome=Outcome.PUSH_MISSED, why=why)
        if kind is SecondFactor.PICKER:
            return self._choose_method(page)
        if kind is SecondFactor.OTP_SELECTOR and self._method == "command":
            return self._request_text_message(page)
        if kind in ANSWERABLE[self._method] and self._codes is not None:
            return self._answer_with_code(kind, self._codes, page)
        why = f"IBKR asks for {kind}, which login.second_factor.method {self._method!r} cannot give"
        return LoginEnd(outcome=Outcome.SECOND_FACTOR, why=why)

    def requires_person(self, outcome: Outcome) -> bool:
        """Whether a login that ended so may have sent a push: no machine tries again, it would send another one."""
        return self._method == "push" and (self.push_sent or outcome not in OUTCOMES_BEFORE_PUSH)

    # Choosing

    def _choose_method(self, page: LoginPageObject) -> LoginEnd | NextStep:
        """Chooses the method, and waits until the page has gone on."""
        timer = Timer(page.patience.unchanged_form)
        patterns, numbers = METHOD_CHOICES[self._method]
        chosen = ""

        def look() -> LoginEnd | NextStep | None:
            nonlocal chosen
            if page.inspect().second_factor is not SecondFactor.PICKER:
                return NextStep.LOOK_AGAIN
            if timer.is_expired:
                what = f"{chosen!r} was chosen, and nothing came of it" if chosen else "nothing can be chosen"
                why = f"IBKR asks which second factor to use: {what}"
                return LoginEnd(outcome=Outcome.SECOND_FACTOR, why=why)
            if chosen:
                return None
            pickers = page.selectors[PageElement.METHOD_PICKER]
            options = page.execute(page_scripts.CHOOSE_METHOD, pickers, patterns, numbers) or {}
            chosen = str(options.get("chosen", ""))
            if chosen:
                self.push_sent = self._method == "push"
                page.on_step(f"{chosen!r} was chosen as second factor")
            elif options.get("offered"):
                why = self._no_choice([str(label) for label in options["offered"]])
                return LoginEnd(outcome=Outcome.SECOND_FACTOR, why=why)
            return None

        return page.poll_or_end(look)

    def _no_choice(self, offered: list[str]) -> str:
        return f"login.second_factor.method {self._method!r} is none of what IBKR offers: {', '.join(offered)}"

    def _request_text_message(self, page: LoginPageObject) -> LoginEnd | NextStep:
        """Has IBKR send its text message: once."""
        if self._channel_timer is None:
            self._channel_timer = Timer(page.patience.unchanged_form)
            page.execute(page_scripts.CLICK, list(CHANNEL_TEXT))
            page.on_step("IBKR is asked to send a text message with the code")
        timer = self._channel_timer

        def look() -> LoginEnd | NextStep | None:
            if page.inspect().second_factor is not SecondFactor.OTP_SELECTOR:
                return NextStep.LOOK_AGAIN
            if timer.is_expired:
                why = "IBKR asks how to send the code, and takes no answer"
                return LoginEnd(outcome=Outcome.SECOND_FACTOR, why=why)
            return None

        return page.poll_or_end(look)

    # Codes

    def _answer_with_code(self, kind: SecondFactor, codes: CodeSource, page: LoginPageObject) -> LoginEnd | NextStep:
        offset = page.browser.clock_offset(AUTHENTICATOR)
        if self._codes_sent == 0 and (clock := describe_clock_offset(offset)):
            logger.warning("{}: codes are made for IBKR's time", clock)
        try:
            code = self._obtain_code(kind, codes, page, offset)
        except NoCode as error:
            if self._codes_sent:
                return self._refused(f"{self._refusal}; {error.message}", offset)
            return LoginEnd(outcome=Outcome.NO_CODE, why=error.message)
        before = page.inspect()
        page.note_recognised(before, second_factor_element(kind))
        page.report_if_changed(before)
        if code is None or before.second_factor is not kind or not self._submit_code(kind, code, page):
            return NextStep.LOOK_AGAIN
        return self._await_verdict(kind, before, page, offset)

    def _obtain_code(
        self, kind: SecondFactor, codes: CodeSource, page: LoginPageObject, offset: float | None
    ) -> Secret | None:
        """Returns the code once it is valid for long enough, None if the page does not wait for it any more."""
        request = CodeRequest(
            factor=kind.name.lower(),
            asked_at=self._asked_at,
            challenge=unredacted(page.execute(page_scripts.READ_TEXT, list(CHALLENGES)) or "")[:MAX_SHOWN_CHARACTERS],
            attempt=self._codes_sent + 1,
        )
        wait = codes.wait_s(time_at_ibkr(offset))
        if wait > MAX_CODE_WAIT_S:
            raise NoCode("the codes of the next minutes were used before: was the clock changed?")
        if wait:
            self._announce_wait(page, f"waiting {wait:.0f} s for a code that is valid long enough", wait)
            if not page.poll(lambda: self._is_code_due(kind, codes, page, offset), CODE_POLL):
                return None
        if codes.timeout_s:
            self._announce_wait(
                page, f"waiting up to {codes.timeout_s:.0f} s for the code of the command", codes.timeout_s
            )
        return codes.get_code(time_at_ibkr(offset), request)

    def _is_code_due(
        self, kind: SecondFactor, codes: CodeSource, page: LoginPageObject, offset: float | None
    ) -> bool | None:
        """Says whether the code is valid for long enough by now; False: the page waits for none; None: not yet."""
        if page.inspect().second_factor is not kind:
            return False
        return codes.wait_s(time_at_ibkr(offset)) <= 0 or None

    def _announce_wait(self, page: LoginPageObject, text: str, seconds: float) -> None:
        """Second factors come on top of the time that a login has."""
        page.extend_time(timedelta(seconds=seconds))
        page.on_wait(text, seconds)

    def _submit_code(self, kind: SecondFactor, code: Secret, page: LoginPageObject) -> bool:
        fields = [*page.user_selectors.get(PageElement.CODE, ()), *kind.code_fields]
        if kind is SecondFactor.SILVER:
            fields.append(f"{RECOGNISED}{PageElement.CODE}")
        table = page.selectors
        page.browser.redactor.add(code.reveal())
        refusal = page.execute(
            page_scripts.SUBMIT_CODE, fields, table[PageElement.CODE_SUBMIT], table[PageElement.LOADING], code.reveal()
        )
        if refusal:
            logger.warning("The code was not submitted: {}", refusal)
            return False
        # If the page went away meanwhile, nobody knows: then it counts as submitted.
        page.code_submitted = True
        self._codes_sent += 1
        page.extend_time(page.patience.unchanged_form)
        page.on_step("A code for the second factor was submitted")
        return True

    def _await_verdict(
        self, kind: SecondFactor, before: PageSnapshot, page: LoginPageObject, offset: float | None
    ) -> LoginEnd | NextStep:
        """Waits for what IBKR makes of the code."""
        timer, error_timer = Timer(page.patience.unchanged_form), ConditionTimer(ERROR_SETTLE)

        def look() -> LoginEnd | NextStep | None:
            snapshot = page.inspect()
            if snapshot.second_factor is not kind:
                return NextStep.LOOK_AGAIN
            answered = snapshot.exchanges > before.exchanges or snapshot.error != before.error
            if error_timer.has_lasted(condition=bool(snapshot.error) and (answered or timer.is_expired)):
                return self._after_error(snapshot, page, offset)
            if timer.is_expired and not snapshot.error:
                return LoginEnd(outcome=Outcome.TIMED_OUT, why="IBKR did not say what it made of the code")
            return None

        return page.poll_or_end(look)

    def _after_error(self, snapshot: PageSnapshot, page: LoginPageObject, offset: float | None) -> LoginEnd | NextStep:
        """Says what follows an error after a code: a second code follows the first, if the error is about it."""
        self._refusal = f"IBKR says {snapshot.quoted_error}"
        if classify_error(unredacted(snapshot.error), after_code=True) is not Outcome.CODE_REFUSED:
            return end_for_error(page, snapshot)
        if self._codes_sent >= MAX_CODES:
            return self._refused(self._refusal, offset)
        self._asked_at = time()
        page.on_step(f"{self._refusal}; one more code follows")
        return NextStep.LOOK_AGAIN

    def _refused(self, why: str, offset: float | None) -> LoginEnd:
        clock = describe_clock_offset(offset)
        return LoginEnd(outcome=Outcome.CODE_REFUSED, why=f"{why}; {clock}" if clock else why)

    # Approval

    def _await_approval(self, page: LoginPageObject) -> LoginEnd | NextStep:
        """Waits until somebody approves on the phone; snapshots are rare, and nothing on the page is touched."""
        self.push_sent = True
        if self._approval_timer is None:
            seconds = self._push_wait.total_seconds()
            self._had_session = self._has_session(page)
            page.on_step("IBKR has sent a request to the phone (IB Key)")
            self._announce_wait(page, f"waiting up to {seconds:.0f} s for the approval on the phone (IB Key)", seconds)
            self._approval_timer = Timer(self._push_wait)
        timer, session_timer = self._approval_timer, Timer(SESSION_POLL)

        def look() -> LoginEnd | NextStep | None:
            nonlocal session_timer
            snapshot = page.inspect()
            if snapshot.second_factor is not SecondFactor.NOTIFICATION:
                return self._after_approval(snapshot, page)
            if self._approval.look(snapshot, page.browser):
                page.on_step("The login was approved on the phone")
            if self._approved_timer.has_lasted(condition=self.is_approved):
                return NextStep.ASK_API
            if snapshot.error and not self.is_approved:
                return self._push_missed(snapshot, page)
            if session_timer.is_expired or timer.is_expired:
                if not self._had_session and self._has_session(page):
                    return NextStep.ASK_API
                session_timer = Timer(SESSION_POLL)
            if timer.is_expired and not self.is_approved:
                span = f"{self._push_wait.total_seconds():.0f} s"
                why = f"nobody approved the login on the phone within {span}"
                return LoginEnd(outcome=Outcome.PUSH_MISSED, why=why)
            return None

        return page.poll_or_end(look, APPROVAL_POLL)

    def _after_approval(self, snapshot: PageSnapshot, page: LoginPageObject) -> LoginEnd | NextStep:
        state = classify(snapshot)
        if state not in FORM:
            self._approval.look(snapshot, page.browser)
            self._approval.is_given |= state is PageState.FINISHED
        if state is PageState.ERROR and not self.is_approved:
            return self._push_missed(snapshot, page)
        if state in FORM and not snapshot.left_the_form:
            # Elsewhere the page went on with an approval, and it is the login that came to nothing.
            why = "nobody approved in time: the page shows its form again"
            return LoginEnd(outcome=Outcome.PUSH_MISSED, why=why)
        return NextStep.LOOK_AGAIN

    def _push_missed(self, snapshot: PageSnapshot, page: LoginPageObject) -> LoginEnd:
        """Returns what an error after a push means: declined or too late, unless its words say something else."""
        end = end_for_error(page, snapshot)
        is_known = end.outcome not in (Outcome.UNKNOWN_ERROR, Outcome.REFUSED, Outcome.CODE_REFUSED)
        return end if is_known else LoginEnd(outcome=Outcome.PUSH_MISSED, why=end.why)

    def _has_session(self, page: LoginPageObject) -> bool:
        try:
            return page.portal.tickle().has_session
        except (SessionUnavailable, DataError) as error:
            logger.debug("The API does not say whether there is a session: {}", error.message)
            return False


def make_second_factor_flow(
    config: Config, secrets: SecretSource, directory: Path, spawn: Spawn | None = None
) -> SecondFactorFlow | None:
    """Returns what answers by the configured method, None if nothing does; `directory` keeps what outlives a login.

    `spawn` starts a command; default: as a child of this process.

    Raises:
        ConfigError: the method lacks what it needs.
    """
    second = config.login.second_factor
    if second.method == "totp":
        return SecondFactorFlow("totp", TotpCodes(secrets.totp(), directory))
    if second.method == "command":
        if not second.command:
            raise ConfigError("login.second_factor.command: it is empty")
        codes = CommandCodes(second.command, second.command_timeout_s, spawn=spawn or spawn_locally)
        return SecondFactorFlow("command", codes)
    if second.method == "push":
        return SecondFactorFlow("push", push_wait=timedelta(seconds=second.push_wait_s))
    return None
