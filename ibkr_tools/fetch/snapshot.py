"""One snapshot of the account: every part asked for, every page, every account; or an error and nothing."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ibkr_tools.config import RESOURCES, Resource
from ibkr_tools.errors import ConfigError, DataError, IbkrError, PreflightMissing, SessionUnavailable
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.answers import parse_object, parse_rows
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Endpoint

SCHEMA = 1

FULL_PAGES = frozenset({30, 100})
"""Rows of a full page of positions: 100 today, 30 in IBKR's older documentation, where no row says `pageSize`."""

MOST_PAGES = 1000

_PER_ACCOUNT: dict[Resource, Endpoint] = {
    "summary": endpoints.SUMMARY,
    "ledger": endpoints.LEDGER,
    "allocation": endpoints.ALLOCATION,
}

Progress = Callable[[str], None]


def _is_bare(error: IbkrError) -> bool:
    return type(error) in {SessionUnavailable, PreflightMissing}


class Fetcher:
    """Fetches one snapshot through one client."""

    def __init__(self, client: PortalClient, progress: Progress = lambda _: None) -> None:
        self._client = client
        self._progress = progress
        self._accounts: list[dict[str, Any]] | None = None

    def _preflight(self, *, fresh: bool = False) -> list[dict[str, Any]]:
        """Asks for the accounts once; IBKR wants that before any other /portfolio call of a session."""
        if self._accounts is None:
            self._progress("accounts")
            # A fresh session may list none at first (seen in recordings); asked twice, it is believed.
            self._accounts = self._client.accounts(recall=not fresh) or self._client.accounts()
        return self._accounts

    def _ask(self, endpoint: Endpoint, **names: str) -> Any:
        """Sends one read; a missing preflight, which looks like a missing session, is made up for once."""
        try:
            return self._client.request(endpoint, names)
        except SessionUnavailable as error:
            if not _is_bare(error) or self._accounts is not None:
                raise
            self._preflight(fresh=True)
            return self._client.request(endpoint, names)

    def _positions(self, account: str) -> list[dict[str, Any]]:
        rows: dict[tuple[object, ...], dict[str, Any]] = {}
        for number in range(MOST_PAGES):
            where = f"positions of {account}, page {number}"
            self._progress(where)
            page = parse_rows(self._ask(endpoints.POSITIONS, account=account, page=str(number)), where)
            if not page and number == 0:
                # A cold back end may answer none at first; asked twice, it is believed.
                page = parse_rows(self._ask(endpoints.POSITIONS, account=account, page="0"), where)
            for row in page:
                # The list is live: a row that slid to the next page meanwhile comes twice. What IBKR does not
                # number is not compared.
                conid = row.get("conid")
                key = (row.get("acctId"), row.get("model"), (number, len(rows)) if conid is None else conid)
                rows[key] = {"acctId": account} | row
            if not is_full(page):
                return list(rows.values())
        raise DataError(f"positions of {account}: more than {MOST_PAGES} pages")

    def snapshot(
        self,
        account: str,
        *,
        resources: Sequence[Resource] = RESOURCES,
        accounts: Sequence[str] = (),
        known_accounts: Iterable[str] = (),
        now: Callable[[], datetime],
    ) -> dict[str, Any]:
        """Returns the snapshot.

        Args:
            account: the account of the configuration; it must be among the user's.
            resources: the parts to take, in any order.
            accounts: which accounts; empty means all that the user may view.
            known_accounts: what this session's `/portfolio/accounts` has said, if somebody asked it already.
            now: the time, aware, in UTC; `as_of` is when the last answer came.

        Raises:
            ConfigError: an account is not among the user's.
            IbkrError: whatever kept one part from being complete; see `ibkr_tools.portal.answers`.
        """
        viewable = tuple(known_accounts)
        if "accounts" in resources or not viewable:
            viewable = tuple(account_ids(self._preflight()))
        chosen = tuple(dict.fromkeys(accounts)) or viewable
        for name in (account, *chosen):
            if name not in viewable:
                raise ConfigError(
                    f"account {name}: not among those this user may view ({', '.join(viewable) or 'none'})"
                )
        parts: dict[str, Any] = {}
        for resource in RESOURCES:
            if resource not in resources:
                continue
            if resource == "accounts":
                parts[resource] = self._preflight()
            elif resource == "positions":
                parts[resource] = [row for name in chosen for row in self._positions(name)]
            else:
                endpoint = _PER_ACCOUNT[resource]
                parts[resource] = {}
                for name in chosen:
                    where = f"{resource} of {name}"
                    self._progress(where)
                    parts[resource][name] = parse_object(self._ask(endpoint, account=name), where)
        return {
            "schema": SCHEMA,
            "as_of": now().isoformat(timespec="seconds"),
            "account": account,
            "covers": {"accounts": list(chosen), "resources": [name for name in RESOURCES if name in resources]},
            **parts,
        }


def account_ids(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yields the account numbers of `/portfolio/accounts`.

    Raises:
        DataError: a row has none, or one that could not be asked for.
    """
    for row in rows:
        name = row.get("id")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_\-]+", name):
            raise DataError("GET /portfolio/accounts: a row without an account number")
        yield name


def is_full(page: list[dict[str, Any]]) -> bool:
    """Says whether another page may follow: by the size the rows state, else by the sizes IBKR has used."""
    stated = next((row["pageSize"] for row in page if isinstance(row.get("pageSize"), int)), None)
    if isinstance(stated, int) and stated > 0:
        return len(page) >= stated
    return len(page) in FULL_PAGES


def encode(snapshot: dict[str, Any]) -> bytes:
    """Returns the snapshot as compact JSON, keys in the order they came."""
    return msgspec.json.encode(snapshot)
