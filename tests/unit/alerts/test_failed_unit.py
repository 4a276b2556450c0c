"""What a person is told of a failed unit, and when nobody is told."""

from pathlib import Path

import pytest

from ibkr_tools import alert_outbox
from ibkr_tools.alerts import failed_unit
from ibkr_tools.alerts.alert_rendering import render_alert
from ibkr_tools.directories import Directories
from ibkr_tools.errors import UsageError

NAME = "ibkr-fetch.service"


@pytest.mark.parametrize(
    ("result", "code", "status", "expected"),
    [
        ("exit-code", "exited", "78", "failed (exit code 78: something must be configured or installed)"),
        ("exit-code", "exited", "70", "failed (exit code 70: a bug in ibkr-tools)"),
        ("exit-code", "exited", "203", "failed (exit code 203)"),
        ("signal", "killed", "KILL", "was killed by SIGKILL"),
        ("core-dump", "dumped", "SEGV", "crashed"),
        ("oom-kill", "killed", "KILL", "ran out of memory"),
        ("timeout", "killed", "TERM", "took too long to start or to stop"),
        ("watchdog", "killed", "ABRT", "hung"),
        ("start-limit-hit", "exited", "75", "failed too often in a row (exit code 75: there was no session)"),
        ("resources", "", "", "could not be started by systemd"),
        ("something-new", "", "", "failed"),
        ("", "", "", "failed"),
    ],
)
def test_words(result: str, code: str, status: str, expected: str) -> None:
    """systemd's words (systemd.exec(5), $SERVICE_RESULT) in a person's."""
    environ = {"MONITOR_SERVICE_RESULT": result, "MONITOR_EXIT_CODE": code, "MONITOR_EXIT_STATUS": status}
    assert failed_unit.describe_failure(environ) == expected
    message = failed_unit.failure_message(NAME, environ)
    assert (message.topic, message.what) == (f"unit:{NAME}", f"{NAME} {expected}")
    assert f"journalctl -u {NAME} -n 20" in (message.todo or "")


def test_what_to_do_about_a_unit_names_it_as_it_is_typed() -> None:
    """A fetch that failed is not mended by the gateway."""
    message = failed_unit.failure_message("ibkr-fetch.service", {})
    lines = render_alert(message, message.at, "host").text.splitlines()
    assert lines[0] == "ibkr-fetch.service failed."
    assert lines[3].endswith("journalctl -u ibkr-fetch.service -n 20 says why; then systemctl start ibkr-fetch")
    assert (failed_unit.failure_message("ibkr-gateway.service", {}).todo or "").endswith("systemctl start ibkr-gateway")


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
