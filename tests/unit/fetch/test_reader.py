"""What IBKR does to whoever asks for the first time: repeated as documented, then believed."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
import pytest

from ibkr_tools.errors import DataError, PreflightMissing, SessionUnavailable, UpstreamSilent, UpstreamUnavailable
from ibkr_tools.fetch.completeness import is_empty, require_shape
from ibkr_tools.fetch.plan import ApiCall, plan_snapshot
from ibkr_tools.fetch.reader import Preflights, Reader
from ibkr_tools.fetch.snapshot_fetcher import useful_concurrency
from ibkr_tools.portal.api_response import ApiResponse
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import READS, Endpoint
from ibkr_tools.portal.read_semaphore import MAX_CONCURRENT_READS


class Told:
    """A client that answers what it is told to, or raises it; the last answer stays."""

    def __init__(self, **answers: Sequence[object]) -> None:
        self._answers = {name: list(known) for name, known in answers.items()}
        self.asked: list[str] = []
        self.slept: list[float] = []

    def send(self, endpoint: Endpoint, *_: object, **__: object) -> ApiResponse:
        self.asked.append(endpoint.name)
        answers = self._answers.get(endpoint.name, [[{"id": "U1"}]])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return ApiResponse(answer, msgspec.json.encode(answer))

    def answer(self, name: str, preflights: Preflights | None = None, **given: str) -> Any:
        """Asks for one resource, as a fetch does."""
        (part,) = plan_snapshot([name], given, "brokerage")
        (call,) = part.calls(["U1"])
        if call.endpoint.pagination:
            call = call.page(0)
        return self.reader(preflights).read(call).payload

    def reader(self, preflights: Preflights | None = None) -> Reader:
        """Returns a reader that asks here."""
        reader = Reader(lambda: cast("PortalClient", self), sleep=self.slept.append)
        if preflights is not None:
            reader.preflights = preflights
        return reader


@pytest.mark.parametrize(
    ("payload", "bare"),
    [
        ([], True),
        ({}, True),
        (None, True),
        ("", True),
        ({"orders": [], "snapshot": False}, True),
        ({"orders": [], "snapshot": True}, False),
        ({"upnl": {}}, True),
        ({"upnl": {"U1.Core": {}}}, False),
        ([{}], False),
        ({"rate": 0}, False),
    ],
)
def test_what_says_nothing(payload: object, bare: bool) -> None:
    assert is_empty(payload) is bare


@pytest.mark.parametrize(
    ("name", "empty", "full"),
    [
        ("orders", {"orders": [], "snapshot": False}, {"orders": [{"orderId": 1}], "snapshot": True}),
        ("trades", [], [{"execution_id": "1"}]),
        ("pnl", {"upnl": {}}, {"upnl": {"U1.Core": {"dpl": 1.5}}}),
        ("positions", [], [{"conid": 1, "name": "A"}]),
    ],
)
def test_an_empty_first_answer_is_not_believed_and_the_second_is(name: str, empty: object, full: object) -> None:
    """The preflight of the brokerage tier is made before: without it the answer may be as empty."""
    cold, bare = Told(**{name: [empty, full]}), Told(**{name: [empty]})
    assert cold.answer(name) == full
    assert bare.answer(name) == empty
    expected = [name, name] if name == "positions" else [name, "brokerage_accounts", name]
    assert cold.asked == bare.asked == expected


def test_a_page_beyond_the_end_is_believed_at_once() -> None:
    told = Told(positions=[[]])
    call = plan_snapshot(["positions"], {}, "portfolio")[0].calls(["U1"])[0]
    told.reader().read(call.page(1))
    assert told.asked == ["positions"]


IDS = {"conidEx": "265598", "conid": 265598}


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([[IDS], [IDS | {"31": "1", "84": "2"}]], 2),
        ([[IDS | {"31": "1", "84": "2"}]], 1),
        ([[IDS], [IDS | {"31": "1"}], [IDS | {"31": "1", "84": "2"}]], 3),
        # No subscription for one field: it never comes.
        ([[IDS], [IDS | {"31": "1"}]], 3),
        # Nothing ever comes.
        ([[IDS]], 5),
        ([[]], 5),
    ],
)
def test_a_market_data_snapshot_is_asked_for_until_it_is_complete(answers: list[object], asked: int) -> None:
    told = Told(snapshot=answers)
    assert told.answer("snapshot", conids="265598", fields="31,84") == answers[-1]
    assert told.asked == ["snapshot"] * asked
    assert all(0.5 <= pause <= 3 for pause in told.slept)
    assert len(told.slept) == asked - 1


@pytest.mark.parametrize("error", [UpstreamUnavailable("HTTP 500"), DataError("HTTP 404")])
def test_a_contracts_first_history_may_be_an_error(error: Exception) -> None:
    told = Told(history=[error, {"data": []}])
    assert told.answer("history", conid="265598") == {"data": []}
    again = Told(history=[error])
    with pytest.raises(type(error)):
        again.answer("history", conid="265598")
    assert again.asked == ["history", "history"]


@pytest.mark.parametrize(
    ("name", "error", "preflight"),
    [
        ("ledger", SessionUnavailable("401"), "accounts"),
        ("ledger", PreflightMissing("query /accounts first"), "accounts"),
        ("order_status", PreflightMissing("query /accounts first"), "brokerage_accounts"),
        ("account_summary", SessionUnavailable("401"), "accounts"),
    ],
)
def test_a_missing_preflight_is_made_up_for_once(name: str, error: Exception, preflight: str) -> None:
    given = {"orderId": "1"} if name == "order_status" else {}
    told, preflights = Told(**{name: [error, {"a": 1}]}), Preflights()
    assert told.answer(name, preflights, **given) == {"a": 1}
    assert told.asked == [name, preflight, name]
    lost = Told(**{name: [error]})
    with pytest.raises(type(error)):
        lost.answer(name, preflights, **given)
    assert lost.asked == [name], "it was made in this session"
    preflights.reset()
    with pytest.raises(type(error)):
        lost.answer(name, preflights, **given)
    assert lost.asked == [name, name, preflight, name]


def test_a_preflight_that_another_thread_has_made_meanwhile_is_enough() -> None:
    preflights = Preflights()

    class Meanwhile(Told):
        def send(self, endpoint: Endpoint, *more: object, **options: object) -> ApiResponse:
            if not self.asked:
                preflights.record(READS["accounts"])
            return super().send(endpoint, *more, **options)

    told = Meanwhile(ledger=[SessionUnavailable("401"), {"a": 1}])
    assert told.answer("ledger", preflights) == {"a": 1}
    assert told.asked == ["ledger", "ledger"]


def test_silence_is_not_a_missing_preflight() -> None:
    told = Told(ledger=[UpstreamSilent("hangs")])
    with pytest.raises(UpstreamSilent):
        told.answer("ledger")
    assert told.asked == ["ledger"]


@pytest.mark.parametrize(
    ("name", "payload", "strange"),
    [
        ("trades", [], None),
        ("trades", {"trades": []}, "trades: expected a list, got dict"),
        ("secdef", None, "secdef: expected an object, got NoneType"),
        ("positions_by_conid", {"U1": []}, None),
        ("positions_by_conid", [], None),
        ("secdef_info", {}, None),
        ("trades", [1, {}], "trades: 1 of 2 rows are no objects"),
    ],
)
def test_an_unexpected_shape_is_kept_and_told(name: str, payload: object, strange: str | None) -> None:
    assert require_shape(ApiCall(READS[name]), payload) == strange


@pytest.mark.parametrize(("name", "payload"), [("ledger", []), ("ledger", None), ("combos", {}), ("accounts", {})])
def test_what_is_no_account_data_is_none(name: str, payload: object) -> None:
    with pytest.raises(DataError):
        require_shape(ApiCall(READS[name], account="U1"), payload)


class LentClient:
    """A client that fails a read which begins while another one uses it, and counts how often it is closed."""

    def __init__(self, answer: Callable[[], None]) -> None:
        self._in_use = threading.Lock()
        self._answer = answer
        self.closed = self.aborted = 0

    def send(self, *_: object, **__: object) -> ApiResponse:
        assert self._in_use.acquire(blocking=False)
        self._answer()
        self._in_use.release()
        return ApiResponse([{"id": "U1"}], b"[]")

    def close(self) -> None:
        self.closed += 1

    def abort(self) -> None:
        self.aborted += 1


def reader_of(made: list[LentClient], answer: Callable[[], None]) -> Reader:
    """Returns a reader that notes the clients it makes."""

    def make() -> PortalClient:
        made.append(LentClient(answer))
        return cast("PortalClient", made[-1])

    return Reader(make)


ACCOUNT_LIST = ApiCall(READS["accounts"])


def test_reads_one_after_the_other_share_a_client() -> None:
    made: list[LentClient] = []
    with reader_of(made, lambda: None) as reader:
        for _ in range(5):
            reader.read(ACCOUNT_LIST)
    assert [client.closed for client in made] == [1]


def test_reads_at_once_each_have_their_own_client() -> None:
    made: list[LentClient] = []
    together = threading.Barrier(4, timeout=10)
    with reader_of(made, lambda: cast("None", together.wait())) as reader, ThreadPoolExecutor(4) as executor:
        for _ in range(3):
            list(executor.map(reader.read, [ACCOUNT_LIST] * 4))
    assert [(client.closed, client.aborted) for client in made] == [(1, 0)] * 4


def test_who_still_reads_when_the_reader_is_closed_is_aborted_and_closes_its_client() -> None:
    made: list[LentClient] = []
    begun, release = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        assert release.wait(10)

    with ThreadPoolExecutor(1) as executor:
        with reader_of(made, hang) as reader:
            reading = executor.submit(reader.read, ACCOUNT_LIST)
            assert begun.wait(10)
        assert [(client.closed, client.aborted) for client in made] == [(0, 1)]
        release.set()
        reading.result()
    assert [(client.closed, client.aborted) for client in made] == [(1, 1)]


@pytest.mark.parametrize(
    ("last_s", "useful"), [(0.0, 1), (0.09, 1), (0.1, 2), (0.25, 3), (0.5, MAX_CONCURRENT_READS), (25.0, 4)]
)
def test_fast_answers_need_one_connection(last_s: float, useful: int) -> None:
    assert useful_concurrency(last_s) == useful
