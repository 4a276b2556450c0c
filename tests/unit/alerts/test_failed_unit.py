"""What a person is told of a failed unit, and when nobody is told."""

from pathlib import Path

import pytest

from ibkr_tools import alert_outbox
from ibkr_tools.alerts import failed_unit
from ibkr_tools.alerts.alert_rendering import render_alert
from ibkr_tools.directories import Directories
from ibkr_tools.errors import UsageError


@pytest.mark.parametrize(
    ("unit", "properties", "next_step", "start"),
    [
        ("ibkr-fetch.service", {"TriggeredBy": "ibkr-fetch.timer"}, "when its timer elapses", "ibkr-fetch"),
        ("ibkr-firewall.service", {"RequiredBy": "ibkr-gateway.service"}, "no ibkr-gateway.service", "ibkr-gateway"),
        ("ibkr-login.service", {"TriggeredBy": "ibkr-login.path", "RequiredBy": ""}, "given it up", "ibkr-gateway"),
        ("ibkr-gateway.service", {}, "given it up", "ibkr-gateway"),
    ],
)
def test_what_to_do_about_a_unit(unit: str, properties: dict[str, str], next_step: str, start: str) -> None:
    """A fetch that failed is not mended by the gateway; the unit is named as it is typed."""
    message = failed_unit.failure_message(unit, {"MONITOR_SERVICE_RESULT": "watchdog"}, properties)
    assert (message.topic, message.what) == (f"unit:{unit}", f"{unit} hung")
    assert message.next.endswith(next_step)
    lines = render_alert(message, message.at, "host").text.splitlines()
    assert lines[0] == f"{unit} hung."
    assert lines[3].endswith(f"journalctl -u {unit} -n 20 says why; then systemctl start {start}")


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The outbox of this unit's directories, on a machine where systemctl is a script."""
    for name in ("CONFIGURATION", "RUNTIME", "STATE"):
        monkeypatch.setenv(f"{name}_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return Directories(configuration=tmp_path, runtime=tmp_path, state=tmp_path).outbox


def test_a_test_is_put_without_asking(outbox: Path) -> None:
    assert failed_unit.main(["test"]) == 0
    assert len(alert_outbox.pending(outbox)) == 1


def test_one_unit_at_a_time() -> None:
    with pytest.raises(UsageError):
        failed_unit.main([])
