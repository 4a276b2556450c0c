"""What Chromium's record of its own network says about the page's requests. Pure."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from ibkr_tools.retry_after import stated_wait_s

__all__ = ["NetworkRecord", "NetworkRequest"]

ESSENTIAL_KINDS = frozenset({"Document", "Script", "Stylesheet", "XHR", "Fetch"})
"""What a page can need to work, in Chromium's words; what else it asks for is decoration."""

HUNG_AFTER_S = 3.0
"""A request that has no answer for so long, in seconds, is not waited for."""


@dataclass
class NetworkRequest:
    """One request of the page to the address `url`, which has no query.

    `kind`: Chromium's word for what it is for, such as `Script`. `seen_s`: when the record was told of it (monotonic).
    `status`: the HTTP status of the answer, 0 before it. `headers`: of the answer, with names in small letters; None
    before it. `clock_offset_s`: by how many seconds the
    clock of whoever answered is ahead of ours, good to a second; None: nobody said what time it is.
    """

    id: str
    url: str
    kind: str = ""
    seen_s: float = 0.0
    is_finished: bool = False
    status: int = 0
    headers: dict[str, str] | None = None
    clock_offset_s: float | None = None


class NetworkRecord:
    """The requests of a page so far, from Chromium's events of the domain Network."""

    def __init__(self) -> None:
        self._requests: dict[str, NetworkRequest] = {}
        self._last_activity_s = 0.0

    def add(self, events: Iterable[dict[str, Any]], now_s: float) -> None:
        """Takes the next events at `now_s` (monotonic); those of other domains are ignored."""
        for event in events:
            parameters = event["params"]
            request_id = parameters.get("requestId", "")
            if event["method"] == "Network.requestWillBeSent":
                request = self._requests.setdefault(request_id, NetworkRequest(id=request_id, url=""))
                request.url = parameters["request"]["url"].split("?")[0]
                request.kind, request.seen_s = parameters.get("type", ""), now_s
                self._note_activity(request, now_s)
            elif request_id in self._requests:
                self._answer(self._requests[request_id], event["method"], parameters)
                self._note_activity(self._requests[request_id], now_s)

    def last_document(self) -> str | None:
        """Returns the address of the last document that was asked for, without its query; None before the first."""
        documents = [request.url for request in self._requests.values() if request.kind == "Document"]
        return documents[-1] if documents else None

    def idle_s(self, now_s: float) -> float:
        """Returns for how many seconds the page has neither asked for anything that it can need nor waited for it."""
        pending = [
            request
            for request in self._requests.values()
            if request.kind in ESSENTIAL_KINDS and not request.is_finished and now_s - request.seen_s < HUNG_AFTER_S
        ]
        return 0.0 if pending else now_s - self._last_activity_s

    def _note_activity(self, request: NetworkRequest, now_s: float) -> None:
        if request.kind in ESSENTIAL_KINDS:
            self._last_activity_s = now_s

    def requests_to(self, suffix: str) -> list[NetworkRequest]:
        """Returns the requests to addresses that end in `suffix`, in order."""
        return [request for request in self._requests.values() if request.url.endswith(suffix)]

    def waits_after_429_s(self) -> list[float]:
        """Returns of each answer 429 the seconds that its Retry-After states, 0 where it states none."""
        refused = [
            request.headers or {}
            for request in self._requests.values()
            if request.status == HTTPStatus.TOO_MANY_REQUESTS
        ]
        return [stated_wait_s(headers.get("retry-after", ""), headers.get("date", "")) for headers in refused]

    def _answer(self, request: NetworkRequest, method: str, parameters: dict[str, Any]) -> None:
        if method == "Network.responseReceived":
            response = parameters["response"]
            request.status = int(response.get("status", 0))
            request.headers = {name.lower(): text for name, text in response.get("headers", {}).items()}
            request.clock_offset_s = _clock_offset(request.headers.get("date"), response.get("responseTime"))
        elif method in ("Network.loadingFinished", "Network.loadingFailed"):
            request.is_finished = True


def _clock_offset(date: str | None, answered_ms: float | None) -> float | None:
    with contextlib.suppress(ValueError, TypeError):
        # A Date has whole seconds, cut off; `answered_ms` is by our clock, in milliseconds.
        at_ibkr = parsedate_to_datetime(date or "").timestamp() + 0.5
        return at_ibkr - float(answered_ms or time.time() * 1000) / 1000
    return None
