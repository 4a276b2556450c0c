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
    from ibkr_tools.fetch.plausibility import Evidence
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


class Group(msgspec.Struct):
    """The place of one part in the document: how much of it has been written.

    `opens` and `closes` are what stands around its members; `is_object`: they are kept by account. `optional`: the
    document may go without it; `dropped`: it does.
    """

    name: str
    opens: bytes = b""
    closes: bytes = b""
    is_object: bool = False
    optional: bool = False
    begun: bool = False
    members: int = 0
    rows: int = 0
    dropped: bool = False

    def open(self, spool: Spool) -> None:
        """Writes what comes before its first member, unless that is there."""
        if not self.begun:
            spool.add(b"," * bool(spool.size) + f'"{self.name}":'.encode() + self.opens)
            self.begun = True

    def close(self, spool: Spool) -> None:
        """Writes what comes after its last member."""
        if not self.dropped:
            self.open(spool)
            spool.add(self.closes)


class Job:
    """One call with all its pages, on its way into the document."""

    def __init__(self, call: Call, freshness: Freshness, group: Group, *, is_list: bool) -> None:
        """Prepares it.

        Args:
            call: what to ask for.
            freshness: its part's.
            group: its part's place in the document.
            is_list: whether its answers are rows; else the answer is one value.
        """
        self.call = call
        self.freshness = freshness
        self.group = group
        self.is_list = is_list
        self.dropped = False
        self.unexpected: list[str] = []
        self._begun: tuple[int, bool, int, int] | None = None
        self.has_written = False
        self._restart(ahead=True)

    def _restart(self, *, ahead: bool) -> None:
        pages = self.call.endpoint.pages
        self.walk = Walk(
            str(self.call), ahead=ahead and pages is not Pages.AFTER, ends_without_news=pages is not Pages.PATH
        )
        self.unexpected.clear()
        self.evidence: Evidence | None = None
        self.short = 0
        self._waiting: list[Row] = []
        self.waiting_bytes = 0
        self.last: Row | None = None

    @property
    def is_dropped(self) -> bool:
        """Says whether the document goes without what it would bring."""
        return self.dropped or self.group.dropped

    @property
    def is_over(self) -> bool:
        """Says whether nothing is to be asked for any more."""
        return self.is_dropped or self.walk.ended

    def digest(self) -> bool:
        """Takes what has come; False if the list has changed meanwhile and is read anew.

        Raises:
            DataError: there is no end of pages.
            ImplausibleResponse: see `Walk.pages`.
        """
        for page, rows in self.walk.pages():
            self.freshness.add(page)
            self.unexpected += [page.unexpected] if page.unexpected else []
            if page.evidence is not None:
                self.evidence = page.evidence if self.evidence is None else self.evidence + page.evidence
            self.short += page.short
            self._waiting += rows
            self.waiting_bytes += sum(len(row.data) for row in rows)
            self.last = page.rows[-1] if page.rows else self.last
        if not self.walk.moved:
            return True
        self._restart(ahead=False)
        return False

    def begin_anew(self, spool: Spool) -> None:
        """Has all of it asked for again, whatever has come: the next session may list rows in another order."""
        self.unwrite(spool)
        self._restart(ahead=True)

    def write(self, spool: Spool) -> bool:
        """Writes what has been taken, since it is its turn; says whether that was all.

        Raises:
            OutputError: there is no space for it.
        """
        group = self.group
        if self._begun is None:
            self._begun = spool.size, group.begun, group.members, group.rows
        if self.is_dropped:
            return True
        if not self.has_written:
            self.has_written = True
            group.open(spool)
            if group.is_object:
                spool.add(b"," * bool(group.members) + f'"{self.call.account}":'.encode())
            group.members += 1
        for row in self._waiting:
            spool.add(b"," + row.data if self.is_list and group.rows else row.data)
            group.rows += 1
        self._waiting.clear()
        self.waiting_bytes = 0
        return self.walk.ended

    def unwrite(self, spool: Spool) -> None:
        """Takes back what has been written."""
        if self._begun is not None:
            size, self.group.begun, self.group.members, self.group.rows = self._begun
            self._begun, self.has_written = None, False
            spool.cut(size)


