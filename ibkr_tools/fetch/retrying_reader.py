"""Reads that are repeated until IBKR's answer is final: empty answers, missing preflights, contracts not loaded yet."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ibkr_tools.errors import DataError, IbkrError, PreflightMissing, SessionUnavailable, UpstreamUnavailable
from ibkr_tools.fetch.pagination import count_rows_without_details, describe_non_objects
from ibkr_tools.fetch.plan import ApiCall
from ibkr_tools.fetch.retry import Retrier, RetryPolicy, Sleep
from ibkr_tools.portal.client import ApiResponse, PortalClient
from ibkr_tools.portal.endpoints import ACCOUNTS, BROKERAGE_ACCOUNTS, READS, Endpoint, Scope, Tier

MARKET_SNAPSHOT_DELAYS_S = (0.5, 1.0, 2.0, 3.0)
"""The delay before each repeat of a market data snapshot, in seconds: the first call only opens the stream."""

HISTORY_DELAY_S = 2.0
"""The delay before a repeat, in seconds: the first call for a contract's history may get 404 or 500."""

WARM_UP_DELAY_S = 1.0
"""The delay before a brokerage endpoint that gave an empty answer is read again, in seconds."""

CONTRACT_DETAILS_DELAYS_S = (0.0, 0.5, 1.0, 2.0, 4.0)
"""The delay before each repeat of a page of positions, in seconds: a contract not loaded yet has 21 fields of 48."""

_MAX_FRUITLESS_REPEATS = 3
"""How many repeats in a row may bring no more details: older builds never have more."""

LIST_OR_OBJECT = frozenset({"positions_by_conid", "secdef_info"})
"""A list in one of IBKR's sources, an object in another."""

_MARKET_SNAPSHOT = READS["snapshot"]
_HISTORY = READS["history"]
_POSITIONS = READS["positions"]


def is_empty(payload: object) -> bool:
    """Says whether an answer says nothing: `[]`, `{}`, `{"orders":[],"snapshot":false}`, `{"upnl":{}}`."""
    if isinstance(payload, Mapping):
        return all(value in ({}, [], None) or value is False for value in payload.values())
    return payload in (None, [], "")


def requires_body(endpoint: Endpoint) -> bool:
    """Says whether a good answer of an endpoint always has a body: what is about an account, and their list."""
    return endpoint.scope is Scope.ACCOUNT or endpoint == ACCOUNTS


def count_present_fields(payload: object, wanted: list[str]) -> int:
    """Counts the wanted fields that a market data snapshot has, over all its rows."""
    rows = payload if isinstance(payload, list) else []
    return sum(1 for row in rows if isinstance(row, Mapping) for name in wanted if name in row)


