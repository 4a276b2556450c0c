"""What the metrics are made of, read from files as the units and the kernel leave them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.metrics.readings import take_readings
from tests.support.snapshots import save_simulated

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CONFIG = Config(username="demo-reader", account="U1234567")


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    return Directories(configuration=tmp_path / "config", runtime=tmp_path / "run", state=tmp_path / "state")


def test_nothing_has_run_yet(directories: Directories, tmp_path: Path) -> None:
    readings = take_readings(directories, CONFIG, NOW, tmp_path / "cgroups")
    assert (readings.budget, readings.snapshot, dict(readings.memory_bytes)) == (None, None, {})
    assert readings.requests.sent == 0
    assert not directories.state.exists()


def test_damage_is_left_out(directories: Directories, tmp_path: Path) -> None:
    """A login log that cannot be read is a locked one."""
    for path in (directories.status_file, directories.login / "login_log.json", directories.snapshots / "latest.json"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\xff")
    directories.pacing_file.write_bytes(b"[")
    readings = take_readings(directories, CONFIG, NOW, tmp_path / "cgroups")
    assert readings.status.session is None
    assert readings.snapshot is None
    assert readings.login_attempts is None
    assert readings.budget is not None
    assert readings.budget.locked


@pytest.mark.parametrize(("folder", "name"), [("", "memory.current"), ("memory", "memory.usage_in_bytes")])
def test_memory_is_that_of_the_units(directories: Directories, tmp_path: Path, folder: str, name: str) -> None:
    """In both versions of the kernel's interface; other people's units are not ours."""
    units = tmp_path / "cgroups" / folder / "system.slice"
    for unit, text in {"ibkr-gateway": "88000000\n", "ibkr-login": "", "nginx": "1\n"}.items():
        (units / f"{unit}.service").mkdir(parents=True)
        (units / f"{unit}.service" / name).write_text(text)
    readings = take_readings(directories, CONFIG, NOW, tmp_path / "cgroups")
    assert readings.memory_bytes == {"ibkr-gateway": 88_000_000}


def test_the_last_snapshot_is_there(directories: Directories, tmp_path: Path) -> None:
    save_simulated(directories.snapshots, NOW)
    snapshot = take_readings(directories, CONFIG, NOW, tmp_path / "cgroups").snapshot
    assert snapshot is not None
    assert snapshot.as_of == NOW


def test_memory_of_an_instance_is_that_of_its_units(
    directories: Directories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in slices of their templates; the units of other instances are theirs."""
    system = tmp_path / "cgroups/system.slice"
    for number, unit in enumerate(
        (
            "ibkr-gateway.service",
            "system-ibkr\\x2dgateway.slice/ibkr-gateway@anna.service",
            "system-ibkr\\x2dgateway.slice/ibkr-gateway@bob.service",
        )
    ):
        (system / unit).mkdir(parents=True)
        (system / unit / "memory.current").write_text(f"{number}\n")
    assert take_readings(directories, CONFIG, NOW, tmp_path / "cgroups").memory_bytes == {"ibkr-gateway": 0}
    monkeypatch.setenv("IBKR_TOOLS_INSTANCE", "anna")
    readings = take_readings(directories, CONFIG, NOW, tmp_path / "cgroups")
    assert (readings.instance, readings.memory_bytes) == ("anna", {"ibkr-gateway": 1})
