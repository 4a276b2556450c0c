"""A snapshot is complete or failed: against the simulator as the gateway."""

import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.config.schema import DEFAULT_RESOURCES, Config, FetchConfig
from ibkr_tools.errors import (
    ConfigError,
    DataError,
    IbkrError,
    ImplausibleResponse,
    SessionUnavailable,
    UpstreamSilent,
    UpstreamUnavailable,
)
from ibkr_tools.fetch import pagination
from ibkr_tools.fetch.account_list import SnapshotSelection
from ibkr_tools.fetch.fetch_task import FetchTask
from ibkr_tools.fetch.pagination import is_full_page
from ibkr_tools.fetch.plan import plan_snapshot
from ibkr_tools.fetch.snapshot_document import SnapshotDocument
from ibkr_tools.fetch.snapshot_fetcher import SnapshotFetcher
from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.status import FetchSection, StatusFile, utc_now
from tests.support.installation import Installation
from tests.support.patience import slowdown, wait_until
from tests.support.portal import asked, client_of, fetched_document, signed_in

ACCOUNTS = account_numbers("U1234567", 3)

pytestmark = pytest.mark.simulator(gateway=True, user="demo-reader", accounts=ACCOUNTS)


def config(**fetch: Any) -> Config:
    """Returns a configuration."""
    return Config(username="demo-reader", account="U1234567", fetch=FetchConfig(**fetch))


def taken(simulator: Simulator, *resources: str, tier: str = "portfolio", **options: Any) -> SnapshotDocument:
    """Takes one snapshot."""
    parts = plan_snapshot(
        resources or DEFAULT_RESOURCES, options.pop("parameters", {}), tier, fresh=options.pop("fresh", False)
    )
    return fetched_document(simulator, parts, SnapshotSelection(account="U1234567", **options))


def snapshot(simulator: Simulator, resources: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    """Takes one snapshot, and reads it."""
    return taken(simulator, *resources, **options).decode()


def test_everything_of_all_accounts(simulator: Simulator) -> None:
    found = snapshot(simulator)
    assert list(found) == ["schema", "as_of", "account", "covers", *DEFAULT_RESOURCES]
    assert found["schema"] == 1
    assert datetime.fromisoformat(found["as_of"]).tzinfo == UTC
    covers = found["covers"]
    assert (covers["accounts"], covers["resources"]) == (list(ACCOUNTS), list(DEFAULT_RESOURCES))
    assert list(covers["parts_at"]) == list(DEFAULT_RESOURCES)
    assert all(datetime.fromisoformat(at).tzinfo == UTC for at in covers["parts_at"].values())
    assert [row["id"] for row in found["accounts"]] == list(ACCOUNTS)
    for name in ("summary", "ledger", "allocation"):
        assert list(found[name]) == list(ACCOUNTS)
    assert len(found["positions"]) == 3 * 237
    assert {row["acctId"] for row in found["positions"]} == set(ACCOUNTS)
    assert len({(row["acctId"], row["conid"]) for row in found["positions"]}) == 3 * 237


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.parametrize("count", [0, 1, 30, 99, 100, 101, 200, 237, 5000])
@pytest.mark.parametrize("short", [True, False])
def test_all_pages_are_there(tmp_path: Path, count: int, short: bool) -> None:
    """Short rows do not state the size of a page, long ones do."""
    with signed_in(tmp_path, positions=count) as simulator:
        simulator.control.behaviour(always_short_form=short)
        found = snapshot(simulator, resources=("positions",))
        assert len({row["conid"] for row in found["positions"]}) == len(found["positions"]) == count
        # Rows that stay short are asked for thrice more; that a list ends after a full page is made sure of.
        more = 3 * (short and count > 0) + 2 * (count > 0 and (count % 100 == 0 or (short and count == 30)))
        assert asked(simulator, "/positions/") <= count // 100 + 2 + more


def test_a_cold_back_end_is_asked_twice(simulator: Simulator) -> None:
    """Its first answer is an empty list; an empty snapshot would be half of one."""
    simulator.control.behaviour(cold_positions=True)
    assert len(snapshot(simulator, resources=("positions",))["positions"]) == 3 * 237


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({}, DataError),
        (None, UpstreamUnavailable),
        (0, DataError),
        ("", DataError),
        ({"error": ""}, DataError),
    ],
)
def test_what_is_no_list_of_positions_is_not_an_empty_account(
    simulator: Simulator, answer: object, kind: type[IbkrError]
) -> None:
    simulator.control.fault("/portfolio/*/positions/*", "json", body=answer)
    with pytest.raises(kind):
        snapshot(simulator, resources=("positions",))


