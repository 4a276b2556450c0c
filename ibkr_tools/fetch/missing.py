"""What a snapshot may go without: an account that is closed or was moved, a supplementary part that IBKR cannot give.

One account that alone answers nothing but errors is told apart from trouble that passes: another account answers in
between, and everything about this one fails, one thing after the other.
"""

import time
from collections.abc import Callable, Sequence

from ibkr_tools.errors import (
    AccountUnavailable,
    BrokerageUnavailable,
    DataError,
    ErrorResponse,
    IbkrError,
    ImplausibleResponse,
    MalformedResponse,
    PreflightMissing,
    RateLimited,
    SessionUnavailable,
    UpstreamSilent,
    UpstreamUnavailable,
)
from ibkr_tools.fetch.calls import Call, account_call
from ibkr_tools.portal.response_cache import ALWAYS_CACHED_INTERVAL_S

PROBED = ("summary", "ledger", "positions")
"""What an account is asked for before it is said to answer nothing."""

MOST_CONTROLS = 5
"""So many other accounts are asked whether they answer."""

CONTROLS_S = 5.0
"""No other account is asked once that has taken longer, in seconds."""

Ask = Callable[[Call], object]

_PARTIAL_HINT = (
    "Name the other accounts in fetch.accounts, or set fetch.partial (--partial) to save them without this one; "
    "Client Portal on the web says what became of it."
)


def may_go_without(error: IbkrError, failed: Call, accounts: Sequence[str], ask: Ask) -> bool:
    """Says whether a supplementary part may be left out for this error.

    Some calls are answered as if there were no session; whether there is one is found out by asking.

    Raises:
        IbkrError: the session is lost, or the gateway.
    """
    if type(error) is SessionUnavailable:
        return _others_answer(failed, accounts, ask)
    kinds = (BrokerageUnavailable, DataError, ImplausibleResponse, PreflightMissing, RateLimited, UpstreamUnavailable)
    return isinstance(error, kinds)


def is_alone(error: IbkrError, failed: Call, accounts: Sequence[str], ask: Ask) -> bool:
    """Says whether one call fails with an error that others do not get: it is worth another look.

    Raises:
        IbkrError: the session is lost, or the gateway.
    """
    if not (_may_be_about_account(error) or isinstance(error, MalformedResponse)):
        return False
    return failed.endpoint.interval_s < ALWAYS_CACHED_INTERVAL_S and _others_answer(failed, accounts, ask)


def is_account_dead(error: IbkrError, failed: Call, accounts: Sequence[str], ask: Ask) -> bool:
    """Says whether everything about the failed call's account fails, while another account answers.

    Args:
        error: how the call failed.
        failed: the call; another account has answered since.
        accounts: all that the user may view; with one alone, nobody can tell.
        ask: asks for one read.

    Raises:
        IbkrError: the session is lost, or the gateway.
    """
    if failed.account is None or len(accounts) < 2 or not _may_be_about_account(error):  # noqa: PLR2004
        return False
    probes = [account_call(name, failed.account) for name in PROBED if name != failed.endpoint.name]
    return not any(_answers(call, ask) for call in probes)


def _may_be_about_account(error: IbkrError) -> bool:
    """Says whether IBKR may have answered so because of the account: with an error, not with silence."""
    return isinstance(error, ErrorResponse | UpstreamUnavailable) and not isinstance(error, UpstreamSilent)


def _others_answer(failed: Call, accounts: Sequence[str], ask: Ask) -> bool:
    """Says whether something else than the failed call answers now: of another account, if there is one."""
    others = [one for one in accounts if one != failed.account][:MOST_CONTROLS]
    calls = [account_call("summary", one) for one in others]
    if not calls:
        name = "ledger" if failed.endpoint.name == "summary" else "summary"
        calls = [account_call(name, one) for one in accounts[:1]]
    began_s = time.monotonic()
    for call in calls:
        if _answers(call, ask):
            return True
        if time.monotonic() - began_s > CONTROLS_S:
            # Who fails that slowly is not the account's doing.
            break
    return False


def _answers(call: Call, ask: Ask) -> bool:
    try:
        ask(call)
    except IbkrError as error:
        if _may_be_about_account(error):
            return False
        raise
    return True


def unavailable(account: str, error: IbkrError) -> AccountUnavailable:
    """Returns the error about an account that alone answers nothing."""
    return AccountUnavailable(
        f"account {account} answers nothing but errors while the others answer ({error.message}): "
        "it may have been closed, or moved to another IBKR company",
        hint=_PARTIAL_HINT,
    )
