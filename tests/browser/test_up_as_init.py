"""`ibkr-tools up` as process 1, as in a container: nobody else reaps, and nobody else tells how a login has ended."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ibkr_tools.simulator.control_client import ControlClient
from ibkr_tools.status import LoginSection, SessionSection, SessionState, StatusFile
from tests.support.checkout import CHECKOUT
from tests.support.jar import free_port
from tests.support.simulation import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace takes root")]


class Container:
    """A PID namespace whose process 1 is `ibkr-tools up`, with the simulator in the gateway's place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        port, control_port = free_port(), free_port()
        (root / "config").mkdir()
        config = root / "config/config.json"
        config.touch(mode=0o600)
        user = {"username": "demo-reader", "account": "U1234567", "password": "demo-password"}
        config.write_text(json.dumps({**user, "gateway": {"port": port}}))
        self.status = StatusFile(root / "run/status.json")
        self.control = ControlClient(control_port)
        options = ["--config", str(config), "--runtime-dir", str(root / "run"), "--state-dir", str(root / "state")]
        up = [
            sys.executable,
            "-P",
            "-m",
            "ibkr_tools",
            *options,
            "up",
            "--simulate",
            "--control-port",
            str(control_port),
        ]
        self.log = (root / "log").open("w+")
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *up],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdout=self.log,
            stderr=self.log,
        )

    @property
    def init(self) -> int:
        """The process 1, by its number outside."""
        (pid,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(pid)

    def children(self) -> dict[int, tuple[str, str]]:
        """Returns name and state of what process 1 has below it."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                name, _, fields = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            state, parent = fields.split()[:2]
            if int(parent) == self.init:
                found[int(entry.name)] = (name, state)
        return found

    def login(self) -> LoginSection | None:
        return self.status.read_section(LoginSection)

    def is_up(self) -> bool:
        session = self.status.read_section(SessionSection)
        return session is not None and session.state is SessionState.UP

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()


@pytest.fixture
def container() -> Iterator[Container]:
    root = Path(tempfile.mkdtemp(prefix="ibkr-tools-test-"))
    root.chmod(0o755)
    made = Container(root)
    try:
        yield made
    finally:
        os.kill(made.init, signal.SIGTERM)
        made.process.wait(60)
        print(made.output())
        made.log.close()
        shutil.rmtree(root, ignore_errors=True)


def name_of(path: Path) -> str:
    """Returns what a file `comm` says; empty if its process is gone."""
    with suppress(OSError):
        return path.read_text()
    return ""


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_a_killed_login_is_redone(container: Container) -> None:
    """The watchdog learns it at once, another login follows, and no process is left to nobody."""
    wait_until((container.root / "run/status.json").exists, 30)

    def is_under_way() -> bool:
        # A browser is there.
        login = container.login()
        return (
            login is not None
            and login.state == "running"
            and any("chromedriver" in name_of(path) for path in Path("/proc").glob("[0-9]*/comm"))
        )

    wait_until(is_under_way, 60)
    (pid,) = [pid for pid in container.children() if "login --unattended" in command_of(pid)]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: (login := container.login()) is not None and login.state == "failed", 5)
    login = container.login()
    assert login is not None
    assert login.why == "the login was killed by SIGKILL"
    wait_until(container.is_up, 40)
    wait_until(lambda: not [name for name, state in container.children().values() if state == "Z"], 10)
    assert "chrom" not in " ".join(name for name, _ in container.children().values())
