"""`ibkr-tools up` with the simulator in the gateway's place: the real processes under one terminal."""

import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibkr_tools.simulator.control_client import ControlClient
from ibkr_tools.status import SessionSection, SessionState, utc_now
from tests.support.installation import Installation
from tests.support.jar import free_port
from tests.support.simulation import wait_until


def processes_of(root: Path) -> list[str]:
    """Lists the command lines of living processes that name a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(root) in text:
            found.append(text)
    return found


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Iterator[Installation]:
    installation = Installation(tmp_path, environment)
    installation.configure(free_port())
    yield installation
    assert not processes_of(tmp_path), "something was left running"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_terminal(place: Installation, number: signal.Signals) -> None:
    """Gateway and watchdog come up, a session that is there is found, and Ctrl-C ends all of it."""
    control_port = free_port()
    command = [*place.options, "up", "--simulate", "--control-port", str(control_port)]
    with (place.root / "log").open("w") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "ibkr_tools", *command], env=place.environment, stderr=log, stdout=log
        )
    try:
        wait_until(lambda: _is_open(control_port), 15.0)
        ControlClient(control_port).login("demo-reader")

        def is_up() -> bool:
            session = place.status.read_section(SessionSection)
            return session is not None and session.state is SessionState.UP and not session.is_stale(utc_now())

        wait_until(is_up, 20.0)
    finally:
        up.send_signal(number)
        code = up.wait(60)
    assert code == 0, (place.root / "log").read_text()


def _is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_a_simulated_user_needs_no_configuration(tmp_path: Path, environment: dict[str, str]) -> None:
    """It has ports and directories of its own, says what to type in another terminal, and leaves nothing behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    log = tmp_path / "log"
    more = {"TMPDIR": str(scratch), "HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": ""}
    with log.open("w") as file:
        up = subprocess.Popen(
            [sys.executable, "-m", "ibkr_tools", "up", "--simulate"], env=environment | more, stderr=file, stdout=file
        )
        try:
            wait_until(lambda: "in another terminal: ibkr-tools " in log.read_text(), 15.0)
            line = next(text for text in log.read_text().splitlines() if "in another terminal: " in text)
            typed = shlex.split(line.partition("in another terminal: ibkr-tools ")[2])

            def said() -> str:
                return subprocess.run(
                    [sys.executable, "-m", "ibkr_tools", *typed],
                    env=environment | more,
                    capture_output=True,
                    text=True,
                    check=False,
                ).stdout

            wait_until(lambda: "session  no watchdog" not in said(), 30.0)
        finally:
            up.send_signal(signal.SIGINT)
            assert up.wait(60) == 0
    assert list(scratch.iterdir()) == []
    assert not processes_of(scratch)
