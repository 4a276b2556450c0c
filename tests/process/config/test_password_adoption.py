"""`ibkr-tools config adopt-password`, as bin/install runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ibkr_tools.config.password_adoption import adopt_password

SECRET = "se'cr\"et  \\ü"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o750)
    return directory / "config.json"


def adopt(config: Path) -> str | None:
    return adopt_password(config, config.with_name("password"))


def document(**more: object) -> str:
    return json.dumps({"username": "reader", "password": SECRET, "account": "U1234567", **more}, indent=2)


def test_the_command_says_what_it_did(config: Path) -> None:
    """Without the password, whatever happens."""

    def run() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-I", "-m", "ibkr_tools", "--config", str(config), "config", "adopt-password"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    config.write_text(document(note="hunter22"))
    (config.parent / "config.json~").write_text(document())
    done = run()
    assert (done.returncode, "was moved" in done.stdout) == (0, True)
    assert f"warning: {config}~ has a password in it" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    done = run()
    assert (done.returncode, done.stdout) == (0, "")
    config.write_text('{"password": "hunter22",}')
    done = run()
    assert (done.returncode, done.stdout) == (78, "")
    assert "not moved" in done.stderr
    assert "config.json~" in done.stderr
    assert "hunter22" not in done.stderr
