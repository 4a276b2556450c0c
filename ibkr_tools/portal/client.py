"""The HTTP client of the gateway on this machine: each request is listed, rate-limited, and has a deadline."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from requests import exceptions
from urllib3 import exceptions as urllib3_exceptions

from ibkr_tools import deadline_adapter
from ibkr_tools.duration_format import format_wait
from ibkr_tools.errors import (
    AccessDenied,
    ConfigError,
    DataError,
    GatewayUnavailable,
    IbkrError,
    RateLimited,
    UpstreamSilent,
    UpstreamUnavailable,
)
from ibkr_tools.installation import START_HINT
from ibkr_tools.portal import endpoints, response_parser
from ibkr_tools.portal.api_response import ApiResponse
from ibkr_tools.portal.endpoints import ENDPOINTS, Endpoint, RequestKind
from ibkr_tools.portal.rate_limit_state import Reservation
from ibkr_tools.portal.rate_limiter import RateLimiter
from ibkr_tools.portal.response_cache import ALWAYS_CACHED_INTERVAL_S, ApiRequest, ResponseCache
from ibkr_tools.portal.response_parser import Tickle
from ibkr_tools.portal.transport_errors import is_connection_refused, is_timeout, is_tls_error, refused_error

CONNECT_TIMEOUT_S = 3.05
"""The gateway is on this machine: whoever accepts slower than this is stuck."""

DEFAULT_READ_TIMEOUT_S = 25.0
"""The gateway never answers while IBKR cannot be reached; IBKR itself gives up after 10 s with a 503."""

MAX_CLOSED_CONNECTION_S = 3.0
"""How soon a pooled connection that the gateway had closed fails; a request that fails later is not repeated."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""In bytes; a page of 100 positions is about 150 kB."""

MAX_WAIT_IN_READ_SLOT_S = 2.0
"""A request whose reservation is further off gives its read slot back meanwhile, so that others can use it."""

_PENDING_POLL_S = 0.125
"""How often the response cache is asked for the answer that another process waits for."""

WAIT_NOTICE_S = 1.0
"""A longer wait is announced through `on_wait`."""


