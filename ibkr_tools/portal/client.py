"""The only way a request leaves for IBKR: through the gateway on this machine, listed, paced, with a deadline."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from requests import exceptions
from urllib3 import exceptions as urllib3_exceptions

from ibkr_tools import transport
from ibkr_tools.errors import (
    ConfigError,
    DataError,
    GatewayUnavailable,
    IbkrError,
    RateLimited,
    UpstreamSilent,
    UpstreamUnavailable,
)
from ibkr_tools.portal import answers, endpoints
from ibkr_tools.portal.answers import Tickle
from ibkr_tools.portal.causes import is_refused, is_stranger, is_timeout
from ibkr_tools.portal.endpoints import ENDPOINTS, Endpoint, Kind
from ibkr_tools.portal.pacing import Pacing, Unpaced
from ibkr_tools.portal.recall import SLOW_S, Call, Recall
from ibkr_tools.portal.reservations import Turn

CONNECT_TIMEOUT_S = 3.05
"""The gateway is on this machine: whoever accepts slower than this is stuck."""

READ_TIMEOUT_S = 25.0
"""The gateway never answers while IBKR cannot be reached; IBKR itself gives up after 10 s with a 503."""

LARGEST_ANSWER = 64 * 1024 * 1024
"""In bytes; a page of 100 positions is about 150 kB."""

LONGEST_HELD_S = 2.0
"""A longer wait for a turn holds none of the reads that may be under way: others can use it meanwhile."""

_LOOK_S = 0.125
"""How often one that waits for the answer of another process looks for it."""

NOTICED_S = 1.0
"""Who waits longer than this is told."""


@dataclass(frozen=True)
class Answer:
    """One good answer: decoded, and as it came, for whoever wants numbers as IBKR wrote them.

    `age_s` is 0 for one that has just come, else how old a remembered one is, in seconds. Where nothing came (204), the
    payload is None and the body `null`. `took_s` is how long it took to come once it was asked for, in seconds.
    """

    payload: Any
    body: bytes
    age_s: float = 0.0
    took_s: float = 0.0


class _Direct(requests.Session):
    """A session that does not even look at where a redirect points."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Says of every answer that it is the last one."""
        del resp


