"""Pages in whatever order they come, of a list that grows meanwhile, over losses of the session: each row, once."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.errors import DataError, IbkrError, SessionUnavailable
from ibkr_tools.fetch import pagination
from ibkr_tools.fetch.assembly import CallResult, PartResult, assemble
from ibkr_tools.fetch.pagination import Page, PageRow, Paginator, parse_page
from ibkr_tools.fetch.plan import plan_snapshot
from ibkr_tools.fetch.scheduler import PageRequest, Scheduler
from ibkr_tools.portal.read_semaphore import MAX_CONCURRENT_READS as MAX_WORKERS
from tests.support.examples import examples

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SIZE = 4


def raise_error(_request: PageRequest, error: IbkrError) -> None:
    """Raises the error of a read."""
    raise error


class Shuffled:
    """Reads pages in an order that Hypothesis draws; an answer is of the moment when it is drawn."""

    def __init__(self, data: st.DataObject, at_once: int) -> None:
        self._data = data
        self._at_once = at_once
        self.most = 0

    def read_all(
        self,
        parts: Sequence[PartResult],
        read_page: Callable[[PageRequest], Page],
        *,
        recover: Callable[[IbkrError], None] = lambda _: None,
        resolve_failure: Callable[[PageRequest, IbkrError], None] = raise_error,
        find_contradicting: Callable[[], Sequence[CallResult]] = tuple,
    ) -> None:
        """Reads all pages, as `SnapshotFetcher.fetch` does with threads."""
        scheduler, begun = Scheduler(parts), list[PageRequest]()
        while True:
            if not scheduler.pending:
                if not (contradicting := find_contradicting()):
                    return
                scheduler.restart(contradicting)
            while len(begun) < self._at_once and (request := scheduler.next_request()):
                begun.append(request)
            self.most = max(self.most, len(begun))
            if not begun and scheduler.session_error is not None:
                recover(scheduler.session_error)
                scheduler.resume()
                continue
            request = begun.pop(self._data.draw(st.integers(0, len(begun) - 1)))
            if not request.is_obsolete:
                self._take(scheduler, request, read_page, resolve_failure)

    @staticmethod
    def _take(
        scheduler: Scheduler,
        request: PageRequest,
        read_page: Callable[[PageRequest], Page],
        resolve_failure: Callable[[PageRequest, IbkrError], None],
    ) -> None:
        try:
            request.result.add_page(request.page_number, read_page(request))
        except SessionUnavailable as error:
            scheduler.lose_session(error)
        except IbkrError as error:
            resolve_failure(request, error)


def run_and_assemble(
    accounts: dict[str, list[int]],
    workers: Shuffled,
    *,
    before_answer: Callable[[PageRequest], None] = lambda _: None,
    recover: Callable[[IbkrError], None] = lambda _: None,
    size: int = SIZE,
) -> list[tuple[str, int]]:
    """Returns account and contract of every row in the document."""

    def read_page(request: PageRequest) -> Page:
        before_answer(request)
        account = request.result.call.account or ""
        held = accounts[account][request.page_number * size : (request.page_number + 1) * size]
        rows = [{"conid": conid, "pageSize": size} for conid in held]
        return parse_page(request.result.call, rows, msgspec.json.encode(rows), AT)

    (part,) = plan_snapshot(["positions"], {}, "portfolio")
    positions = PartResult(part, list(accounts))
    workers.read_all([positions], read_page, recover=recover)
    document = msgspec.json.decode(b"{" + assemble([positions]) + b"}")
    return [(row["acctId"], row["conid"]) for row in document["positions"]]


HOLDINGS = st.dictionaries(st.sampled_from(["U1", "U2", "U3"]), st.integers(0, 30), min_size=1)


def test_what_ibkr_lists_twice_on_one_page_is_there_twice() -> None:
    """A row that slid is on two pages; IBKR's own rows are never fewer here than there."""
    paginator, found = Paginator("positions"), b""
    for number, names in enumerate((b"aab", b"bc")):
        rows = [PageRow(bytes([name]), (name,)) for name in names]
        paginator.add(number, Page(rows, has_more=number == 0, received_at=AT))
        found += b"".join(row.data for _, new in paginator.ordered_pages() for row in new)
    assert found == b"aabc"


@given(st.data(), HOLDINGS, st.integers(1, MAX_WORKERS))
def test_every_row_once_and_in_order(data: st.DataObject, sizes: dict[str, int], at_once: int) -> None:
    """However many are asked for at once, and whichever comes first."""
    accounts = {name: list(range(count)) for name, count in sizes.items()}
    found = run_and_assemble(accounts, Shuffled(data, at_once))
    assert found == [(name, conid) for name, held in accounts.items() for conid in held]


@given(st.data(), st.integers(0, 30), st.integers(1, MAX_WORKERS))
def test_a_list_that_grows_loses_nothing(data: st.DataObject, count: int, at_once: int) -> None:
    """What is bought while the list is read pushes the rest on, to pages that may have been read already."""
    accounts = {"U1": list(range(count))}
    bought = iter(range(1000, 1000 + SIZE))

    def buy(request: PageRequest) -> None:
        if request.page_number and data.draw(st.booleans()) and (conid := next(bought, None)) is not None:
            accounts["U1"].insert(0, conid)

    found = run_and_assemble(accounts, Shuffled(data, at_once), before_answer=buy)
    assert len(found) == len(set(found))
    assert {conid for _, conid in found} >= set(range(count))


