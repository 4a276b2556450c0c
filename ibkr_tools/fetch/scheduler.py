"""Schedules the page requests of a snapshot over the workers, and assembles the parts in the order of the plan."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from ibkr_tools.errors import IbkrError
from ibkr_tools.fetch.pagination import Page, PageRow, Paginator
from ibkr_tools.fetch.plan import ApiCall, SnapshotPart
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Pagination, Scope

if TYPE_CHECKING:
    from ibkr_tools.fetch.plausibility import Evidence
    from ibkr_tools.fetch.worker_pool import WorkerPool


class Freshness(msgspec.Struct):
    """When the answers of one part came, and how old they were."""

    received_at: datetime | None = None
    age_s: float = 0.0

    def add(self, page: Page) -> None:
        """Adds the times of one answer; the oldest answer counts."""
        self.received_at = page.received_at if self.received_at is None else min(self.received_at, page.received_at)
        self.age_s = max(self.age_s, page.age_s)


class DocumentMember(msgspec.Struct):
    """The member of the document's JSON object that one part becomes.

    `is_list`: its members are rows of one list; `by_account`: they are kept by account. `optional`: the document may go
    without it; `dropped`: it does.
    """

    name: str
    is_list: bool = False
    by_account: bool = False
    optional: bool = False
    dropped: bool = False


class ResourceJob:
    """One call of a resource with all its pages."""

    def __init__(self, call: ApiCall, freshness: Freshness, member: DocumentMember) -> None:
        """Creates a job of which no page has come.

        Args:
            call: what to read.
            freshness: of the call's part.
            member: the place of the call's part in the document.
        """
        self.call = call
        self.freshness = freshness
        self.member = member
        self.dropped = False
        self._reset(prefetch=True)

    def _reset(self, *, prefetch: bool) -> None:
        pages = self.call.endpoint.pagination
        self.paginator = Paginator(
            str(self.call),
            prefetch=prefetch and pages is not Pagination.CURSOR,
            stops_on_known_rows=pages is not Pagination.PATH,
        )
        self.unexpected: list[str] = []
        self.evidence: Evidence | None = None
        self.rows_without_details = 0
        self.rows: list[bytes] = []
        self.last_row: PageRow | None = None

    @property
    def is_dropped(self) -> bool:
        """Says whether the document goes without the answer."""
        return self.dropped or self.member.dropped

    @property
    def is_done(self) -> bool:
        """Says whether no page is left to read."""
        return self.is_dropped or self.paginator.is_exhausted

    def add_page(self, number: int, page: Page) -> None:
        """Adds a page; a list that has changed while its pages were read side by side is read again from its start.

        Raises:
            DataError: there is no end of pages.
            ImplausibleResponse: see `Paginator.ordered_pages`.
        """
        self.paginator.add(number, page)
        for ordered_page, rows in self.paginator.ordered_pages():
            self.freshness.add(ordered_page)
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


def create_jobs(part: SnapshotPart, accounts: Sequence[str], freshness: Freshness) -> list[ResourceJob]:
    """Returns one part's calls with the places of their answers in the document.

    Positions are one list over all accounts; what else is about one account is an object by account.
    """
    is_about_account = part.endpoint.scope is Scope.ACCOUNT
    is_list = part.name == "positions" if is_about_account else part.endpoint.pagination is not None
    member = DocumentMember(part.name, is_list=is_list, by_account=is_about_account and not is_list)
    return [ResourceJob(call, freshness, member) for call in part.calls(accounts)]


def assemble(jobs: Sequence[ResourceJob]) -> bytes:
    """Returns the members of the document's JSON object, each `"name":value` with commas between them."""
    return b",".join(
        f'"{member.name}":'.encode() + _member_value(member, [job for job in member_jobs if not job.dropped])
        for member, member_jobs in _jobs_by_member(jobs)
        if not member.dropped
    )


def _jobs_by_member(jobs: Sequence[ResourceJob]) -> Iterator[tuple[DocumentMember, list[ResourceJob]]]:
    for _, group in groupby(jobs, key=lambda job: id(job.member)):
        member_jobs = list(group)
        yield member_jobs[0].member, member_jobs


