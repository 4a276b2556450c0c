"""Lists out of IBKR's answers, and how they are written for programs: NDJSON and CSV. Pure; numbers keep their digits.

Everything is cut out of the answer's own bytes: a value is JSON until it is written.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ibkr_tools.errors import UsageError
from ibkr_tools.number_format import decode_exact, unescape_entities
from ibkr_tools.portal.endpoints import READS, Endpoint, Scope

VALUE_COLUMN = "value"
"""The column of what is not an object."""

_KEY_COLUMNS = {"ledger": "currency", "market_value": "currency", "positions_by_conid": "account"}
"""What the keys of an answer are that is a map; `key`, where nothing better is known."""

Record = dict[str, bytes]
"""One row: the JSON of each value, by column."""

_Members = dict[str, msgspec.Raw]
_LISTS_HINT = "`ibkr-tools resources` says which are lists; --jq can make one."
_CSV_CHUNK_ROWS = 500


class Rows(msgspec.Struct):
    """A list to be written, row by row.

    `name` is the resource, empty for what a jq program made. `non_objects` counts the rows that are not objects: their
    value is in the column `value`; of a jq program, a list is spread over the columns 1, 2, 3 and so on.
    """

    name: str = ""
    non_objects: int = 0
    _rows: list[tuple[Mapping[str, str], bytes]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Record]:
        return (self._record(labels, raw) for labels, raw in self._rows)

    def exact(self) -> Iterator[Any]:
        """Yields the rows decoded, numbers exact, objects with what they were found under."""
        for labels, raw in self._rows:
            value = decode_exact(raw)
            if isinstance(value, dict):
                for name, label in labels.items():
                    if value.setdefault(name, label) != label:
                        value[f"{name}_"] = label
            yield value

    def add(self, raw: bytes, labels: Mapping[str, str] = {}) -> None:
        """Adds a row, and what it was found under."""
        self._rows.append((labels, raw))
        if raw[:1] != b"{":
            self.non_objects += 1

    def columns(self) -> list[str]:
        """Returns all columns, in the order in which they first appear."""
        columns: dict[str, None] = {}
        for record in self:
            columns.update(dict.fromkeys(record))
        return list(columns)

    def lines(self) -> Iterator[bytes]:
        """Yields the rows as JSON, each as it came, with what it was found under."""
        for labels, raw in self._rows:
            yield _encode_object(self._record(labels, raw)) if labels else raw

    @property
    def unexpected(self) -> str:
        """Says that some rows, but not all, are no objects; empty if there is nothing to say."""
        if not 0 < self.non_objects < len(self):
            return ""
        count = f"{self.non_objects} of {len(self)}"
        return f"{self.name or 'jq'}: {count} rows are no objects; see the column {VALUE_COLUMN!r}"

    def _record(self, labels: Mapping[str, str], raw: bytes) -> Record:
        members: Record = {VALUE_COLUMN: raw}
        if raw[:1] == b"{":
            members = {name: bytes(value) for name, value in _members(raw).items()}
        elif raw[:1] == b"[" and not self.name:
            members = {str(number): item for number, item in enumerate(_items(raw), 1)}
        record: Record = {}
        for name, label in labels.items():
            text = msgspec.json.encode(label)
            if name not in members:
                record[name] = text
            elif members[name] != text:
                record[f"{name}_"] = text
        return record | members


def _encode_object(members: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in members.items()) + b"}"


def snapshot_rows(document: bytes, resource: str | None = None) -> Rows:
    """Returns the rows of one resource of a snapshot; without a name, of the only one that is in it.

    Raises:
        UsageError: there are several, this one is not in it, or it is not a list.
    """
    members = msgspec.json.decode(document, type=_Members)
    covered = [name for name in READS if name in members]
    if resource is None:
        if len(covered) != 1:
            raise UsageError(
                f"one list at a time: the snapshot has {', '.join(covered)}",
                hint="Name one of them, or choose with --jq.",
            )
        (resource,) = covered
    elif resource not in members:
        raise UsageError(f"{resource}: not in the snapshot, which has {', '.join(covered)}")
    endpoint = READS[resource]
    payload = bytes(members[resource])
    rows = Rows(resource)
    if endpoint.scope is Scope.ACCOUNT and payload[:1] == b"{":
        for account, raw in msgspec.json.decode(payload, type=_Members).items():
            _add_rows(rows, bytes(raw), endpoint, {"account": account}, is_row_by_itself=True)
    else:
        _add_rows(rows, payload, endpoint, {}, is_row_by_itself=False)
    return rows


def response_rows(payload: bytes, endpoint: Endpoint) -> Rows:
    """Returns the rows of one answer of IBKR.

    Raises:
        UsageError: it is not a list.
    """
    rows = Rows(endpoint.name)
    _add_rows(rows, payload, endpoint, {}, is_row_by_itself=False)
    return rows


def jq_output_rows(outputs: Iterable[str]) -> Rows:
    """Returns the outputs of a jq program as rows: an object is one, a list of objects is as many as it has.

    Any other list is one row with the columns 1, 2, 3 and so on.
    """
    rows = Rows()
    for output in outputs:
        raw = output.encode()
        items = _items(raw) if raw.startswith(b"[") else []
        if raw == b"[]" or any(item[:1] == b"{" for item in items):
            for item in items:
                rows.add(item)
        else:
            rows.add(raw)
    return rows


def _items(raw: bytes) -> list[bytes]:
    return [bytes(item) for item in msgspec.json.decode(raw, type=list[msgspec.Raw])]


def _add_rows(rows: Rows, raw: bytes, endpoint: Endpoint, labels: Mapping[str, str], *, is_row_by_itself: bool) -> None:
    """Adds the rows of one answer; `is_row_by_itself`: an object that is no list is one row."""
    inner = _records_in(raw, endpoint.records_path)
    if inner[:1] == b"[":
        for item in _items(inner):
            rows.add(item, labels)
        return
    members = {name: bytes(value) for name, value in _members(inner).items()}
    if inner[:1] == b"{" and all(_is_allocation(value) for value in members.values()):
        _add_allocation_rows(rows, members, labels)
    elif inner[:1] == b"{" and _is_map(members):
        key = _KEY_COLUMNS.get(endpoint.name, "key")
        for name, value in members.items():
            for item in _items(value) if value[:1] == b"[" else (value,):
                rows.add(item, {**labels, key: name})
    elif is_row_by_itself:
        rows.add(inner, labels)
    else:
        raise UsageError(f"{endpoint.name} is {_describe_type(inner)}, not a list", hint=_LISTS_HINT)


def _records_in(raw: bytes, keys: str | None) -> bytes:
    """Returns what the keys lead to; what it is in, if they lead nowhere."""
    inner = raw
    for key in keys.split(".") if keys else ():
        value = _members(inner).get(key)
        if value is None:
            return raw
        inner = bytes(value)
    return inner


def _members(raw: bytes) -> _Members:
    return msgspec.json.decode(raw, type=_Members) if raw[:1] == b"{" else {}


def _is_map(members: Mapping[str, bytes]) -> bool:
    """Says whether most of an object's values are records, or all are lists: then its keys are only their names."""
    objects = sum(1 for value in members.values() if value[:1] == b"{")
    return 2 * objects > len(members) or all(value[:1] == b"[" for value in members.values())


