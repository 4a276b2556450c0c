"""The installed toolkit on a booted throw-away machine, in the words of the tests."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from ibkr_tools.simulator.control_client import ControlClient
from tests.support.container import Container, ContainerError, Process, wait_until
from tests.support.patience import slowdown
from tests.support.unit_files import FILES

CHECKOUT = "/srv/ibkr-tools"
WHEELS = "/srv/wheels"
DISTRIBUTION = "/srv/clientportal.gw"
INSTALL = f"{CHECKOUT}/bin/install --simulator --gateway {DISTRIBUTION} --wheels {WHEELS}"
INSTALL_AGAIN = f"{CHECKOUT}/bin/install --simulator --wheels {WHEELS}"
"""With IBKR's gateway left as it is: to install that again, and to make its class archive, is most of the work."""

HOSTILE = "/srv/hostile"
"""A folder of modules that nobody may load; each leaves its name in the file `ran` there."""

IN_HOSTILE = f"cd {HOSTILE} && env PYTHONPATH={HOSTILE} PYTHONHOME={HOSTILE} PYTHONSTARTUP={HOSTILE}/os.py"
"""Before a command: as somebody would run it who was led into that folder."""

PASSWORD = "demo-password"
PASSWORD_FILE = "/etc/ibkr-tools/password"
CONFIG = "/etc/ibkr-tools/config.json"
LOGIN_LOG = "/var/lib/ibkr-tools/login/login_log.json"
CONTROL_PORT = 5081

UNITS = tuple(path.name for path in FILES if "@" not in path.name)

_T = TypeVar("_T")


