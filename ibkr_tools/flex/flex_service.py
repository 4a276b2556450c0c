"""The client of IBKR's Flex Web Service, version 3: two requests, each with the token in its body, never in an address.

It needs neither a session nor the gateway. Redirects are not followed, and what IBKR says about where the statement is
counts only if it is one of IBKR's two hosts.
"""

import re
import ssl
import sys
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from urllib.parse import urlsplit

from requests import exceptions
from requests.utils import get_environ_proxies
from urllib3 import exceptions as urllib3_exceptions

from ibkr_tools import deadline_adapter
from ibkr_tools.config.secrets import Secret
from ibkr_tools.config.values import IBKR_FLEX_HOSTS, is_loopback
from ibkr_tools.flex.flex_answers import Answer, Unreachable, Unusable, classify
from ibkr_tools.flex.flex_periods import Period
from ibkr_tools.flex.statement_xml import MAX_STATEMENT_BYTES
from ibkr_tools.portal.transport_errors import (
    is_timeout,
    is_tls_error,
    is_trust_store_error,
    refusal_of_proxy,
    untrusted_certificate,
)

VERSION = "3"
"""Without it, version 2 answers."""

PATH = "/AccountManagement/FlexWebService"
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 15.0, 60.0
USER_AGENT = f"Python/{sys.version_info.major}.{sys.version_info.minor}"
"""IBKR wants a technology and its version, and refuses requests without."""

_VARIABLES = "https_proxy or all_proxy"
_PROXY = f"the proxy that {_VARIABLES} in the environment names"
_PROXY_HINT = "Name one of HTTP that lets IBKR's host through, as http://[USER:PASSWORD@]HOST:PORT, or none."
_CERTIFICATE_HINT = (
    "See whether the clock is right (timedatectl). If a proxy of yours opens TLS, put its authority into "
    "/usr/local/share/ca-certificates: sudo update-ca-certificates"
)
_TRUST_STORE_HINT = (
    "Unset SSL_CERT_FILE if it is set; else "
    "sudo apt-get install --reinstall -y ca-certificates && sudo update-ca-certificates"
)

_PROXY_AUTHENTICATION, _SERVER_ERROR = 407, 500
_PASSING = frozenset({408, 429})
"""What of 4xx another request may mend."""

_DAY_FORMAT = "%Y%m%d"
_CHUNK_BYTES = 1 << 16
_SAFE_PATH = re.compile(r"/[A-Za-z0-9/._-]{0,200}", re.ASCII)


def statement_url(stated: str, upstream: str) -> str:
    """Returns where a statement is to be had: where IBKR says, if that is IBKR; else where it usually is.

    Args:
        stated: the address in IBKR's answer.
        upstream: scheme, host and port of the service.
    """
    usual = f"{upstream}{PATH}/GetStatement"
    try:
        parts = urlsplit(stated)
        origin = f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        return usual
    allowed = {f"https://{host}" for host in IBKR_FLEX_HOSTS} if _is_ibkr(upstream) else {upstream}
    if origin not in allowed or not _SAFE_PATH.fullmatch(parts.path) or "//" in parts.path:
        return usual
    return f"{origin}{parts.path}"


def _is_ibkr(upstream: str) -> bool:
    return upstream in {f"https://{host}" for host in IBKR_FLEX_HOSTS}


