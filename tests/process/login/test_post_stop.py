"""A login whose status cannot be written."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from ibkr_tools import files
from ibkr_tools.status import LoginSection, StatusFile, utc_now


def login(state: Literal["running", "succeeded", "refused"]) -> LoginSection:
    return LoginSection(updated_at=utc_now(), state=state, why="said by the login", failures_24h=1, logins_24h=3)


def test_status_that_cannot_be_written_is_no_bug(tmp_path: Path) -> None:
    """One line for the journal, and the exit code that says so."""
    status = StatusFile(tmp_path / "status.json")
    status.write(login("running"))
    with files.locked(tmp_path / "status.lock"):
        done = subprocess.run(
            [sys.executable, "-m", "ibkr_tools.login.post_stop"],
            env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (73, f"error: {status.path}: Connection timed out\n")


@pytest.mark.parametrize(("result", "level"), [("success", "INFO"), ("signal", "WARNING")])
def test_a_login_that_was_stopped_is_no_warning(tmp_path: Path, result: str, level: str) -> None:
    """Whoever stops the unit, or the machine, wants that."""
    StatusFile(tmp_path / "status.json").write(login("running"))
    done = subprocess.run(
        [sys.executable, "-m", "ibkr_tools.login.post_stop"],
        env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path), "SERVICE_RESULT": result},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stderr.splitlines()
    assert level in line.split()