def jobs_of(part: Part, accounts: Sequence[str], freshness: Freshness) -> list[Job]:
    """Returns one part's calls with the places of their answers in the document.

    Positions are one list over all accounts; what else is about one account is an object by account.
    """
    calls = part.calls(accounts)
    if part.endpoint.scope is not Scope.ACCOUNT:
        is_list = part.endpoint.pages is not None
        group = Group(part.name, b"[" * is_list, b"]" * is_list)
    elif part.name == "positions":
        is_list, group = True, Group(part.name, b"[", b"]")
    else:
        is_list, group = False, Group(part.name, b"{", b"}", is_object=True)
    return [Job(call, freshness, group, is_list=is_list) for call in calls]


class Unit(msgspec.Struct, frozen=True):
    """One page of one walk of one job."""

    job: Job
    walk: Walk
    number: int

    def __str__(self) -> str:
        return f"{self.job.call}, page {self.number}" if self.job.call.endpoint.pages else str(self.job.call)


def _give_up(_unit: Unit, error: IbkrError) -> Page | None:
    raise error


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
    give_up: Callable[[Unit, IbkrError], Page | None] = _give_up,
    doubtful: Callable[[], Sequence[Job]] = tuple,
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
        give_up: returns the page after all; None if the document goes without, for which it has dropped jobs; raises
            the error otherwise.
        doubtful: returns the jobs that are asked for again once all is there, because their answers contradict others.

    Raises:
        IbkrError: the first error that is not recovered from; what has not begun is not sent.
    """
    head = 0
    failed: IbkrError | None = None
    while True:
        head = _write(jobs, head, spool)
        if head == len(jobs):
            if not (again := doubtful()):
                return
            head = _rewind(jobs, min(jobs.index(job) for job in again), head, spool)
            continue
        counted(head, len(jobs))
        while failed is None and workers.has_room and (unit := _next_unit(jobs[head : head + AHEAD])):
            progress(str(unit))
            workers.start(unit, ask)
        if failed is not None and workers.is_idle:
            recover(failed)
            failed = None
            _begin_anew(jobs[head : head + AHEAD], spool)
            continue
        unit, result = workers.next()
        came: Page | Exception | None = result
        if isinstance(result, IbkrError) and not unit.job.is_dropped:
            came = _after(unit, result, is_lost, give_up)
            if came is None and not unit.job.is_dropped:
                failed = failed or result
        if unit.job.is_dropped:
            head = _without_dropped(jobs, head, spool)
        elif came is not None:
            _take(unit, came, spool)


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


def _take(unit: Unit, result: Page | Exception, spool: Spool) -> None:
    if isinstance(result, Exception):
        raise result
    unit.walk.take(unit.number, result)
    if not unit.job.digest():
        unit.job.unwrite(spool)


def _begin_anew(jobs: Sequence[Job], spool: Spool) -> None:
    for job in jobs:
        if not job.walk.ended:
            job.begin_anew(spool)


def _without_dropped(jobs: Sequence[Job], head: int, spool: Spool) -> int:
    """Takes back what has been written of dropped jobs, and what came after it; returns the first that is not done."""
    written = [number for number, job in enumerate(jobs[: head + 1]) if job.is_dropped and job.has_written]
    return _rewind(jobs, min(written), head, spool) if written else head


def _write(jobs: Sequence[Job], head: int, spool: Spool) -> int:
    """Writes what can be written; returns the number of the first job that is not done."""
    while head < len(jobs) and jobs[head].write(spool):
        head += 1
        if head == len(jobs) or jobs[head].group is not jobs[head - 1].group:
            jobs[head - 1].group.close(spool)
    return head


def _rewind(jobs: Sequence[Job], first: int, head: int, spool: Spool) -> int:
    """Takes back what has been written from one job on, and has it asked for again; returns that job's number."""
    for job in reversed(jobs[first : head + 1]):
        job.unwrite(spool)
    for job in jobs[first:head]:
        job.begin_anew(spool)
    return first


def _next_unit(jobs: Sequence[Job]) -> Unit | None:
    """Returns what is certain to be there before what may be in vain."""
    if sum(job.waiting_bytes for job in jobs) > KEPT_IN_MEMORY:
        jobs = jobs[:1]
    for ahead in (False, True):
        for job in jobs:
            if not job.is_over and (number := job.walk.next(ahead=ahead)) is not None:
                return Unit(job, job.walk, number)
    return None
