"""The parts of a snapshot, gathered: calls and pages side by side, written in the order of the plan."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from ibkr_tools.errors import IbkrError
from ibkr_tools.fetch.calls import Call, Part
from ibkr_tools.fetch.document import KEPT_IN_MEMORY, Spool
from ibkr_tools.fetch.pages import Page, Row, Walk
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Pages, Scope

if TYPE_CHECKING:
    from ibkr_tools.fetch.pool import Pool

AHEAD = 8
"""So many calls may have begun before the first of them is finished: what came is kept in memory until then."""


class Freshness(msgspec.Struct):
    """When the answers of one part came, and what was odd about them."""

    came_at: datetime | None = None
    age_s: float = 0.0

    def add(self, page: Page) -> None:
        """Takes note of one answer; the oldest one counts."""
        self.came_at = page.came_at if self.came_at is None else min(self.came_at, page.came_at)
        self.age_s = max(self.age_s, page.age_s)


class _List(msgspec.Struct):
    """How many rows of a list have been written."""

    rows: int = 0


class Job:
    """One call with all its pages, on its way into the document."""

    def __init__(self, call: Call, freshness: Freshness, rows: _List | None, before: bytes, after: bytes) -> None:
        """Prepares it.

        Args:
            call: what to ask for.
            freshness: its part's.
            rows: the list that its rows belong to; None: the answer is one value.
            before: what comes before its first row in the document.
            after: what comes after its last.
        """
        self.call = call
        self.freshness = freshness
        self.unexpected: list[str] = []
        self.is_list = rows is not None
        self._list = rows or _List()
        self._before = before
        self._after = after
        self._begun: tuple[int, int] | None = None
        self._restart(ahead=True)

    def _restart(self, *, ahead: bool) -> None:
        pages = self.call.endpoint.pages
        self.walk = Walk(
            str(self.call), ahead=ahead and pages is not Pages.AFTER, ends_without_news=pages is not Pages.PATH
        )
        self.unexpected.clear()
        self._waiting: list[Row] = []
        self.waiting_bytes = 0
        self.last: Row | None = None

    def digest(self) -> bool:
        """Takes what has come; False if the list has changed meanwhile and is read anew.

        Raises:
            DataError: there is no end of pages.
        """
        for page, rows in self.walk.pages():
            self.freshness.add(page)
            self.unexpected += [page.unexpected] if page.unexpected else []
            self._waiting += rows
            self.waiting_bytes += sum(len(row.data) for row in rows)
            self.last = page.rows[-1] if page.rows else self.last
        if not self.walk.moved:
            return True
        self._restart(ahead=False)
        return False

    def begin_anew(self, spool: Spool) -> None:
        """Has all of it asked for again, if it has not come whole: the next session may list rows in another order."""
        if not self.walk.ended:
            self.unwrite(spool)
            self._restart(ahead=True)

    def write(self, spool: Spool) -> bool:
        """Writes what has been taken, since it is its turn; says whether that was all.

        Raises:
            OutputError: there is no space for it.
        """
        if self._begun is None:
            self._begun = spool.size, self._list.rows
            spool.add(self._before)
        for row in self._waiting:
            spool.add(b"," + row.data if self._list.rows else row.data)
            self._list.rows += 1
        self._waiting.clear()
        self.waiting_bytes = 0
        if self.walk.ended:
            spool.add(self._after)
        return self.walk.ended

    def unwrite(self, spool: Spool) -> None:
        """Takes back what has been written."""
        if self._begun is not None:
            size, self._list.rows = self._begun
            self._begun = None
            spool.cut(size)


def jobs_of(part: Part, accounts: Sequence[str], freshness: Freshness, *, first: bool) -> list[Job]:
    """Returns one part's calls with the places of their answers in the document; `first`: it is the first part.

    Positions are one list over all accounts; what else is about one account is an object by account.
    """
    calls = part.calls(accounts)
    name = f'{"" if first else ","}"{part.name}":'.encode()
    joined = part.name == "positions"
    if part.endpoint.scope is not Scope.ACCOUNT:
        pages = part.endpoint.pages is not None
        return [Job(calls[0], freshness, _List() if pages else None, name + b"[" * pages, b"]" * pages)]
    jobs, rows, last = [], _List(), len(calls) - 1
    for number, call in enumerate(calls):
        begin = name + (b"[" if joined else b"{") if number == 0 else b"" if joined else b","
        end = (b"]" if joined else b"}") if number == last else b""
        key = b"" if joined else f'"{call.account}":'.encode()
        jobs.append(Job(call, freshness, rows if joined else None, begin + key, end))
    return jobs


class Unit(msgspec.Struct, frozen=True):
    """One page of one walk of one job."""

    job: Job
    walk: Walk
    number: int

    def __str__(self) -> str:
        return f"{self.job.call}, page {self.number}" if self.job.call.endpoint.pages else str(self.job.call)


def gather(
    jobs: Sequence[Job],
    workers: "Pool",
    ask: Callable[[PortalClient, Unit], Page],
    spool: Spool,
    *,
    is_lost: Callable[[IbkrError], bool],
    recover: Callable[[IbkrError], None],
    progress: Callable[[str], None],
    counted: Callable[[int, int], None],
) -> None:
    """Does all jobs and writes what they bring, in their order.

    Args:
        jobs: the jobs.
        workers: does the units of work.
        ask: asks for one page.
        spool: where it is written.
        is_lost: says of an error whether it could be recovered from; what has come whole then stays.
        recover: returns once it makes sense to go on after such an error, raises if it does not.
        progress: is told what is asked for.
        counted: is told how many calls are done, and of how many.

    Raises:
        IbkrError: the first error that is not recovered from; what has not begun is not sent.
    """
    head, failed = 0, None
    while head < len(jobs):
        counted(head, len(jobs))
        while failed is None and workers.has_room and (unit := _next_unit(jobs[head : head + AHEAD])):
            progress(str(unit))
            workers.start(unit, ask)
        if failed is not None and workers.is_idle:
            recover(failed)
            failed = None
            for job in jobs[head : head + AHEAD]:
                job.begin_anew(spool)
            continue
        unit, result = workers.next()
        if isinstance(result, IbkrError) and is_lost(result):
            failed = failed or result
            continue
        if isinstance(result, Exception):
            raise result
        unit.walk.take(unit.number, result)
        if not unit.job.digest():
            unit.job.unwrite(spool)
        while head < len(jobs) and jobs[head].write(spool):
            head += 1


def _next_unit(jobs: Sequence[Job]) -> Unit | None:
    """Returns what is certain to be there before what may be in vain."""
    if sum(job.waiting_bytes for job in jobs) > KEPT_IN_MEMORY:
        jobs = jobs[:1]
    for ahead in (False, True):
        for job in jobs:
            if (number := job.walk.next(ahead=ahead)) is not None:
                return Unit(job, job.walk, number)
    return None
