"""IBeam on redesigned pages: whether it gets a session, with its own defaults, on the same browser and servers."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ibeam import ibeam_command, ibeam_environment
from bench.processes import running
from ibkr_tools.polling import poll_until
from ibkr_tools.simulator import Simulator
from tests.support.simulation import gateway_options

__all__ = ["PeerRound", "play_peer"]

CAP_S = 120.0
"""Longer than a login of ours may take, with or without what comes before it."""

OVER = "Logging in failed"
"""What it says when its login has ended without a session."""

_POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class PeerRound:
    """How one login of IBeam ended: after how many seconds, and whether there is a session; `why`: its last error."""

    seed: int
    is_survived: bool
    seconds: float
    why: str
    submitted: int


def play_peer(seed: int | None) -> PeerRound:
    """Has IBeam log in once on the page of a seed, None: today's; it is told that its gateway is running.

    Raises:
        BenchError: chromedriver or Xvfb is missing.
    """
    base = Path(tempfile.mkdtemp(prefix="ibkr-tools-peer-"))
    mark = f"ibeam-{os.getpid()}-{time.time_ns()}"
    try:
        with Simulator(gateway_options(base / "gateway", positions=1)) as simulator:
            page: dict[str, Any] = {} if seed is None else {"redesign": seed}
            simulator.control.page(**page)
            environ = ibeam_environment(base, f"https://127.0.0.1:{simulator.port}", base / "gateway", mark)
            # What it takes for the gateway's process.
            waiting = "import signal; signal.pause()"
            with (
                running([sys.executable, "-c", waiting, mark], environ),
                running([*ibeam_command(), "--authenticate"], environ, cwd=base) as program,
            ):
                began = time.monotonic()

                def is_over() -> bool:
                    # It says that it failed, and stays: something of it waits for ever.
                    said = any(OVER in line for _, line in list(program.lines))
                    return bool(simulator.control.state()["sessions"]) or said or program.process.poll() is not None

                poll_until(is_over, CAP_S, _POLL_S)
                seconds = time.monotonic() - began
                survived = bool(simulator.control.state()["sessions"])
                errors = [line.split("|E|")[1].strip() for _, line in list(program.lines) if "|E|" in line]
                # It leaves its browser behind when it is told to end.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(program.process.pid, signal.SIGKILL)
            submitted = int(simulator.control.state()["counters"]["submitted"])
        return PeerRound(
            seed=-1 if seed is None else seed,
            is_survived=survived,
            seconds=seconds,
            why="" if survived else (errors or [f"nothing within {CAP_S:.0f} s"])[-1][:100],
            submitted=submitted,
        )
    finally:
        shutil.rmtree(base, ignore_errors=True)
