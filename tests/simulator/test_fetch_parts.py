"""Whatever can be fetched: pages of every kind, the brokerage tier, side by side, over lost sessions."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest

from ibkr_tools.config.schema import DEFAULT_RESOURCES, Config, SessionConfig
from ibkr_tools.errors import DataError, IbkrError, SessionUnavailable
from ibkr_tools.fetch.account_list import SnapshotSelection
from ibkr_tools.fetch.fetch_task import FetchTask
from ibkr_tools.fetch.plan import plan_snapshot
from ibkr_tools.fetch.snapshot_document import SnapshotDocument
from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.status import FetchSection, SessionSection, SessionState, StatusFile, utc_now
from tests.support.portal import asked, client_of, fetched_document, signed_in

ACCOUNTS = account_numbers("U1234567", 3)

pytestmark = pytest.mark.simulator(gateway=True, accounts=ACCOUNTS, brokerage_delay=timedelta(0))


@pytest.fixture
def trader(simulator: Simulator) -> Simulator:
    """A user who may trade, with the brokerage tier open."""
    simulator.control.login("demo-trader")
    return simulator


@pytest.fixture
def reader(simulator: Simulator) -> Simulator:
    """A user who may only read reports."""
    simulator.control.login("demo-reader")
    return simulator


def taken(simulator: Simulator, *resources: str, fresh: bool = False, **parameters: str) -> SnapshotDocument:
    """Takes a snapshot without waiting between repeats."""
    parts = plan_snapshot(resources, parameters, "brokerage", fresh=fresh)
    return fetched_document(simulator, parts, SnapshotSelection(account="U1234567"))


def test_numbers_keep_every_digit(reader: Simulator) -> None:
    """2^53 + 1 is no float."""
    encoded = taken(reader, "ledger").encode()
    assert b"9007199254740993" in encoded
    with client_of(reader) as client:
        client.accounts()
        body = client.send(plan_snapshot(["ledger"], {}, "portfolio")[0].endpoint, {"account": "U1234567"}).body
    assert body.split(b'"timestamp"')[0] in encoded


def test_fresh_positions_come_past_the_cache(reader: Simulator) -> None:
    """In IBKR's other words, with the account that those rows lack, as one list over all accounts."""
    found = taken(reader, "positions", fresh=True).decode()
    assert found["covers"]["resources"] == ["positions"]
    assert len(found["positions"]) == 3 * 237
    assert {row["acctId"] for row in found["positions"]} == set(ACCOUNTS)
    assert "marketValue" in found["positions"][0]


def test_what_is_about_several_accounts_is_asked_once(reader: Simulator) -> None:
    before = asked(reader, "/pa/performance")
    found = taken(reader, "performance", "consolidated-allocation", period="1M").decode()
    assert found["performance"]["included"] == list(ACCOUNTS)
    assert set(found["consolidated_allocation"]) == {"assetClass", "sector", "group"}
    assert found["covers"]["parts_at"].keys() == {"performance", "consolidated_allocation"}
    assert asked(reader, "/pa/performance") == before + 1


def test_the_brokerage_tiers_first_answers_are_not_believed(trader: Simulator) -> None:
    """Each is empty at first, and wants its preflight."""
    found = taken(trader, "orders", "trades", "pnl").decode()
    assert found["orders"]["orders"]
    assert found["trades"]
    assert found["pnl"]["upnl"]
    assert "unexpected" not in found["covers"]


def test_market_data_is_repeated_until_it_is_there(trader: Simulator) -> None:
    conids = [row["conid"] for row in taken(trader, "positions").decode()["positions"] if row["assetClass"] == "STK"]
    found = taken(trader, "snapshot", conids=f"{conids[0]},{conids[1]}", fields="31,84").decode()
    assert [row["conid"] for row in found["snapshot"]] == conids[:2]
    assert all("31" in row and "84" in row for row in found["snapshot"])
    trader.control.behaviour(cold_history=True)
    assert taken(trader, "history", conid=str(conids[0])).decode()["history"]["data"]


def test_without_the_brokerage_tier_it_fails(reader: Simulator) -> None:
    with pytest.raises(SessionUnavailable):
        taken(reader, "ledger", "orders")


@pytest.mark.parametrize("shape", ["by-page", "object", "array"])
@pytest.mark.parametrize("count", [1, 20, 45])
def test_pages_that_are_counted_in_the_query(tmp_path: Path, shape: str, count: int) -> None:
    numbers = account_numbers("U1234567", count)
    with signed_in(tmp_path, accounts=numbers, positions=1) as simulator:
        simulator.control.behaviour(subaccounts=shape)
        found = taken(simulator, "subaccounts2").decode()
        assert [row["id"] for row in found["subaccounts2"]] == list(numbers)


def test_pages_that_go_on_after_the_last_row(reader: Simulator) -> None:
    found = taken(reader, "notifications").decode()["notifications"]
    assert len({row["ID"] for row in found}) == len(found) > 10


