"""A small HTTP caller for simulator tests: one connection per call, cookies by hand, no redirects followed."""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

__all__ = ["Answer", "Caller"]


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and body of one answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Caller:
    """Calls one server; `token` is sent as the cookie XYZAB. Certificates are not checked."""

    def __init__(self, port: int, *, tls: bool = False, token: str = "") -> None:
        self._port, self._tls, self.token = port, tls, token

    def get(self, path: str, **kwargs: Any) -> Answer:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> Answer:
        return self.call("POST", path, body, **kwargs)

    def form(self, path: str, **fields: str) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", path, urlencode(fields), headers, 10)

    def call(self, method: str, path: str, body: Any = None, timeout_s: float = 10) -> Answer:
        payload = None if body is None else json.dumps(body)
        return self._send(method, path, payload, {"Content-Type": "application/json"}, timeout_s)

    def _send(self, method: str, path: str, payload: str | None, headers: dict[str, str], timeout_s: float) -> Answer:
        if self._tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=timeout_s, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout_s)
        if self.token:
            headers = {**headers, "Cookie": f"XYZAB={self.token}"}
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()
