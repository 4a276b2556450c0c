"""`ibkr-tools setup` ends with the first positions."""

import os
import subprocess
from pathlib import Path

import pytest

from ibkr_tools.simulator import Simulator
from ibkr_tools.status import SessionSection, SessionState, utc_now
from tests.support.fake_systemd import FakeSystemd
from tests.support.installation import Installation
from tests.support.made_distribution import install, parts, zipped

pytestmark = [
    pytest.mark.simulator(gateway=True, user="demo-reader", positions=40),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which setting up is for"),
]


def test_it_ends_with_the_first_positions(place: Installation, simulator: Simulator, tmp_path: Path) -> None:
    """Where a session is there already no password is submitted: running again costs none."""
    systemd = FakeSystemd(tmp_path)
    directories = place.directories
    directories.configuration.chmod(0o750)
    directories.gateway.mkdir(parents=True, exist_ok=True)
    source = zipped(tmp_path / "gateway.zip", parts())
    install(source, directories.gateway / "clientportal.gw", directories.accepted_builds)
    now = utc_now()
    place.status.write(SessionSection(updated_at=now, fresh_for_s=600, state=SessionState.UP, since=now, why="x"))
    before = simulator.control.submitted()
    done = subprocess.run(
        place.command(
            "setup",
            f"--unit-dir={systemd.unit_directory}",
            "--password-stdin",
            "--username",
            "demo-reader",
            "--account",
            "U1234567",
        ),
        env=systemd.environment(place.environment),
        input="demo-password",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done
    assert "there is a session already" in done.stderr
    lines = done.stdout.splitlines()
    assert "net liquidation value" in lines[-1]
    rules = [number for number, line in enumerate(lines) if line.startswith("───")]
    assert rules[1] - rules[0] == 11, "the largest ten are shown"
    count = next(int(line.split()[0]) for line in lines if " positions; " in line or line.endswith(" positions"))
    assert f"{count - 10} positions more, shown by: ibkr-tools fetch --table" in lines
    assert simulator.control.submitted() == before
    assert systemd.calls() == ["enable ibkr-gateway.service", "start ibkr-gateway.service"]
