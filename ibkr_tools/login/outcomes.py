"""How a login can end: a closed set, and for each end what it means for the person, the login log and the exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from ibkr_tools.errors import ActionRequired, ConfigError, IbkrError, LockedOut, LoginFailed, LoginRefused

StatusState = Literal[
    "succeeded", "failed", "maintenance", "refused", "action-required", "locked-out", "not-needed", "broken"
]


class Outcome(StrEnum):
    """How a login ended."""

    SUCCEEDED = "succeeded"
    NOT_NEEDED = "not-needed"
    REFUSED = "refused"
    WRONG_MODE = "wrong-mode"
    LOCKED = "locked"
    UNKNOWN_ERROR = "unknown-error"
    SECOND_FACTOR = "second-factor-wanted"
    CODE_REFUSED = "code-refused"
    NO_CODE = "no-code"
    PUSH_MISSED = "push-missed"
    TOLD_TO_WAIT = "told-to-wait"
    PAUSED = "paused"
    MAINTENANCE = "maintenance"
    RESTRICTED = "restricted"
    TASKS = "tasks"
    DENIED = "denied"
    NOT_THE_GATEWAY = "not-the-gateway"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"
    SERVER_ERROR = "server-error"
    BLANK_PAGE = "blank-page"
    STILL_LOADING = "still-loading"
    UNKNOWN_PAGE = "unknown-page"
    FORM_AGAIN = "form-again"
    BROWSER_DIED = "browser-died"
    TIMED_OUT = "timed-out"
    UNPROVEN = "unproven"


class AttemptResult(StrEnum):
    """What the login log says about one attempt.

    `submitted` is what a crash leaves behind. `stop` locks at once. `unsubmitted`: the page never got the password.
    `person`: a failure after which no machine logs in before a person has done so. `unknown` stands for what a login
    log that was lost may have held.
    """

    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    PERSON = "person"
    STOP = "stop"
    UNKNOWN = "unknown"
    UNSUBMITTED = "unsubmitted"


@dataclass(frozen=True, kw_only=True)
class OutcomePolicy:
    """What follows from an outcome.

    `error` ends the process; `result` is what the login log says if a password was submitted; `state` goes to the
    status file; `todo` is what a person should do, None if nothing.

    After the states `refused` (by IBKR) and `action-required` (IBKR refused nothing) no machine tries again; `broken`
    and `failed` are tried again, ever later.
    """

    error: type[IbkrError] | None
    result: AttemptResult
    state: StatusState
    todo: str | None = None


OUTCOME_POLICIES: Mapping[Outcome, OutcomePolicy] = MappingProxyType(
    {
        Outcome.SUCCEEDED: OutcomePolicy(error=None, result=AttemptResult.SUCCEEDED, state="succeeded"),
        Outcome.NOT_NEEDED: OutcomePolicy(error=None, result=AttemptResult.SUCCEEDED, state="not-needed"),
        Outcome.REFUSED: OutcomePolicy(
            error=LoginRefused,
            result=AttemptResult.REFUSED,
            state="refused",
            todo="Correct user name or password; or, if they are right, `ibkr-tools unlock`.",
        ),
        Outcome.WRONG_MODE: OutcomePolicy(
            error=ConfigError,
            result=AttemptResult.FAILED,
            state="action-required",
            todo="Change session.paper in the configuration: the user belongs to the other mode.",
        ),
        Outcome.LOCKED: OutcomePolicy(
            error=LockedOut,
            result=AttemptResult.STOP,
            state="locked-out",
            todo="IBKR has locked the user: wait 24 h after the last try or telephone IBKR, then `ibkr-tools unlock`.",
        ),
        Outcome.UNKNOWN_ERROR: OutcomePolicy(
            error=ActionRequired,
            result=AttemptResult.STOP,
            state="locked-out",
            todo="Log in on IBKR's website with this user, do what it asks, then `ibkr-tools unlock`.",
        ),
        Outcome.SECOND_FACTOR: OutcomePolicy(
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="Set login.second_factor in the configuration (docs/second-factor.md), then `ibkr-tools login`.",
        ),
        Outcome.CODE_REFUSED: OutcomePolicy(
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="refused",
            todo="Check the second factor's secret and this machine's clock, then `ibkr-tools login`.",
        ),
        Outcome.NO_CODE: OutcomePolicy(
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="See why login.second_factor gave no code, then `ibkr-tools login`.",
        ),
        Outcome.PUSH_MISSED: OutcomePolicy(
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="With the phone in hand: `ibkr-tools login`, and approve what IB Key asks.",
        ),
        Outcome.TOLD_TO_WAIT: OutcomePolicy(error=LoginFailed, result=AttemptResult.FAILED, state="failed"),
        Outcome.PAUSED: OutcomePolicy(error=LoginFailed, result=AttemptResult.UNSUBMITTED, state="failed"),
        Outcome.MAINTENANCE: OutcomePolicy(error=LoginFailed, result=AttemptResult.FAILED, state="maintenance"),
        Outcome.RESTRICTED: OutcomePolicy(
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="Log in on IBKR's website with this user and confirm the code IBKR sends by e-mail; "
            "then `ibkr-tools login`.",
        ),
        Outcome.TASKS: OutcomePolicy(
            error=ActionRequired,
            result=AttemptResult.PERSON,
            state="action-required",
            todo="Log in on IBKR's website with this user and do what a new user is asked to do; "
            "then `ibkr-tools login`.",
        ),
        Outcome.DENIED: OutcomePolicy(
            error=ConfigError,
            result=AttemptResult.FAILED,
            state="broken",
            todo="Allow 127.0.0.1 in the gateway's conf.yaml (ips.allow).",
        ),
        Outcome.NOT_THE_GATEWAY: OutcomePolicy(
            error=ConfigError,
            result=AttemptResult.FAILED,
            state="broken",
            todo="See who listens on gateway.port (`ss -ltnp`): it is not this gateway, or not with its certificate.",
        ),
        Outcome.UNREACHABLE: OutcomePolicy(error=LoginFailed, result=AttemptResult.FAILED, state="failed"),
        Outcome.BLOCKED: OutcomePolicy(
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo="IBKR's network refuses this machine's address: if it repeats, use another network, or no VPN.",
        ),
        Outcome.SERVER_ERROR: OutcomePolicy(error=LoginFailed, result=AttemptResult.FAILED, state="failed"),
        Outcome.BLANK_PAGE: OutcomePolicy(error=LoginFailed, result=AttemptResult.FAILED, state="failed"),
        Outcome.STILL_LOADING: OutcomePolicy(
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo="If it repeats: the gateway's program is too old, or a filter keeps parts of IBKR's page away.",
        ),
        Outcome.UNKNOWN_PAGE: OutcomePolicy(
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo="Look at the screenshot in the diagnostics directory; IBKR may have changed its page.",
        ),
        Outcome.FORM_AGAIN: OutcomePolicy(error=LoginFailed, result=AttemptResult.FAILED, state="failed"),
        Outcome.BROWSER_DIED: OutcomePolicy(error=LoginFailed, result=AttemptResult.FAILED, state="failed"),
        Outcome.TIMED_OUT: OutcomePolicy(error=LoginFailed, result=AttemptResult.FAILED, state="failed"),
        Outcome.UNPROVEN: OutcomePolicy(
            error=LoginFailed,
            result=AttemptResult.FAILED,
            state="failed",
            todo="If it repeats: log in once on IBKR's website; it may want to check who you are.",
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class LoginEnd:
    """How one login ended: the outcome, one sentence why, and whether a password was submitted on the way.

    `wait`: how long IBKR told us to stay away, None if it said nothing of the kind. `logged_out`: IBKR took the
    password, and the gateway itself has ended the new session: another login is worth its price at once.
    """

    outcome: Outcome
    why: str
    submitted: bool = False
    accounts: tuple[str, ...] = ()
    wait: timedelta | None = None
    logged_out: bool = False


@dataclass(frozen=True, kw_only=True)
class LoginResult:
    """What `login_runner.run_login` returns: only logins that left a session behind return at all."""

    outcome: Outcome
    why: str
    duration: timedelta
    accounts: tuple[str, ...] = ()
    todo: str | None = None
