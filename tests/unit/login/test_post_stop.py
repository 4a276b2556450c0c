"""A login that died is called failed, with systemd's reason; one that has spoken is not contradicted."""

from pathlib import Path
from typing import Literal

import pytest

from ibkr_tools.control_group import Shortages
from ibkr_tools.login.post_stop import record_abnormal_exit, unit_end
from ibkr_tools.status import LoginSection, StatusFile, utc_now


def login(state: Literal["running", "succeeded", "refused", "action-required"]) -> LoginSection:
    return LoginSection(updated_at=utc_now(), state=state, why="said by the login", failures_24h=1, logins_24h=3)


@pytest.mark.parametrize(
    ("result", "words"),
    [("signal", "killed"), ("oom-kill", "memory"), ("timeout", "too long"), ("success", "stopped"), ("news", "news")],
)
def test_running_login_is_recorded_as_failed(tmp_path: Path, result: str, words: str) -> None:
    """The watchdog reads `failed` and why, and the counts stay."""
    status = StatusFile(tmp_path / "status.json")
    status.write(login("running"))
    why = record_abnormal_exit(status, {"SERVICE_RESULT": result})
    section = status.read_section(LoginSection)
    assert section is not None
    assert (section.state, section.failures_24h, section.logins_24h) == ("failed", 1, 3)
    assert section.why == why
    assert words in section.why


def test_too_little_memory_is_named_with_what_to_set(tmp_path: Path) -> None:
    """How much there is, how much is needed, and where it is set; nothing of it after another end."""
    status = StatusFile(tmp_path / "status.json")
    shortages = Shortages(unit="ibkr-login.service", memory_limit=350 << 20)
    status.write(login("running"))
    why = record_abnormal_exit(status, {"SERVICE_RESULT": "oom-kill"}, shortages)
    section = status.read_section(LoginSection)
    assert section is not None
    assert section.todo is not None
    assert why == section.why
    for word in ("350 MB", "500 MB", "systemctl edit ibkr-login.service", "MemoryMax="):
        assert word in section.why
    status.write(login("running"))
    why = record_abnormal_exit(status, {"SERVICE_RESULT": "signal"}, shortages)
    section = status.read_section(LoginSection)
    assert section is not None
    assert (section.todo, section.why) == (None, why)
    assert "MB" not in section.why


@pytest.mark.parametrize("state", ["succeeded", "refused", "action-required"])
def test_what_the_login_said_itself_stays(
    tmp_path: Path, state: Literal["succeeded", "refused", "action-required"]
) -> None:
    """A login that ended by itself has told more than systemd knows."""
    status = StatusFile(tmp_path / "status.json")
    status.write(login(state))
    before = (tmp_path / "status.json").read_bytes()
    assert record_abnormal_exit(status, {"SERVICE_RESULT": "exit-code"}) is None
    assert (tmp_path / "status.json").read_bytes() == before


def test_without_a_status_file_there_is_nothing_to_record(tmp_path: Path) -> None:
    """A login that never came to its first word leaves no file behind either."""
    assert record_abnormal_exit(StatusFile(tmp_path / "status.json"), {}) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "shortages", "result"),
    [
        ("KILL", Shortages(unit="ibkr-login.service", oom_kills=1), "oom-kill"),
        ("KILL", Shortages(unit="ibkr-login.service"), "signal"),
        ("TERM", Shortages(unit="ibkr-login.service", oom_kills=1), "signal"),
        ("KILL", Shortages(oom_kills=1), "signal"),
    ],
)
def test_what_systemd_does_not_know(status: str, shortages: Shortages, result: str) -> None:
    """With cgroup v1 a process that was killed for want of memory looks like any other; its unit's group tells."""
    environ = {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": status}
    assert unit_end(environ, shortages)["SERVICE_RESULT"] == result
