"""One listed read by itself, without the envelope of a snapshot: one answer as it came, or all pages as one list."""

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from ibkr_tools.errors import UsageError
from ibkr_tools.fetch.calls import Call, Part, plan
from ibkr_tools.fetch.paths import Found
from ibkr_tools.fetch.quirks import Asker, Preflights
from ibkr_tools.fetch.retry import RETRY_FOR_S, Pause, Retrying, RetryPolicy
from ibkr_tools.fetch.snapshot import Fetcher, Progress, Selection
from ibkr_tools.portal.client import ApiResponse, PortalClient
from ibkr_tools.portal.endpoints import Pagination, Scope


class Single:
    """One read, ready to be asked for; see `paths.find`."""

    def __init__(self, found: Found, given: Mapping[str, str], *, tier: str, account: str) -> None:
        """Reads its parameters.

        Args:
            found: the read, and what the path says.
            given: more parameters, as texts.
            tier: the configuration's `session.tier`.
            account: the configuration's account; whose data it is where neither path nor parameters say.

        Raises:
            UsageError: a parameter that there is not, that does not fit, that is missing or that is there twice.
            ConfigError: it needs the brokerage tier, and the session has not got it.
        """
        endpoint = found.endpoint
        if twice := sorted(given.keys() & (found.query.keys() | found.names.keys())):
            raise UsageError(f"{twice[0]} is in the path already", hint="Give it once.")
        parameters = {**found.names, **found.query, **given}
        self._account = account
        # What a snapshot fills in by itself, a path says.
        accounts, page = [parameters.pop("account", account)], None
        if endpoint.scope is Scope.ACCOUNTS and "acctIds" in parameters:
            accounts = [one for one in parameters.pop("acctIds").split(",") if one]
        if endpoint.pagination in {Pagination.PATH, Pagination.QUERY}:
            page = parameters.pop("page", None)
        self._accounts = accounts
        self._part: Part
        (self._part,) = plan((endpoint.name,), parameters, tier)
        (self._call,) = self._part.calls(accounts)
        self._page = page

    @property
    def call(self) -> Call:
        """What is asked for."""
        names, query = dict(self._call.names), dict(self._call.query)
        if self._page is not None:
            (names if self._call.endpoint.pagination is Pagination.PATH else query)["page"] = self._page
        return Call(self._call.endpoint, names, query, self._call.body, self._call.account)

    def require_pages(self) -> None:
        """Returns if all pages can be taken.

        Raises:
            UsageError: it has no pages, or the path says another than the first.
        """
        endpoint = self._call.endpoint
        if endpoint.pagination is None:
            raise UsageError(f"--paginate: {endpoint.method} {endpoint.path} answers all at once")
        if self._page not in {None, "0"}:
            raise UsageError(f"--paginate takes all pages, and the path says page {self._page}")

    def ask(
        self,
        client: PortalClient,
        pause: Pause | None = None,
        *,
        retry_s: float = RETRY_FOR_S,
        tell: Progress = lambda _: None,
    ) -> ApiResponse:
        """Returns the answer as it came; asked again where IBKR may answer emptily at first, or has trouble.

        Args:
            client: what to ask with.
            pause: waits so many seconds; default: real ones.
            retry_s: for how long it is tried again, in seconds; 0: not at all.
            tell: is told what is tried again.

        Raises:
            IbkrError: see `ibkr_tools.portal.response_parser.parse`.
        """
        call = self.call
        retrying = Retrying(RetryPolicy.within(retry_s), pause)
        return Asker(Preflights(), retrying.pause, retrying, tell).ask(client, call, call.names, call.query)

    def pages(
        self,
        make_client: Callable[[], PortalClient],
        *,
        now: Callable[[], datetime],
        progress: Progress,
        retry_s: float = RETRY_FOR_S,
    ) -> bytes:
        """Returns the rows of all pages as one JSON list; `retry_s` as in `ask`.

        Raises:
            IbkrError: see `Fetcher.snapshot`.
        """
        fetcher = Fetcher(make_client, now=now, progress=progress, retry=RetryPolicy.within(retry_s))
        document = fetcher.snapshot((self._part,), Selection(account=self._account, accounts=tuple(self._accounts)))
        members = msgspec.json.decode(document.encode(), type=dict[str, msgspec.Raw])
        return bytes(members[self._part.name])
