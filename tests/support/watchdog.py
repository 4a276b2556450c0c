"""The watchdog as a real process, what systemd hears of it, and somebody who does the logins it asks for."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ibkr_tools.simulator import Simulator
from ibkr_tools.status import LoginSection, SessionSection, SessionState, utc_now
from tests.support.installation import Installation
from tests.support.simulation import wait_until

__all__ = ["LoginStandIn", "Systemd", "WatchdogProcess", "running"]


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while (data := self._socket.recv(4096)) != b"end":
            self.messages.append((time.monotonic(), data.decode()))

    def heard(self, text: str) -> bool:
        """Says whether a message with this text has come."""
        return any(text in message for _, message in self.messages)

    def close(self) -> None:
        """Ends listening."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
            mouth.sendto(b"end", str(self.path))
        self._thread.join()
        self._socket.close()
        self.path.unlink()


@dataclass
class LoginStandIn:
    """Does what ibkr-login.path and ibkr-login.service do, without a browser; `outcome` may be changed."""

    place: Installation
    simulator: Simulator
    outcome: str = "succeeded"
    requests: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Serves requests until `stop`."""
        while not self._stop.wait(0.02):
            with contextlib.suppress(FileNotFoundError):
                self.place.directories.login_request.unlink()
                self.requests += 1
                self._log_in()

    def _log_in(self) -> None:
        match self.outcome:
            case "succeeded":
                self.simulator.control.login("demo-reader")
                self.say(LoginSection(updated_at=utc_now(), state="succeeded", why="ok", accounts=("U1234567",)))
            case "refused":
                self.say(LoginSection(updated_at=utc_now(), state="refused", why="wrong password", todo="Check it"))
            case "silent":
                return

    def say(self, section: LoginSection) -> None:
        """Writes the login's section."""
        self.place.status.write(section)

    def stop(self) -> None:
        """Ends it."""
        self._stop.set()


@dataclass
class WatchdogProcess:
    """One running watchdog."""

    place: Installation
    simulator: Simulator
    systemd: Systemd
    login: LoginStandIn
    process: "subprocess.Popen[str]"

    @property
    def session(self) -> SessionSection | None:
        """What it says in the status."""
        return self.place.status.read_section(SessionSection)

    def is_in(self, state: SessionState) -> bool:
        """Says whether the status has this state, freshly."""
        session = self.session
        return session is not None and session.state is state and not session.is_stale(utc_now())

    def wait_for(self, state: SessionState, timeout_s: float = 10.0) -> float:
        """Waits until the status has this state, and returns how many seconds that took."""
        begun = time.monotonic()
        wait_until(lambda: self.is_in(state), timeout_s, 0.02)
        return time.monotonic() - begun

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextlib.contextmanager
def running(
    place: Installation, simulator: Simulator, *, outcome: str = "succeeded", **more: str
) -> Iterator[WatchdogProcess]:
    """Runs everything for the length of the block."""
    systemd = Systemd(place.root / "notify")
    login = LoginStandIn(place, simulator, outcome)
    thread = threading.Thread(target=login.run)
    thread.start()
    log = (place.root / "watchdog.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "ibkr_tools.watchdog", *place.options, "--verbose"],
        env=place.environment | {"NOTIFY_SOCKET": str(systemd.path)} | more,
        stderr=log,
        text=True,
    )
    try:
        yield WatchdogProcess(place, simulator, systemd, login, process)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)
            process.kill()
        process.wait()
        log.close()
        login.stop()
        thread.join()
        systemd.close()
