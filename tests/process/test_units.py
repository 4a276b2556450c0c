"""Units, judged by systemd's own program."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.unit_files import FILES as UNITS
from tests.support.unit_files import SERVICES, SYSTEMD, unit

VENV_PROGRAM = re.compile(r"/opt/ibkr-tools/venv/bin/[a-z-]+")

DEFAULT_EXPOSURE = 9
"""Highest exposure of a service that has no exceptions from the sandbox: ten times what `systemd-analyze security`
prints. Source: docs/reference/systemd.md#exposure-scores."""

EXPOSURE = {
    "ibkr-firewall.service": 14,
    "ibkr-flex.service": 11,
    "ibkr-gateway.service": 11,
    "ibkr-login.service": 12,
    "ibkr-alert.service": 11,
}
"""Those of the services that have exceptions."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (systemd)")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Units and drop-ins with their programs replaced by one that exists here; nothing else is changed."""
    directory = tmp_path_factory.mktemp("units")
    for path in (*UNITS, *SYSTEMD.glob("ibkr-*.d/*.conf")):
        copy = directory / path.relative_to(SYSTEMD)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(VENV_PROGRAM.sub("/usr/bin/true", path.read_text()))
    return directory


@needs_systemd
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_every_line(path: Path, copies: Path) -> None:
    """A misspelt key is only a warning when a unit starts; here it is an error."""
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copies / path.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr.strip()) == (0, "")


@needs_systemd
@pytest.mark.parametrize("place", ["ibkr-broken.service", "ibkr-.service.d/10-sandbox.conf"])
def test_a_misspelt_key_would_be_noticed(tmp_path: Path, place: str) -> None:
    """The check above can fail, for a drop-in of all units as well."""
    broken = tmp_path / "ibkr-broken.service"
    broken.write_text("[Service]\nExecStart=/usr/bin/true\n")
    (tmp_path / place).parent.mkdir(exist_ok=True)
    with (tmp_path / place).open("a") as file:
        file.write("[Service]\nProtectHomes=yes\n")
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(broken)],
        capture_output=True,
        check=False,
    )
    assert result.returncode == 1


@needs_systemd
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_sandbox_keeps_its_score(path: Path, copies: Path) -> None:
    """Whoever loosens a sandbox has to say so here."""
    result = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=yes",
            "--no-pager",
            f"--threshold={EXPOSURE.get(path.name, DEFAULT_EXPOSURE)}",
            str(copies / path.name),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout.splitlines()[-1]


@needs_systemd
@pytest.mark.parametrize("name", ["ibkr-fetch.timer", "ibkr-flex.timer"])
def test_timer_expression_means_something(name: str) -> None:
    """systemd can say when the timer elapses next."""
    calendar = unit(name).one("OnCalendar")
    assert subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True, check=False).returncode == 0


def test_exceptions_from_the_sandbox_are_the_ones_that_are_known() -> None:
    """Whoever adds one says in this file what the service's exposure is."""
    folders = {path.parent.name for path in SYSTEMD.glob("ibkr-*.service.d/20-exceptions.conf")}
    assert folders == {f"{name}.d" for name in EXPOSURE}
