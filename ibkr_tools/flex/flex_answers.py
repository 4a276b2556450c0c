"""What an answer of the Flex Web Service is: by its root element, never by a text that may stand anywhere in it. Pure.

Whatever is no statement is named: an empty answer, a web page or a table must not pass for a week without events.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ibkr_tools.retry_after import stated_wait_s

QUERY_FORMAT_HINT = "Set the query's format to XML: Client Portal, Performance & Reports > Flex Queries, edit, Format."

_MAX_ENVELOPE_BYTES = 64 * 1024
"""In bytes; IBKR's have some hundred."""

_MAX_TEXT = 200
"""In characters, of what IBKR says."""

_OK, _TOO_MANY_REQUESTS = 200, 429


@dataclass(frozen=True)
class Accepted:
    """The statement is being made. `url` is where IBKR says that it can be had; it is not to be believed."""

    reference: str
    url: str


@dataclass(frozen=True)
class Refused:
    """An error of the service; `code` is 0 where there is none in the answer."""

    code: int
    message: str


@dataclass(frozen=True)
class StatementReceived:
    """A document that begins as a statement does; whether it is whole, its reader says."""

    xml: bytes = field(repr=False)


@dataclass(frozen=True)
class Throttled:
    """HTTP 429; `wait_s` is how long it says to wait, 0 if it does not."""

    wait_s: float


@dataclass(frozen=True)
class Unusable:
    """Neither a statement nor an error of the service. `passes`: another one may come by itself."""

    what: str
    passes: bool
    hint: str | None = None


@dataclass(frozen=True)
class Unreachable:
    """There was no whole answer; `why` says how it failed. `passes`: the next request may succeed by itself."""

    why: str
    passes: bool = True
    hint: str | None = None


Answer = Accepted | Refused | StatementReceived | Throttled | Unusable | Unreachable


def classify(status: int, headers: Mapping[str, str], body: bytes, hidden: str = "") -> Answer:
    """Returns what an HTTP answer is.

    Args:
        status: the HTTP status.
        headers: its headers, by names without regard to case.
        body: all of it.
        hidden: a text that no answer repeats, such as the token.
    """
    if status == _TOO_MANY_REQUESTS:
        return Throttled(stated_wait_s(headers.get("Retry-After", ""), headers.get("Date", "")))
    begin = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not begin:
        return Unusable(f"an empty answer (HTTP {status})", passes=True)
    if not begin.startswith(b"<"):
        if status != _OK:
            return Unusable(f"an answer without XML (HTTP {status})", passes=True)
        what = "a table (CSV)" if b"," in begin.partition(b"\n")[0] else "a text"
        return Unusable(f"{what} instead of XML", passes=False, hint=QUERY_FORMAT_HINT)
    root = _root(begin)
    if root == "FlexQueryResponse" and status == _OK:
        return StatementReceived(body)
    if root == "FlexStatementResponse":
        return _envelope(begin, hidden)
    if root.lower() in {"html", "!doctype"}:
        return Unusable(f"a web page (HTTP {status})", passes=True)
    return Unusable(f"a document of the type {root[:40]!r} (HTTP {status})", passes=status != _OK)


def _root(xml: bytes) -> str:
    """Returns the name of the first element, or of what stands in its place; the document may end anywhere."""
    rest = re.sub(rb"^(?:<\?.*?\?>|<!--.*?-->|\s+)*", b"", xml[:_MAX_ENVELOPE_BYTES], flags=re.DOTALL)
    match = re.match(rb"<([!A-Za-z_][\w:.-]*)", rest)
    return match[1].decode(errors="replace") if match else ""


def _envelope(xml: bytes, hidden: str) -> Answer:
    """Returns what the service says in place of a statement."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if len(xml) > _MAX_ENVELOPE_BYTES:
        return Unusable("an answer that is too long", passes=True)
    try:
        root = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError):
        return Unusable("an answer that is cut off or no XML", passes=True)
    said = {element.tag: _shown(element.text or "", hidden) for element in root}
    status, reference = said.get("Status", ""), said.get("ReferenceCode", "")
    if status == "Success" and reference:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", reference):
            return Unusable("an answer with a reference that is none", passes=True)
        return Accepted(reference, (root.findtext("Url") or "").strip())
    code = said.get("ErrorCode", "")
    number = int(code) if re.fullmatch(r"[0-9]{1,6}", code, re.ASCII) else 0
    if not number and status == "WhenAvailable":
        number = 1019
    return Refused(number, said.get("ErrorMessage") or f"the answer's status is {status or 'missing'}")


def _shown(text: str, hidden: str) -> str:
    """Returns the beginning of a text as one line. What is hidden goes first: a part of it is not to be seen either."""
    line = " ".join(text.split())
    return (line.replace(hidden, "…") if hidden else line)[:_MAX_TEXT]
