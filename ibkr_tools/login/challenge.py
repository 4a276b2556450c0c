"""The page's side of a second factor: choose the method, give the code or wait for the approval, see what comes of it.

At most two codes are sent, and one push: what fails then is for a person, not for another try.
"""

from datetime import timedelta
from pathlib import Path
from threading import Event
from time import time
from typing import Literal

from loguru import logger

from ibkr_tools.config import Config
from ibkr_tools.config_secrets import Secret, SecretSource
from ibkr_tools.errors import ConfigError, DataError, SessionUnavailable
from ibkr_tools.login import page, scripts
from ibkr_tools.login.factor import (
    CodeSource,
    CommandCodes,
    NoCode,
    Question,
    Spawn,
    TotpCodes,
    describe_clock,
    ibkr_time,
    spawn_here,
)
from ibkr_tools.login.outcome import Outcome
from ibkr_tools.login.page import Facts, SecondFactor, Sight
from ibkr_tools.login.redaction import as_written
from ibkr_tools.login.sights import judged
from ibkr_tools.login.texts import judge_error
from ibkr_tools.login.view import Ended, Standing, Timer, View

Method = Literal["totp", "push", "command"]

CODES_AT_MOST = 2
LONGEST_WAIT_S = 150.0
"""A longer wait for the next code means that the clock was moved."""
SETTLED = timedelta(milliseconds=500)
"""How long an error must stand: the answer to a code is there a moment before the page has acted on it."""
LOOK_S = 1.0
"""Between two looks while the page asks for the approval: heavier hands were seen to break its last step."""
ASK = timedelta(seconds=10)
"""Between two questions to the API meanwhile."""

BEFORE_A_PUSH = frozenset({Outcome.MAINTENANCE, Outcome.TOLD_TO_WAIT, Outcome.SERVER_ERROR, Outcome.BLOCKED})
"""What IBKR says instead of asking for a second factor."""

LABELS: dict[Method, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "totp": (("authenticator",), ("4",)),
    "push": (("ib ?key", "ibkr mobile"), ("5.2a", "5.2i")),
    "command": (("one.?time|passcode|sms|text message", "authenticator", "card"), ("4.2", "4", "3")),
}
"""Which entry of the choice of methods fits: patterns of its label in order, then IBKR's numbers."""

