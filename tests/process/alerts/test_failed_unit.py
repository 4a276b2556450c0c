"""The script that a failed unit starts."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from ibkr_tools import alert_outbox
from ibkr_tools.alerts import failed_unit
from ibkr_tools.directories import Directories
from ibkr_tools.status import FetchSection, FlexSection, StatusFile, utc_now

NAME = "ibkr-fetch.service"


@pytest.fixture
def outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The outbox of this unit's directories, on a machine where systemctl is a script."""
    for name in ("CONFIGURATION", "RUNTIME", "STATE"):
        monkeypatch.setenv(f"{name}_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return Directories(configuration=tmp_path, runtime=tmp_path, state=tmp_path).outbox


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo ActiveState=failed", True),
        ("echo ActiveState=activating", False),
        ("echo ActiveState=active", False),
        ("echo ActiveState=inactive", False),
        ("exit 1", True),
        ("kill -9 $$", True),
        (None, True),
    ],
)
def test_only_what_is_given_up_is_told(outbox: Path, script: str | None, told: bool) -> None:
    """One that systemd starts again, or has not even tried, is no news; where nobody can say, it is."""
    if script is not None:
        program = outbox.parent / "systemctl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    assert failed_unit.main([NAME]) == 0
    assert [message.topic for path in alert_outbox.pending(outbox) if (message := alert_outbox.read(path))] == (
        [f"unit:{NAME}"] if told else []
    )


@pytest.mark.parametrize(("topic", "told"), [("accounts", 0), (None, 1)])
def test_what_the_watchdog_tells_is_not_told_twice(outbox: Path, topic: str | None, told: int) -> None:
    """An account that answers nothing is a message of its own, with what to do about it."""
    section = FetchSection(updated_at=utc_now(), state="failed", why="account U2 answers nothing", topic=topic)
    StatusFile(outbox.parent / "status.json").write(section)
    assert failed_unit.main([NAME]) == 0
    assert len(alert_outbox.pending(outbox)) == told


@pytest.mark.parametrize(
    ("state", "topic", "age_s", "told"),
    [
        ("action-required", "flex", 0, 0),
        ("action-required", "flex", 3600, 1),
        ("failed", None, 0, 1),
        ("succeeded", "flex", 0, 1),
    ],
)
def test_what_the_fetch_of_statements_tells_is_not_told_twice(
    outbox: Path, state: Literal["succeeded", "failed", "action-required"], topic: str | None, age_s: int, told: int
) -> None:
    """What it has said of another run is not about this one."""
    StatusFile(outbox.parent / "status.json").write(
        FlexSection(
            updated_at=utc_now() - timedelta(seconds=age_s), state=state, why="the token has expired", topic=topic
        )
    )
    assert failed_unit.main(["ibkr-flex.service"]) == 0
    assert failed_unit.main([NAME]) == 0
    topics = [message.topic for path in alert_outbox.pending(outbox) if (message := alert_outbox.read(path))]
    assert topics == [f"unit:{name}" for name in [*["ibkr-flex.service"][:told], NAME]]
