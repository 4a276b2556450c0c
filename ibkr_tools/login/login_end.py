"""How one login ended, as a value: what is returned on the way, and what the whole login returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from ibkr_tools.login.outcomes import Outcome

__all__ = ["LoginEnd", "LoginResult"]


@dataclass(frozen=True, kw_only=True)
class LoginEnd:
    """How one login ended: the outcome, one sentence why, and whether a password was submitted on the way.

    `wait`: how long IBKR told us to stay away, None if it said nothing of the kind. `logged_out`: IBKR took the
    password, and the gateway itself has ended the new session: another login is worth its price at once. `recognised`:
    the elements of the page that no selector found, and by what they were recognised instead; `page_reports`: where
    the reports of such pages are.
    """

    outcome: Outcome
    why: str
    submitted: bool = False
    accounts: tuple[str, ...] = ()
    wait: timedelta | None = None
    logged_out: bool = False
    recognised: Mapping[str, str] = field(default_factory=dict)
    page_reports: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LoginResult:
    """What `login_runner.run_login` returns: only logins that left a session behind return at all."""

    outcome: Outcome
    why: str
    duration: timedelta
    accounts: tuple[str, ...] = ()
    todo: str | None = None
