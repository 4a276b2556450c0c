"""Pagination: which page to request next, when a list ends, and which rows were on an earlier page already. No I/O.

A list is live: what is bought while it is read pushes the rest on, and a row that slid to the next page comes twice.
Pages read in their order lose nothing by that. Pages read side by side could: if a row comes twice, they are read again
in their order.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeGuard, assert_never

import msgspec

from ibkr_tools.errors import DataError, ImplausibleResponse
from ibkr_tools.fetch.plan import ApiCall
from ibkr_tools.fetch.plausibility import Evidence, parse_evidence
from ibkr_tools.portal.endpoints import Pagination, Scope

FULL_PAGE_SIZES = frozenset({30, 100})
"""Rows of a full page of positions: 100 today, 30 in IBKR's older documentation, where no row says `pageSize`."""

MAX_PAGES = 1000

_CONTRACT_DETAIL_KEYS = ("fullName", "ticker", "name", "listingExchange", "allExchanges")
"""What a row has only where IBKR has loaded the contract's details; one of them is enough."""

Identity = tuple[object, ...]


class PageRow(msgspec.Struct, frozen=True):
    """One row as IBKR wrote it; `identity` is what makes it one, None if IBKR did not number it."""

    data: bytes
    identity: Identity | None = None


class Page(msgspec.Struct, frozen=True):
    """One answer: its rows (or all of it as one), whether another page may follow, when it came, what was unexpected.

    `age_s` is the age of a remembered answer, `took_s` how long one that was asked for took to come, both in seconds.
    `evidence` is what it says about its account, `rows_without_details` how many rows lack their contract's details.
    """

    rows: Sequence[PageRow]
    has_more: bool
    received_at: datetime
    age_s: float = 0.0
    took_s: float = 0.0
    unexpected: str | None = None
    evidence: Evidence | None = None
    rows_without_details: int = 0


class Paginator:
    """The pagination of one list."""

    def __init__(self, name: str, *, prefetch: bool = True, stops_on_known_rows: bool = False) -> None:
        """Begins at page 0.

        Args:
            name: of the list, for messages.
            prefetch: whether pages may be requested before it is certain that they exist.
            stops_on_known_rows: whether a page of known rows is the last one; else only a page that is not full.
        """
        self._name = name
        self._prefetch = prefetch
        self._stops_on_known_rows = stops_on_known_rows
        self._requested = 0
        self._has_prefetched = False
        self._received: dict[int, Page] = {}
        self._seen: set[Identity] = set()
        self._rechecks: deque[int] = deque()
        self._rechecked_page = 0
        self.pages_read = 0
        self.is_exhausted = False
        self.changed = False

    def next_page(self, *, prefetch: bool) -> int | None:
        """Returns the number of a page to request, None if there is none now; `prefetch`: even if it may not exist."""
        if self.is_exhausted:
            return None
        if self._rechecks:
            return self._rechecks.popleft()
        unread_pages = self._requested - self.pages_read
        # At most as many pages beyond the end are requested as the list has.
        if unread_pages and not (prefetch and self._prefetch and unread_pages <= self.pages_read):
            return None
        self._has_prefetched |= unread_pages > 0
        self._requested += 1
        return self._requested - 1

    def add(self, number: int, page: Page) -> None:
        """Adds a page; pages may come in any order."""
        self._received[number] = page

    def ordered_pages(self) -> Iterator[tuple[Page, list[PageRow]]]:
        """Yields the pages that came since, in their order, each with its rows that are new.

        `changed` is set, and nothing more comes, if the list has changed while pages of it were read side by side.

        Raises:
            DataError: there is no end of pages.
            ImplausibleResponse: one is empty, and stays so, though the next one is not.
        """
        while not self.is_exhausted and (page := self._received.get(self.pages_read)) is not None:
            if not page.rows and self.pages_read and not self._stops_on_known_rows and not self._is_end_confirmed():
                return
            del self._received[self.pages_read]
            # A row that is twice on one page has not slid to it: IBKR lists it twice.
            rows = [row for row in page.rows if row.identity not in self._seen]
            page_identities = {row.identity for row in page.rows if row.identity is not None}
            if self._has_prefetched and page_identities & self._seen:
                self.changed = self.is_exhausted = True
                return
            self._seen |= page_identities
            self.pages_read += 1
            self.is_exhausted = not page.has_more or (self._stops_on_known_rows and not rows)
            if not self.is_exhausted and self.pages_read >= MAX_PAGES:
                raise DataError(f"{self._name}: more than {MAX_PAGES} pages")
            yield page, rows

    def _is_end_confirmed(self) -> bool:
        """Says whether an empty page after a full one is the end: it still is when asked again, and so is the next."""
        if self._rechecked_page != self.pages_read:
            self._rechecked_page = self.pages_read
            del self._received[self.pages_read]
            self._rechecks.append(self.pages_read)
            return False
        following = self._received.get(self.pages_read + 1)
        if following is None:
            if self._requested < self.pages_read + 2:
                self._requested = self.pages_read + 2
                self._rechecks.append(self.pages_read + 1)
            return False
        if following.rows:
            raise ImplausibleResponse(
                f"{self._name}: page {self.pages_read} is empty, and page {self.pages_read + 1} is not"
            )
        return True


