"""The whole way without systemd: `ibkr-tools up`, a wrong password, real Chromium, and a person who is told."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.simulator import ControlClient
from ibkr_tools.status import SessionSection, SessionState, utc_now
from tests.browser.conftest import PASSWORD
from tests.simulator.test_up import processes_of
from tests.support.installation import Installation
from tests.support.jar import free_port
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture
def place(environment: dict[str, str]) -> Iterator[Installation]:
    """Directories that the browser may enter."""
    root = Path(tempfile.mkdtemp(prefix="ibkr-tools-told-"))
    root.chmod(0o755)
    yield Installation(root, environment | {"HOME": str(root)})
    left = processes_of(root)
    shutil.rmtree(root, ignore_errors=True)
    assert not left, "something was left running"


def test_wrong_password_and_its_end(place: Installation) -> None:
    """One message when IBKR refuses the password, one when it was corrected, `unlock` said, and the session is up."""
    heard, port, control_port = place.root / "heard", free_port(), free_port()

    def configure(password: str) -> None:
        command = ["/bin/sh", "-c", f"cat >> {shlex.quote(str(heard))}"]
        place.configure(port, password=password, alerts={"command": command})
        place.directories.config_file.chmod(0o600)

    def letters() -> list[dict[str, Any]]:
        return [json.loads(line) for line in heard.read_text().splitlines()] if heard.exists() else []

    def is_in(state: SessionState) -> bool:
        session = place.status.read_section(SessionSection)
        return session is not None and session.state is state and not session.is_stale(utc_now())

    configure("wr0ng")
    log = (place.root / "log").open("w")
    up = subprocess.Popen(
        [sys.executable, "-m", "ibkr_tools", *place.options, "up", "--simulate", "--control-port", str(control_port)],
        env=place.environment,
        stderr=log,
        stdout=log,
    )
    try:
        wait_until(lambda: is_in(SessionState.LOCKED_OUT), 60.0)
        wait_until(lambda: len(letters()) == 1, 15.0)
        (refused,) = letters()
        assert (refused["topic"], refused["over"], refused["user"]) == ("person", False, "demo-reader")
        assert refused["todo"]
        assert "wr0ng" not in heard.read_text()
        configure(PASSWORD)
        assert place.run("unlock").returncode == 0
        wait_until(lambda: is_in(SessionState.UP), 60.0)
        wait_until(lambda: len(letters()) > 1, 15.0)
        wait_until(lambda: not list(place.directories.outbox.glob("*.json")), 15.0)
        assert [(letter["topic"], letter["over"]) for letter in letters()] == [("person", False), ("person", True)]
        assert ControlClient(control_port).submitted() == 2
    finally:
        up.send_signal(signal.SIGINT)
        code = up.wait(60)
        log.close()
    assert code == 0, (place.root / "log").read_text()
