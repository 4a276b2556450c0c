"""Classifies errors of the HTTP libraries by the kernel's or TLS's error that caused them."""

import os
import re
import ssl
from pathlib import Path

from ibkr_tools.errors import GatewayUnavailable
from ibkr_tools.installation import HAS_SERVICES, RELOAD_FILTER, START_HINT


def _causes(error: BaseException) -> list[BaseException]:
    """Lists an error and its causes, wherever requests and urllib3 keep them."""
    causes: list[BaseException] = []
    pending: list[object] = [error]
    while pending:
        item = pending.pop()
        if isinstance(item, BaseException) and item not in causes:
            causes.append(item)
            pending += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
    return causes


def is_tls_error(error: BaseException) -> bool:
    """Says whether TLS itself failed; a connection that was merely closed during it does not count."""
    closed_connection = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return any(isinstance(cause, ssl.SSLError) and not isinstance(cause, closed_connection) for cause in _causes(error))


def untrusted_certificate(error: BaseException) -> str | None:
    """Returns why the other side's certificate is not trusted, in OpenSSL's words; None: it was not about that."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message).rstrip(".")
    return None


def is_trust_store_error(error: BaseException) -> bool:
    """Says whether the list of trusted authorities could not be read; `error` is one of TLS as requests has it."""
    return any(
        isinstance(cause, PermissionError) or (isinstance(cause, ssl.SSLError) and cause.library in {"X509", "PEM"})
        for cause in _causes(error)
    )


def refusal_of_proxy(error: BaseException) -> int | None:
    """Returns the HTTP status with which a proxy has refused to open a tunnel; None: it was not about that."""
    for cause in _causes(error):
        # Of http.client, which raises nothing more special.
        if isinstance(cause, OSError) and (match := re.match(r"Tunnel connection failed: (\d{3})\b", str(cause))):
            return int(match[1])
    return None


def is_connection_refused(error: BaseException) -> bool:
    """Says whether nothing listens."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in _causes(error))


def is_timeout(error: BaseException) -> bool:
    """Says whether a timeout has passed."""
    return any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in _causes(error))


def refused_error(where: str, base: str, certificate: Path) -> GatewayUnavailable:
    """Returns what a refused connection means.

    For somebody whom the packet filter does not know, it looks as if nothing listened.

    Args:
        where: the request.
        base: the gateway's address.
        certificate: the gateway's; its owner is the user of the units.
    """
    what = f"{where}: nothing listens on {base}"
    try:
        is_known = os.geteuid() in {0, certificate.stat().st_uid}
    except OSError:
        is_known = True
    if is_known or not HAS_SERVICES:
        return GatewayUnavailable(what, hint=START_HINT)
    return GatewayUnavailable(
        f"{what}, or the packet filter does not know this user yet",
        hint=f"`ibkr-tools status` says which: sudo {START_HINT}, or {RELOAD_FILTER}",
    )
