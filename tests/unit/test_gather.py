"""Pages in whatever order they come, of a list that grows meanwhile, over losses of the session: each row, once."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibkr_tools.errors import DataError, IbkrError, SessionUnavailable
from ibkr_tools.fetch import pages
from ibkr_tools.fetch.calls import plan
from ibkr_tools.fetch.gather import Freshness, Job, Unit, assemble, gather, jobs_of
from ibkr_tools.fetch.pages import Page, Row, Walk, split
from ibkr_tools.fetch.pool import MOST_AT_ONCE, Done, Pool
from ibkr_tools.portal.client import PortalClient

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SIZE = 4
NOBODY: PortalClient = None  # type: ignore[assignment] # what answers here needs no client


class Shuffled(Pool):
    """Does units of work in an order that Hypothesis draws; an answer is of the moment when it is drawn."""

    def __init__(self, data: st.DataObject, at_once: int) -> None:
        super().__init__(lambda: NOBODY)
        self._data = data
        self._at_once = at_once
        self._begun: list[tuple[Unit, Callable[[PortalClient, Unit], Page]]] = []
        self.most = 0

    @property
    def is_idle(self) -> bool:
        return not self._begun

    @property
    def has_room(self) -> bool:
        return len(self._begun) < self._at_once

    def start(self, unit: Unit, work: Callable[[PortalClient, Unit], Page]) -> None:
        self._begun.append((unit, work))
        self.most = max(self.most, len(self._begun))

    def next(self) -> Done:
        unit, work = self._begun.pop(self._data.draw(st.integers(0, len(self._begun) - 1)))
        try:
            return unit, work(NOBODY, unit)
        except IbkrError as error:
            return unit, error


def gathered(
    accounts: dict[str, list[int]],
    workers: Shuffled,
    *,
    before_answer: Callable[[Unit], None] = lambda _: None,
    recover: Callable[[IbkrError], None] = lambda _: None,
    size: int = SIZE,
) -> list[tuple[str, int]]:
    """Returns account and contract of every row in the document."""

    def ask(_client: PortalClient, unit: Unit) -> Page:
        before_answer(unit)
        account = unit.job.call.account or ""
        held = accounts[account][unit.number * size : (unit.number + 1) * size]
        rows = [{"conid": conid, "pageSize": size} for conid in held]
        return split(unit.job.call, rows, msgspec.json.encode(rows), AT)

    (part,) = plan(["positions"], {}, "portfolio")
    jobs = jobs_of(part, list(accounts), Freshness())
    gather(
        jobs,
        workers,
        ask,
        is_lost=lambda error: isinstance(error, SessionUnavailable),
        recover=recover,
        progress=lambda _: None,
        counted=lambda _done, _of: None,
    )
    document = msgspec.json.decode(b"{" + assemble(jobs) + b"}")
    return [(row["acctId"], row["conid"]) for row in document["positions"]]


HOLDINGS = st.dictionaries(st.sampled_from(["U1", "U2", "U3"]), st.integers(0, 30), min_size=1)


def test_what_ibkr_lists_twice_on_one_page_is_there_twice() -> None:
    """A row that slid is on two pages; IBKR's own rows are never fewer here than there."""
    walk, found = Walk("positions"), b""
    for number, names in enumerate((b"aab", b"bc")):
        rows = [Row(bytes([name]), (name,)) for name in names]
        walk.take(number, Page(rows, full=number == 0, came_at=AT))
        found += b"".join(row.data for _, new in walk.pages() for row in new)
    assert found == b"aabc"


@given(st.data(), HOLDINGS, st.integers(1, MOST_AT_ONCE))
def test_every_row_once_and_in_order(data: st.DataObject, sizes: dict[str, int], at_once: int) -> None:
    """However many are asked for at once, and whichever comes first."""
    accounts = {name: list(range(count)) for name, count in sizes.items()}
    found = gathered(accounts, Shuffled(data, at_once))
    assert found == [(name, conid) for name, held in accounts.items() for conid in held]


@given(st.data(), st.integers(0, 30), st.integers(1, MOST_AT_ONCE))
def test_a_list_that_grows_loses_nothing(data: st.DataObject, count: int, at_once: int) -> None:
    """What is bought while the list is read pushes the rest on, to pages that may have been read already."""
    accounts = {"U1": list(range(count))}
    bought = iter(range(1000, 1000 + SIZE))

    def buy(unit: Unit) -> None:
        if unit.number and data.draw(st.booleans()) and (conid := next(bought, None)) is not None:
            accounts["U1"].insert(0, conid)

    found = gathered(accounts, Shuffled(data, at_once), before_answer=buy)
    assert len(found) == len(set(found))
    assert {conid for _, conid in found} >= set(range(count))