def test_all_rows_of_one_page_are_kept(simulator: Simulator) -> None:
    rows = [{"contractDesc": "a"}, {"contractDesc": "b"}, {"conid": 1}, {"conid": 1}, {"conid": 1, "model": "m"}]
    simulator.control.fault("/portfolio/*/positions/0", "json", body=rows)
    found = snapshot(simulator, resources=("positions",), accounts=("U1234567",))["positions"]
    assert [row.get("contractDesc", row.get("conid")) for row in found] == ["a", "b", 1, 1, 1]
    assert all(row["acctId"] == "U1234567" for row in found)


def test_payloads_are_kept_as_they_come(simulator: Simulator) -> None:
    body = {"netliquidation": {"amount": 1.25, "neu": [None, "Ü"]}, "unknown": 5}
    simulator.control.fault("/portfolio/*/summary", "json", body=body)
    assert snapshot(simulator, resources=("summary",))["summary"]["U1234567"] == body


@pytest.mark.parametrize("resource", DEFAULT_RESOURCES)
def test_one_part_alone(simulator: Simulator, resource: str) -> None:
    found = snapshot(simulator, resources=(resource,), accounts=("U1234568",), known=ACCOUNTS)
    assert set(found) == {"schema", "as_of", "account", "covers", resource}
    assert found["covers"]["accounts"] == ["U1234568"]


def test_a_missing_preflight_is_made_up_for(simulator: Simulator) -> None:
    """The watchdog knows the accounts, but IBKR has forgotten that it was asked."""
    before = asked(simulator, "/portfolio/accounts")
    found = snapshot(simulator, resources=("ledger",), known=ACCOUNTS)
    assert list(found["ledger"]) == list(ACCOUNTS)
    assert asked(simulator, "/portfolio/accounts") == before + 1


def test_a_known_account_saves_the_preflight(simulator: Simulator) -> None:
    with client_of(simulator) as client:
        client.accounts()
    before = asked(simulator, "/portfolio/accounts")
    snapshot(simulator, resources=("ledger",), known=ACCOUNTS)
    assert asked(simulator, "/portfolio/accounts") == before


def test_an_account_named_twice_is_fetched_once(simulator: Simulator) -> None:
    found = snapshot(simulator, resources=("positions",), accounts=("U1234567", "U1234567"))
    assert len(found["positions"]) == 237


def test_an_account_of_somebody_else_is_a_matter_of_configuration(simulator: Simulator) -> None:
    before = asked(simulator, "U9999999")
    with pytest.raises(ConfigError, match="U9999999: not among those this user may view"):
        snapshot(simulator, accounts=("U9999999",), error_class=ConfigError)
    assert asked(simulator, "U9999999") == before


@pytest.mark.parametrize("rows", [[{}], [{"id": None}], [{"id": "../x"}], [{"id": 5}]])
def test_accounts_without_a_usable_number_are_refused(simulator: Simulator, rows: list[object]) -> None:
    simulator.control.fault("/portfolio/accounts", "json", body=rows)
    with pytest.raises(DataError, match="account number"):
        snapshot(simulator)


def test_no_accounts_at_all_is_for_the_moment(simulator: Simulator) -> None:
    """Nobody shall edit a configuration that is right."""
    simulator.control.fault("/portfolio/accounts", "json", body=[], count=2)
    with pytest.raises(ImplausibleResponse, match="lists no account at all for the moment") as caught:
        snapshot(simulator)
    assert caught.value.exit_code == 75


def test_an_endless_account_is_an_error(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "MAX_PAGES", 5)
    rows = [{"conid": number, "pageSize": 100} for number in range(100)]
    simulator.control.fault("/portfolio/*/positions/*", "json", body=rows)
    with pytest.raises(DataError, match="more than 5 pages"):
        snapshot(simulator, resources=("positions",))


@pytest.mark.parametrize(
    ("size", "stated", "full"),
    [(0, None, False), (29, None, False), (30, None, True), (100, None, True), (30, 100, False), (100, 100, True)],
)
def test_when_another_page_may_follow(size: int, stated: int | None, full: bool) -> None:
    assert is_full_page([{"conid": number, "pageSize": stated} for number in range(size)]) is full