ANSWERS: dict[Method, tuple[SecondFactor, ...]] = {
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
"""Which questions a method has codes for."""


class SecondFactors:
    """Answers IBKR's questions after the password by one `method`; a `view.Challenge`, for one login.

    `rang`: a push was sent, or may have been.
    """

    def __init__(self, method: Method, codes: CodeSource | None = None, *, push_wait: timedelta = timedelta()) -> None:
        self.rang = False
        self._method = method
        self._codes = codes
        self._push_wait = push_wait
        self._approval: Timer | None = None
        self._had_session = False
        self._sent = 0
        self._asked_at = 0.0
        self._chosen: Timer | None = None
        self._refusal = ""

    def answer(self, facts: Facts, view: View) -> bool:
        """Answers what `facts` shows; see `view.Challenge`."""
        self._asked_at = self._asked_at or time()
        kind = facts.second_factor
        if kind is SecondFactor.NOTIFICATION and self._method == "push":
            return self._await_approval(view)
        if self.rang and kind is not SecondFactor.PICKER:
            raise Ended(Outcome.PUSH_MISSED, f"nobody approved in time: the page asks for {kind} now")
        if kind is SecondFactor.PICKER:
            self._choose(view)
            return False
        if kind is SecondFactor.OTP_SELECTOR and self._method == "command":
            self._send_text(view)
            return False
        if kind in ANSWERS[self._method] and self._codes is not None:
            return self._give_code(kind, self._codes, view)
        raise Ended(
            Outcome.SECOND_FACTOR,
            f"IBKR asks for {kind}, which login.second_factor.method {self._method!r} cannot give",
        )

    def is_for_a_person(self, outcome: Outcome) -> bool:
        """Whether a login that ended so may have rung a phone: no machine tries again, it would ring once more."""
        return self._method == "push" and (self.rang or outcome not in BEFORE_A_PUSH)

    # Choosing

    def _choose(self, view: View) -> None:
        """Chooses the method, and waits until the page has gone on."""
        timer = Timer(view.patience.again)
        patterns, numbers = LABELS[self._method]
        chosen = ""
        while view.look().second_factor is SecondFactor.PICKER:
            if timer.is_over:
                what = f"{chosen!r} was chosen, and nothing came of it" if chosen else "nothing can be chosen"
                raise Ended(Outcome.SECOND_FACTOR, f"IBKR asks which second factor to use: {what}")
            if not chosen:
                found = view.act(scripts.CHOOSE, view.selectors["method-picker"], patterns, numbers) or {}
                chosen = str(found.get("chosen", ""))
                if chosen:
                    self.rang = self._method == "push"
                    view.on_step(f"{chosen!r} was chosen as second factor")
                elif found.get("offered"):
                    raise Ended(Outcome.SECOND_FACTOR, self._no_choice([str(one) for one in found["offered"]]))
            view.pause()

    def _no_choice(self, offered: list[str]) -> str:
        return f"login.second_factor.method {self._method!r} is none of what IBKR offers: {', '.join(offered)}"

    def _send_text(self, view: View) -> None:
        """Has IBKR send its text message: once."""
        if self._chosen is None:
            self._chosen = Timer(view.patience.again)
            view.act(scripts.CLICK, list(page.CHANNEL_TEXT))
            view.on_step("IBKR is asked to send a text message with the code")
        while view.look().second_factor is SecondFactor.OTP_SELECTOR:
            if self._chosen.is_over:
                raise Ended(Outcome.SECOND_FACTOR, "IBKR asks how to send the code, and takes no answer")
            view.pause()

    # Codes

    def _give_code(self, kind: SecondFactor, codes: CodeSource, view: View) -> bool:
        offset = view.browser.clock_offset("/sso/Authenticator")
        if self._sent == 0 and (clock := describe_clock(offset)):
            logger.warning("{}: codes are made for IBKR's time", clock)
        try:
            code = self._take(kind, codes, view, offset)
        except NoCode as error:
            if self._sent:
                raise self._refused(f"{self._refusal}; {error.message}", offset) from None
            raise Ended(Outcome.NO_CODE, error.message) from None
        before = view.look()
        if code is None or before.second_factor is not kind or not self._submit(kind, code, view):
            return False
        return self._hear(kind, before, view, offset)

    def _take(self, kind: SecondFactor, codes: CodeSource, view: View, offset: float | None) -> Secret | None:
        """Returns the code once it is valid for long enough, None if the page does not wait for it any more."""
        question = Question(
            factor=kind.name.lower(),
            asked_at=self._asked_at,
            challenge=as_written(view.act(scripts.READ, list(page.CHALLENGES)) or "")[: page.SHOWN],
            attempt=self._sent + 1,
        )
        wait = codes.wait_s(ibkr_time(offset))
        if wait > LONGEST_WAIT_S:
            raise NoCode("the codes of the next minutes were used before: was the clock changed?")
        if wait:
            self._announce(view, f"waiting {wait:.0f} s for a code that is valid long enough", wait)
            while (left := codes.wait_s(ibkr_time(offset))) > 0:
                Event().wait(min(left, LOOK_S))
                if view.look().second_factor is not kind:
                    return None
        if codes.timeout_s:
            self._announce(view, f"waiting up to {codes.timeout_s:.0f} s for the code of the command", codes.timeout_s)
        return codes.take(ibkr_time(offset), question)

    def _announce(self, view: View, text: str, seconds: float) -> None:
        """Second factors come on top of the time that a login has."""
        view.allow(timedelta(seconds=seconds))
        view.on_wait(text, seconds)

    def _submit(self, kind: SecondFactor, code: Secret, view: View) -> bool:
        fields = [*view.own.get("code", ()), *page.CODE_FIELDS[kind]]
        table = view.selectors
        view.browser.redactor.add(code.reveal())
        refusal = view.act(scripts.ANSWER, fields, table["code-submit"], table["loading"], code.reveal())
        if refusal:
            logger.warning("The code was not submitted: {}", refusal)
            return False
        # If the page went away meanwhile, nobody knows: then it counts as submitted.
        view.code_was_given = True
        self._sent += 1
        view.allow(view.patience.again)
        view.on_step("A code for the second factor was submitted")
        return True

    def _hear(self, kind: SecondFactor, before: Facts, view: View, offset: float | None) -> bool:
        """Waits for what IBKR makes of the code."""
        timer, standing = Timer(view.patience.again), Standing(SETTLED)
        while True:
            facts = view.look()
            if facts.second_factor is not kind:
                return False
            answered = facts.exchanges > before.exchanges or facts.error != before.error
            if standing.is_over(while_it_is=bool(facts.error) and (answered or timer.is_over)):
                break
            if timer.is_over and not facts.error:
                raise Ended(Outcome.TIMED_OUT, "IBKR did not say what it made of the code")
            view.pause()
        self._refusal = f"IBKR says {facts.error[:200]!r}"
        if judge_error(as_written(facts.error), after_code=True) is not Outcome.CODE_REFUSED:
            raise judged(view, facts)
        if self._sent >= CODES_AT_MOST:
            raise self._refused(self._refusal, offset)
        self._asked_at = time()
        view.on_step(f"{self._refusal}; one more code follows")
        return False

    def _refused(self, why: str, offset: float | None) -> Ended:
        clock = describe_clock(offset)
        return Ended(Outcome.CODE_REFUSED, f"{why}; {clock}" if clock else why)

    # Approval

    def _await_approval(self, view: View) -> bool:
        """Waits until somebody approves on the phone; the page is looked at rarely and touched never."""
        self.rang = True
        if self._approval is None:
            seconds = self._push_wait.total_seconds()
            self._had_session = self._has_session(view)
            view.on_step("IBKR has sent a request to the phone (IB Key)")
            self._announce(view, f"waiting up to {seconds:.0f} s for the approval on the phone (IB Key)", seconds)
            self._approval = Timer(self._push_wait)
        asked = Timer(ASK)
        while True:
            facts = view.look()
            if facts.second_factor is not SecondFactor.NOTIFICATION:
                return self._after_approval(facts, view)
            if facts.error:
                raise self._missed(facts, view)
            if asked.is_over or self._approval.is_over:
                if not self._had_session and self._has_session(view):
                    return True
                asked = Timer(ASK)
            if self._approval.is_over:
                span = f"{self._push_wait.total_seconds():.0f} s"
                raise Ended(Outcome.PUSH_MISSED, f"nobody approved the login on the phone within {span}")
            Event().wait(LOOK_S)

    def _after_approval(self, facts: Facts, view: View) -> bool:
        if page.classify(facts) is Sight.ERROR:
            raise self._missed(facts, view)
        if page.classify(facts) in (Sight.CREDENTIALS, Sight.USERNAME_STEP) and not facts.left_the_form:
            # Elsewhere the page went on with an approval, and it is the login that came to nothing.
            raise Ended(Outcome.PUSH_MISSED, "nobody approved in time: the page shows its form again")
        return False

    def _missed(self, facts: Facts, view: View) -> Ended:
        """An error while a push is out: declined or too late, unless its words say something else."""
        ended = judged(view, facts)
        known = ended.outcome not in (Outcome.UNKNOWN_ERROR, Outcome.REFUSED, Outcome.CODE_REFUSED)
        return ended if known else Ended(Outcome.PUSH_MISSED, ended.why)

    def _has_session(self, view: View) -> bool:
        try:
            return view.portal.tickle().has_session
        except (SessionUnavailable, DataError) as error:
            logger.debug("The API does not say whether there is a session: {}", error.message)
            return False


def make_second_factors(
    config: Config, secrets: SecretSource, directory: Path, spawn: Spawn | None = None
) -> SecondFactors | None:
    """Returns what answers by the configured method, None if nothing does; `directory` keeps what outlives a login.

    `spawn` starts a command; default: as a child of this process.

    Raises:
        ConfigError: the method lacks what it needs.
    """
    second = config.login.second_factor
    if second.method == "totp":
        return SecondFactors("totp", TotpCodes(secrets.totp(), directory))
    if second.method == "command":
        if not second.command:
            raise ConfigError("login.second_factor.command: it is empty")
        codes = CommandCodes(second.command, second.command_timeout_s, spawn=spawn or spawn_here)
        return SecondFactors("command", codes)
    if second.method == "push":
        return SecondFactors("push", push_wait=timedelta(seconds=second.push_wait_s))
    return None