class Preflights:
    """The lists of accounts that IBKR wants read first, once in each session; threads share the object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, int] = {}

    def count(self, endpoint: Endpoint) -> int:
        """Returns how often this preflight has been made."""
        return self._asked.get(endpoint.name, 0)

    def record(self, endpoint: Endpoint) -> None:
        """Records that the preflight has been made."""
        self._asked[endpoint.name] = self.count(endpoint) + 1

    def reset(self) -> None:
        """Forgets all preflights: there is another session."""
        self._asked.clear()

    def ensure(self, send: Callable[[Endpoint], object], endpoint: Endpoint, before: int) -> bool:
        """Makes the preflight unless it was made; says whether it was made after there had been `before`."""
        with self._lock:
            if not self.count(endpoint):
                send(endpoint)
                self.record(endpoint)
            return self.count(endpoint) > before


class RetryingReader:
    """Reads a call, and repeats it until the answer is final."""

    def __init__(
        self,
        preflights: Preflights,
        sleep: Sleep,
        retrier: Retrier | None = None,
        on_retry: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Creates a reader.

        Args:
            preflights: what this session has been asked first.
            sleep: waits so many seconds.
            retrier: tries again what fails; None: nothing is tried again.
            on_retry: is told what is tried again.
        """
        self._preflights = preflights
        self._sleep = sleep
        self._retrier = retrier
        self._on_retry = on_retry
        self._has_no_more_details = False

    def with_policy(self, policy: RetryPolicy) -> "RetryingReader":
        """Returns a reader with another retry policy."""
        retrier = None if self._retrier is None else Retrier(policy, self._retrier.sleep)
        return RetryingReader(self._preflights, self._sleep, retrier, self._on_retry)

    def read(
        self,
        client: PortalClient,
        call: ApiCall,
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

        def read_once(*, retrying: bool = True) -> ApiResponse:
            return self._read_once(client, call, names, query, allow_cached=allow_cached, retrying=retrying)

        if endpoint == _MARKET_SNAPSHOT:
            return self._read_market_snapshot(read_once, query)
        if endpoint == _HISTORY:
            try:
                return read_once(retrying=False)
            except (DataError, UpstreamUnavailable):
                self._sleep(HISTORY_DELAY_S)
                return read_once()
        answer = read_once()
        if endpoint.needs_warm_up and is_empty(answer.payload) and query.get("page", names.get("page", "0")) == "0":
            if endpoint.tier is Tier.BROKERAGE:
                # A missing preflight may look like this too.
                if endpoint != BROKERAGE_ACCOUNTS:
                    self._preflights.ensure(partial(self._send, client), BROKERAGE_ACCOUNTS, 0)
                self._sleep(WARM_UP_DELAY_S)
            answer = read_once()
        return self._read_until_detailed(read_once, answer) if endpoint == _POSITIONS else answer

    def _read_until_detailed(self, read_once: Callable[[], ApiResponse], answer: ApiResponse) -> ApiResponse:
        """Repeats until all rows have their contract's details, or no more come."""
        incomplete, fruitless = count_rows_without_details(answer.payload), 0
        for pause_s in CONTRACT_DETAILS_DELAYS_S:
            if not incomplete or self._has_no_more_details or fruitless >= _MAX_FRUITLESS_REPEATS:
                break
            if pause_s:
                self._sleep(pause_s)
            again = read_once()
            still_incomplete = count_rows_without_details(again.payload)
            complete = len(again.payload) - still_incomplete if isinstance(again.payload, list) else 0
            if complete > len(answer.payload) - incomplete:
                answer, incomplete, fruitless = again, still_incomplete, 0
            else:
                fruitless += 1
        # What the first page does not get, the others need not be asked for as often.
        self._has_no_more_details |= fruitless >= _MAX_FRUITLESS_REPEATS
        return answer

    def _read_market_snapshot(self, read_once: Callable[[], ApiResponse], query: Mapping[str, str]) -> ApiResponse:
        """Repeats until all fields are there, or no more come: some never do, such as without a subscription."""
        wanted, conids = query.get("fields", "").split(","), query.get("conids", "").split(",")
        answer, present = read_once(), 0
        for pause_s in MARKET_SNAPSHOT_DELAYS_S:
            before, present = present, count_present_fields(answer.payload, wanted)
            if present >= len(wanted) * len(conids) or 0 < present == before:
                break
            self._sleep(pause_s)
            answer = read_once()
        return answer

    def _read_once(
        self,
        client: PortalClient,
        call: ApiCall,
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

        before = {preflight: self._preflights.count(preflight) for preflight in (ACCOUNTS, BROKERAGE_ACCOUNTS)}
        try:
            return send()
        except SessionUnavailable as error:
            preflight = _preflight_for(error, call.endpoint)
            if preflight in {None, call.endpoint}:
                raise
            if not self._preflights.ensure(partial(self._send, client), preflight, before[preflight]):
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
        **arguments: Any,
    ) -> ApiResponse:
        """Sends one read; tries it again after trouble that passes."""

        def send() -> ApiResponse:
            answer = client.send(endpoint, names, **arguments)
            if answer.payload is None and requires_body(endpoint):
                raise UpstreamUnavailable(f"{name or endpoint.name}: an empty answer")
            return answer

        if self._retrier is None or not retrying:
            return send()
        return self._retrier.call(endpoint, send, lambda text: self._on_retry(f"{name or endpoint.name}: {text}"))


def _preflight_for(error: IbkrError, endpoint: Endpoint) -> Endpoint | None:
    """Returns the preflight whose lack may have caused the error; IBKR answers 401 to some calls without one."""
    if type(error) is PreflightMissing and endpoint.tier is Tier.BROKERAGE:
        return BROKERAGE_ACCOUNTS
    return ACCOUNTS if type(error) in {SessionUnavailable, PreflightMissing} else None


def require_shape(call: ApiCall, payload: Any) -> str | None:
    """Checks the outermost shape; what is unexpected but can be kept is said in one line.

    Some endpoints answer nothing at times (204), and of some nobody has a recording.

    Raises:
        DataError: no list or object where an account's data would be.
    """
    expected = list if call.endpoint.records_path == "" else dict
    if isinstance(payload, expected) or (isinstance(payload, list | dict) and call.endpoint.name in LIST_OR_OBJECT):
        return describe_non_objects(call, payload)
    message = f"{call}: expected {'a list' if expected is list else 'an object'}, got {type(payload).__name__}"
    if call.endpoint.scope is Scope.ACCOUNT or call.endpoint == ACCOUNTS:
        raise DataError(message)
    return message