@dataclass
class Machine:
    """A container with ibkr-tools in it.

    Attributes:
        container: the booted machine.
        about: its operating system and the versions that matter, as they name themselves.
        times: what was measured and how many seconds it took, printed after the tests.
    """

    container: Container
    about: str = ""
    times: list[tuple[str, float]] = field(default_factory=list)

    # Running things.

    def configure(self, **sections: dict[str, Any]) -> None:
        """Sets keys of sections of config.json, as an editor would: the rest, owner and mode stay."""
        config = json.loads(self.run(f"cat {CONFIG}"))
        for name, keys in sections.items():
            config[name] = {**config.get(name, {}), **keys}
        self.container.run(f"cat >{CONFIG}", stdin=json.dumps(config, indent=2))

    def run(self, command: str, *, timeout_s: float = 60) -> str:
        """Runs a shell command as root, returns its stdout; a failure is the test's."""
        return self.container.output(command, timeout_s=timeout_s)

    def code(self, command: str, *, timeout_s: float = 60) -> int:
        """Runs a shell command as root, returns its exit code."""
        return self.container.run(command, check=False, timeout_s=timeout_s).returncode

    def show(self, unit: str, name: str) -> str:
        """Returns one property of a unit."""
        return self.container.show(unit, name)

    def is_active(self, unit: str) -> bool:
        """Says whether a unit is active."""
        return self.show(unit, "ActiveState") == "active"

    def control(self, order: Callable[[ControlClient], _T]) -> _T:
        """Gives the simulator an order."""
        return self.container.in_network(lambda: order(ControlClient(CONTROL_PORT)))

    def simulator_answers(self) -> bool:
        """Says whether the simulator takes orders."""
        try:
            self.submitted()
        except OSError:
            return False
        return True

    def submitted(self) -> int:
        """Returns how many passwords the simulator has been sent since it started."""
        return self.control(lambda simulator: simulator.submitted())

    # Looking.

    def status(self) -> dict[str, Any]:
        """Returns the status file, empty if there is none."""
        try:
            document: dict[str, Any] = json.loads(self.container.inside("/run/ibkr-tools/status.json").read_bytes())
        except FileNotFoundError:
            return {}
        return document

    def state(self) -> str:
        """Returns the session's state, as the watchdog says; `stale` if it has said nothing for too long."""
        section = self.status().get("session")
        if not section:
            return "none"
        age_s = (now() - datetime.fromisoformat(section["updated_at"])).total_seconds()
        return section["state"] if age_s <= section["fresh_for_s"] else "stale"

    def is_up_since(self, moment: datetime) -> bool:
        """Says whether a session is up that was proven after `moment`."""
        section = self.status().get("session")
        if not section or section["state"] != "up" or not section["up_since"]:
            return False
        return datetime.fromisoformat(section["up_since"]) > moment

    def has_session(self) -> bool:
        """Says whether IBKR has a session; the watchdog hears of a loss only when it asks next."""
        try:
            return bool(self.control(lambda simulator: simulator.state()["sessions"]))
        except OSError:
            return False

    def logins(self) -> int:
        """Returns how many logins have succeeded since the simulator started."""
        return self.control(lambda simulator: int(simulator.state()["users"]["demo-reader"]["logins"]))

    def uid(self) -> int:
        """Returns the number of the user ibkr."""
        lines = self.container.inside("/etc/passwd").read_text(encoding="utf-8").splitlines()
        return next(int(line.split(":")[2]) for line in lines if line.startswith("ibkr:"))

    def ours(self) -> list[Process]:
        """Returns the processes of the user ibkr."""
        uid = self.uid()
        return [process for process in self.container.processes() if process.uid == uid]

    def java(self) -> Process | None:
        """Returns IBKR's Java program, None if it is not running."""
        return next((process for process in self.ours() if process.program == "java"), None)

    def java_pid(self) -> int | None:
        """Returns the number of IBKR's Java program, None if it is not running."""
        java = self.java()
        return None if java is None else java.pid

    def browser(self) -> Process | None:
        """Returns Chromium's main process, None if no login is running."""
        chromium = [process for process in self.ours() if process.program == "chromium"]
        return next((process for process in chromium if b"--type=" not in process.argv), None)

    def pages(self) -> int:
        """Returns how many login pages the simulator has served."""
        return self.control(lambda simulator: int(simulator.state()["requests"].get("GET /sso/Login", 0)))

    def main_process(self, unit: str) -> int:
        """Returns the main process of a unit as numbered inside, 0 if none."""
        return int(self.show(unit, "MainPID"))

    def kill(self, unit: str, sign: signal.Signals, whom: str = "main") -> None:
        """Sends a signal to the main process of a unit."""
        self.run(f"systemctl kill --kill-whom={whom} --signal={sign.name} {unit}")

    def logins_of_a_day(self) -> int:
        """Returns how many logins have succeeded in the last 24 hours, as the login log has it."""
        try:
            log_file = json.loads(self.container.inside(LOGIN_LOG).read_bytes())
        except (FileNotFoundError, ValueError):
            return 0
        since_s = log_file["time_s"] - timedelta(days=1).total_seconds()
        return sum(
            attempt["result"] == "succeeded" and attempt["ended_s"] > since_s for attempt in log_file["attempts"]
        )

    def age_login_log(self, time: timedelta) -> None:
        """Makes the login log older: its own time goes on as if the machine had waited."""
        path = self.container.inside(LOGIN_LOG)
        log_file = json.loads(path.read_bytes())
        content = json.dumps({**log_file, "time_s": log_file["time_s"] + time.total_seconds()}).encode()
        # In one step: the watchdog may read it, and half a log is a damaged one. Its owner stays.
        with path.open("r+b", buffering=0) as file:
            file.write(content.ljust(path.stat().st_size))

    # Waiting.

    def wait(self, what: str, condition: Callable[[], _T], *, within_s: float) -> _T:
        """Waits for a condition; the test fails with the end of the journal if it does not come."""
        try:
            return wait_until(what, condition, within_s=within_s, every_s=0.05)
        except ContainerError as error:
            told = self.container.journal("--unit=ibkr-*", lines=60)
            states = self.run("systemctl list-units --all --no-legend --plain 'ibkr-*'")
            raise ContainerError(f"{error}\n{json.dumps(self.status(), indent=1)}\n{states}\n{told}") from None

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Measures the block for the table after the tests."""
        started = time.monotonic()
        yield
        self.times.append((what, time.monotonic() - started))

    def start(self) -> None:
        """Starts everything and waits until the session is up, by the watchdog's word and by IBKR's."""
        self.run("systemctl start ibkr-gateway", timeout_s=90)
        self.wait("the session to be up", lambda: self.state() == "up" and self.has_session(), within_s=60)
        # The watchdog sees the session a moment before the login has proven it and gone.
        self.wait_for_rest()

    def wait_for_rest(self) -> None:
        """Waits until nothing logs in, and nobody has asked for it."""
        state = "systemctl show --property=ActiveState --value ibkr-login"
        rests = f"test ! -e /run/ibkr-tools/login.request && ! {state} | grep --quiet activating"
        self.wait("no login", lambda: self.code(rests) == 0, within_s=60)

    def wait_status(self) -> None:
        """Waits until `ibkr-tools status` says that all is well; one late answer of Java's is told until the next."""
        self.wait("the status", lambda: self.code("ibkr-tools status") == 0, within_s=60)

    def stop(self) -> None:
        """Stops everything; systemctl itself waits for the unit that it was given, and not for those bound to it."""
        self.run("systemctl stop ibkr-gateway", timeout_s=60)
        ended = {"inactive", "failed"}
        self.wait("the watchdog's end", lambda: self.show("ibkr-watchdog.service", "ActiveState") in ended, within_s=60)

    def browser_in_login(self) -> Process:
        """Drops the session, and returns the browser of the login that follows once it has loaded the page."""
        # A form that takes its time leaves a window to shoot at; a login waits half a minute for it.
        form_delay_ms = int(min(20, 3 * slowdown()) * 1000)
        self.control(lambda simulator: simulator.page(form_delay_ms=form_delay_ms))
        before = self.pages()
        self.drop_session()
        self.wait("a login to load the page", lambda: self.pages() > before, within_s=60)
        browser = self.browser()
        assert browser is not None
        return browser

    def drop_session(self) -> None:
        """Lets IBKR lose the session, without notice in advance."""
        assert self.control(lambda simulator: simulator.drop()) >= 1

    def wait_back(self, since: datetime, *, within_s: float = 60) -> None:
        """Waits for a session that was proven after `since`."""
        self.wait("the session to be back", lambda: self.is_up_since(since), within_s=within_s)


def now() -> datetime:
    """Returns the time now; the container's clock is ours."""
    return datetime.now(UTC)


def find_text(needle: str, *places: Path, but_not: tuple[Path, ...] = ()) -> list[str]:
    """Returns the files below `places` that contain `needle` in their bytes."""
    found = []
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_symlink() or not path.is_file() or any(path.is_relative_to(other) for other in but_not):
                continue
            if needle.encode() in path.read_bytes():
                found.append(str(path))
    return found
