"""Lists that come in pages: which page to ask for, when there is no more, and what slid to the next once. No I/O.

A list is live: what is bought while it is read pushes the rest on, and a row that slid to the next page comes twice.
Pages read in their order lose nothing by that. Pages read side by side could: if a row comes twice, they are read again
in their order.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeGuard

import msgspec

from ibkr_tools.errors import DataError, ImplausibleResponse
from ibkr_tools.fetch.calls import Call
from ibkr_tools.fetch.plausibility import Evidence, evidence_of
from ibkr_tools.portal.endpoints import Pagination, Scope

FULL_PAGES = frozenset({30, 100})
"""Rows of a full page of positions: 100 today, 30 in IBKR's older documentation, where no row says `pageSize`."""

MOST_PAGES = 1000

_DETAILS = ("fullName", "ticker", "name", "listingExchange", "allExchanges")
"""What a row has only where IBKR has loaded the contract's details; one of them is enough."""

Identity = tuple[object, ...]


class Row(msgspec.Struct, frozen=True):
    """One row as IBKR wrote it; `identity` is what makes it one, None if IBKR did not number it."""

    data: bytes
    identity: Identity | None = None


class Page(msgspec.Struct, frozen=True):
    """One answer: its rows (or all of it as one), whether another page may follow, when it came, what was odd.

    `age_s` is the age of a remembered answer, `took_s` how long one that was asked for took to come, both in seconds.
    `evidence` is what it says about its account, `short` how many of its rows lack their contract's details.
    """

    rows: Sequence[Row]
    full: bool
    came_at: datetime
    age_s: float = 0.0
    took_s: float = 0.0
    unexpected: str | None = None
    evidence: Evidence | None = None
    short: int = 0


class Walk:
    """One list, page by page."""

    def __init__(self, name: str, *, ahead: bool = True, ends_without_news: bool = False) -> None:
        """Begins at page 0.

        Args:
            name: of the list, for messages.
            ahead: whether pages may be asked for before it is certain that there are any.
            ends_without_news: whether a page of known rows is the last; else only one that is not full.
        """
        self._name = name
        self._ahead = ahead
        self._ends_without_news = ends_without_news
        self._asked = 0
        self._went_ahead = False
        self._arrived: dict[int, Page] = {}
        self._seen: set[Identity] = set()
        self._extra: deque[int] = deque()
        self._repeated = 0
        self.read = 0
        self.ended = False
        self.moved = False

    def next(self, *, ahead: bool) -> int | None:
        """Returns the number of a page to ask for, None if there is none now; `ahead`: even if it may not exist."""
        if self.ended:
            return None
        if self._extra:
            return self._extra.popleft()
        beyond = self._asked - self.read
        # As many pages are asked for in vain, at most, as were not.
        if beyond and not (ahead and self._ahead and beyond <= self.read):
            return None
        self._went_ahead |= beyond > 0
        self._asked += 1
        return self._asked - 1

    def take(self, number: int, page: Page) -> None:
        """Takes a page that came, in whatever order they come."""
        self._arrived[number] = page

    def pages(self) -> Iterator[tuple[Page, list[Row]]]:
        """Yields the pages that came since, in their order, each with its rows that are new.

        `moved` is set, and nothing more comes, if the list has changed while pages of it were read side by side.

        Raises:
            DataError: there is no end of pages.
            ImplausibleResponse: one is empty, and stays so, though the next one is not.
        """
        while not self.ended and (page := self._arrived.get(self.read)) is not None:
            if not page.rows and self.read and not self._ends_without_news and not self._is_confirmed():
                return
            del self._arrived[self.read]
            # What is twice on one page has not slid: IBKR has it twice.
            rows = [row for row in page.rows if row.identity not in self._seen]
            here = {row.identity for row in page.rows if row.identity is not None}
            if self._went_ahead and here & self._seen:
                self.moved = self.ended = True
                return
            self._seen |= here
            self.read += 1
            self.ended = not page.full or (self._ends_without_news and not rows)
            if not self.ended and self.read >= MOST_PAGES:
                raise DataError(f"{self._name}: more than {MOST_PAGES} pages")
            yield page, rows

    def _is_confirmed(self) -> bool:
        """Says whether an empty page after a full one is the end: it still is when asked again, and so is the next."""
        if self._repeated != self.read:
            self._repeated = self.read
            del self._arrived[self.read]
            self._extra.append(self.read)
            return False
        following = self._arrived.get(self.read + 1)
        if following is None:
            if self._asked < self.read + 2:
                self._asked = self.read + 2
                self._extra.append(self.read + 1)
            return False
        if following.rows:
            raise ImplausibleResponse(f"{self._name}: page {self.read} is empty, and page {self.read + 1} is not")
        return True