def row_identity(row: object, account: str | None) -> Identity | None:
    """Returns what makes a row one: account, model and contract, or IBKR's id of it."""
    if not isinstance(row, Mapping):
        return None
    if row.get("conid") is not None:
        return (str(row.get("acctId") or account), str(row.get("model") or ""), str(row["conid"]))
    row_id = row.get("id", row.get("ID"))
    return None if row_id is None else (str(row_id),)


def is_full_page(page: Sequence[Any]) -> bool:
    """Says whether another page may follow: by the size the rows state, else by the sizes IBKR has used."""
    stated_size = next(
        (size for row in page if isinstance(row, Mapping) and _is_size(size := row.get("pageSize"))), None
    )
    return len(page) in FULL_PAGE_SIZES if stated_size is None else len(page) >= stated_size


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def count_rows_without_details(rows: object) -> int:
    """Counts the positions that lack their contract's details: IBKR answers with 21 fields until it has loaded them."""
    positions = rows if isinstance(rows, list) else []
    return sum(
        1
        for row in positions
        if isinstance(row, Mapping) and "conid" in row and not any(key in row for key in _CONTRACT_DETAIL_KEYS)
    )


def parse_page(call: ApiCall, payload: Any, body: bytes, received_at: datetime) -> Page:
    """Returns one page of a list: its rows cut out of the answer's bytes, each with its account if it is about one.

    Raises:
        DataError: not a list.
    """
    key = call.endpoint.records_path or ""
    is_wrapped = isinstance(payload, Mapping) and isinstance(payload.get(key), list)
    if is_wrapped:
        values, raw = payload[key], msgspec.json.decode(body, type=dict[str, msgspec.Raw])[key]
        raws = msgspec.json.decode(raw, type=list[msgspec.Raw])
    elif isinstance(payload, list):
        values, raws = payload, msgspec.json.decode(body, type=list[msgspec.Raw])
    else:
        raise DataError(f"{call}: expected a list, got {type(payload).__name__}")
    account = call.account if call.endpoint.scope is Scope.ACCOUNT else None
    rows = [
        PageRow(_add_account(bytes(raw), value, account), row_identity(value, account))
        for raw, value in zip(raws, values, strict=True)
    ]
    return Page(
        rows,
        _has_more(call, payload, values, rows),
        received_at,
        unexpected=describe_non_objects(call, values),
        evidence=parse_evidence(call, values),
        rows_without_details=count_rows_without_details(values) if call.endpoint.pagination is Pagination.PATH else 0,
    )


def describe_non_objects(call: ApiCall, payload: Any) -> str | None:
    """Returns one line about the rows of a list that are no objects; None without any, or if it is no list."""
    rows = payload if isinstance(payload, list) else []
    count = sum(1 for row in rows if not isinstance(row, Mapping))
    return f"{call}: {count} of {len(rows)} rows are no objects" if count else None


def _has_more(call: ApiCall, payload: Any, values: Sequence[Any], rows: Sequence[PageRow]) -> bool:
    """Says whether another page may follow this one."""
    match call.endpoint.pagination:
        case Pagination.PATH:
            return is_full_page(values)
        case Pagination.QUERY:
            # A bare list may be all there is, or a page: what comes next then brings nothing new.
            metadata = payload.get("metadata") if isinstance(payload, Mapping) else None
            size = metadata.get("pageSize") if isinstance(metadata, Mapping) else None
            return len(values) >= (size if _is_size(size) else 1)
        case Pagination.CURSOR:
            # There is no way on from a row without an id.
            return bool(rows) and rows[-1].identity is not None
        case None:
            return False
        case _:
            assert_never(call.endpoint.pagination)


def _add_account(raw: bytes, row: object, account: str | None) -> bytes:
    if account is None or not isinstance(row, Mapping) or "acctId" in row:
        return raw
    member = b'"acctId":' + msgspec.json.encode(account)
    return b"{" + member + (b"," if row else b"") + raw[1:].lstrip()
