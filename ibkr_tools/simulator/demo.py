"""`bin/demo`: everything at work without an account: login, keepalive, a loss, another login, a fetch.

It runs the same processes as a user would, with the simulator in the gateway's place, and prints what they say.
"""

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from ibkr_tools import entrypoint
from ibkr_tools.errors import SessionUnavailable
from ibkr_tools.file_watcher import FileWatcher
from ibkr_tools.simulator.control_client import ControlClient
from ibkr_tools.status import SessionSection, SessionState, StatusFile

PATIENCE_S = 40.0
POSITIONS = 12


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Demo:
    """One demonstration in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started = time.monotonic()
        self._log = directory / "log"
        self.port, self.control_port = _free_ports(2)
        self._options = [
            *("--config", str(directory / "config.json")),
            *("--runtime-dir", str(directory / "run")),
            *("--state-dir", str(directory / "state")),
        ]
        self._status = StatusFile(directory / "run" / "status.json")
        self._up: subprocess.Popen[bytes] | None = None

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:5.1f} s  {text}", flush=True)

    def start(self) -> None:
        """Writes a configuration and starts everything."""
        # The browser of a root user runs as somebody else, who has to reach his profile in here.
        self._directory.chmod(0o711)
        config = {
            "username": "demo-reader",
            "password": "demo-password",
            "account": "U1234567",
            "gateway": {"port": self.port},
        }
        file = self._directory / "config.json"
        file.touch(mode=0o600)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2))
        command = [sys.executable, "-I", "-m", "ibkr_tools", *self._options, "up", "--simulate"]
        more = ["--control-port", str(self.control_port), "--positions", str(POSITIONS)]
        self._say("starting the simulator in the gateway's place, and the watchdog")
        with self._log.open("wb") as log:
            self._up = subprocess.Popen([*command, *more], stderr=log, start_new_session=True)

    def wait(self, wanted: Callable[[SessionSection], bool], what: str) -> SessionSection:
        """Returns the session's section as soon as it is as wanted; says each new state on the way.

        Raises:
            SessionUnavailable: it does not become so in time, or a process ended.
        """
        self._status.path.parent.mkdir(exist_ok=True)
        deadline = time.monotonic() + PATIENCE_S
        shown: SessionState | None = None
        with FileWatcher([self._status.path]) as watcher:
            while time.monotonic() < deadline:
                session = self._status.read_section(SessionSection)
                if session and wanted(session):
                    return session
                if session and session.state is not shown and session.state is SessionState.LOGGING_IN:
                    self._say(f"session {session.state.value}: headless Chromium signs in ({session.why})")
                    shown = session.state
                if self._up is None or self._up.poll() is not None:
                    break
                watcher.wait(0.5)
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
        raise SessionUnavailable(f"{what} did not happen; the processes said:\n{tail}")

    def drop(self) -> float:
        """Has IBKR's side end the session and waits for the next one; returns the seconds it took."""
        before = self._status.read_section(SessionSection)
        losses = before.losses if before else 0
        self._say("IBKR drops the session now, on purpose")
        dropped = time.monotonic()
        ControlClient(self.control_port).drop()
        self.wait(lambda now: now.state is SessionState.UP and now.losses > losses, "a second login")
        return time.monotonic() - dropped

    def show(self, *arguments: str) -> None:
        """Runs one command as a user would, and prints it and what it prints."""
        print(f"\n$ ibkr-tools {shlex.join(arguments)}", flush=True)
        subprocess.run([sys.executable, "-I", "-m", "ibkr_tools", *self._options, *arguments], check=True)

    def run(self) -> None:
        """Goes through the whole story."""
        self.start()
        session = self.wait(lambda now: now.state is SessionState.UP, "the first login")
        self._say(f"session up: {session.why}, account {', '.join(session.accounts)}")
        self.wait(lambda now: now.last_tickle_at is not None, "the first tickle")
        self._say("the watchdog has tickled: the session is kept alive")
        self.show("fetch", "--jq", ".positions | length")
        print()
        took_s = self.drop()
        self._say(f"session up again, {took_s:.1f} s after the loss")
        self.show("fetch", "--table")
        self.show("fetch", "-c", "--jq", ".positions[] | [.contractDesc, .position, .mktValue, .currency]")
        self.show("fetch", "-r", "--jq", '.summary[].netliquidation | "net liquidation \\(.amount) \\(.currency)"')
        self.show("status")
        print()

    def keep(self) -> None:
        """Leaves everything up until Ctrl-C, and says how to play with it."""
        options = shlex.join(self._options)
        print("Everything stays up until Ctrl-C. In another terminal:")
        print(f'  alias ibkr="{sys.executable} -I -m ibkr_tools {options}"')
        print("  ibkr status; ibkr fetch --jq '.positions'; journal: " + str(self._log))
        print(f'  curl -X POST -d \'{{"tier": "all"}}\' http://127.0.0.1:{self.control_port}/drop')
        if self._up is not None:
            with suppress(KeyboardInterrupt):
                self._up.wait()

    def stop(self) -> None:
        """Ends what was started; nothing is left."""
        if self._up is not None and self._up.poll() is None:
            self._up.terminate()
            self._up.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the demonstration; `--keep` leaves everything up for playing."""
    parser = argparse.ArgumentParser(prog="bin/demo", description="ibkr-tools at work, without an account.")
    parser.add_argument("--keep", action="store_true", help="leave everything up for playing, until Ctrl-C")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="ibkr-tools-demo-", ignore_cleanup_errors=True) as directory:
        demo = Demo(Path(directory))
        try:
            demo.run()
            if options.keep:
                demo.keep()
        finally:
            demo.stop()
        print("Everything is stopped; nothing is left running.")


if __name__ == "__main__":
    sys.exit(entrypoint.run(main))
