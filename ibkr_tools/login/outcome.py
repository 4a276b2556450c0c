"""How a login can end: a closed set, and for each end what it means for the person, the ledger and the exit code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from ibkr_tools.errors import ActionRequired, ConfigError, IbkrError, LockedOut, LoginFailed, LoginRefused

StatusState = Literal["succeeded", "failed", "maintenance", "refused", "locked-out", "not-needed", "broken"]


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
    UNREACHABLE = "unreachable"
    BLANK_PAGE = "blank-page"
    UNKNOWN_PAGE = "unknown-page"
    FORM_AGAIN = "form-again"
    BROWSER_DIED = "browser-died"
    TIMED_OUT = "timed-out"
    UNPROVEN = "unproven"


class Mark(StrEnum):
    """What the ledger says about one entry.

    `submitted` is what a crash leaves behind. `stop` locks at once. `unsubmitted`: the page never got the password.
    """

    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    STOP = "stop"
    UNSUBMITTED = "unsubmitted"


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What an outcome means to whom.

    `error` ends the process; `mark` is its entry in the ledger if a password was submitted; `state` goes to the status
    file; `todo` is what a person should do, None if nothing.

    State `refused` is one after which no machine tries again; `broken` and `failed` are tried again, ever later.
    """

    error: type[IbkrError] | None
    mark: Mark
    state: StatusState
    todo: str | None = None


MEANINGS: Mapping[Outcome, Meaning] = MappingProxyType(
    {
        Outcome.SUCCEEDED: Meaning(error=None, mark=Mark.SUCCEEDED, state="succeeded"),
        Outcome.NOT_NEEDED: Meaning(error=None, mark=Mark.SUCCEEDED, state="not-needed"),
        Outcome.REFUSED: Meaning(
            error=LoginRefused,
            mark=Mark.REFUSED,
            state="refused",
            todo="Check user name and password; IBKR locks a user after 10 refusals.",
        ),
        Outcome.WRONG_MODE: Meaning(
            error=ConfigError,
            mark=Mark.FAILED,
            state="refused",
            todo="Change session.paper in the configuration: the user belongs to the other mode.",
        ),
        Outcome.LOCKED: Meaning(
            error=LockedOut,
            mark=Mark.STOP,
            state="locked-out",
            todo="IBKR has locked the user: wait 24 h after the last try or telephone IBKR, then `ibkr-tools unlock`.",
        ),
        Outcome.UNKNOWN_ERROR: Meaning(
            error=ActionRequired,
            mark=Mark.STOP,
            state="locked-out",
            todo="Log in on IBKR's website with this user, do what it asks, then `ibkr-tools unlock`.",
        ),
        Outcome.SECOND_FACTOR: Meaning(
            error=ActionRequired,
            mark=Mark.FAILED,
            state="refused",
            todo="Use a user without second factor, or log in by hand on the gateway's page.",
        ),
        Outcome.CODE_REFUSED: Meaning(
            error=ActionRequired,
            mark=Mark.FAILED,
            state="refused",
            todo="Check the second factor's secret and this machine's clock, then `ibkr-tools login`.",
        ),
        Outcome.NO_CODE: Meaning(
            error=ActionRequired,
            mark=Mark.FAILED,
            state="refused",
            todo="See why login.second_factor gave no code, then `ibkr-tools login`.",
        ),
        Outcome.PUSH_MISSED: Meaning(
            error=ActionRequired,
            mark=Mark.FAILED,
            state="refused",
            todo="With the phone in hand: `ibkr-tools login`, and approve what IB Key asks.",
        ),
        Outcome.TOLD_TO_WAIT: Meaning(error=LoginFailed, mark=Mark.FAILED, state="failed"),
        Outcome.PAUSED: Meaning(error=LoginFailed, mark=Mark.UNSUBMITTED, state="failed"),
        Outcome.MAINTENANCE: Meaning(error=LoginFailed, mark=Mark.FAILED, state="maintenance"),
        Outcome.RESTRICTED: Meaning(
            error=ActionRequired,
            mark=Mark.FAILED,
            state="refused",
            todo="Log in on IBKR's website with this user and confirm the code that IBKR sends by e-mail.",
        ),
        Outcome.TASKS: Meaning(
            error=ActionRequired,
            mark=Mark.FAILED,
            state="refused",
            todo="Log in on IBKR's website with this user and do what a new user is asked to do.",
        ),
        Outcome.DENIED: Meaning(
            error=ConfigError,
            mark=Mark.FAILED,
            state="broken",
            todo="Allow 127.0.0.1 in the gateway's conf.yaml (ips.allow).",
        ),
        Outcome.UNREACHABLE: Meaning(error=LoginFailed, mark=Mark.FAILED, state="failed"),
        Outcome.BLANK_PAGE: Meaning(error=LoginFailed, mark=Mark.FAILED, state="failed"),
        Outcome.UNKNOWN_PAGE: Meaning(
            error=LoginFailed,
            mark=Mark.FAILED,
            state="failed",
            todo="Look at the screenshot in the diagnostics directory; IBKR may have changed its page.",
        ),
        Outcome.FORM_AGAIN: Meaning(error=LoginFailed, mark=Mark.FAILED, state="failed"),
        Outcome.BROWSER_DIED: Meaning(error=LoginFailed, mark=Mark.FAILED, state="failed"),
        Outcome.TIMED_OUT: Meaning(error=LoginFailed, mark=Mark.FAILED, state="failed"),
        Outcome.UNPROVEN: Meaning(
            error=LoginFailed,
            mark=Mark.FAILED,
            state="failed",
            todo="If it repeats: log in once on IBKR's website; it may want to check who you are.",
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one login ended: the outcome, one sentence why, and whether a password was submitted on the way.

    `wait`: how long IBKR told us to stay away, None if it said nothing of the kind.
    """

    outcome: Outcome
    why: str
    submitted: bool = False
    accounts: tuple[str, ...] = ()
    wait: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class LoginResult:
    """What `run.run` returns: only logins that left a session behind return at all."""

    outcome: Outcome
    why: str
    duration: timedelta
    accounts: tuple[str, ...] = ()
    todo: str | None = None


_ERRORS = (
    (r"selected the (live|paper) account mode|specified user is a paper", Outcome.WRONG_MODE),
    (r"too many failed|maximum number of|user.{0,20} locked|account.{0,20} locked|locked out", Outcome.LOCKED),
    (r"invalid user ?name|password combination|invalid.{0,20}password|^(login )?failed\.?$|^error$", Outcome.REFUSED),
    (r"maintenance|temporarily unavailable|system (is )?(currently )?unavailable|try again later", Outcome.MAINTENANCE),
)


def judge_error(text: str) -> Outcome:
    """Says what an error text of the login page means; one that nobody has seen before stops everything."""
    for pattern, outcome in _ERRORS:
        if re.search(pattern, text, re.IGNORECASE):
            return outcome
    return Outcome.UNKNOWN_ERROR
