"""A person's login with a password that IBKR has refused: not unawares, and not without knowing what is left."""

from datetime import datetime

from loguru import logger

from ibkr_tools.config_secrets import Secret
from ibkr_tools.errors import LoginRefused
from ibkr_tools.login.budget import REFUSALS_IN_A_ROW, moment
from ibkr_tools.login.ledger import Ledger


def mind_refusal(ledger: Ledger, user: str, password: Secret, now: datetime, *, again: bool) -> None:
    """Lets a password pass whose last word from IBKR was not no; one that was refused only `again`, with a warning.

    Raises:
        LoginRefused: it was refused, and nobody has said that it is meant.
    """
    refusal = ledger.last_refusal(password, now, user=user)
    left = ledger.budget(now).failures_left
    more = f"{left} more {'login' if left == 1 else 'logins'} may fail before nothing logs in until `ibkr-tools unlock`"
    if refusal is None:
        if again:
            logger.info("IBKR has not refused this password; {}", more)
        return
    refused = f"IBKR refused this password at {moment(refusal.at)}"
    more = f"{more}, and refusal number {REFUSALS_IN_A_ROW} of the same password in a row does that at once"
    if not again:
        raise LoginRefused(
            f"{refused}, so nothing was submitted; {more}",
            hint="Correct user name or password; or, if they are right, `ibkr-tools login --again`.",
        )
    logger.warning("{}; it is submitted once more, as you say; {}", refused, more)