class FlexServiceClient:
    """Sends the two requests; when they may be sent is for others to say. It belongs to one thread."""

    def __init__(self, upstream: str, token: Secret, *, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        """Prepares it; nothing is sent yet.

        Args:
            upstream: scheme, host and port of the service.
            token: goes into the body of each request.
            read_timeout_s: how long an answer may take, to its last byte.
        """
        self._upstream = upstream
        self._token = token
        self._timeout = deadline_adapter.total_timeout(CONNECT_TIMEOUT_S, read_timeout_s)
        self._http = deadline_adapter.NoRedirectSession()
        # No .netrc; a proxy of the environment is asked for below, as the download of the gateway has it.
        self._http.trust_env = False
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, deadline_adapter.DeadlineAdapter())
        self._http.headers.update({"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"})
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send_request(self, query: str, period: Period | None) -> Answer:
        """Has a statement made; without `period` of the days that the query has of its own."""
        days = {}
        if period is not None:
            days = {"fd": f"{period.from_day:{_DAY_FORMAT}}", "td": f"{period.to_day:{_DAY_FORMAT}}"}
        return self._post(f"{self._upstream}{PATH}/SendRequest", {"q": query, **days})

    def get_statement(self, reference: str, url: str) -> Answer:
        """Fetches a statement; `url` is where IBKR's answer to the first request says that it is."""
        return self._post(statement_url(url, self._upstream), {"q": reference})

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _post(self, url: str, form: Mapping[str, str]) -> Answer:
        host = urlsplit(url).netloc
        try:
            response = self._http.post(
                url,
                data={"t": self._token.reveal(), "v": VERSION, **form},
                timeout=self._timeout,
                verify=_trust_store(),
                proxies={} if is_loopback(url) else get_environ_proxies(url),
                allow_redirects=False,
                stream=True,
            )
            with response:
                body = bytearray()
                for chunk in response.iter_content(_CHUNK_BYTES):
                    body += chunk
                    if len(body) > MAX_STATEMENT_BYTES:
                        what = f"larger than {MAX_STATEMENT_BYTES // 1_000_000} MB"
                        return Unusable(what, passes=False, hint="Ask for fewer days: --days, --from, --to.")
        except (exceptions.RequestException, urllib3_exceptions.HTTPError, OSError) as error:
            # Not the error itself: its text may have the request's body in it.
            return _unreachable(host, error)
        return classify(response.status_code, response.headers, bytes(body), self._token.reveal())


def _unreachable(host: str, error: Exception) -> Unreachable:
    """Returns what an error of a request means: another request mends neither a certificate nor a proxy's address."""
    if (why := untrusted_certificate(error)) is not None:
        what = f"{host} does not prove who it is: its certificate is not trusted ({why}); nothing was sent"
        return Unreachable(what, passes=False, hint=_CERTIFICATE_HINT)
    if isinstance(error, exceptions.SSLError) and is_trust_store_error(error):
        what = f"{_trust_store()}: the authorities that are trusted cannot be read; nothing was sent"
        return Unreachable(what, passes=False, hint=_TRUST_STORE_HINT)
    status = refusal_of_proxy(error) or _SERVER_ERROR
    if status < _SERVER_ERROR and status not in _PASSING:
        wants = "wants a user name and a password" if status == _PROXY_AUTHENTICATION else "refuses"
        what = f"{host} cannot be reached: {_PROXY} {wants} (HTTP {status})"
        return Unreachable(what, passes=False, hint=_PROXY_HINT)
    # Addresses of ours are ones. InvalidProxyURL is an InvalidURL.
    if isinstance(error, exceptions.InvalidURL | exceptions.InvalidSchema):
        what = f"{host} cannot be reached: what {_VARIABLES} in the environment names is no proxy of HTTP"
        return Unreachable(what, passes=False, hint=_PROXY_HINT)
    return Unreachable(_passing_failure(host, error))


def _passing_failure(host: str, error: Exception) -> str:
    if is_timeout(error):
        return f"{host} has not answered in time"
    if is_tls_error(error):
        return f"{host} and this machine do not agree on TLS, or what came is none"
    if isinstance(error, exceptions.ProxyError):
        return f"{host} cannot be reached through {_PROXY}"
    if isinstance(error, exceptions.ConnectionError):
        return f"{host} cannot be reached"
    return f"the answer of {host} broke off ({type(error).__name__})"


def _trust_store() -> str | bool:
    """Returns the machine's own list of authorities; True is the one that came with the program."""
    paths = ssl.get_default_verify_paths()
    # None is what Python says of a place where nothing is.
    candidates = (paths.cafile or "", "/etc/ssl/certs/ca-certificates.crt", paths.capath or "")
    return next((path for path in candidates if path and Path(path).exists()), True)
