"""Raw requests: one listed read without the envelope of a snapshot, as one answer or with all pages as one list."""

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from ibkr_tools.errors import UsageError
from ibkr_tools.fetch.account_list import SnapshotSelection
from ibkr_tools.fetch.api_paths import PathMatch
from ibkr_tools.fetch.plan import ApiCall, SnapshotPart, plan_snapshot
from ibkr_tools.fetch.reader import Reader
from ibkr_tools.fetch.retry import RetryPolicy, Sleep
from ibkr_tools.fetch.retry_limits import DEFAULT_RETRY_S
from ibkr_tools.fetch.snapshot_fetcher import ProgressCallback, SnapshotFetcher
from ibkr_tools.portal.api_response import ApiResponse
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Pagination, Scope


class RawRequest:
    """One read by its raw path; see `api_paths.match_path`."""

    def __init__(self, path_match: PathMatch, more_parameters: Mapping[str, str], *, tier: str, account: str) -> None:
        """Plans the read.

        Args:
            path_match: the read, and what the path says.
            more_parameters: as texts.
            tier: the configuration's `session.tier`.
            account: the configuration's account; whose data it is where neither path nor parameters say.

        Raises:
            UsageError: a parameter that there is not, that does not fit, that is missing or that is there twice.
            ConfigError: it needs the brokerage tier, and the session has not got it.
        """
        endpoint = path_match.endpoint
        if duplicates := sorted(more_parameters.keys() & (path_match.query.keys() | path_match.path_parameters.keys())):
            raise UsageError(f"{duplicates[0]} is in the path already", hint="Give it once.")
        parameters = {**path_match.path_parameters, **path_match.query, **more_parameters}
        self._account = account
        # What a snapshot fills in by itself, a path says.
        accounts, page = [parameters.pop("account", account)], None
        if endpoint.scope is Scope.ACCOUNTS and "acctIds" in parameters:
            accounts = [number for number in parameters.pop("acctIds").split(",") if number]
        if endpoint.pagination in {Pagination.PATH, Pagination.QUERY}:
            page = parameters.pop("page", None)
        self._accounts = accounts
        self._part: SnapshotPart
        (self._part,) = plan_snapshot((endpoint.name,), parameters, tier)
        (self._call,) = self._part.calls(accounts)
        self._page = page

    @property
    def call(self) -> ApiCall:
        """The call of this read."""
        return self._call if self._page is None else self._call.page(self._page)

    def require_paginated(self) -> None:
        """Returns if all pages can be taken.

        Raises:
            UsageError: it has no pages, or the path says another than the first.
        """
        endpoint = self._call.endpoint
        if endpoint.pagination is None:
            raise UsageError(f"--paginate: {endpoint.method} {endpoint.path} answers all at once")
        if self._page not in {None, "0"}:
            raise UsageError(f"--paginate takes all pages, and the path says page {self._page}")

    def read(
        self,
        client: PortalClient,
        sleep: Sleep | None = None,
        *,
        retry_s: float = DEFAULT_RETRY_S,
        on_retry: ProgressCallback = lambda _: None,
    ) -> ApiResponse:
        """Returns the answer as it came; asked again where IBKR may answer emptily at first, or has trouble.

        Args:
            client: what to ask with.
            sleep: waits so many seconds; default: real ones.
            retry_s: for how long it is tried again, in seconds; 0: not at all.
            on_retry: is told what is tried again.

        Raises:
            IbkrError: see `ibkr_tools.portal.response_parser.parse`.
        """
        reader = Reader(lambda: client, retry=RetryPolicy.within(retry_s), sleep=sleep, on_retry=on_retry)
        return reader.read(self.call)

    def read_all_pages(
        self,
        make_client: Callable[[], PortalClient],
        *,
        now: Callable[[], datetime],
        progress: ProgressCallback,
        retry_s: float = DEFAULT_RETRY_S,
    ) -> bytes:
        """Returns the rows of all pages as one JSON list; `retry_s` as in `read`.

        Raises:
            IbkrError: see `SnapshotFetcher.fetch`.
        """
        parts, selection = (self._part,), SnapshotSelection(account=self._account, accounts=tuple(self._accounts))
        with SnapshotFetcher(make_client, now=now, progress=progress, retry=RetryPolicy.within(retry_s)) as fetcher:
            document = fetcher.fetch(parts, fetcher.accounts.select(parts, selection))
        members = msgspec.json.decode(document.encode(), type=dict[str, msgspec.Raw])
        return bytes(members[self._part.name])
