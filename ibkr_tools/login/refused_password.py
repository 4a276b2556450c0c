"""A person's login with a password that IBKR has refused: not unawares, and not without knowing what is left."""

from datetime import datetime

from loguru import logger

from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import LoginRefused
from ibkr_tools.login.budget import LOCK_AFTER_REFUSALS, format_moment
from ibkr_tools.login.login_log import LoginLog


def require_not_refused(login_log: LoginLog, user: str, password: Secret, now: datetime, *, again: bool) -> None:
    """Lets a password pass whose last word from IBKR was not no; one that was refused only `again`, with a warning.

    Raises:
        LoginRefused: it was refused, and nobody has said that it is meant.
    """
    refusal = login_log.last_refusal(password, now, user=user)
    left = login_log.budget(now).failures_left
    more = f"{left} more {'login' if left == 1 else 'logins'} may fail before nothing logs in until `ibkr-tools unlock`"
    if refusal is None:
        if again:
            logger.info("IBKR has not refused this password; {}", more)
        return
    refused = f"IBKR refused this password at {format_moment(refusal.at)}"
    more = f"{more}, and refusal number {LOCK_AFTER_REFUSALS} of the same password in a row does that at once"
    if not again:
        raise LoginRefused(
            f"{refused}, so nothing was submitted; {more}",
            hint="Correct user name or password; or, if they are right, `ibkr-tools login --again`.",
        )
    logger.warning("{}; it is submitted once more, as you say; {}", refused, more)