def identity_of(row: object, account: str | None) -> Identity | None:
    """Returns what makes a row one: account, model and contract, or IBKR's id of it."""
    if not isinstance(row, Mapping):
        return None
    if row.get("conid") is not None:
        return (str(row.get("acctId") or account), str(row.get("model") or ""), str(row["conid"]))
    found = row.get("id", row.get("ID"))
    return None if found is None else (str(found),)


def is_full(page: Sequence[Any]) -> bool:
    """Says whether another page may follow: by the size the rows state, else by the sizes IBKR has used."""
    stated = next((size for row in page if isinstance(row, Mapping) and _is_size(size := row.get("pageSize"))), None)
    return len(page) in FULL_PAGES if stated is None else len(page) >= stated


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def count_short(rows: object) -> int:
    """Counts the positions that lack their contract's details: IBKR answers with 21 fields until it has loaded them."""
    listed = rows if isinstance(rows, list) else []
    return sum(
        1 for row in listed if isinstance(row, Mapping) and "conid" in row and not any(key in row for key in _DETAILS)
    )


def split(call: Call, payload: Any, body: bytes, came_at: datetime) -> Page:
    """Returns one page of a list: its rows cut out of the answer's bytes, each with its account if it is about one.

    Raises:
        DataError: not a list.
    """
    key = call.endpoint.records_path or ""
    inside = isinstance(payload, Mapping) and isinstance(payload.get(key), list)
    if inside:
        values, raw = payload[key], msgspec.json.decode(body, type=dict[str, msgspec.Raw])[key]
        raws = msgspec.json.decode(raw, type=list[msgspec.Raw])
    elif isinstance(payload, list):
        values, raws = payload, msgspec.json.decode(body, type=list[msgspec.Raw])
    else:
        raise DataError(f"{call}: expected a list, got {type(payload).__name__}")
    account = call.account if call.endpoint.scope is Scope.ACCOUNT else None
    rows = [
        Row(_with_account(bytes(raw), value, account), identity_of(value, account))
        for raw, value in zip(raws, values, strict=True)
    ]
    return Page(
        rows,
        _goes_on(call, payload, values, rows),
        came_at,
        unexpected=odd_rows(call, values),
        evidence=evidence_of(call, values),
        short=count_short(values) if call.endpoint.pagination is Pagination.PATH else 0,
    )


def odd_rows(call: Call, payload: Any) -> str | None:
    """Says in one line that rows of a list are not what rows are; None if they are, or it is no list."""
    rows = payload if isinstance(payload, list) else []
    odd = sum(1 for row in rows if not isinstance(row, Mapping))
    return f"{call}: {odd} of {len(rows)} rows are no objects" if odd else None


def _goes_on(call: Call, payload: Any, values: Sequence[Any], rows: Sequence[Row]) -> bool:
    """Says whether another page may follow this one."""
    match call.endpoint.pagination:
        case Pagination.PATH:
            return is_full(values)
        case Pagination.QUERY:
            # A bare list may be all there is, or a page: what comes next then brings nothing new.
            metadata = payload.get("metadata") if isinstance(payload, Mapping) else None
            size = metadata.get("pageSize") if isinstance(metadata, Mapping) else None
            return len(values) >= (size if _is_size(size) else 1)
        case Pagination.CURSOR:
            # There is no way on from a row without an id.
            return bool(rows) and rows[-1].identity is not None
        case _:
            return False


def _with_account(raw: bytes, row: object, account: str | None) -> bytes:
    if account is None or not isinstance(row, Mapping) or "acctId" in row:
        return raw
    member = b'"acctId":' + msgspec.json.encode(account)
    return b"{" + member + (b"," if row else b"") + raw[1:].lstrip()