@pytest.mark.parametrize("count", [0, 29, 30, 31, 100])
def test_older_builds_have_smaller_pages(tmp_path: Path, count: int) -> None:
    """Of thirty rows, which say so or not; and accounts with fewer fields."""
    with signed_in(tmp_path, positions=count) as simulator:
        for short in (True, False):
            simulator.control.behaviour(page_size=30, always_short_form=short, older_records=True)
            found = taken(simulator, "positions").decode()["positions"]
            assert len({row["conid"] for row in found}) == len(found) == count


def test_lists_of_accounts_may_be_empty_at_first(tmp_path: Path) -> None:
    with signed_in(tmp_path, user=None, brokerage_delay=timedelta(0)) as simulator:
        simulator.control.behaviour(cold_accounts=True)
        simulator.control.login("demo-trader")
        found = taken(simulator, "accounts", "brokerage-accounts").decode()
        assert [row["id"] for row in found["accounts"]] == found["brokerage_accounts"]["accounts"] == ["U1234567"]


@pytest.mark.parametrize("shape", ["object", "list"])
def test_one_contract_in_every_account(reader: Simulator, shape: str) -> None:
    """IBKR's sources disagree on the shape; it is kept as it comes."""
    reader.control.behaviour(position_shape=shape)
    conid = str(taken(reader, "positions").decode()["positions"][0]["conid"])
    found = taken(reader, "position", "positions-by-conid", conid=conid).decode()
    assert list(found["position"]) == list(ACCOUNTS)
    assert str(found["position"]["U1234567"][0]["conid"]) == conid
    assert isinstance(found["positions_by_conid"], dict if shape == "object" else list)
    assert "unexpected" not in found["covers"]
    assert taken(reader, "position", conid="1").decode()["position"] == {name: [] for name in ACCOUNTS}


def test_a_contract_that_there_is_not_is_said_in_one_line(trader: Simulator) -> None:
    with pytest.raises((DataError, SessionUnavailable)) as caught:
        taken(trader, "contract", conid="1")
    assert "/iserver/contract/1/info" in caught.value.message
    assert "\n" not in caught.value.message


def test_rows_of_an_unexpected_shape_are_kept_and_told(reader: Simulator) -> None:
    reader.control.fault("/portfolio/*/positions/0", "json", body=[None, 5, {"conid": 1}])
    found = taken(reader, "positions").decode()
    assert found["positions"][:3] == [None, 5, {"acctId": "U1234567", "conid": 1}]
    assert found["covers"]["unexpected"] == [f"positions of {name}: 2 of 3 rows are no objects" for name in ACCOUNTS]


def test_requests_are_side_by_side_where_answers_are_slow(reader: Simulator) -> None:
    """And never more than four; what they bring is in the order of the plan."""
    reader.control.behaviour(latency_ms=300)
    reader.control.measure()
    found = taken(reader, *DEFAULT_RESOURCES).decode()
    assert 2 <= reader.control.measure()["most_in_flight"] <= 4
    assert list(found)[4:] == list(DEFAULT_RESOURCES)
    assert [row["acctId"] for row in found["positions"]] == [name for name in ACCOUNTS for _ in range(237)]


def test_memory_is_a_few_times_the_snapshot(tmp_path: Path, environment: dict[str, str]) -> None:
    """Fifty accounts of 200 positions are 8 MB of JSON: the rows' own bytes, and once more put together."""
    program = """
import sys, tracemalloc
from pathlib import Path
from ibkr_tools.fetch.plan import plan_snapshot
from ibkr_tools.fetch.account_list import SnapshotSelection
from ibkr_tools.fetch.snapshot_fetcher import SnapshotFetcher
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.status import utc_now
from tests.support.no_rate_limit import NoRateLimit

parts, selection = plan_snapshot(["positions"], {}, "portfolio"), SnapshotSelection(account="U1234567")
tracemalloc.start()
with SnapshotFetcher(lambda: PortalClient(int(sys.argv[1]), Path(sys.argv[2]), NoRateLimit()), now=utc_now) as fetcher:
    found = fetcher.fetch(parts, fetcher.accounts.select(parts, selection))
print(sum(len(chunk) for chunk in found.chunks()), tracemalloc.get_traced_memory()[1])
"""
    with signed_in(tmp_path, accounts=account_numbers("U1234567", 50), positions=200) as simulator:
        command = [sys.executable, "-c", program, str(simulator.port), str(simulator.options.certificate)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=100)
    size, peak = map(int, done.stdout.split())
    assert size > 7_000_000
    assert peak < 3 * size + 10_000_000


# A session that is lost on the way.


