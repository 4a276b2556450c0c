"""What IBKR does to whoever asks for the first time: empty answers, missing preflights. Asked again, it is believed."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ibkr_tools.errors import DataError, IbkrError, PreflightMissing, SessionUnavailable, UpstreamUnavailable
from ibkr_tools.fetch.calls import Call
from ibkr_tools.fetch.pages import count_short, odd_rows
from ibkr_tools.fetch.retry import Retrying, RetryPolicy
from ibkr_tools.portal.client import ApiResponse, PortalClient
from ibkr_tools.portal.endpoints import ACCOUNTS, BROKERAGE_ACCOUNTS, READS, Endpoint, Scope, Tier

SNAPSHOT_PAUSES_S = (0.5, 1.0, 2.0, 3.0)
"""Before each repeat of a market data snapshot: the first call only opens the stream; seen after 0.5 to 3 s."""

HISTORY_PAUSE_S = 2.0
"""The first call for a contract's history may be answered 404 or 500 (seen in recordings)."""

COLD_PAUSE_S = 1.0
"""Before a brokerage endpoint that answered emptily is asked again."""

DETAILS_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Before each repeat of a page of positions whose contracts IBKR has not all looked up yet: 21 fields instead of 48."""

_REPEATS_WITHOUT_NEWS = 3
"""After so many of them that brought no more details there will be none, as in older builds."""

EITHER = frozenset({"positions_by_conid", "secdef_info"})
"""A list in one of IBKR's sources, an object in another."""

_SNAPSHOT = READS["snapshot"]
_HISTORY = READS["history"]
_POSITIONS = READS["positions"]

Pause = Callable[[float], object]


def is_bare(payload: object) -> bool:
    """Says whether an answer says nothing: `[]`, `{}`, `{"orders":[],"snapshot":false}`, `{"upnl":{}}`."""
    if isinstance(payload, Mapping):
        return all(value in ({}, [], None) or value is False for value in payload.values())
    return payload in (None, [], "")


def has_data(endpoint: Endpoint) -> bool:
    """Says whether a good answer of an endpoint always has a body: what is about an account, and their list."""
    return endpoint.scope is Scope.ACCOUNT or endpoint == ACCOUNTS


def fields_there(payload: object, wanted: list[str]) -> int:
    """Counts the wanted fields that a market data snapshot has, over all its rows."""
    rows = payload if isinstance(payload, list) else []
    return sum(1 for row in rows if isinstance(row, Mapping) for name in wanted if name in row)


