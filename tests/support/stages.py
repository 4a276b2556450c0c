"""Everything as a user runs it, with IBKR's real jar: `ibkr-tools up`, logins by Chromium, a simulator behind it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.loss import Loss
from bench.prober import Prober
from bench.processes import Program
from bench.stage import READER, TRADER, Servers, Stage
from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.control_client import ControlClient
from tests.support.simulation import simulator_options, wait_until

__all__ = ["READER", "TRADER", "Scene", "Stages", "one_place", "scene"]

SESSION_CONTROL = ("/v1/api/iserver/auth/ssodh", "/v1/api/iserver/reauthenticate", "/v1/api/logout")
"""Session control that only we can have sent: before servers on 127.0.0.1 the jar's own calls are to `/v1/portal`."""


@dataclass(frozen=True)
class Scene:
    """One user's set-up while `ibkr-tools up` runs."""

    stage: Stage
    program: Program
    control: ControlClient

    @property
    def logins(self) -> int:
        """How many logins have succeeded."""
        count: int = self.control.state()["counters"]["logins"]
        return count

    @property
    def brokerage(self) -> list[str]:
        """The brokerage tier of each session there is."""
        return [session["brokerage"] for session in self.control.state()["sessions"]]

    @property
    def session_ids(self) -> list[str]:
        """IBKR's names of the sessions there are."""
        return [session["session"] for session in self.control.state()["sessions"]]

    def asked(self, call: str) -> int:
        """Says how often IBKR got this call: method and path."""
        requests: dict[str, int] = self.control.state()["requests"]
        return requests.get(call, 0)

    def handshakes(self) -> int:
        """Says how often the jar asked for the brokerage tier by itself; `reauthenticate` makes it do so again."""
        return self.asked("POST /v1/portal/iserver/auth/ssodh/init")

    def session_control(self) -> dict[str, int]:
        """Returns the calls to IBKR that change a session and were ours, not the jar's."""
        requests: dict[str, int] = self.control.state()["requests"]
        return {call: count for call, count in requests.items() if any(one in call for one in SESSION_CONTROL)}

    def logged(self, text: str) -> int:
        """Says how many lines of our processes contain a text."""
        return sum(text in line for _, line in list(self.program.lines))

    def wait_for_line(self, text: str, timeout_s: float = 60.0) -> None:
        """Waits until a line contains a text."""
        wait_until(lambda: self.logged(text) > 0, timeout_s)

    def wait_for_state(self, state: str, timeout_s: float = 60.0) -> None:
        """Waits until the status file has this state of the session."""
        wait_until(lambda: self.stage.session().get("state") == state, timeout_s)

    def lose_the_jar(self) -> None:
        """Ends the session, and makes the jar notice at once: it asks some times, and gives up for ever."""
        self.control.drop()
        prober = Prober(self.stage.port)
        prober.ask("POST", "/iserver/reauthenticate")
        prober.close()

    def print(self, what: str, loss: Loss) -> None:
        """Prints the times of a loss, for the summary of the run."""
        who = self.stage.username
        times = f"noticed {loss.noticed_s:.2f} s, status up {loss.status_s:.2f} s, served again {loss.served_s:.2f} s"
        print(f"{who}, {what}: {times}")


class Stages:
    """Makes stages in one place, one after the other; IBKR's gateway is installed once, and each has a copy."""

    def __init__(self, folder: Path) -> None:
        self._base, self._installed = folder / "ours", folder / "installed"

    def make(self, servers: Servers, username: str = READER, **session: Any) -> Stage:
        """Makes the next one as `bench.stage.Stage` does; nothing of the one before it may run any more."""
        if self._installed.exists():
            shutil.rmtree(self._base)
            return Stage(self._base, servers, username, installed=self._installed, **session)
        stage = Stage(self._base, servers, username, **session)
        shutil.copytree(stage.state, self._installed, symlinks=True)
        return stage


@contextmanager
def one_place() -> Iterator[Stages]:
    """Gives a place for stages, which is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="ibkr-scene-") as folder:
        # As root, the browser runs as nobody and keeps its profile only where that user may pass.
        Path(folder).chmod(0o711)
        yield Stages(Path(folder))


@contextmanager
def scene(
    stages: Stages, username: str, *, before: Callable[[ControlClient], object] = lambda _: None, **session: Any
) -> Iterator[Scene]:
    """Runs everything for the length of the block, from the first session on.

    `before` gives orders to the simulator before anything starts; `session` is that part of the configuration.
    """
    with Simulator(simulator_options()) as simulator:
        stage = stages.make(Servers(simulator.url, simulator.control), username, **session)
        before(simulator.control)
        with stage.up() as program:
            wait_until(lambda: stage.is_up, 60)
            yield Scene(stage, program, simulator.control)