class Watchdog:
    """Says in the status file what a watchdog would, as soon as it is told of a loss."""

    def __init__(self, status: StatusFile, simulator: Simulator, after_loss: Callable[[], object]) -> None:
        self.status = status
        self.states: list[str] = []
        self._over = threading.Event()
        self._simulator = simulator
        self._after_loss = after_loss
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.say(SessionState.UP)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.status.write(FetchSection(updated_at=utc_now(), state="succeeded", why="over"))
        self._thread.join(10)

    def say(self, state: SessionState) -> None:
        """Writes its section."""
        now = utc_now()
        section = SessionSection(updated_at=now, fresh_for_s=30.0, state=state, since=now, why="x", accounts=ACCOUNTS)
        self.status.write(section)

    def _run(self) -> None:
        seen = None
        while True:

            def is_new(seen: object = seen) -> bool:
                return (section := self.status.read_section(FetchSection)) is not None and section.updated_at != seen

            self.status.wait(is_new, 60)
            section = self.status.read_section(FetchSection)
            assert section
            seen = section.updated_at
            if self._over.is_set():
                return
            if section.session_lost:
                self.states.append(section.state)
                self.say(SessionState.LOGGING_IN)
                self._after_loss()
                self.say(SessionState.UP)


def fetching(simulator: Simulator, status: StatusFile) -> FetchTask:
    """Returns a fetch of a trader's."""
    config = Config(username="demo-trader", account="U1234567", session=SessionConfig(tier="brokerage"))
    return FetchTask(config, lambda: client_of(simulator), status)


def requests_of(simulator: Simulator, paths: Sequence[str]) -> list[int]:
    """Counts the requests of some paths."""
    return [asked(simulator, path) for path in paths]


@pytest.mark.usefixtures("one_at_a_time")
def test_a_lost_session_is_waited_for_and_the_fetch_goes_on(reader: Simulator, tmp_path: Path) -> None:
    """What was complete is not asked for again; the preflight and a list that was half read are.

    The first page of each list comes without details first, which is asked for again too.
    """
    status = StatusFile(tmp_path / "status.json")
    with client_of(reader) as client:
        client.accounts()
    paths = ["/summary", "/portfolio/accounts", "/U1234567/positions/0", "/U1234568/positions/0"]
    before = requests_of(reader, paths)
    reader.control.fault("/portfolio/U1234568/positions/1", "status", status=401)
    with Watchdog(status, reader, reader.control.clear_faults) as watchdog:
        document = fetching(reader, status).run(["summary", "positions"], wait_s=30, save_in=tmp_path)
        section = status.read_section(FetchSection)
    assert section
    assert (watchdog.states, section.state, section.session_lost) == (["waiting"], "succeeded", False)
    assert len(document.decode()["positions"]) == 3 * 237
    asked_for = [now - then for now, then in zip(requests_of(reader, paths), before, strict=True)]
    assert asked_for == [3, 2, 2, 3], "of the accounts one to make sure that the session is lost, one in the next"


def test_a_gateway_that_starts_anew_is_waited_for(reader: Simulator, tmp_path: Path) -> None:
    status = StatusFile(tmp_path / "status.json")

    def start() -> None:
        reader.control.gateway(up=True)
        reader.control.login("demo-reader")

    with Watchdog(status, reader, start):
        reader.control.gateway(up=False)
        assert fetching(reader, status).run(["ledger"], wait_s=30).decode()["ledger"]


@pytest.mark.parametrize("wait_s", [0.0, 0.3])
def test_a_session_that_does_not_come_back_in_time_is_an_error(
    reader: Simulator, tmp_path: Path, wait_s: float
) -> None:
    """Without a word from the watchdog nothing is sent again, and what was saved stays."""
    status = StatusFile(tmp_path / "status.json")
    Watchdog(status, reader, lambda: None)
    (tmp_path / "latest.json").write_text("{}")
    reader.control.fault("/portfolio/*/ledger", "status", status=401)
    before = asked(reader, "/ledger")
    with pytest.raises(SessionUnavailable):
        fetching(reader, status).run(["ledger"], wait_s=wait_s, save_in=tmp_path)
    assert asked(reader, "/ledger") <= before + 4
    assert (tmp_path / "latest.json").read_text() == "{}"
    section = status.read_section(FetchSection)
    assert section
    assert section.state == "failed"


def test_the_next_session_may_be_somebody_elses(reader: Simulator, tmp_path: Path) -> None:
    """Parts of two users are no snapshot."""
    status = StatusFile(tmp_path / "status.json")
    reader.control.fault("/portfolio/U1234568/ledger", "status", status=401)

    def change() -> None:
        reader.control.clear_faults()
        reader.control.fault("/portfolio/accounts", "json", body=[{"id": "U1234567"}])

    with Watchdog(status, reader, change), pytest.raises(SessionUnavailable, match="other accounts"):
        fetching(reader, status).run(["ledger"], wait_s=30)


@pytest.mark.parametrize(("kind", "error"), [("truncate", IbkrError), ("html", IbkrError)])
def test_trouble_of_ibkrs_servers_is_no_lost_session(
    reader: Simulator, tmp_path: Path, kind: str, error: type[IbkrError]
) -> None:
    status = StatusFile(tmp_path / "status.json")
    reader.control.fault("/portfolio/*/ledger", kind)
    with Watchdog(status, reader, lambda: None) as watchdog:
        with pytest.raises(error):
            fetching(reader, status).run(["ledger"], wait_s=30)
        assert not watchdog.states
