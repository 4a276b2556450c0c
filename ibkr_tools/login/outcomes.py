"""How a login can end: a closed set, and for each end what it means for the person, the login log and the exit code."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from ibkr_tools.errors import ActionRequired, ConfigError, IbkrError, LockedOut, LoginFailed, LoginRefused

StatusState = Literal[
    "succeeded", "failed", "maintenance", "refused", "action-required", "locked-out", "not-needed", "broken"
]


class AttemptResult(StrEnum):
    """What the login log says about one attempt.

    `submitted` is what a crash leaves behind. `stop` locks at once. `unsubmitted`: the page never got the password.
    `person`: a failure after which no machine logs in before a person did. `unknown`: what a lost log may have had.
    """

    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    PERSON = "person"
    STOP = "stop"
    UNKNOWN = "unknown"
    UNSUBMITTED = "unsubmitted"


Phase = Literal["before", "after", "either"]
"""Whether a password has been submitted when a login ends so."""


@dataclass(frozen=True, kw_only=True)
class OutcomePolicy:
    """What follows from an outcome; nothing has a default.

    Attributes:
        meaning: what happened, in the words of docs/login.md.
        phase: whether a password has been submitted by then.
        error: ends the process.
        result: what the login log says if a password was submitted.
        state: goes to the status file. After `refused` (by IBKR), `locked-out` and `action-required` (IBKR refused
            nothing) no machine tries again; `broken` and `failed` are tried again, ever later.
        todo: what a person should do, None if nothing.
    """

    meaning: str
    phase: Phase
    error: type[IbkrError] | None
    result: AttemptResult
    state: StatusState
    todo: str | None


class Outcome(StrEnum):
    """How a login ended, with what follows from it."""

    policy: OutcomePolicy

    SUCCEEDED = (
        "succeeded",
        OutcomePolicy(
            meaning="a session, proven by its accounts",
            phase="after",
            error=None,
            result=AttemptResult.SUCCEEDED,
            state="succeeded",
            todo=None,
        ),
    )
    NOT_NEEDED = (
        "not-needed",
        OutcomePolicy(
            meaning="there was a session",
            phase="before",
            error=None,
            result=AttemptResult.SUCCEEDED,
            state="not-needed",
            todo=None,
        ),
    )
    REFUSED = (
        "refused",
        OutcomePolicy(
            meaning="IBKR refused user name and password",
            phase="after",
            error=LoginRefused,
            result=AttemptResult.REFUSED,
            state="refused",
            todo="Correct user name or password: sudo ibkr-tools setup; or, if they are right, `ibkr-tools unlock`.",
        ),
    )
    DOUBTFUL_REFUSAL = (
        "doubtful-refusal",
        OutcomePolicy(
            meaning="IBKR refused a password that worked within 14 days: it is submitted once more, an hour later",
            phase="after",
            error=LoginFailed,
            result=AttemptResult.REFUSED,
            state="failed",
            todo="If the password was changed at IBKR, change it here too (docs/configuration.md). If not, do nothing.",
        ),
    )
    WRONG_MODE = (
        "wrong-mode",
        OutcomePolicy(
            meaning="paper user in live mode, or the reverse",
            phase="after",
            error=ConfigError,
            result=AttemptResult.FAILED,
            state="action-required",
            todo="Change session.paper in the configuration: the user belongs to the other mode.",
        ),
    )
    LOCKED = (
        "locked",
        OutcomePolicy(
            meaning="IBKR says its own counter is full",
            phase="after",
            error=LockedOut,
            result=AttemptResult.STOP,
            state="locked-out",
            todo="IBKR has locked the user: wait 24 h after the last try or telephone IBKR, then `ibkr-tools unlock`.",
        ),
    )
    UNKNOWN_ERROR = (
        "unknown-error",
        OutcomePolicy(
            meaning="an error text that is not known",
            phase="after",
            error=ActionRequired,
            result=AttemptResult.STOP,
            state="locked-out",
            todo="Log in on IBKR's website with this user, do what it asks, then `ibkr-tools unlock`.",
        ),
    )
    SECOND_FACTOR = (
        "second-factor-wanted",
        OutcomePolicy(
            meaning="IBKR asks for a code, a phone, a card …",
            phase="either",
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="Set login.second_factor in the configuration (docs/second-factor.md), then `ibkr-tools login`.",
        ),
    )
    PASSKEY = (
        "passkey-wanted",
        OutcomePolicy(
            meaning="IBKR asks for a passkey, or wants one to be made",
            phase="either",
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="Sign in on IBKR's website with this user and enrol IB Key or an authenticator app, if you can; or "
            "ask IBKR's support to spare this read-only user the passkey. Then `ibkr-tools login`.",
        ),
    )
    CODE_REFUSED = (
        "code-refused",
        OutcomePolicy(
            meaning="IBKR refused the second factor's code twice",
            phase="after",
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="refused",
            todo="Check the second factor's secret and this machine's clock, then `ibkr-tools login`.",
        ),
    )
    NO_CODE = (
        "no-code",
        OutcomePolicy(
            meaning="nothing gave a code for the second factor",
            phase="after",
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="See why login.second_factor gave no code, then `ibkr-tools login`.",
        ),
    )
    PUSH_MISSED = (
        "push-missed",
        OutcomePolicy(
            meaning="nobody approved the login on the phone",
            phase="after",
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="With the phone in hand: `ibkr-tools login`, and approve what IB Key asks.",
        ),
    )
    TOLD_TO_WAIT = (
        "told-to-wait",
        OutcomePolicy(
            meaning="IBKR says to wait, and how long",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo=None,
        ),
    )
    PAUSED = (
        "paused",
        OutcomePolicy(
            meaning="a person asked for a pause meanwhile",
            phase="before",
            error=LoginFailed,
            result=AttemptResult.UNSUBMITTED,
            state="failed",
            todo=None,
        ),
    )
    MAINTENANCE = (
        "maintenance",
        OutcomePolicy(
            meaning="IBKR is down and says so",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="maintenance",
            todo=None,
        ),
    )
    RESTRICTED = (
        "restricted",
        OutcomePolicy(
            meaning="IBKR wants an e-mailed code",
            phase="either",
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="Log in on IBKR's website with this user and confirm the code IBKR sends by e-mail; "
            "then `ibkr-tools login`.",
        ),
    )
    TASKS = (
        "tasks",
        OutcomePolicy(
            meaning="IBKR wants this user to do something first, such as to review or confirm data",
            phase="either",
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="Sign in on IBKR's website once with this user and do what it asks; then `ibkr-tools login`.",
        ),
    )
    DENIED = (
        "denied",
        OutcomePolicy(
            meaning="the gateway does not let this machine in",
            phase="either",
            error=ConfigError,
            result=AttemptResult.FAILED,
            state="broken",
            todo="Allow 127.0.0.1 in the gateway's conf.yaml (ips.allow).",
        ),
    )
    NOT_THE_GATEWAY = (
        "not-the-gateway",
        OutcomePolicy(
            meaning="another program, or another key, answers on the gateway's port",
            phase="before",
            error=ConfigError,
            result=AttemptResult.FAILED,
            state="broken",
            todo="See who listens on gateway.port (`ss -ltnp`): it is not this gateway, or not with its certificate.",
        ),
    )
    OTHER_HOST = (
        "other-host",
        OutcomePolicy(
            meaning="IBKR sends the browser to another host, which a login does not reach",
            phase="either",
            error=ConfigError,
            result=AttemptResult.FAILED,
            state="broken",
            todo="If that host is IBKR's, set gateway.upstream to it, and restart ibkr-gateway.",
        ),
    )
    UNREACHABLE = (
        "unreachable",
        OutcomePolicy(
            meaning="no answer: the gateway, or IBKR behind it, is silent",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo=None,
        ),
    )
    BLOCKED = (
        "blocked",
        OutcomePolicy(
            meaning="IBKR's network refuses this machine's address",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo="IBKR's network refuses this machine's address: if it repeats, use another network, or no VPN.",
        ),
    )
    SERVER_ERROR = (
        "server-error",
        OutcomePolicy(
            meaning="IBKR answers 5xx, or says that it had an error",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo=None,
        ),
    )
    BLANK_PAGE = (
        "blank-page",
        OutcomePolicy(
            meaning="no form: nothing, or parts of the page did not come",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo=None,
        ),
    )
    STILL_LOADING = (
        "still-loading",
        OutcomePolicy(
            meaning="the page says for a minute that it is busy",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo="If it repeats: the gateway's program is too old, or a filter keeps parts of IBKR's page away.",
        ),
    )
    UNKNOWN_PAGE = (
        "unknown-page",
        OutcomePolicy(
            meaning="a page that is not known, without an error on it",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo="Look at the screenshot in the diagnostics directory; IBKR may have changed its page.",
        ),
    )
    FORM_AGAIN = (
        "form-again",
        OutcomePolicy(
            meaning="the form came back without a reason",
            phase="after",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo=None,
        ),
    )
    BROWSER_DIED = (
        "browser-died",
        OutcomePolicy(
            meaning="Chromium or its driver ended, or has not answered for 10 s",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo=None,
        ),
    )
    TIMED_OUT = (
        "timed-out",
        OutcomePolicy(
            meaning="longer than `login.timeout_s`",
            phase="either",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo=None,
        ),
    )
    UNPROVEN = (
        "unproven",
        OutcomePolicy(
            meaning="the page said success, the API has no session",
            phase="after",
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo="If it repeats: log in once on IBKR's website; it may want to check who you are.",
        ),
    )

    def __new__(cls, value: str, policy: OutcomePolicy) -> Self:
        """Makes a member of one row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.policy = policy
        return member
