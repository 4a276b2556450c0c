"""Whether a password may be submitted now: budget, pause, and what IBKR said of the password before."""

from datetime import datetime

from ibkr_tools import pause_file
from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import SecretSource
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ActionRequired, IbkrError, LockedOut, LoginFailed, LoginRefused
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import Outcome

__all__ = ["LoginPaused", "find_objection"]


class LoginPaused(LoginFailed):
    """A person asked that nothing logs in; nothing was submitted."""


def find_objection(
    login_log: LoginLog,
    config: Config,
    directories: Directories,
    secrets: SecretSource,
    now: datetime,
    *,
    unattended: bool,
) -> IbkrError | None:
    """Returns why no password may be submitted now, None if one may.

    `unattended`: no person waits; then the waits of the budget hold, and no refused password is submitted again.
    """
    budget = login_log.budget(now)
    if budget.locked:
        return LockedOut(budget.why, hint=_advice(login_log, now) or "Find out why first; then `ibkr-tools unlock`.")
    if paused := pause_file.read(directories.pause_file, now):
        return LoginPaused(paused.why)
    if budget.closed_until:
        return LoginFailed(budget.why)
    if not unattended:
        return None
    if budget.person:
        return ActionRequired(
            "the last login needed a person, so no machine tries again",
            hint=_advice(login_log, now) or "`ibkr-tools login`; or `ibkr-tools unlock` to let machines try again.",
        )
    if not budget.allowed:
        return LoginFailed(budget.why)
    if login_log.was_refused(secrets.password(), now, user=config.username):
        return LoginRefused(
            "IBKR refused this password before; no machine submits it again",
            hint=Outcome.REFUSED.policy.todo,
        )
    return None


def _advice(login_log: LoginLog, now: datetime) -> str | None:
    """Repeats what the login that ended badly told a person to do."""
    outcome = login_log.last_outcome(now)
    return None if outcome is None else outcome.policy.todo
