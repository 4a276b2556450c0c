"""Reads one call from the gateway: over a free client, tried again, repeated until IBKR's answer is final."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from ibkr_tools.errors import (
    DataError,
    IbkrError,
    PreflightMissing,
    SessionUnavailable,
    UpstreamUnavailable,
)
from ibkr_tools.fetch.completeness import HISTORY, Completeness, needs_second_read, requires_body
from ibkr_tools.fetch.plan import ApiCall
from ibkr_tools.fetch.retry import NO_RETRY, Retrier, RetryPolicy, Sleep
from ibkr_tools.portal.api_response import ApiResponse
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import ACCOUNTS, BROKERAGE_ACCOUNTS, Endpoint, Tier

HISTORY_DELAY_S = 2.0
"""The delay before a repeat, in seconds: the first call for a contract's history may get 404 or 500."""

WARM_UP_DELAY_S = 1.0
"""The delay before a brokerage endpoint that gave an empty answer is read again, in seconds."""


class Preflights:
    """The lists of accounts that IBKR wants read first, once in each session; threads share the object.

    `lock` is held while one is made.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._made: dict[str, int] = {}

    def count(self, endpoint: Endpoint) -> int:
        """Returns how often this preflight has been made."""
        return self._made.get(endpoint.name, 0)

    def record(self, endpoint: Endpoint) -> None:
        """Records that the preflight has been made."""
        self._made[endpoint.name] = self.count(endpoint) + 1

    def reset(self) -> None:
        """Forgets all preflights: there is another session."""
        self._made.clear()


class Reader:
    """Reads calls, from several threads at once: each read has a client that no other thread uses meanwhile."""

    def __init__(
        self,
        make_client: Callable[[], PortalClient],
        *,
        retry: RetryPolicy = NO_RETRY,
        sleep: Sleep | None = None,
        on_retry: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Creates a reader; nothing is sent yet.

        Args:
            make_client: makes a client, whenever none is free.
            retry: for how long a read is tried again.
            sleep: waits so many seconds; default: real ones, which end when the reader is closed.
            on_retry: is told what is tried again.
        """
        self._make_client = make_client
        self._retrier = Retrier(retry, sleep)
        self._on_retry = on_retry
        self._completeness = Completeness()
        self.preflights = Preflights()
        self._lock = threading.Lock()
        self._free: list[PortalClient] = []
        self._busy: set[PortalClient] = set()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes all clients; what other threads still read fails at once, so that nobody waits for a slow answer."""
        self._retrier.stop()
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
            busy = list(self._busy)
        for client in free:
            client.close()
        for client in busy:
            client.abort()

    @property
    def is_retrying(self) -> bool:
        """Says whether reads are tried again at all."""
        return bool(self._retrier.policy.seconds)

    def sleep(self, seconds: float) -> None:
        """Waits so many seconds, or until the reader is closed."""
        self._retrier.sleep(seconds)

    @contextmanager
    def _leased_client(self) -> Iterator[PortalClient]:
        with self._lock:
            client = self._free.pop() if self._free else None
        client = client or self._make_client()
        with self._lock:
            self._busy.add(client)
            if self._closed:
                client.abort()
        try:
            yield client
        finally:
            with self._lock:
                self._busy.discard(client)
                if not self._closed:
                    self._free.append(client)
            if self._closed:
                client.close()

    def read(self, call: ApiCall, *, retry: RetryPolicy | None = None, allow_cached: bool = False) -> ApiResponse:
        """Returns one believable answer.

        Args:
            call: what to read, of a list with pages: one page.
            retry: for how long it is tried again; None: as all reads are.
            allow_cached: take an answer of the response cache too.

        Raises:
            IbkrError: see `ibkr_tools.portal.response_parser.parse`.
        """
        with self._leased_client() as client:
            try:
                first_retry = NO_RETRY if call.endpoint == HISTORY else retry
                answer = self._send(client, call, retry=first_retry, allow_cached=allow_cached)
            except (DataError, UpstreamUnavailable):
                if call.endpoint != HISTORY:
                    raise
                self.sleep(HISTORY_DELAY_S)
                return self._send(client, call, retry=retry, allow_cached=allow_cached)
            if needs_second_read(call, answer.payload):
                if call.endpoint.tier is Tier.BROKERAGE:
                    # A missing preflight may look like this too.
                    if call.endpoint != BROKERAGE_ACCOUNTS:
                        self._make_preflight(client, BROKERAGE_ACCOUNTS, 0)
                    self.sleep(WARM_UP_DELAY_S)
                answer = self._send(client, call, retry=retry, allow_cached=allow_cached)
            repeats = self._completeness.repeats(call, answer)
            try:
                delay_s = next(repeats)
                while True:
                    if delay_s:
                        self.sleep(delay_s)
                    delay_s = repeats.send(self._send(client, call, retry=retry, allow_cached=allow_cached))
            except StopIteration as end:
                final: ApiResponse = end.value
                return final

    def _send(
        self,
        client: PortalClient,
        call: ApiCall,
        *,
        retry: RetryPolicy | None = None,
        allow_cached: bool = False,
        is_preflight: bool = False,
    ) -> ApiResponse:
        """Sends one read; tries it again after trouble that passes, and makes up for a missing preflight once."""
        before = {preflight: self.preflights.count(preflight) for preflight in (ACCOUNTS, BROKERAGE_ACCOUNTS)}
        may_make_preflight = not is_preflight
        attempts = self._retrier.attempts(call.endpoint, lambda text: self._on_retry(f"{call}: {text}"), retry)
        for attempt in attempts:
            with attempt:
                answer = None
                while answer is None:
                    try:
                        answer = client.send(
                            call.endpoint,
                            call.path_parameters,
                            query=dict(call.query) or None,
                            body=None if call.body is None else dict(call.body),
                            allow_cached=allow_cached,
                        )
                    except SessionUnavailable as error:
                        # A missing preflight may look like a missing session.
                        preflight = _preflight_for(error, call.endpoint)
                        if not may_make_preflight or preflight in {None, call.endpoint}:
                            raise
                        if not self._make_preflight(client, preflight, before[preflight]):
                            raise
                        may_make_preflight = False
                if answer.payload is None and requires_body(call.endpoint):
                    raise UpstreamUnavailable(f"{call}: an empty answer")
                return answer
        raise AssertionError("attempts end with an answer or an error")

    def _make_preflight(self, client: PortalClient, preflight: Endpoint, before: int) -> bool:
        """Makes a preflight unless it was made; says whether it was made after it had been made `before` times."""
        with self.preflights.lock:
            if not self.preflights.count(preflight):
                self._send(client, ApiCall(preflight), is_preflight=True)
                self.preflights.record(preflight)
            return self.preflights.count(preflight) > before


def _preflight_for(error: IbkrError, endpoint: Endpoint) -> Endpoint | None:
    """Returns the preflight whose lack may have caused the error; IBKR answers 401 to some calls without one."""
    if type(error) is PreflightMissing and endpoint.tier is Tier.BROKERAGE:
        return BROKERAGE_ACCOUNTS
    return ACCOUNTS if type(error) in {SessionUnavailable, PreflightMissing} else None
