"""Reads Flex statements row by row: a large one takes no more memory than its text.

The XML comes from outside: a DTD, entities and references to other files are refused (defusedxml). What is unknown in
it (sections, attributes, values) is passed on as it is: IBKR adds some without notice.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ibkr_tools.errors import DataError, MalformedResponse
from ibkr_tools.flex.flex_values import FORMAT_HINT, FlexValueError, parse_day, parse_timestamp

if TYPE_CHECKING:
    from io import BufferedReader

MAX_STATEMENT_BYTES = 128_000_000
"""In bytes, unpacked; a year of one account with every section is a megabyte."""

_MAX_DEPTH = 12
"""Of elements in each other; IBKR's are six deep."""

_MAX_ENVELOPE_TEXT = 200
"""In characters, of what IBKR's service says in place of a statement."""

_CHUNK_BYTES = 1 << 16
_SPACE = re.compile(rb"(?:\s|\xef\xbb\xbf)*")
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_XML_BEGINS = (b"<", b"\x00<", b"\xff\xfe", b"\xfe\xff")
_WEB_PAGE = re.compile(rb"<(?:!doctype\s+)?html\b", re.IGNORECASE)

_FIRST_YEAR = 1970
"""Statements are of no earlier years: days that are none would be counted one by one."""

_MAX_DAYS_AHEAD = 366
"""How long after it was made a statement may end, as one does where somebody has changed its days; it is of a year."""

_MAX_NAME_LENGTH = 40
"""In characters, of what is shown of a name that is none."""

_AGAIN_HINT = "Download it again."
_XML_HINT = "Set the query's format to XML: Client Portal, Performance & Reports > Flex Queries, edit, Format."


@dataclass(frozen=True)
class Statement:
    """The head of a statement: whose it is, and of when.

    `generated_at` has no zone: IBKR declares none. `period` is the query's own, such as `Last30CalendarDays`; it is
    empty where days were named.
    """

    account: str
    from_day: date
    to_day: date
    generated_at: datetime
    period: str = ""
    query_name: str = ""
    declared_count: str = ""
    """How many statements the file says that it has."""


@dataclass(frozen=True)
class StatementSection:
    """A section begins; one that is empty is named too."""

    statement: Statement
    name: str


@dataclass(frozen=True)
class Row:
    """One element with its attributes, as they came. `section` is the part of the statement that it stands in."""

    statement: Statement
    section: str
    element: str
    attributes: dict[str, str] = field(repr=False)


def unpack(file: "BufferedReader[Any]", limit: int = MAX_STATEMENT_BYTES) -> bytes:
    """Returns the content of a file, of at most `limit` bytes, unpacked if gzip has packed it.

    Raises:
        DataError: it is damaged, or larger than any statement.
        OSError: it cannot be read.
    """
    source = gzip.GzipFile(fileobj=file) if file.peek(len(_GZIP)).startswith(_GZIP) else file
    try:
        data = source.read(limit + 1)
    except EOFError:
        raise DataError("it is cut off: the gzip data end before they are whole", hint=_AGAIN_HINT) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"damaged gzip data ({error})", hint=_AGAIN_HINT) from None
    if len(data) > limit:
        raise DataError(
            f"larger than {limit // 1_000_000} MB, that is no statement of a year",
            hint="Have IBKR make statements of shorter periods.",
        )
    return data


def read_statements(xml: bytes) -> Iterator[Statement | StatementSection | Row]:
    """Yields what is in a file, in its order.

    Raises:
        DataError: it is no whole Flex statement in XML, or in a format of days that can be misread; the message says
            what it is instead. What was yielded before then is not to be used.
    """
    # Only where a statement is read.
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser, ParseError

    # XML allows no space before its declaration; some who save it by hand have some.
    space = _SPACE.match(xml)
    begin = space.end() if space else 0
    _require_xml(xml, begin)
    target = _Target()
    parser = DefusedXMLParser(target=target, forbid_dtd=True)
    try:
        for at in range(begin, len(xml), _CHUNK_BYTES):
            parser.feed(xml[at : at + _CHUNK_BYTES])
            yield from target.take()
    except ParseError as error:
        line, column = error.position
        hint = _AGAIN_HINT if target.has_begun else _XML_HINT
        raise DataError(f"no well-formed XML at line {line}, column {column + 1}", hint=hint) from None
    except DefusedXmlException:
        raise DataError("it has a document type declaration, which no statement of IBKR has") from None
    except (LookupError, ValueError) as error:
        # Python has codecs that are none for text, and expat takes none with several bytes but UTF-8 and UTF-16.
        said = f"{error}"[: 2 * _MAX_NAME_LENGTH]
        raise DataError(f"its encoding cannot be read ({said})", hint="Save it in UTF-8, as IBKR does.") from None
    try:
        parser.close()
    except ParseError:
        raise MalformedResponse("it is cut off: the XML ends before it is whole", hint=_AGAIN_HINT) from None
    yield from target.take()
    target.require_statement()