def _is_allocation(raw: bytes) -> bool:
    """Says whether this is what an allocation has by class, sector and group: `{"long": {…}, "short": {…}}`."""
    sides = _members(raw)
    return {"long", "short"} >= sides.keys() != set() and all(bytes(side)[:1] == b"{" for side in sides.values())


def _add_allocation_rows(rows: Rows, members: Mapping[str, bytes], labels: Mapping[str, str]) -> None:
    for by, raw in members.items():
        sides = {side: _members(bytes(value)) for side, value in _members(raw).items()}
        for name in dict.fromkeys(name for side in sides.values() for name in side):
            amounts = {side: bytes(amount[name]) for side, amount in sides.items() if name in amount}
            rows.add(_encode_object(amounts), {**labels, "by": by, "name": name})


def _describe_type(raw: bytes) -> str:
    descriptions = {b"{": "an object", b'"': "a text", b"n": "null", b"t": "true", b"f": "false"}
    return descriptions.get(raw[:1], "a number")


def cell_text(raw: bytes) -> str:
    """Returns a value as text: numbers as IBKR wrote them, nothing for null, objects and lists as compact JSON."""
    match raw[:1]:
        case b'"':
            text: Any = msgspec.json.decode(raw)
            return str(text)
        case b"n":
            return ""
        case b"{" | b"[":
            return msgspec.json.format(raw, indent=-1).decode()
        case _:
            return raw.decode()


def as_ndjson(rows: Rows) -> Iterator[bytes]:
    """Yields NDJSON: one row on each line; what is not an object is there as it came."""
    return (msgspec.json.format(line, indent=-1) + b"\n" for line in rows.lines())


def as_csv(rows: Rows, requested: str | None = None) -> Iterator[bytes]:
    """Yields CSV (RFC 4180, UTF-8): a header, then the rows; nothing at all without a column.

    Args:
        rows: what to write.
        requested: which columns, see `columns.select_columns`; None: the default ones, or those that came.

    Raises:
        UsageError: a column that there is not.
    """
    from ibkr_tools.fetch.columns import ALL_COLUMNS, column_value, select_columns

    columns = list(select_columns(rows.name, requested, rows.columns))
    if requested is None and rows.non_objects and VALUE_COLUMN not in columns:
        columns.append(VALUE_COLUMN)
    if not columns:
        return
    # What is asked for as it came has IBKR's own names, two for the same perhaps.
    resource = "" if requested == ALL_COLUMNS else rows.name
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for number, record in enumerate(rows, 1):
        writer.writerow([_csv_cell(column_value(record, resource, name)) for name in columns])
        if number % _CSV_CHUNK_ROWS == 0:
            yield _take_text(text)
    yield _take_text(text)


def _csv_cell(raw: bytes) -> str:
    text = cell_text(raw)
    return unescape_entities(text) if raw[:1] == b'"' else text


def _take_text(text: io.StringIO) -> bytes:
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data