@given(st.data(), HOLDINGS, st.integers(1, MAX_WORKERS))
def test_what_was_lost_on_the_way_is_asked_for_again(data: st.DataObject, sizes: dict[str, int], at_once: int) -> None:
    """Though the next session lists it in another order."""
    accounts = {name: list(range(count)) for name, count in sizes.items()}
    losses = iter(range(5))

    def lose(_request: PageRequest) -> None:
        if data.draw(st.booleans()) and next(losses, None) is not None:
            raise SessionUnavailable("lost")

    def reorder(_error: IbkrError) -> None:
        for name, held in accounts.items():
            accounts[name] = data.draw(st.permutations(held))

    found = run_and_assemble(accounts, Shuffled(data, at_once), before_answer=lose, recover=reorder)
    assert sorted(found) == [(name, conid) for name, count in sorted(sizes.items()) for conid in range(count)]


@given(st.data())
@examples(0.2)
def test_pages_are_read_side_by_side_where_there_are_many(data: st.DataObject) -> None:
    workers = Shuffled(data, MAX_WORKERS)
    run_and_assemble({"U1": list(range(20 * SIZE))}, workers)
    assert workers.most == MAX_WORKERS


@given(st.data(), st.integers(0, 12), st.integers(1, MAX_WORKERS))
@examples(0.3)
def test_no_more_pages_are_asked_for_in_vain_than_not(data: st.DataObject, count: int, at_once: int) -> None:
    asked: list[int] = []
    run_and_assemble(
        {"U1": list(range(count))},
        Shuffled(data, at_once),
        before_answer=lambda request: asked.append(request.page_number),
    )
    needed = count // SIZE + 1
    assert len(asked) <= 2 * needed


@given(st.data())
@examples(0.1)
def test_the_first_error_ends_it(data: st.DataObject) -> None:
    """Nothing that has not begun is sent after it."""
    asked: list[int] = []

    def refuse(request: PageRequest) -> None:
        asked.append(request.page_number)
        if request.page_number == 3:
            raise DataError("no")

    with pytest.raises(DataError):
        run_and_assemble({"U1": list(range(50))}, Shuffled(data, 1), before_answer=refuse)
    assert asked == [0, 1, 2, 3]


PARTS = ("summary", "ledger", "positions", "combos")


@given(st.data(), st.integers(1, MAX_WORKERS), st.booleans())
@examples(3)
def test_the_document_is_whole_whatever_is_dropped_or_asked_again(
    data: st.DataObject, at_once: int, whole: bool
) -> None:
    """An account or a part that is given up leaves nothing of itself, and what is asked again is there once."""
    accounts = ["U1", "U2", "U3"]
    parts = plan_snapshot(PARTS, {}, "portfolio")
    results = [PartResult(part, accounts) for part in parts]
    calls = [call for part in results for call in part.calls]
    rounds = iter(range(3))
    failing = data.draw(
        st.sets(st.sampled_from([(result.call.endpoint.name, result.call.account) for result in calls]), max_size=3)
    )

    def read_page(request: PageRequest) -> Page:
        call = request.result.call
        if (call.endpoint.name, call.account) in failing and data.draw(st.booleans()):
            raise DataError("no")
        if not request.result.part.is_list:
            return Page([PageRow(b'{"of":"%s"}' % str(call.account).encode())], has_more=False, received_at=AT)
        rows = [{"conid": conid, "pageSize": SIZE} for conid in range(10)][request.page_number * SIZE :][:SIZE]
        return parse_page(call, rows, msgspec.json.encode(rows), AT)

    def resolve_failure(request: PageRequest, _error: IbkrError) -> None:
        if whole:
            request.result.part.is_dropped = True
        else:
            for result in calls:
                result.dropped |= result.call.account == request.result.call.account

    def find_contradicting() -> list[CallResult]:
        there = [result for result in calls if not result.is_dropped]
        return [data.draw(st.sampled_from(there))] if there and next(rounds, None) is not None else []

    Shuffled(data, at_once).read_all(
        results, read_page, resolve_failure=resolve_failure, find_contradicting=find_contradicting
    )
    document = msgspec.json.decode(b"{" + assemble(results) + b"}")
    dropped = {result.call.account for result in calls if result.dropped}
    alive = [account for account in accounts if account not in dropped]
    assert list(document) == [part.name for part in results if not part.is_dropped]
    for name, found in document.items():
        if name == "positions":
            assert [(row["acctId"], row["conid"]) for row in found] == [
                (account, conid) for account in alive for conid in range(10)
            ]
        else:
            assert found == {account: {"of": account} for account in alive}


def test_a_list_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "MAX_PAGES", 5)
    (part,) = plan_snapshot(["positions"], {}, "portfolio")
    (result,) = PartResult(part, ["U1"]).calls

    def add_page(number: int) -> None:
        assert result.paginator.next_page(prefetch=False) == number
        rows = [{"conid": 10 * number + row} for row in range(30)]
        result.add_page(number, parse_page(result.call, rows, msgspec.json.encode(rows), AT))

    for number in range(4):
        add_page(number)
    with pytest.raises(DataError, match="positions of U1: more than 5 pages"):
        add_page(4)