def _require_xml(xml: bytes, begin: int) -> None:
    """Checks how a file begins.

    Raises:
        DataError: it is no XML; the message says what it is instead, where that can be seen.
    """
    if _WEB_PAGE.match(xml, begin):
        raise DataError("no Flex statement but a web page", hint=_XML_HINT)
    if xml.startswith(_GZIP):
        raise DataError("it is packed twice with gzip", hint="Unpack it once, with gunzip.")
    if xml.startswith(_ZIP):
        raise DataError("it is a ZIP archive", hint="Unpack it, and name the files that are in it.")
    if not xml.startswith(_XML_BEGINS, begin):
        raise DataError("this is no XML" if begin < len(xml) else "it is empty", hint=_XML_HINT)


class _Target:
    """What the parser calls: it turns elements into events."""

    def __init__(self) -> None:
        self._events: list[Statement | StatementSection | Row] = []
        self._path: list[str] = []
        self._query_name = ""
        self._statement: Statement | None = None
        self._statement_depth = 0
        self._has_statement = False
        self._declared_count = ""
        self._texts: dict[str, str] = {}
        self._is_envelope = False
        self.has_begun = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        depth = len(self._path)
        if depth > _MAX_DEPTH:
            raise DataError(f"elements stand {depth} deep in each other, which no statement of IBKR has")
        self._path.append(tag)
        self.has_begun = True
        if depth == 0:
            self._start_root(tag, attributes)
        elif self._statement is None:
            if tag == "FlexStatements":
                self._declared_count = attributes.get("count", "")[:_MAX_NAME_LENGTH]
            elif tag == "FlexStatement":
                self._start_statement(depth, attributes)
        elif tag == "FlexStatement":
            raise DataError("a statement stands within another one", hint=_AGAIN_HINT)
        else:
            self._start_row(self._statement, depth, tag, attributes)

    def _start_root(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "FlexStatementResponse":
            self._is_envelope = True
        elif tag != "FlexQueryResponse":
            is_page = tag.lower() in {"html", "{http://www.w3.org/1999/xhtml}html"}
            raise DataError(
                f"no Flex statement but {'a web page' if is_page else f'a document of the type {tag[:40]}'}"
            )
        elif attributes.get("type", "").upper() not in {"AF", ""}:
            raise DataError(
                f"a statement of the type {attributes['type'][:10]}, not AF (activity)",
                hint="Make an Activity Flex Query: a Trade Confirmation Flex Query has no positions and no cash.",
            )
        self._query_name = attributes.get("queryName", "")

    def _start_statement(self, depth: int, attributes: dict[str, str]) -> None:
        try:
            from_day, to_day = (parse_day(attributes.get(name, "")) for name in ("fromDate", "toDate"))
            generated_at = parse_timestamp(attributes.get("whenGenerated", ""))
        except FlexValueError as error:
            raise DataError(str(error), hint=FORMAT_HINT) from None
        account = attributes.get("accountId", "")
        if not account or from_day is None or to_day is None or generated_at is None:
            raise DataError("the head of a statement lacks one of accountId, fromDate, toDate, whenGenerated")
        if len(account) > _MAX_NAME_LENGTH or not account.isprintable():
            raise DataError(f"the accountId {account[:_MAX_NAME_LENGTH]!r} is no account number")
        _require_days(from_day, to_day, generated_at)
        self._statement = Statement(
            *(account, from_day, to_day, generated_at, attributes.get("period", ""), self._query_name),
            declared_count=self._declared_count,
        )
        self._statement_depth = depth
        self._has_statement = True
        self._events.append(self._statement)

    def _start_row(self, statement: Statement, depth: int, tag: str, attributes: dict[str, str]) -> None:
        if depth == self._statement_depth + 1:
            self._events.append(StatementSection(statement, tag))
        if attributes:
            self._events.append(Row(statement, self._path[self._statement_depth + 1], tag, attributes))

    def data(self, text: str) -> None:
        if self._path and (self._is_envelope or self._path[-1] == "Message"):
            known = self._texts.get(self._path[-1], "")
            self._texts[self._path[-1]] = (known + text)[:_MAX_ENVELOPE_TEXT]

    def end(self, _tag: str) -> None:
        self._path.pop()
        if self._statement is not None and len(self._path) == self._statement_depth:
            self._statement = None

    def close(self) -> None:
        """Is called by the parser at the end of the document."""

    def take(self) -> list[Statement | StatementSection | Row]:
        """Returns what has come since the last call."""
        events, self._events = self._events, []
        return events

    def require_statement(self) -> None:
        """Checks that there was one.

        Raises:
            DataError: there was none; the message has what IBKR says instead.
        """
        texts = {name: " ".join(text.split()) for name, text in self._texts.items()}
        if self._is_envelope:
            said = f"{texts.get('ErrorCode', '')} {texts.get('ErrorMessage', '')}".strip()
            raise DataError(f"no statement but an answer of IBKR's service: {said or 'without an error'}")
        if not self._has_statement:
            message = f": {texts['Message']}" if texts.get("Message") else ""
            raise DataError(f"there is no statement in it{message}")


def _require_days(from_day: date, to_day: date, generated_at: datetime) -> None:
    """Checks that the days of a statement can be.

    Raises:
        DataError: they cannot.
    """
    if to_day < from_day:
        raise DataError(f"it ends on {to_day}, before its first day {from_day}")
    if from_day.year < _FIRST_YEAR:
        raise DataError(f"it begins on {from_day}, when there were no statements")
    if (to_day - generated_at.date()).days > _MAX_DAYS_AHEAD:
        raise DataError(f"it ends on {to_day}, more than a year after it was made on {generated_at.date()}")