class Preflights:
    """Asks for the lists of accounts that IBKR wants asked first, once in each session; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, int] = {}

    def count(self, endpoint: Endpoint) -> int:
        """Returns how often this preflight has been made."""
        return self._asked.get(endpoint.name, 0)

    def made(self, endpoint: Endpoint) -> None:
        """Takes note that it has been made."""
        self._asked[endpoint.name] = self.count(endpoint) + 1

    def forget(self) -> None:
        """There is another session."""
        self._asked.clear()

    def make(self, ask: Callable[[Endpoint], object], endpoint: Endpoint, before: int) -> bool:
        """Makes it unless it was made; says whether it was made after there had been `before`."""
        with self._lock:
            if not self.count(endpoint):
                ask(endpoint)
                self.made(endpoint)
            return self.count(endpoint) > before


class Asker:
    """Asks until the answer can be believed."""

    def __init__(
        self,
        preflights: Preflights,
        pause: Pause,
        retrying: Retrying | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepares it.

        Args:
            preflights: what this session has been asked first.
            pause: waits so many seconds.
            retrying: tries again what fails; None: nothing does.
            tell: is told what is tried again.
        """
        self._preflights = preflights
        self._pause = pause
        self._retrying = retrying
        self._tell = tell
        self._has_no_more_details = False

    def with_policy(self, policy: RetryPolicy) -> "Asker":
        """Returns one that tries again less, or more."""
        retrying = None if self._retrying is None else Retrying(policy, self._retrying.pause)
        return Asker(self._preflights, self._pause, retrying, self._tell)

    def ask(
        self,
        client: PortalClient,
        call: Call,
        names: Mapping[str, str],
        query: Mapping[str, str],
        *,
        allow_cached: bool = False,
    ) -> ApiResponse:
        """Returns one believable answer; `allow_cached`: also one of the response cache.

        Raises:
            IbkrError: see `ibkr_tools.portal.response_parser.parse`.
        """
        endpoint = call.endpoint

        def once(*, retrying: bool = True) -> ApiResponse:
            return self._once(client, call, names, query, allow_cached=allow_cached, retrying=retrying)

        if endpoint == _SNAPSHOT:
            return self._snapshot(once, query)
        if endpoint == _HISTORY:
            try:
                return once(retrying=False)
            except (DataError, UpstreamUnavailable):
                self._pause(HISTORY_PAUSE_S)
                return once()
        answer = once()
        if endpoint.needs_warm_up and is_bare(answer.payload) and query.get("page", names.get("page", "0")) == "0":
            if endpoint.tier is Tier.BROKERAGE:
                # A missing preflight may look like this too.
                if endpoint != BROKERAGE_ACCOUNTS:
                    self._preflights.make(partial(self._send, client), BROKERAGE_ACCOUNTS, 0)
                self._pause(COLD_PAUSE_S)
            answer = once()
        return self._with_details(once, answer) if endpoint == _POSITIONS else answer

    def _with_details(self, once: Callable[[], ApiResponse], answer: ApiResponse) -> ApiResponse:
        """Repeats until all rows have their contract's details, or no more come."""
        short, misses = count_short(answer.payload), 0
        for pause_s in DETAILS_PAUSES_S:
            if not short or self._has_no_more_details or misses >= _REPEATS_WITHOUT_NEWS:
                break
            if pause_s:
                self._pause(pause_s)
            again = once()
            left = count_short(again.payload)
            whole = len(again.payload) - left if isinstance(again.payload, list) else 0
            if whole > len(answer.payload) - short:
                answer, short, misses = again, left, 0
            else:
                misses += 1
        # What the first page does not get, the others need not be asked for as often.
        self._has_no_more_details |= misses >= _REPEATS_WITHOUT_NEWS
        return answer

    def _snapshot(self, once: Callable[[], ApiResponse], query: Mapping[str, str]) -> ApiResponse:
        """Repeats until all fields are there, or no more come: some never do, such as without a subscription."""
        wanted, conids = query.get("fields", "").split(","), query.get("conids", "").split(",")
        answer, there = once(), 0
        for pause_s in SNAPSHOT_PAUSES_S:
            before, there = there, fields_there(answer.payload, wanted)
            if there >= len(wanted) * len(conids) or 0 < there == before:
                break
            self._pause(pause_s)
            answer = once()
        return answer

    def _once(
        self,
        client: PortalClient,
        call: Call,
        names: Mapping[str, str],
        query: Mapping[str, str],
        *,
        allow_cached: bool,
        retrying: bool,
    ) -> ApiResponse:
        """Sends one read; a missing preflight, which may look like a missing session, is made up for once."""
        body = None if call.body is None else dict(call.body)

        def send() -> ApiResponse:
            return self._send(
                client,
                call.endpoint,
                names,
                query=dict(query) or None,
                body=body,
                allow_cached=allow_cached,
                name=str(call),
                retrying=retrying,
            )

        before = {one: self._preflights.count(one) for one in (ACCOUNTS, BROKERAGE_ACCOUNTS)}
        try:
            return send()
        except SessionUnavailable as error:
            preflight = _preflight_for(error, call.endpoint)
            if preflight in {None, call.endpoint}:
                raise
            if not self._preflights.make(partial(self._send, client), preflight, before[preflight]):
                raise
            return send()

    def _send(
        self,
        client: PortalClient,
        endpoint: Endpoint,
        names: Mapping[str, str] | None = None,
        *,
        name: str = "",
        retrying: bool = True,
        **given: Any,
    ) -> ApiResponse:
        """Sends one read; tries it again after trouble that passes."""

        def send() -> ApiResponse:
            answer = client.send(endpoint, names, **given)
            if answer.payload is None and has_data(endpoint):
                raise UpstreamUnavailable(f"{name or endpoint.name}: an empty answer")
            return answer

        if self._retrying is None or not retrying:
            return send()
        return self._retrying.call(endpoint, send, lambda text: self._tell(f"{name or endpoint.name}: {text}"))


def _preflight_for(error: IbkrError, endpoint: Endpoint) -> Endpoint | None:
    """Returns the preflight whose lack may have caused the error; IBKR answers 401 to some calls without one."""
    if type(error) is PreflightMissing and endpoint.tier is Tier.BROKERAGE:
        return BROKERAGE_ACCOUNTS
    return ACCOUNTS if type(error) in {SessionUnavailable, PreflightMissing} else None


def require_shape(call: Call, payload: Any) -> str | None:
    """Checks the outermost shape; what is unexpected but can be kept is said in one line.

    Some endpoints answer nothing at times (204), and of some nobody has a recording.

    Raises:
        DataError: no list or object where an account's data would be.
    """
    expected = list if call.endpoint.records_path == "" else dict
    if isinstance(payload, expected) or (isinstance(payload, list | dict) and call.endpoint.name in EITHER):
        return odd_rows(call, payload)
    what = f"{call}: expected {'a list' if expected is list else 'an object'}, got {type(payload).__name__}"
    if call.endpoint.scope is Scope.ACCOUNT or call.endpoint == ACCOUNTS:
        raise DataError(what)
    return what
