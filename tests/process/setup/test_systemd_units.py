"""What is asked of systemd: by its own words, and one line where there is none."""

import shutil
from pathlib import Path

import pytest

from ibkr_tools.errors import ConfigError, GatewayUnavailable, OutputError, UsageError
from ibkr_tools.setup.systemd_units import SystemdUnits
from tests.support.fake_systemd import FakeSystemd


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    fake = FakeSystemd(tmp_path)
    for name, value in fake.environment({}).items():
        monkeypatch.setenv(name, value)
    return fake


def test_what_is_so(systemd: FakeSystemd) -> None:
    units = SystemdUnits(systemd.unit_directory)
    assert units.is_installed("ibkr-gateway.service")
    assert not units.is_installed("ibkr-other.service")
    assert not units.has_encrypted_password()
    state = units.state()
    assert (state.gateway_active, state.timer_enabled, state.calendar) == (False, False, "*-*-* 07:00:00")
    systemd.set("ibkr-gateway.service", ActiveState="active")
    systemd.set("ibkr-login.service", LoadCredentialEncrypted="ibkr-password:/etc/ibkr-tools/password.cred")
    several = "{ OnCalendar=Mon *-*-* 07:00:00 ; next_elapse=x } { OnCalendar=Tue *-*-* 08:00:00 ; next_elapse=y }"
    systemd.set("ibkr-fetch.timer", UnitFileState="enabled", TimersCalendar=several)
    state = units.state()
    assert (state.gateway_active, state.timer_enabled, state.calendar) == (True, True, None)
    assert units.has_encrypted_password()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("07:00", "*-*-* 07:00:00"),
        ("daily", "*-*-* 00:00:00"),
        ("Mon..Fri 17:30 America/New_York", "Mon..Fri *-*-* 17:30:00 America/New_York"),
    ],
)
def test_systemds_own_form_of_a_time(text: str, form: str) -> None:
    assert SystemdUnits().normalised(text) == form


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("text", ["", " ", "whenever", "25:00", "--help", "daily\n[Service]", "daily\tx", "%h"])
def test_what_is_no_time(text: str) -> None:
    """Whatever it is, it does not get into a file."""
    with pytest.raises(UsageError, match="07:00"):
        SystemdUnits().normalised(text)


def test_what_fails_is_told_in_systemds_words(systemd: FakeSystemd) -> None:
    systemd.fail("enable")
    with pytest.raises(GatewayUnavailable, match=r"systemctl enable x\.service: Job for it failed") as caught:
        SystemdUnits().call("enable", "x.service")
    assert "journalctl -u x.service" in str(caught.value.hint)


def test_without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no systemd") as caught:
        SystemdUnits().is_installed("ibkr-gateway.service")
    assert "ibkr-tools up" in str(caught.value.hint)


def test_a_drop_in_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        SystemdUnits(tmp_path / "file").write_schedule("")
