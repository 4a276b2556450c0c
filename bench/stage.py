"""The stage: a simulator in a process of its own, our directories in a temporary one, IBKR's jar installed."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.processes import BenchError, Program, environment, running
from ibkr_tools.directories import Directories, find_directories
from ibkr_tools.polling import poll_until
from ibkr_tools.simulator.control_client import ControlClient
from tests.support.distribution import distribution
from tests.support.jar import free_port

READER, TRADER = "demo-reader", "demo-trader"
"""The simulator's users: one who can never have the brokerage tier, and one whom the jar opens it for."""

ACCOUNT = "U1234567"
POSITIONS = 237
MEMORY = Path("/dev/shm")
"""A file system in memory that every Linux has."""

STEP_S = 0.005
"""How often the status file is looked at: the resolution of what is measured with it."""

_READY = re.compile(r"http://127\.0\.0\.1:(\d+), control http://127\.0\.0\.1:(\d+)")


def ibkr_tools() -> list[str]:
    """Returns how `ibkr-tools` is called: the installed command beside this Python, else the checkout's package."""
    installed = Path(sys.executable).with_name("ibkr-tools")
    return [os.fspath(installed)] if installed.exists() else [sys.executable, "-P", "-m", "ibkr_tools"]


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str, step_s: float = STEP_S) -> float:
    """Returns the wall-clock time at which `condition` held. Raises BenchError if it does not within `timeout_s`."""
    if not poll_until(condition, timeout_s, step_s):
        raise BenchError(f"{what}: not within {timeout_s:g} s")
    return time.time()


@dataclass(frozen=True)
class Servers:
    """IBKR's servers, simulated. `url` is where they are, `control` gives orders, `requests` is what they saw."""

    url: str
    control: ControlClient

    @classmethod
    def announced(cls, ready_line: str) -> Self:
        """Returns the servers that a simulator's first line tells of."""
        match = _READY.search(ready_line)
        if match is None:
            raise BenchError(f"the simulator says no ports: {ready_line}")
        return cls(f"http://127.0.0.1:{match.group(1)}", ControlClient(int(match.group(2))))

    def requests(self, since: float) -> list[dict[str, Any]]:
        """Returns the requests answered since a wall-clock time: `at`, `method`, `path`, `status`, oldest first."""
        return [note for note in self.control.state()["last_requests"] if note["at"] >= since]

    def first(self, since: float, path: str, status: int) -> float | None:
        """Returns when a path that ends in `path` was first answered with `status`, None if it was not."""
        return next(
            (one["at"] for one in self.requests(since) if one["path"].endswith(path) and one["status"] == status),
            None,
        )


@contextlib.contextmanager
def simulated_servers(*, accounts: int = 1, positions: int = POSITIONS) -> Iterator[Servers]:
    """Runs a simulator on free ports for the length of the block, with so many accounts of so many positions each."""
    size = ["--accounts", str(accounts), "--positions", str(positions)]
    command = [*ibkr_tools(), "simulate", "--port", "0", "--control-port", "0", *size]
    with running(command, environment()) as program:
        yield Servers.announced(program.wait_for_line("simulator ready", 20))


def _in_memory(base: Path) -> Path:
    """Returns a new directory in memory, as /run is; where the machine has no such place, one below `base`."""
    base.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="ibkr-run-", dir=MEMORY if os.access(MEMORY, os.W_OK) else base))


class Stage:
    """Our directories for one user: IBKR's jar installed and the certificate made, as `bin/install` leaves them."""

    def __init__(
        self, base: Path, servers: Servers, username: str = READER, *, installed: Path | None = None, **session: object
    ) -> None:
        """Makes them; `session` is the section of that name in the configuration.

        `installed`: what the state directory of an earlier stage at the same `base` was before that one ran. This one
        gets a copy: Java makes its archive of classes for jars in one place, and takes seconds for it.
        """
        self.servers = servers
        self.username, self.port = username, free_port()
        self.runtime, self.state = _in_memory(base), base / "state"
        weakref.finalize(self, shutil.rmtree, self.runtime, ignore_errors=True)
        for folder in (base, self.runtime, self.state):
            # Started as root the browser runs as nobody, and can keep its profile only where that user may pass.
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711)
        self.config = base / "config.json"
        self.config.touch(0o600)
        self.config.write_text(
            json.dumps(
                {
                    "username": username,
                    "password": "demo-password",
                    "account": ACCOUNT,
                    "gateway": {"port": self.port, "upstream": servers.url},
                    "session": session,
                    # Losing more sessions in an hour than IBKR in a month is what this is for.
                    "login": {"logins_a_day": 10_000},
                }
            )
        )
        if installed is not None:
            shutil.copytree(installed, self.state, symlinks=True, dirs_exist_ok=True)
            return
        for command in (["gateway", "install", os.fspath(distribution())], ["gateway", "prepare"]):
            subprocess.run(self.command(*command), env=environment(), check=True, stdout=subprocess.DEVNULL)

    @property
    def directories(self) -> Directories:
        """Where our programs find everything."""
        return find_directories({}, configuration=self.config.parent, runtime=self.runtime, state=self.state)

    @property
    def certificate(self) -> Path:
        """The gateway's own."""
        return self.state / "gateway" / "tls" / "gateway.pem"

    def command(self, *arguments: str | Path) -> list[str]:
        """Returns an `ibkr-tools` command line for this user."""
        directories = ["--runtime-dir", os.fspath(self.runtime), "--state-dir", os.fspath(self.state)]
        return [*ibkr_tools(), "--config", os.fspath(self.config), *directories, *(os.fspath(one) for one in arguments)]

    @contextlib.contextmanager
    def up(self) -> Iterator[Program]:
        """Runs `ibkr-tools up` for the length of the block; nothing of a former run is in the runtime directory."""
        shutil.rmtree(self.runtime)
        self.runtime.mkdir()
        self.runtime.chmod(0o711)
        with running(self.command("up"), environment()) as program:
            yield program

    @contextlib.contextmanager
    def up_now(self) -> Iterator[Self]:
        """Runs `ibkr-tools up` for the length of the block, which begins as soon as there is a session."""
        with self.up():
            self.wait_until_up()
            yield self

    def status(self) -> dict[str, Any]:
        """Returns the status file's content; sections that nobody wrote are missing or None."""
        try:
            content: dict[str, Any] = json.loads((self.runtime / "status.json").read_bytes())
        except FileNotFoundError:
            return {}
        return content

    def session(self) -> dict[str, Any]:
        """Returns the watchdog's section, empty before it has written one."""
        return self.status().get("session") or {}

    @property
    def is_up(self) -> bool:
        """Whether the status says that there is a session, with both tiers if both are wanted."""
        return self.session().get("state") == "up"

    def wait_until_up(self, timeout_s: float = 90) -> float:
        """Waits for a session; returns the wall-clock time it was seen."""
        return wait_until(lambda: self.is_up, timeout_s, "a session")

    def pids(self) -> dict[str, int]:
        """Returns the process ids of what stays resident."""
        status = self.status()
        return {
            "watchdog": status["session"]["pid"],
            "gateway parent": status["gateway"]["pid"],
            "Java": status["gateway"]["java_pid"],
        }