class PortalClient:
    """A client of the gateway on 127.0.0.1 that trusts exactly one certificate and never follows a redirect.

    Everything raises the errors of `answers.parse`, and GatewayUnavailable when nothing listens. A client belongs
    to one thread. The gateway keeps the session's cookies itself; none are sent or kept here.
    """

    def __init__(
        self,
        port: int,
        certificate: Path,
        pacing: Pacing | None = None,
        recall: Recall | None = None,
        *,
        read_timeout_s: float = READ_TIMEOUT_S,
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
            pacing: the shared budget; None sends at will.
            recall: where answers are remembered that may not be asked for again at once; None: nowhere.
            read_timeout_s: how long an answer may take, to its last byte.
            max_wait_s: how long a request may wait for its turn before RateLimited is raised instead.
            owns_session: whether this process may control the session; the watchdog, and nobody else.
            urgent: whether its reads have the room that others leave, as the owner's have: those that prove a login.
            pause: waits so many seconds for a turn; default: real ones.
            on_wait: is told before a wait of more than a second: for which request, and how many seconds it may last.
        """
        self._base = f"https://127.0.0.1:{port}"
        self._certificate = certificate
        self._pacing = pacing or Unpaced()
        self._recall = recall
        self._timeouts = (CONNECT_TIMEOUT_S, read_timeout_s)
        self._max_wait_s = max_wait_s
        self._owns_session = owns_session
        self._urgent = urgent or owns_session
        self._pause = pause or threading.Event().wait
        self._on_wait = on_wait or (lambda _where, _seconds: None)
        self._http = _Direct()
        # Proxies and .netrc of the environment have no business between two programs of one machine.
        self._http.trust_env = False
        self._http.mount("https://", transport.DeadlineAdapter())
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

    @property
    def penalty_s(self) -> float:
        """For how many seconds more nobody sends anything, because IBKR has answered 429; 0 if it has not."""
        return self._pacing.penalty_s()

    def leave_room(self) -> None:
        """Has everybody leave room for what the gateway sends by itself in the seconds after a login."""
        self._pacing.leave_room()

    def request(
        self,
        endpoint: Endpoint,
        names: Mapping[str, str] | None = None,
        *,
        query: dict[str, str] | None = None,
        body: object = None,
    ) -> Any:
        """Sends one listed request and returns the decoded answer; see `ask`."""
        return self.ask(endpoint, names, query=query, body=body).payload

    def ask(
        self,
        endpoint: Endpoint,
        names: Mapping[str, str] | None = None,
        *,
        query: dict[str, str] | None = None,
        body: object = None,
        recall: bool = False,
    ) -> Answer:
        """Sends one listed request and returns its answer, or what the same request was answered a moment ago.

        Args:
            endpoint: a row of `endpoints.ENDPOINTS`.
            names: what the path's `{names}` stand for.
            query: the query string; the endpoint's own parameters, no others.
            body: sent as JSON, of the endpoint's own parameters; a POST without one still says its length, on which
                IBKR's edge insists.
            recall: be content with what any of our processes was told within the endpoint's interval, which proves
                nothing about the session of now. With an interval of a minute or more that is always so.

        Raises:
            ValueError: the endpoint is not in the table, has no such parameter, or controls a session of which this
                process is not the owner.
            IbkrError: see `answers.parse`; GatewayUnavailable when nothing listens; RateLimited also when its turn
                does not come in time.
        """
        self._admit(endpoint, query, body)
        call = Call(endpoint, endpoint.fill(**(names or {})), query, body)
        if self._recall is None or endpoint.kind is not Kind.READ:
            return self._fetch(call)
        if (recall or endpoint.interval_s >= SLOW_S) and (known := self._remembered(self._recall, call)):
            return known
        self._recall.begin(call)
        answer = None
        try:
            answer = self._fetch(call)
            return answer
        finally:
            # Nothing may be the answer of a session that has only just begun.
            if answer is not None and answer.payload:
                self._recall.store(call, answer.body)
            else:
                self._recall.forget(call)

    def _remembered(self, recall: Recall, call: Call) -> Answer | None:
        """Returns what is remembered; if somebody is making the same call now, waits for that."""
        steps = 0
        while (known := recall.load(call)) is None:
            if not recall.is_under_way(call) or steps * _LOOK_S >= self._max_wait_s:
                return None
            steps += 1
            if steps * _LOOK_S == NOTICED_S:
                self._on_wait(call.where, self._max_wait_s - NOTICED_S)
            self._pause(_LOOK_S)
        with suppress(IbkrError):
            return Answer(answers.parse(200, {}, known[0], call.where), *known)
        return None

    def _fetch(self, call: Call) -> Answer:
        self._require_certificate()
        with self._turn(call) as turn:
            began = time.monotonic()
            status, headers, data = self._exchange(turn, call)
            took_s = time.monotonic() - began
            try:
                payload = answers.parse(status, headers, data, call.where)
            except RateLimited as error:
                self._pacing.penalise(error.wait_s)
                raise
        return Answer(payload, b"null" if payload is None else data, took_s=took_s)

    @contextmanager
    def _turn(self, call: Call) -> Iterator[Turn]:
        """Waits for the request's turn; a read then holds one of those that may be under way, for all of the block."""
        if self._is_urgent(call.endpoint):
            yield self._claim_and_wait(call, self._max_wait_s)
            return
        left_s, tell = self._max_wait_s, partial(self._on_wait, call.where)
        while True:
            # First the place, then the time: what was promised a time must not come later than that.
            with self._pacing.under_way(left_s, self._pause, tell) as waited_s:
                left_s -= waited_s
                try:
                    turn = self._claim_and_wait(call, min(left_s, LONGEST_HELD_S))
                except RateLimited as error:
                    if error.wait_s is None or error.wait_s > left_s:
                        raise
                    wait_s = error.wait_s
                else:
                    yield turn
                    return
            self._wait(call.where, wait_s)
            left_s -= wait_s

    def _is_urgent(self, endpoint: Endpoint) -> bool:
        """Says whether a request has the room that others leave: who keeps the session alive must not queue."""
        return self._urgent or endpoint.kind is not Kind.READ

    def _claim_and_wait(self, call: Call, max_wait_s: float) -> Turn:
        turn = self._pacing.claim(call.endpoint, max_wait_s, urgent=self._is_urgent(call.endpoint))
        self._wait(call.where, turn.wait_s)
        return turn

    def _wait(self, where: str, seconds: float) -> None:
        if seconds > NOTICED_S:
            self._on_wait(where, seconds)
        if seconds > 0:
            self._pause(seconds)

    def _admit(self, endpoint: Endpoint, query: dict[str, str] | None, body: object) -> None:
        what = f"{endpoint.method} {endpoint.path}"
        if endpoint not in ENDPOINTS:
            raise ValueError(f"{what} is not in the table of endpoints")
        if not endpoint.admits(query, body):
            raise ValueError(f"{what} has no such parameter")
        if endpoint.kind is Kind.SESSION and not self._owns_session:
            raise ValueError(f"{what} is for the process that owns the session")

    def _exchange(self, turn: Turn, call: Call) -> tuple[int, Any, bytes]:
        try:
            return self._attempt(turn, call)
        except UpstreamUnavailable as error:
            # A pooled connection that the gateway closed meanwhile fails at once: one more try, on a fresh one, of what
            # may be sent twice. The first one may have reached IBKR and counts there.
            if isinstance(error, UpstreamSilent) or call.endpoint.kind is Kind.SESSION:
                raise
            try:
                turn = self._claim_and_wait(call, self._max_wait_s)
            except RateLimited:
                raise error from error.__cause__
        return self._attempt(turn, call)

    def _attempt(self, turn: Turn, call: Call) -> tuple[int, Any, bytes]:
        where = call.where
        try:
            answer = self._send(call.endpoint.method, call.path, where, call.query, call.body)
        except exceptions.ReadTimeout as error:
            raise self._silent(where) from error
        except (exceptions.ConnectionError, exceptions.ChunkedEncodingError) as error:
            if is_refused(error):
                # It has not left this machine: IBKR has not counted it.
                self._pacing.forgo(turn)
                raise GatewayUnavailable(
                    f"{where}: nothing listens on {self._base}", hint="systemctl start ibkr-gateway"
                ) from error
            if is_timeout(error):
                raise self._silent(where) from error
            if is_stranger(error):
                raise ConfigError(
                    f"{where}: the program on this port does not have the gateway's certificate",
                    hint="Another gateway may run there; `ss -ltnp` names it.",
                ) from error
            raise UpstreamUnavailable(f"{where}: the connection was closed without an answer") from error
        except (exceptions.RequestException, urllib3_exceptions.HTTPError) as error:
            raise DataError(f"{where}: {type(error).__name__}") from error
        if not self._is_urgent(call.endpoint):
            self._pacing.arrived(turn)
        return answer

    def _require_certificate(self) -> None:
        try:
            with self._certificate.open("rb"):
                return
        except FileNotFoundError as error:
            raise GatewayUnavailable(
                f"{self._certificate}: not there; the gateway has never started", hint="systemctl start ibkr-gateway"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"{self._certificate}: {error.strerror}", hint="Run as root, or join the group: usermod -aG ibkr NAME."
            ) from error

    def _silent(self, where: str) -> UpstreamSilent:
        return UpstreamSilent(f"{where}: no answer within {self._timeouts[1]:g} s")

    def _send(
        self, method: str, path: str, where: str, query: dict[str, str] | None, body: object
    ) -> tuple[int, Any, bytes]:
        response = self._http.request(
            method,
            f"{self._base}/v1/api{path}",
            params=query,
            json=body,
            data=b"" if method == "POST" and body is None else None,
            timeout=transport.deadline(*self._timeouts),
            verify=str(self._certificate),
            allow_redirects=False,
            stream=True,
        )
        with response:
            data = bytearray()
            for chunk in response.iter_content(16 * 1024):
                data += chunk
                if len(data) > LARGEST_ANSWER:
                    raise DataError(f"{where}: the answer is larger than {LARGEST_ANSWER // 2**20} MB")
            return response.status_code, response.headers, bytes(data)

    def tickle(self) -> Tickle:
        """Keeps the session alive and says how both tiers are; at most once a second."""
        return answers.parse_tickle(self.request(endpoints.TICKLE))

    def validate(self) -> bool:
        """Says whether the portfolio tier is alive; at most once a minute."""
        return answers.parse_validation(self.request(endpoints.VALIDATE))

    def accounts(self, *, recall: bool = False) -> list[dict[str, Any]]:
        """Returns the accounts the user may view; IBKR wants this asked before any other /portfolio call.

        It may be asked every 5 s; `recall` is content with what any of our processes was told within that time, which
        proves nothing about the session of now.
        """
        answer = self.ask(endpoints.ACCOUNTS, recall=recall)
        return answers.parse_rows(answer.payload, "GET /portfolio/accounts")
