"""With `--online`: whether IBKR's hosts can be reached, prove who they are, and have the same time. No login.

One `HEAD /` for each host, without a cookie or a name of anybody.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from ibkr_tools.config.schema import Config
from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.machine_checks import MAX_CLOCK_ERROR
from ibkr_tools.doctor.subject import Subject
from ibkr_tools.status import SessionSection, StatusFile

_CHECK = Findings("online")
_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """What became of a request: the kind of the failure, "" if there was an answer; how far its clock is from ours."""

    host: str
    failure: str = ""
    clock_error_s: float | None = None


def check_online(subject: Subject, config: Config) -> Iterator[Finding]:
    """Asks each of IBKR's hosts that are needed for one answer."""
    if not subject.is_online:
        return
    session = StatusFile(subject.directories.status_file).read_section(SessionSection)
    if session is not None and session.limited_until is not None and session.limited_until > subject.now:
        yield _CHECK.unseen("IBKR has shut this address out for now: nothing is sent")
        return
    upstreams = [config.gateway.upstream] if subject.has_gateway else []
    if config.flex.query is not None or not subject.has_gateway:
        upstreams.append(config.flex.upstream)
    for upstream in dict.fromkeys(upstreams):
        yield from judge_host(read_host(upstream))


def read_host(upstream: str) -> HostFacts:
    """Sends one request."""
    parts = urlsplit(upstream)
    host = parts.hostname or ""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("HEAD", "/")
        answered = connection.getresponse()
        date = answered.getheader("Date")
    except socket.gaierror:
        return HostFacts(host=host, failure="name")
    except ssl.SSLCertVerificationError as error:
        return HostFacts(host=host, failure="certificate date" if error.verify_code in {9, 10} else "certificate")
    except (OSError, http.client.HTTPException):
        return HostFacts(host=host, failure="connection")
    finally:
        connection.close()
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return HostFacts(host=host)
    if told.tzinfo is None:
        # `-0000`: UTC, of who does not say where they are.
        told = told.replace(tzinfo=UTC)
    return HostFacts(host=host, clock_error_s=(datetime.now(UTC) - told).total_seconds())


def judge_host(facts: HostFacts) -> Iterator[Finding]:
    """Yields whether a host can be used."""
    host = Private(facts.host)
    set_clock = "sudo timedatectl set-ntp true"
    if facts.failure == "name":
        yield _CHECK.fault(("the name of a host cannot be resolved: ", host), ("getent ahosts ", host))
    elif facts.failure == "certificate date":
        yield _CHECK.fault(("by this machine's clock, the certificate is not valid of ", host), set_clock)
    elif facts.failure == "certificate":
        yield _CHECK.fault(
            ("somebody is in between, or authorities are missing: no proof of who it is from ", host),
            "sudo apt-get install --reinstall -y ca-certificates && sudo update-ca-certificates",
        )
    elif facts.failure:
        yield _CHECK.fault(("no answer from ", host), ("curl -sSI https://", host, "/"))
    elif facts.clock_error_s is not None and abs(facts.clock_error_s) > MAX_CLOCK_ERROR.total_seconds():
        yield _CHECK.fault((f"the clock is {facts.clock_error_s:+.0f} s away from that of ", host), set_clock)
    else:
        yield _CHECK.ok(("an answer from ", host))
