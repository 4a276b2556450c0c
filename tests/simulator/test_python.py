"""The Python way in: documented examples run as they stand, with the command line's client, budget and errors."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import ibkr_tools
from ibkr_tools import (
    ConfigError,
    Connection,
    GatewayUnavailable,
    SessionUnavailable,
    Snapshot,
    SnapshotMissing,
    UsageError,
    latest,
)
from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.status import FetchSection, SessionSection, SessionState, utc_now
from tests.support.checkout import CHECKOUT
from tests.support.flex_statements import document
from tests.support.installation import Installation
from tests.support.portal import asked

PAGE = (CHECKOUT / "docs/python.md").read_text()
EXAMPLES = [dedent(text) for text in re.findall(r"<!-- python -->\n\n((?:    .*\n|\n)+)", PAGE)]
ACCOUNTS = account_numbers("U1234567", 2)

pytestmark = pytest.mark.simulator(gateway=True, user="demo-reader", accounts=ACCOUNTS)


@pytest.fixture
def ibkr(place: Installation) -> Iterator[Connection]:
    with connected(place) as connection:
        yield connection


def connected(place: Installation) -> Connection:
    """Connects in the directories of `place`."""
    where = place.directories
    return Connection(where.config_file, runtime_dir=where.runtime, state_dir=where.state)


def test_the_examples_run_as_they_stand(place: Installation) -> None:
    """One after the other, as in a notebook; the units' environment says where the directories are."""
    assert place.run("fetch", "--save").returncode == 0
    (place.root / "week.xml").write_bytes(document())
    assert place.run("flex", "import", str(place.root / "week.xml")).returncode == 0
    where = place.directories
    variables = {
        "CONFIGURATION_DIRECTORY": str(where.configuration),
        "RUNTIME_DIRECTORY": str(where.runtime),
        "STATE_DIRECTORY": str(where.state),
    }
    now = utc_now()
    place.status.write(SessionSection(updated_at=now, fresh_for_s=60, state=SessionState.UP, since=now, why="it is"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "".join(EXAMPLES)],
        env=place.environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(EXAMPLES) == PAGE.count("<!-- python -->") == 7
    assert lines[0].startswith("U1234567 ")
    assert lines[3].endswith("+00:00 ('U1234567', 'U1234568')")
    assert lines[4].endswith(" 2 0")
    assert lines[5].startswith("U1234567 CHF ")
    assert re.fullmatch(r"-?\d+\.\d+", lines[6])
    assert lines[7].startswith("U1234567 ALFO value ")
    assert lines[10].startswith("EUR ")
    assert lines[12].startswith("not a listed read: ")
    assert lines[13] == "no saved copy of 2020-01-01"
    assert lines[14] == "2026-01-02 U1234567 1350.5 EUR"
    assert lines[16].startswith("2026-01 0.0246")
    assert lines[17].startswith("2026-01-06 dividend ")


def test_the_examples_are_typed(tmp_path: Path) -> None:
    """mypy sees through the lazy names, as it does in a user's project."""
    (tmp_path / "example.py").write_text("".join(EXAMPLES))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "example.py"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "MYPYPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_one_account_is_named_without_a_list(ibkr: Connection) -> None:
    assert ibkr.fetch("ledger", accounts="U1234568").covers.accounts == ("U1234568",)


def test_a_fetch_is_what_the_command_line_prints(place: Installation, ibkr: Connection) -> None:
    snapshot = ibkr.fetch("ledger", "positions", accounts=["U1234568"])
    assert list(snapshot) == ["ledger", "positions"]
    assert {row["acctId"] for row in snapshot["positions"]} == {"U1234568"}
    assert len(snapshot.records("positions")) == 237
    section = place.status.read_section(FetchSection)
    assert section
    assert section.state == "succeeded"
    assert place.directories.pacing_file.exists(), "it draws on the shared budget"
    place.rest()
    printed = place.run("fetch", "ledger", "--account", "U1234568", "--jq", ".ledger.U1234568.BASE.cashbalance")
    assert float(printed.stdout) == snapshot["ledger"]["U1234568"]["BASE"]["cashbalance"]


def test_a_saved_fetch_is_the_latest(place: Installation, ibkr: Connection) -> None:
    with pytest.raises(SnapshotMissing):
        latest(state_dir=place.directories.state)
    snapshot = ibkr.fetch("summary", save=True)
    kept = latest(state_dir=place.directories.state)
    assert kept.encode().strip() == snapshot.encode()
    assert isinstance(kept, Snapshot)
    assert kept.age().total_seconds() < 60
    again = latest(f"{kept.as_of:%Y-%m-%d}", state_dir=place.directories.state)
    assert again["summary"] == kept["summary"]


def test_raw_reads(ibkr: Connection, simulator: Simulator) -> None:
    assert ibkr.read("/portfolio/U1234567/ledger")["BASE"]["secondkey"] == "BASE"
    assert len(ibkr.read("portfolio/U1234567/positions/0", {"sort": "mktValue"})) == 100
    assert len(ibkr.read("/portfolio/U1234567/positions/0", pages=True)) == 237
    assert asked(simulator, "/portfolio/U1234567/positions/2") > 0


@pytest.mark.parametrize(
    "path", ["/iserver/account/U1234567/orders", "/logout", "/tickle", "/portfolio/../logout", "/sso/validate", ""]
)
def test_nothing_else_can_be_sent(ibkr: Connection, simulator: Simulator, path: str) -> None:
    before = simulator.control.state()["requests"]
    with pytest.raises(UsageError) as caught:
        ibkr.read(path)
    assert isinstance(caught.value, ValueError), "what Python programs expect of a bad argument"
    assert simulator.control.state()["requests"] == before


def test_errors_are_the_command_lines(place: Installation, ibkr: Connection, simulator: Simulator) -> None:
    with pytest.raises(UsageError, match="did you mean 'positions'"):
        ibkr.fetch("postions")
    with pytest.raises(UsageError, match="U9999999"):
        ibkr.fetch("ledger", accounts=["U9999999"])
    with pytest.raises(ConfigError, match="brokerage"):
        ibkr.fetch("trades")
    simulator.control.drop()
    with pytest.raises(SessionUnavailable):
        ibkr.read("/portfolio/U1234567/summary")
    place.configure(1025)
    with connected(place) as nowhere, pytest.raises(GatewayUnavailable):
        nowhere.fetch("ledger")
    with pytest.raises(ConfigError):
        Connection(
            place.root / "missing.json", runtime_dir=place.directories.runtime, state_dir=place.directories.state
        )


def test_what_it_does_is_told(place: Installation) -> None:
    told: list[str] = []
    where = place.directories
    with Connection(where.config_file, runtime_dir=where.runtime, state_dir=where.state, progress=told.append) as ibkr:
        ibkr.fetch("ledger")
    assert "ledger of U1234568" in told


def test_public_names() -> None:
    assert set(ibkr_tools.__all__) <= set(dir(ibkr_tools))
    for name in ibkr_tools.__all__:
        assert getattr(ibkr_tools, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ibkr_tools.nonsense  # type: ignore[attr-defined]  # noqa: B018
