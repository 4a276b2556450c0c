"""Assembles the document of a snapshot: the rows' own bytes, put together in the order of the plan. No I/O."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from ibkr_tools.fetch.pagination import Page, PageRow, Paginator
from ibkr_tools.fetch.plan import ApiCall, SnapshotPart
from ibkr_tools.fetch.snapshot_document import SnapshotMetadata
from ibkr_tools.portal.endpoints import Pagination, Scope

if TYPE_CHECKING:
    from datetime import datetime

    from ibkr_tools.fetch.plausibility import Evidence


class CallResult:
    """What one call of a part has brought so far, with all its pages."""

    def __init__(self, call: ApiCall, part: "PartResult") -> None:
        """Creates the result of a call of which no page has come.

        Args:
            call: what to read.
            part: what the call's part brings.
        """
        self.call = call
        self.part = part
        self.dropped = False
        self._reset(prefetch=True)

    def _reset(self, *, prefetch: bool) -> None:
        pagination = self.call.endpoint.pagination
        self.paginator = Paginator(
            str(self.call),
            prefetch=prefetch and pagination is not Pagination.CURSOR,
            stops_on_known_rows=pagination is not Pagination.PATH,
        )
        self.unexpected: list[str] = []
        self.evidence: Evidence | None = None
        self.rows_without_details = 0
        self.rows: list[bytes] = []
        self.last_row: PageRow | None = None

    @property
    def is_dropped(self) -> bool:
        """Says whether the document goes without the call."""
        return self.dropped or self.part.is_dropped

    @property
    def is_done(self) -> bool:
        """Says whether no page is left to read."""
        return self.is_dropped or self.paginator.is_exhausted

    def page_call(self, number: int) -> ApiCall:
        """Returns the call of one page."""
        identity = self.last_row.identity if self.last_row else None
        return self.call.page(number, identity[0] if identity else "")

    def add_page(self, number: int, page: Page) -> None:
        """Adds a page; a list that has changed while its pages were read side by side is read again from its start.

        Raises:
            DataError: there is no end of pages.
            ImplausibleResponse: see `Paginator.ordered_pages`.
        """
        self.paginator.add(number, page)
        for ordered_page, rows in self.paginator.ordered_pages():
            self.part.add_times(ordered_page)
            self.unexpected += [ordered_page.unexpected] if ordered_page.unexpected else []
            if ordered_page.evidence is not None:
                self.evidence = (
                    ordered_page.evidence if self.evidence is None else self.evidence + ordered_page.evidence
                )
            self.rows_without_details += ordered_page.rows_without_details
            self.rows += [row.data for row in rows]
            self.last_row = ordered_page.rows[-1] if ordered_page.rows else self.last_row
        if self.paginator.changed:
            self._reset(prefetch=False)

    def restart(self) -> None:
        """Discards what has come, so that all pages are read again: the next session may list rows in another order."""
        self._reset(prefetch=True)


class PartResult:
    """What the calls of one part have brought: one member of the document's JSON object.

    Positions are one list over all accounts; what else is about one account is an object by account.

    Attributes:
        name: of the member.
        is_list: whether it is one list of rows.
        is_optional: whether the document may go without it.
        is_dropped: whether the document does.
        calls: the results of the part's calls, in the order of the accounts.
        received_at: when the answers came; the oldest one counts.
        age_s: how old the answers were that came from the response cache, in seconds; the oldest one counts.
    """

    def __init__(self, part: SnapshotPart, accounts: Sequence[str], *, is_optional: bool = False) -> None:
        is_about_account = part.endpoint.scope is Scope.ACCOUNT
        self.name = part.name
        self.is_list = part.name == "positions" if is_about_account else part.endpoint.pagination is not None
        self.is_optional = is_optional
        self.is_dropped = False
        self.received_at: datetime | None = None
        self.age_s = 0.0
        self._is_by_account = is_about_account and not self.is_list
        self.calls = [CallResult(call, self) for call in part.calls(accounts)]

    def add_times(self, page: Page) -> None:
        """Adds the times of one answer."""
        self.received_at = page.received_at if self.received_at is None else min(self.received_at, page.received_at)
        self.age_s = max(self.age_s, page.age_s)

    @property
    def kept_calls(self) -> list[CallResult]:
        """The results that the document has."""
        return [result for result in self.calls if not result.is_dropped]

    def encode(self) -> bytes:
        """Returns the member: `"name":value`."""
        return f'"{self.name}":'.encode() + self._value()

    def _value(self) -> bytes:
        if self.is_list:
            return b"[" + b",".join(row for result in self.kept_calls for row in result.rows) + b"]"
        if self._is_by_account:
            members = (f'"{result.call.account}":'.encode() + result.rows[0] for result in self.kept_calls)
            return b"{" + b",".join(members) + b"}"
        return self.calls[0].rows[0]


def all_calls(parts: Iterable[PartResult]) -> Iterator[CallResult]:
    """Yields the results of all calls, in the order of the plan."""
    return (result for part in parts for result in part.calls)


def assemble(parts: Iterable[PartResult]) -> bytes:
    """Returns the members of the document's JSON object, with commas between them."""
    return b",".join(part.encode() for part in parts if not part.is_dropped)


def describe(parts: Sequence[PartResult], covers: SnapshotMetadata) -> SnapshotMetadata:
    """Returns what the document covers, with what its parts say of themselves."""
    kept = [part for part in parts if not part.is_dropped]
    rows_without_details = {part.name: sum(result.rows_without_details for result in part.kept_calls) for part in kept}
    return msgspec.structs.replace(
        covers,
        resources=tuple(part.name for part in kept),
        parts_at={part.name: part.received_at.isoformat(timespec="seconds") for part in kept if part.received_at},
        remembered={part.name: round(part.age_s, 1) for part in kept if part.age_s},
        unexpected=tuple(line for part in kept for result in part.kept_calls for line in result.unexpected),
        short_rows={name: count for name, count in rows_without_details.items() if count},
    )