class PortalClient:
    """A client of the gateway on 127.0.0.1 that trusts exactly one certificate and never follows a redirect.

    Everything raises the errors of `response_parser.parse`, and GatewayUnavailable when nothing listens. A client
    belongs to one thread. The gateway keeps the session's cookies itself; none are sent or kept here.
    """

    def __init__(
        self,
        port: int,
        certificate: Path,
        rate_limiter: RateLimiter,
        response_cache: ResponseCache | None = None,
        *,
        read_timeout_s: float = DEFAULT_READ_TIMEOUT_S,
        max_wait_s: float = 30.0,
        owns_session: bool = False,
        urgent: bool = False,
        pause: Callable[[float], object] | None = None,
        on_wait: Callable[[str, float], None] | None = None,
    ) -> None:
        """Prepares the connection; nothing is sent yet.

        Args:
            port: the gateway's.
            certificate: the gateway's certificate (PEM).
            rate_limiter: says when a request may be sent.
            response_cache: holds the answers of endpoints with an interval; None: there is no cache.
            read_timeout_s: how long an answer may take, to its last byte.
            max_wait_s: how long a request may wait for its time before RateLimited is raised instead.
            owns_session: whether this process may control the session; the watchdog, and nobody else.
            urgent: whether its reads may use the headroom, as the session owner's may: those that confirm a login.
            pause: sleeps so many seconds; default: real ones, which `abort` ends.
            on_wait: is told before a wait of more than a second: for which request, and how many seconds it may last.
        """
        self._base = f"https://127.0.0.1:{port}"
        self._certificate = certificate
        self._rate_limiter = rate_limiter
        self._response_cache = response_cache
        self._timeouts = (CONNECT_TIMEOUT_S, read_timeout_s)
        self._max_wait_s = max_wait_s
        self._owns_session = owns_session
        self._urgent = urgent or owns_session
        self._aborted = threading.Event()
        self._pause = pause or self._aborted.wait
        self._on_wait = on_wait or (lambda _where, _seconds: None)
        self._http = deadline_adapter.NoRedirectSession()
        # Proxies and .netrc of the environment have no business between two programs of one machine.
        self._http.trust_env = False
        self._adapter = deadline_adapter.DeadlineAdapter()
        self._http.mount("https://", self._adapter)
        self._http.headers.update({"User-Agent": "ibkr-tools", "Accept": "*/*"})
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def abort(self) -> None:
        """Ends, from another thread, what is under way: it fails at once, and nothing is sent any more."""
        self._aborted.set()
        self._adapter.shut_down()

    @property
    def penalty_s(self) -> float:
        """How many seconds are left of the penalty after a 429 that this process obeys; 0 if there is none."""
        return self._rate_limiter.penalty_s()

    def record_429(self, stated_s: float | None) -> None:
        """Has the rate limiter know of a 429 that was not an answer to this client; see `RateLimiter.record_429`."""
        self._rate_limiter.record_429(stated_s)

    def reserve_headroom(self) -> None:
        """Has every process leave headroom for what the gateway sends by itself in the seconds after a login."""
        self._rate_limiter.reserve_headroom()

    def request(
        self,
        endpoint: Endpoint,
        names: Mapping[str, str] | None = None,
        *,
        query: dict[str, str] | None = None,
        body: object = None,
    ) -> Any:
        """Sends one listed request and returns the decoded answer; see `send`."""
        return self.send(endpoint, names, query=query, body=body).payload

    def send(
        self,
        endpoint: Endpoint,
        names: Mapping[str, str] | None = None,
        *,
        query: dict[str, str] | None = None,
        body: object = None,
        allow_cached: bool = False,
    ) -> ApiResponse:
        """Sends one listed request and returns its answer, or that of the response cache.

        Args:
            endpoint: a row of `endpoints.ENDPOINTS`.
            names: what the path's `{names}` stand for.
            query: the query string; the endpoint's own parameters, no others.
            body: sent as JSON, of the endpoint's own parameters; a POST without one still says its length, on which
                IBKR's edge insists.
            allow_cached: take an answer that any of our processes got within the endpoint's interval, which confirms
                nothing about the session of now. With an interval of a minute or more that is always allowed.

        Raises:
            ValueError: the endpoint is not in the table, has no such parameter, or controls a session of which this
                process is not the owner.
            IbkrError: see `response_parser.parse`; GatewayUnavailable when nothing listens; RateLimited also when it
                may not be sent in time.
        """
        self._require_allowed(endpoint, query, body)
        request = ApiRequest(endpoint, endpoint.fill(**(names or {})), query, body)
        response_cache = self._response_cache if endpoint.kind is RequestKind.READ else None
        may_be_cached = allow_cached or endpoint.interval_s >= ALWAYS_CACHED_INTERVAL_S
        if response_cache and may_be_cached and (cached := self._wait_for_cached(response_cache, request)):
            return cached
        with _pending_in(response_cache, request) as store:
            self._require_certificate()
            with self._wait_for_reservation(request) as reservation:
                response = self._exchange(request, reservation)
            store(response)
            return response

    def _wait_for_cached(self, response_cache: ResponseCache, request: ApiRequest) -> ApiResponse | None:
        """Returns the cached answer; while another process makes the same request, waits for its answer."""
        steps = 0
        while (cached := response_cache.get(request)) is None:
            if not response_cache.is_pending(request) or steps * _PENDING_POLL_S >= self._max_wait_s:
                return None
            steps += 1
            if steps * _PENDING_POLL_S == WAIT_NOTICE_S:
                self._on_wait(request.where, self._max_wait_s - WAIT_NOTICE_S)
            self._pause(_PENDING_POLL_S)
        with suppress(IbkrError):
            return ApiResponse(response_parser.parse(200, {}, cached[0], request.where), *cached)
        return None

    @contextmanager
    def _wait_for_reservation(self, request: ApiRequest) -> Iterator[Reservation]:
        """Waits until the request may be sent; a read holds a slot of the read semaphore for the whole block."""
        if self._is_urgent(request.endpoint):
            yield self._acquire_and_wait(request, self._max_wait_s)
            return
        left_s, on_wait = self._max_wait_s, partial(self._on_wait, request.where)
        while True:
            # First the slot, then the time: a reserved request must not be sent later than that.
            with self._rate_limiter.read_slot(left_s, self._pause, on_wait) as waited_s:
                left_s -= waited_s
                try:
                    reservation = self._acquire_and_wait(request, min(left_s, MAX_WAIT_IN_READ_SLOT_S))
                except RateLimited as error:
                    if error.wait_s is None or error.wait_s > left_s:
                        raise
                    wait_s = error.wait_s
                else:
                    yield reservation
                    return
            self._wait(request.where, wait_s)
            left_s -= wait_s

    def _is_urgent(self, endpoint: Endpoint) -> bool:
        """Says whether a request may use the headroom: what keeps the session alive must not queue."""
        return self._urgent or endpoint.kind is not RequestKind.READ

    def _acquire_and_wait(self, request: ApiRequest, max_wait_s: float) -> Reservation:
        reservation = self._rate_limiter.acquire(request.endpoint, max_wait_s, urgent=self._is_urgent(request.endpoint))
        self._wait(request.where, reservation.wait_s)
        # Another request may have met a 429 during the wait.
        if reservation.wait_s > 0 and (penalty_s := self._rate_limiter.penalty_s()) > 0:
            self._rate_limiter.release(reservation)
            text = f"{request.where}: IBKR said too many requests; possible in {format_wait(penalty_s)}"
            raise RateLimited(text, wait_s=penalty_s)
        return reservation

    def _wait(self, where: str, seconds: float) -> None:
        if seconds > WAIT_NOTICE_S:
            self._on_wait(where, seconds)
        if seconds > 0:
            self._pause(seconds)
        if self._aborted.is_set():
            raise UpstreamUnavailable(f"{where}: aborted")

    def _require_allowed(self, endpoint: Endpoint, query: dict[str, str] | None, body: object) -> None:
        what = f"{endpoint.method} {endpoint.path}"
        if endpoint not in ENDPOINTS:
            raise ValueError(f"{what} is not in the table of endpoints")
        if not endpoint.accepts(query, body):
            raise ValueError(f"{what} has no such parameter")
        if endpoint.kind is RequestKind.SESSION and not self._owns_session:
            raise ValueError(f"{what} is for the process that owns the session")

    def _exchange(self, request: ApiRequest, reservation: Reservation) -> ApiResponse:
        """Sends the request and reads the answer; once more where the gateway had closed a pooled connection.

        Such a connection fails within `MAX_CLOSED_CONNECTION_S`, and what may be sent twice is sent on a fresh one. The
        first request may have reached IBKR and counts there.
        """
        sent_at_s = time.monotonic()
        is_last_attempt = request.endpoint.kind is RequestKind.SESSION
        answer: tuple[requests.Response, bytes] | None = None
        while answer is None:
            try:
                with self._translated_errors(request.where, reservation):
                    http_response = self._http.request(
                        request.endpoint.method,
                        f"{self._base}/v1/api{request.path}",
                        params=request.query,
                        json=request.body,
                        data=b"" if request.endpoint.method == "POST" and request.body is None else None,
                        timeout=deadline_adapter.total_timeout(*self._timeouts),
                        verify=str(self._certificate),
                        allow_redirects=False,
                        stream=True,
                    )
                    answer = http_response, _read_body(http_response, request.where)
            except UpstreamUnavailable as error:
                is_late = time.monotonic() - sent_at_s > MAX_CLOSED_CONNECTION_S
                if is_last_attempt or is_late or isinstance(error, UpstreamSilent) or self._aborted.is_set():
                    raise
                try:
                    reservation = self._acquire_and_wait(request, self._max_wait_s)
                except RateLimited:
                    raise error from error.__cause__
                is_last_attempt = True
        took_s = time.monotonic() - sent_at_s
        http_response, body = answer
        if request.endpoint.interval_s or not self._is_urgent(request.endpoint):
            self._rate_limiter.record_completion(reservation)
        try:
            payload = response_parser.parse(http_response.status_code, http_response.headers, body, request.where)
        except RateLimited as error:
            self._rate_limiter.record_429(error.wait_s)
            raise
        return ApiResponse(payload, b"null" if payload is None else body, took_s=took_s)

    @contextmanager
    def _translated_errors(self, where: str, reservation: Reservation) -> Iterator[None]:
        """Raises an error of the libraries as one of ours."""
        try:
            yield
        except exceptions.ReadTimeout as error:
            raise self._timeout_error(where) from error
        except (exceptions.ConnectionError, exceptions.ChunkedEncodingError) as error:
            if is_connection_refused(error):
                # It has not left this machine: IBKR has not counted it.
                self._rate_limiter.release(reservation)
                raise refused_error(where, self._base, self._certificate) from error
            if is_timeout(error):
                raise self._timeout_error(where) from error
            if is_tls_error(error):
                raise ConfigError(
                    f"{where}: the program on this port does not have the gateway's certificate",
                    hint="Another gateway may run there; `ss -ltnp` names it.",
                ) from error
            raise UpstreamUnavailable(f"{where}: the connection was closed without an answer") from error
        except (exceptions.RequestException, urllib3_exceptions.HTTPError) as error:
            raise DataError(f"{where}: {type(error).__name__}") from error

    def _require_certificate(self) -> None:
        try:
            with self._certificate.open("rb"):
                return
        except FileNotFoundError as error:
            raise GatewayUnavailable(
                f"{self._certificate}: not there; the gateway has never started", hint=START_HINT
            ) from error
        except PermissionError as error:
            raise AccessDenied.to(self._certificate) from error
        except OSError as error:
            raise ConfigError(f"{self._certificate}: {error.strerror}") from error

    def _timeout_error(self, where: str) -> UpstreamSilent:
        return UpstreamSilent(f"{where}: no answer within {self._timeouts[1]:g} s")

    def tickle(self) -> Tickle:
        """Keeps the session alive and says how both tiers are; at most once a second."""
        return response_parser.parse_tickle(self.request(endpoints.TICKLE))

    def validate(self) -> bool:
        """Says whether the portfolio tier is alive; at most once a minute."""
        return response_parser.parse_validation(self.request(endpoints.VALIDATE))

    def accounts(self) -> list[dict[str, Any]]:
        """Returns the accounts the user may view; IBKR wants this asked before any other /portfolio request.

        It may be asked every 5 s.
        """
        return response_parser.parse_records(self.request(endpoints.ACCOUNTS), "GET /portfolio/accounts")


@contextmanager
def _pending_in(response_cache: ResponseCache | None, request: ApiRequest) -> Iterator[Callable[[ApiResponse], object]]:
    """Marks the request as pending for the block, so that other processes wait for its answer; yields what takes it."""
    if response_cache is None:
        yield lambda _response: None
        return
    response_cache.mark_pending(request)
    responses: list[ApiResponse] = []
    try:
        yield responses.append
    finally:
        # A session that has only just begun may answer emptily.
        if responses and responses[0].payload:
            response_cache.put(request, responses[0].body)
        else:
            response_cache.delete(request)


def _read_body(http_response: requests.Response, where: str) -> bytes:
    body = bytearray()
    with http_response:
        for chunk in http_response.iter_content(16 * 1024):
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES:
                raise DataError(f"{where}: the answer is larger than {MAX_RESPONSE_BYTES // 2**20} MB")
    return bytes(body)
