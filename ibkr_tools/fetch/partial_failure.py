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
from ibkr_tools.fetch.plan import ApiCall, account_call
from ibkr_tools.portal.response_cache import ALWAYS_CACHED_INTERVAL_S

ACCOUNT_PROBES = ("summary", "ledger", "positions")
"""The reads that all have to fail before an account is called unavailable."""

MAX_CONTROL_ACCOUNTS = 5
"""How many other accounts are asked whether they answer."""

CONTROL_TIMEOUT_S = 5.0
"""How long other accounts are asked, in seconds: after that none is asked any more."""

ReadCall = Callable[[ApiCall], object]

_PARTIAL_HINT = (
    "Name the other accounts in fetch.accounts, or set fetch.partial (--partial) to save them without this one; "
    "Client Portal on the web says what became of it."
)


def may_omit_part(error: IbkrError, failed: ApiCall, accounts: Sequence[str], read: ReadCall) -> bool:
    """Says whether a supplementary part may be left out for this error.

    Some calls are answered as if there were no session; whether there is one is found out by asking.

    Raises:
        IbkrError: the session is lost, or the gateway.
    """
    if type(error) is SessionUnavailable:
        return _others_respond(failed, accounts, read)
    kinds = (BrokerageUnavailable, DataError, ImplausibleResponse, PreflightMissing, RateLimited, UpstreamUnavailable)
    return isinstance(error, kinds)


def is_isolated_failure(error: IbkrError, failed: ApiCall, accounts: Sequence[str], read: ReadCall) -> bool:
    """Says whether one call fails with an error that other calls do not get.

    Raises:
        IbkrError: the session is lost, or the gateway.
    """
    if not (_may_be_about_account(error) or isinstance(error, MalformedResponse)):
        return False
    return failed.endpoint.interval_s < ALWAYS_CACHED_INTERVAL_S and _others_respond(failed, accounts, read)


def is_account_unavailable(error: IbkrError, failed: ApiCall, accounts: Sequence[str], read: ReadCall) -> bool:
    """Says whether everything about the failed call's account fails, while another account answers.

    Args:
        error: how the call failed.
        failed: the call; another account has answered since.
        accounts: all that the user may view; with one alone, nobody can tell.
        read: reads one call.

    Raises:
        IbkrError: the session is lost, or the gateway.
    """
    if failed.account is None or len(accounts) < 2 or not _may_be_about_account(error):  # noqa: PLR2004
        return False
    probes = [account_call(name, failed.account) for name in ACCOUNT_PROBES if name != failed.endpoint.name]
    return not any(_responds(call, read) for call in probes)


def _may_be_about_account(error: IbkrError) -> bool:
    """Says whether IBKR may have answered so because of the account: with an error, not without an answer."""
    return isinstance(error, ErrorResponse | UpstreamUnavailable) and not isinstance(error, UpstreamSilent)


def _others_respond(failed: ApiCall, accounts: Sequence[str], read: ReadCall) -> bool:
    """Says whether something else than the failed call answers now: of another account, if there is one."""
    others = [account for account in accounts if account != failed.account][:MAX_CONTROL_ACCOUNTS]
    calls = [account_call("summary", account) for account in others]
    if not calls:
        name = "ledger" if failed.endpoint.name == "summary" else "summary"
        calls = [account_call(name, account) for account in accounts[:1]]
    began_s = time.monotonic()
    for call in calls:
        if _responds(call, read):
            return True
        if time.monotonic() - began_s > CONTROL_TIMEOUT_S:
            # Failures that slow are not the account's.
            break
    return False


def _responds(call: ApiCall, read: ReadCall) -> bool:
    try:
        read(call)
    except IbkrError as error:
        if _may_be_about_account(error):
            return False
        raise
    return True


def account_unavailable(account: str, error: IbkrError) -> AccountUnavailable:
    """Returns the error about an account that alone answers nothing."""
    return AccountUnavailable(
        f"account {account} answers nothing but errors while the others answer ({error.message}): "
        "it may have been closed, or moved to another IBKR company",
        hint=_PARTIAL_HINT,
    )