HALF = [
    ({"path": "/portfolio/*/positions/1", "kind": "truncate"}, UpstreamUnavailable),
    ({"path": "/portfolio/*/positions/2", "kind": "status", "status": 500}, UpstreamUnavailable),
    ({"path": "/portfolio/*/positions/1", "kind": "hang"}, UpstreamSilent),
    ({"path": "/portfolio/*/positions/1", "kind": "html"}, UpstreamUnavailable),
    ({"path": "/portfolio/U1234569/ledger", "kind": "status", "status": 401}, SessionUnavailable),
    ({"path": "/portfolio/U1234568/summary", "kind": "json", "body": []}, DataError),
    ({"path": "/portfolio/*/allocation", "kind": "close"}, UpstreamUnavailable),
]


@pytest.mark.parametrize(("fault", "kind"), HALF, ids=[str(fault) for fault, _ in HALF])
def test_half_a_snapshot_is_none(
    simulator: Simulator, tmp_path: Path, fault: dict[str, Any], kind: type[IbkrError]
) -> None:
    """The old one stays, and the status says what kept the new one from being complete."""
    status = StatusFile(tmp_path / "run" / "status.json")
    FetchTask(config(), lambda: client_of(simulator), status, sleep=lambda _: None).run(save_in=tmp_path)
    before = (tmp_path / "latest.json").read_bytes()
    saved = status.read_section(FetchSection)
    simulator.control.fault(**fault)
    with pytest.raises(kind) as caught:
        FetchTask(config(), lambda: client_of(simulator, read_timeout_s=2.0), status, sleep=lambda _: None).run(
            save_in=tmp_path
        )
    assert type(caught.value) is kind
    assert (tmp_path / "latest.json").read_bytes() == before
    section = status.read_section(FetchSection)
    assert section
    assert saved
    assert (section.state, section.why) == ("failed", caught.value.message)
    assert section.session_lost is (kind is SessionUnavailable)
    assert (section.saved, section.saved_at) == (saved.saved, saved.saved_at), "what was saved is still told"


def test_a_session_lost_in_the_middle_is_told_to_the_watchdog(place: Installation, simulator: Simulator) -> None:
    simulator.control.fault("/portfolio/*/positions/1", "status", status=401)
    done = place.run("fetch", "--save")
    assert (done.returncode, done.stdout) == (75, "")
    section = place.status.read_section(FetchSection)
    assert section
    assert section.session_lost
    assert not (place.directories.snapshots / "latest.json").exists()


def running_threads() -> set[str]:
    """Returns the names of the worker threads of fetches."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("fetch")}


def test_an_error_does_not_wait_for_a_slow_answer(simulator: Simulator) -> None:
    """What is under way is ended: no thread is left behind that would keep the program from ending."""
    simulator.control.behaviour(latency_ms=300)
    simulator.control.fault("/portfolio/U1234567/ledger", "hang")
    simulator.control.fault("/portfolio/U1234568/ledger", "json", body=[])
    parts, selection = plan_snapshot(["summary", "ledger"], {}, "portfolio"), SnapshotSelection(account="U1234567")
    began_s = time.monotonic()
    with SnapshotFetcher(lambda: client_of(simulator, read_timeout_s=60.0), now=utc_now) as fetcher:
        accounts = fetcher.accounts.select(parts, selection)
        with pytest.raises(DataError):
            fetcher.fetch(parts, accounts)
        assert asked(simulator, "U1234567/ledger")
    wait_until(lambda: not running_threads())
    assert time.monotonic() - began_s < 20 * slowdown()


@pytest.mark.parametrize("latency_ms", [0, 300], ids=["alone", "side by side"])
def test_ctrl_c_ends_a_fetch_that_waits_for_an_answer(
    place: Installation, simulator: Simulator, latency_ms: int
) -> None:
    simulator.control.behaviour(latency_ms=latency_ms)
    simulator.control.fault("/portfolio/U1234568/ledger", "hang")
    before = asked(simulator, "U1234568/ledger")
    with subprocess.Popen(
        place.command("fetch", "ledger"), env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: asked(simulator, "U1234568/ledger") > before)
        began_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert time.monotonic() - began_s < 10 * slowdown()
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
