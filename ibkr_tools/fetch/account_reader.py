"""Reads which accounts the user may view, and finds those that a fetch is about among them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ibkr_tools.errors import ConfigError, IbkrError, ImplausibleResponse, SessionUnavailable
from ibkr_tools.fetch.account_list import (
    AccountList,
    SelectedAccounts,
    SnapshotSelection,
    account_numbers,
    has_all_accounts,
    master_accounts,
    parse_account_list,
    resolve_account,
)
from ibkr_tools.fetch.pagination import MAX_PAGES
from ibkr_tools.fetch.plan import ApiCall, SnapshotPart
from ibkr_tools.fetch.reader import Reader
from ibkr_tools.fetch.session_wait import SessionLossPolicy
from ibkr_tools.portal.endpoints import ACCOUNTS, SUBACCOUNTS2
from ibkr_tools.portal.response_parser import parse_records

if TYPE_CHECKING:
    from ibkr_tools.portal.api_response import ApiResponse


class AccountReader:
    """Reads the lists of accounts of one fetch."""

    def __init__(self, reader: Reader, session_loss_policy: SessionLossPolicy, progress: Callable[[str], None]) -> None:
        self._reader = reader
        self._session_loss_policy = session_loss_policy
        self._progress = progress
        self.response: ApiResponse | None = None
        """This session's answer to `/portfolio/accounts`."""

    def select(self, parts: Sequence[SnapshotPart], selection: SnapshotSelection) -> SelectedAccounts:
        """Returns the accounts that the user may view, that of the configuration, and those asked for.

        A list that lacks one of them may not be whole yet: it is asked for again, once.

        Raises:
            ConfigError: the account of the configuration is not among the user's.
            IbkrError: of the class `selection.error_class`: one that was asked for is not.
        """
        names = (selection.account, *selection.accounts)
        known = AccountList(selection.known)
        if not known.numbers or any(part.endpoint == ACCOUNTS for part in parts):
            known = self._read()
        if not known.rows and not has_all_accounts(known, names):
            known = self._read()
        if not has_all_accounts(known, names) or not set(selection.known) <= set(known.numbers):
            known = self._read(reread=True)
        if not has_all_accounts(known, names) and master_accounts(known):
            known = self._add_subaccounts(known, names)
        account = resolve_account(selection.account, known, ConfigError)
        chosen = [resolve_account(name, known, selection.error_class) for name in selection.accounts]
        numbers = tuple(dict.fromkeys(chosen)) or known.numbers
        return SelectedAccounts(selection=selection, account=account, chosen=numbers, known=known)

    def require_same_accounts(self, known: AccountList) -> None:
        """Returns once the next session has answered which accounts the user may view: those that were known before.

        Raises:
            SessionUnavailable: an account is not among them any more.
        """
        self._reader.preflights.reset()
        self.response = None
        if not set(known.numbers) <= set(self._read(allow_cached=False).numbers):
            # The list of a session that has only just begun may not be whole.
            accounts = self._read(reread=True)
            if master_accounts(accounts):
                accounts = self._add_subaccounts(accounts, known.numbers)
            if not set(known.numbers) <= set(accounts.numbers):
                raise SessionUnavailable("the session was lost, and the next one may view other accounts")

    def count_unrequested(self, accounts: SelectedAccounts) -> int:
        """Returns how many sub-accounts an advisor has of which nothing was asked, unless accounts were named."""
        if accounts.selection.accounts or not master_accounts(accounts.known):
            return 0
        try:
            rows, total = self._read_subaccounts(0)
        except IbkrError:
            # What is no part of the snapshot costs none of it.
            return 0
        unrequested = [number for number in account_numbers(rows) if number not in accounts.chosen]
        return max(len(unrequested), total - len(accounts.chosen))

    def _read(self, *, allow_cached: bool = True, reread: bool = False) -> AccountList:
        """Returns the accounts that the user may view; IBKR wants that asked before any other /portfolio call."""
        if reread:
            self.response, allow_cached = None, False
        while self.response is None:
            self._progress("accounts")
            try:
                self.response = self._reader.read(ApiCall(ACCOUNTS), allow_cached=allow_cached)
            except IbkrError as error:
                if not self._session_loss_policy.is_session_loss(error):
                    raise
                self._session_loss_policy.wait(error)
        if not self.response.age_s:
            self._reader.preflights.record(ACCOUNTS)
        rows = parse_records(self.response.payload, "GET /portfolio/accounts")
        if not rows:
            self.response = None
            raise ImplausibleResponse(
                "GET /portfolio/accounts: IBKR lists no account at all for the moment", hint="Try again in a minute."
            )
        return parse_account_list(rows)

    def _add_subaccounts(self, known: AccountList, names: Sequence[str]) -> AccountList:
        """Returns also the sub-accounts of an advisor, as far as names are looked for among them."""
        for page in range(MAX_PAGES):
            rows, _ = self._read_subaccounts(page)
            before, known = known, known.with_rows(rows)
            if has_all_accounts(known, names) or known == before:
                break
        return known

    def _read_subaccounts(self, page: int) -> tuple[list[dict[str, Any]], int]:
        """Returns one page of an advisor's sub-accounts, and how many there are in all, 0 if IBKR does not say."""
        self._progress("subaccounts")
        payload = self._reader.read(ApiCall(SUBACCOUNTS2).page(page)).payload
        metadata = payload.get("metadata") if isinstance(payload, dict) else None
        total = metadata.get("total") if isinstance(metadata, dict) else None
        rows = payload.get("subaccounts") if isinstance(payload, dict) else payload
        return parse_records(rows, "GET /portfolio/subaccounts2"), total if isinstance(total, int) else 0