@given(st.data(), HOLDINGS, st.integers(1, MOST_AT_ONCE))
def test_what_was_lost_on_the_way_is_asked_for_again(data: st.DataObject, sizes: dict[str, int], at_once: int) -> None:
    """Though the next session lists it in another order."""
    accounts = {name: list(range(count)) for name, count in sizes.items()}
    losses = iter(range(5))

    def lose(_unit: Unit) -> None:
        if data.draw(st.booleans()) and next(losses, None) is not None:
            raise SessionUnavailable("lost")

    def reorder(_error: IbkrError) -> None:
        for name, held in accounts.items():
            accounts[name] = data.draw(st.permutations(held))

    found = gathered(accounts, Shuffled(data, at_once), before_answer=lose, recover=reorder)
    assert sorted(found) == [(name, conid) for name, count in sorted(sizes.items()) for conid in range(count)]


@given(st.data())
@settings(max_examples=20)
def test_pages_are_read_side_by_side_where_there_are_many(data: st.DataObject) -> None:
    workers = Shuffled(data, MOST_AT_ONCE)
    gathered({"U1": list(range(20 * SIZE))}, workers)
    assert workers.most == MOST_AT_ONCE


@given(st.data(), st.integers(0, 12), st.integers(1, MOST_AT_ONCE))
@settings(max_examples=30)
def test_no_more_pages_are_asked_for_in_vain_than_not(data: st.DataObject, count: int, at_once: int) -> None:
    asked: list[int] = []
    gathered({"U1": list(range(count))}, Shuffled(data, at_once), before_answer=lambda unit: asked.append(unit.number))
    needed = count // SIZE + 1
    assert len(asked) <= 2 * needed


@given(st.data())
@settings(max_examples=10)
def test_the_first_error_ends_it(data: st.DataObject) -> None:
    """Nothing that has not begun is sent after it."""
    asked: list[int] = []

    def refuse(unit: Unit) -> None:
        asked.append(unit.number)
        if unit.number == 3:
            raise DataError("no")

    with pytest.raises(DataError):
        gathered({"U1": list(range(50))}, Shuffled(data, 1), before_answer=refuse)
    assert asked == [0, 1, 2, 3]


PARTS = ("summary", "ledger", "positions", "combos")


@given(st.data(), st.integers(1, MOST_AT_ONCE), st.booleans())
@settings(max_examples=300)
def test_the_document_is_whole_whatever_is_dropped_or_asked_again(
    data: st.DataObject, at_once: int, whole: bool
) -> None:
    """An account or a part that is given up leaves nothing of itself, and what is asked again is there once."""
    accounts = ["U1", "U2", "U3"]
    parts = plan(PARTS, {}, "portfolio")
    jobs = [job for part in parts for job in jobs_of(part, accounts, Freshness())]
    rounds = iter(range(3))
    failing = data.draw(
        st.sets(st.sampled_from([(job.call.endpoint.name, job.call.account) for job in jobs]), max_size=3)
    )

    def ask(_client: PortalClient, unit: Unit) -> Page:
        call = unit.job.call
        if (call.endpoint.name, call.account) in failing and data.draw(st.booleans()):
            raise DataError("no")
        if not unit.job.group.is_list:
            return Page([Row(b'{"of":"%s"}' % str(call.account).encode())], full=False, came_at=AT)
        rows = [{"conid": conid, "pageSize": SIZE} for conid in range(10)][unit.number * SIZE :][:SIZE]
        return split(call, rows, msgspec.json.encode(rows), AT)

    def give_up(unit: Unit, _error: IbkrError) -> None:
        if whole:
            unit.job.group.dropped = True
        else:
            for job in jobs:
                job.dropped |= job.call.account == unit.job.call.account

    def doubtful() -> list[Job]:
        there = [job for job in jobs if not job.is_dropped]
        return [data.draw(st.sampled_from(there))] if there and next(rounds, None) is not None else []

    gather(
        jobs,
        Shuffled(data, at_once),
        ask,
        is_lost=lambda _error: False,
        recover=lambda _error: None,
        progress=lambda _: None,
        counted=lambda _done, _of: None,
        give_up=give_up,
        doubtful=doubtful,
    )
    document = msgspec.json.decode(b"{" + assemble(jobs) + b"}")
    alive = [one for one in accounts if not any(job.dropped for job in jobs if job.call.account == one)]
    assert list(document) == [
        part.name for part in parts if not any(job.group.dropped for job in jobs if job.group.name == part.name)
    ]
    for name, found in document.items():
        if name == "positions":
            assert [(row["acctId"], row["conid"]) for row in found] == [
                (one, conid) for one in alive for conid in range(10)
            ]
        else:
            assert found == {one: {"of": one} for one in alive}


def test_a_list_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_PAGES", 5)
    (part,) = plan(["positions"], {}, "portfolio")
    (job,) = jobs_of(part, ["U1"], Freshness())

    def take(number: int) -> None:
        assert job.walk.next(ahead=False) == number
        rows = [{"conid": 10 * number + one} for one in range(30)]
        job.take(number, split(job.call, rows, msgspec.json.encode(rows), AT))

    for number in range(4):
        take(number)
    with pytest.raises(DataError, match="positions of U1: more than 5 pages"):
        take(4)