def _member_value(member: DocumentMember, jobs: Sequence[ResourceJob]) -> bytes:
    if member.is_list:
        return b"[" + b",".join(row for job in jobs for row in job.rows) + b"]"
    if member.by_account:
        return b"{" + b",".join(f'"{job.call.account}":'.encode() + job.rows[0] for job in jobs) + b"}"
    return jobs[0].rows[0]


class PageRequest(msgspec.Struct, frozen=True):
    """The request of one page of one job's list."""

    job: ResourceJob
    paginator: Paginator
    page_number: int

    @property
    def is_obsolete(self) -> bool:
        """Says whether nobody waits for the page any more: its list has ended before it, or is read again."""
        return self.job.is_done or self.paginator is not self.job.paginator

    def __str__(self) -> str:
        return f"{self.job.call}, page {self.page_number}" if self.job.call.endpoint.pagination else str(self.job.call)


def _raise_error(_request: PageRequest, error: IbkrError) -> Page | None:
    raise error


def run_jobs(
    jobs: Sequence[ResourceJob],
    workers: "WorkerPool",
    read_page: Callable[[PortalClient, PageRequest], Page],
    *,
    is_session_loss: Callable[[IbkrError], bool],
    recover_session: Callable[[IbkrError], None],
    progress: Callable[[str], None],
    on_count: Callable[[int, int], None],
    resolve_failure: Callable[[PageRequest, IbkrError], Page | None] = _raise_error,
    find_contradicting: Callable[[], Sequence[ResourceJob]] = tuple,
) -> None:
    """Runs all jobs.

    Args:
        jobs: the jobs.
        workers: reads the pages.
        read_page: reads one page.
        is_session_loss: says of an error whether it could be recovered from; what has come whole then stays.
        recover_session: returns once it makes sense to go on after such an error, raises if it does not.
        progress: is told what is asked for.
        on_count: is told how many calls are done, and of how many.
        resolve_failure: returns the page after all; None if the document goes without, for which it has dropped jobs;
            raises the error otherwise.
        find_contradicting: returns the jobs to read again once all is there, because their answers contradict others.

    Raises:
        IbkrError: the first error that is not recovered from; what has not begun is not sent.
    """
    session_error: IbkrError | None = None
    while True:
        pending = [job for job in jobs if not job.is_done]
        on_count(len(jobs) - len(pending), len(jobs))
        if not pending:
            if not (contradicting := find_contradicting()):
                return
            _restart_jobs(contradicting)
            continue
        while session_error is None and workers.has_capacity and (request := _next_request(pending)):
            progress(str(request))
            workers.submit(request, read_page)
        if session_error is not None and workers.is_idle:
            recover_session(session_error)
            session_error = None
            _restart_jobs(pending)
            continue
        request, result = workers.next_completed()
        if request.is_obsolete:
            continue
        page = _resolve(request, result, is_session_loss, resolve_failure) if isinstance(result, IbkrError) else result
        if isinstance(page, Exception):
            raise page
        if page is not None:
            request.job.add_page(request.page_number, page)
        elif not request.job.is_dropped and isinstance(result, IbkrError):
            session_error = session_error or result


def _restart_jobs(jobs: Sequence[ResourceJob]) -> None:
    for job in jobs:
        job.restart()


def _resolve(
    request: PageRequest,
    error: IbkrError,
    is_session_loss: Callable[[IbkrError], bool],
    resolve_failure: Callable[[PageRequest, IbkrError], Page | None],
) -> Page | None:
    """Returns the page that came after all; None if its job was dropped, or the session is lost; raises otherwise."""
    is_optional = request.job.member.optional
    if is_session_loss(error) and not is_optional:
        return None
    try:
        return resolve_failure(request, error)
    except IbkrError as last:
        # Whether a supplementary part alone gets such an answer had to be found out first.
        if is_optional and is_session_loss(last):
            return None
        raise


def _next_request(jobs: Sequence[ResourceJob]) -> PageRequest | None:
    """Returns the next page to read: one that is certain to exist before one that may not exist."""
    for prefetch in (False, True):
        for job in jobs:
            if not job.is_done and (number := job.paginator.next_page(prefetch=prefetch)) is not None:
                return PageRequest(job, job.paginator, number)
    return None
