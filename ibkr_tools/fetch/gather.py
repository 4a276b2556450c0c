"""The parts of a snapshot, gathered: calls and pages side by side, put together in the order of the plan."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from ibkr_tools.errors import IbkrError
from ibkr_tools.fetch.calls import Call, Part
from ibkr_tools.fetch.pages import Page, Row, Walk
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Pagination, Scope

if TYPE_CHECKING:
    from ibkr_tools.fetch.plausibility import Evidence
    from ibkr_tools.fetch.pool import Pool


class Freshness(msgspec.Struct):
    """When the answers of one part came, and what was odd about them."""

    came_at: datetime | None = None
    age_s: float = 0.0

    def add(self, page: Page) -> None:
        """Takes note of one answer; the oldest one counts."""
        self.came_at = page.came_at if self.came_at is None else min(self.came_at, page.came_at)
        self.age_s = max(self.age_s, page.age_s)


class Group(msgspec.Struct):
    """The place of one part in the document.

    `is_list`: its members are rows of one list; `by_account`: they are kept by account. `optional`: the document may go
    without it; `dropped`: it does.
    """

    name: str
    is_list: bool = False
    by_account: bool = False
    optional: bool = False
    dropped: bool = False


class Job:
    """One call with all its pages."""

    def __init__(self, call: Call, freshness: Freshness, group: Group) -> None:
        """Prepares it.

        Args:
            call: what to ask for.
            freshness: its part's.
            group: its part's place in the document.
        """
        self.call = call
        self.freshness = freshness
        self.group = group
        self.dropped = False
        self._restart(ahead=True)

    def _restart(self, *, ahead: bool) -> None:
        pages = self.call.endpoint.pagination
        self.walk = Walk(
            str(self.call),
            ahead=ahead and pages is not Pagination.CURSOR,
            ends_without_news=pages is not Pagination.PATH,
        )
        self.unexpected: list[str] = []
        self.evidence: Evidence | None = None
        self.short = 0
        self.rows: list[bytes] = []
        self.last: Row | None = None

    @property
    def is_dropped(self) -> bool:
        """Says whether the document goes without what it would bring."""
        return self.dropped or self.group.dropped

    @property
    def is_over(self) -> bool:
        """Says whether nothing is to be asked for any more."""
        return self.is_dropped or self.walk.ended

    def take(self, number: int, page: Page) -> None:
        """Takes a page; a list that has changed while its pages were read side by side is read anew.

        Raises:
            DataError: there is no end of pages.
            ImplausibleResponse: see `Walk.pages`.
        """
        self.walk.take(number, page)
        for came, rows in self.walk.pages():
            self.freshness.add(came)
            self.unexpected += [came.unexpected] if came.unexpected else []
            if came.evidence is not None:
                self.evidence = came.evidence if self.evidence is None else self.evidence + came.evidence
            self.short += came.short
            self.rows += [row.data for row in rows]
            self.last = came.rows[-1] if came.rows else self.last
        if self.walk.moved:
            self._restart(ahead=False)

    def begin_anew(self) -> None:
        """Has all of it asked for again, whatever has come: the next session may list rows in another order."""
        self._restart(ahead=True)


def jobs_of(part: Part, accounts: Sequence[str], freshness: Freshness) -> list[Job]:
    """Returns one part's calls with the places of their answers in the document.

    Positions are one list over all accounts; what else is about one account is an object by account.
    """
    is_about_account = part.endpoint.scope is Scope.ACCOUNT
    is_list = part.name == "positions" if is_about_account else part.endpoint.pagination is not None
    group = Group(part.name, is_list=is_list, by_account=is_about_account and not is_list)
    return [Job(call, freshness, group) for call in part.calls(accounts)]


def assemble(jobs: Sequence[Job]) -> bytes:
    """Returns the members of the document's JSON object, each `"name":value` with commas between them."""
    return b",".join(
        f'"{group.name}":'.encode() + _value_of(group, [job for job in own if not job.dropped])
        for group, own in _by_group(jobs)
        if not group.dropped
    )


def _by_group(jobs: Sequence[Job]) -> Iterator[tuple[Group, list[Job]]]:
    for _, own in groupby(jobs, key=lambda job: id(job.group)):
        found = list(own)
        yield found[0].group, found


def _value_of(group: Group, jobs: Sequence[Job]) -> bytes:
    if group.is_list:
        return b"[" + b",".join(row for job in jobs for row in job.rows) + b"]"
    if group.by_account:
        return b"{" + b",".join(f'"{job.call.account}":'.encode() + job.rows[0] for job in jobs) + b"}"
    return jobs[0].rows[0]


class Unit(msgspec.Struct, frozen=True):
    """One page of one walk of one job."""

    job: Job
    walk: Walk
    number: int

    @property
    def is_in_vain(self) -> bool:
        """Says whether nobody waits for it any more: its list has ended before it, or is read anew."""
        return self.job.is_over or self.walk is not self.job.walk

    def __str__(self) -> str:
        return f"{self.job.call}, page {self.number}" if self.job.call.endpoint.pagination else str(self.job.call)


def _give_up(_unit: Unit, error: IbkrError) -> Page | None:
    raise error


def gather(
    jobs: Sequence[Job],
    workers: "Pool",
    ask: Callable[[PortalClient, Unit], Page],
    *,
    is_lost: Callable[[IbkrError], bool],
    recover: Callable[[IbkrError], None],
    progress: Callable[[str], None],
    counted: Callable[[int, int], None],
    give_up: Callable[[Unit, IbkrError], Page | None] = _give_up,
    doubtful: Callable[[], Sequence[Job]] = tuple,
) -> None:
    """Does all jobs.

    Args:
        jobs: the jobs.
        workers: does the units of work.
        ask: asks for one page.
        is_lost: says of an error whether it could be recovered from; what has come whole then stays.
        recover: returns once it makes sense to go on after such an error, raises if it does not.
        progress: is told what is asked for.
        counted: is told how many calls are done, and of how many.
        give_up: returns the page after all; None if the document goes without, for which it has dropped jobs; raises
            the error otherwise.
        doubtful: returns the jobs that are asked for again once all is there, because their answers contradict others.

    Raises:
        IbkrError: the first error that is not recovered from; what has not begun is not sent.
    """
    failed: IbkrError | None = None
    while True:
        pending = [job for job in jobs if not job.is_over]
        counted(len(jobs) - len(pending), len(jobs))
        if not pending:
            if not (again := doubtful()):
                return
            _begin_anew(again)
            continue
        while failed is None and workers.has_room and (unit := _next_unit(pending)):
            progress(str(unit))
            workers.start(unit, ask)
        if failed is not None and workers.is_idle:
            recover(failed)
            failed = None
            _begin_anew(pending)
            continue
        unit, result = workers.next()
        if unit.is_in_vain:
            continue
        page = _after(unit, result, is_lost, give_up) if isinstance(result, IbkrError) else result
        if isinstance(page, Exception):
            raise page
        if page is not None:
            unit.job.take(unit.number, page)
        elif not unit.job.is_dropped and isinstance(result, IbkrError):
            failed = failed or result


def _begin_anew(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.begin_anew()


def _after(
    unit: Unit,
    error: IbkrError,
    is_lost: Callable[[IbkrError], bool],
    give_up: Callable[[Unit, IbkrError], Page | None],
) -> Page | None:
    """Returns the page that came after all; None if its job was dropped, or the session is lost; raises otherwise."""
    is_optional = unit.job.group.optional
    if is_lost(error) and not is_optional:
        return None
    try:
        return give_up(unit, error)
    except IbkrError as last:
        # Whether a supplementary part alone gets such an answer had to be found out first.
        if is_optional and is_lost(last):
            return None
        raise


def _next_unit(jobs: Sequence[Job]) -> Unit | None:
    """Returns what is certain to be there before what may be in vain."""
    for ahead in (False, True):
        for job in jobs:
            if not job.is_over and (number := job.walk.next(ahead=ahead)) is not None:
                return Unit(job, job.walk, number)
    return None
