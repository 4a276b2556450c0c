"""IBeam as it comes from PyPI, with its own defaults, on the same jar, servers, browser and witness.

It gets a trading user, because it takes a session for good only when the brokerage tier is up, which a read-only
user can never have. What is measured is the portfolio tier, for both.
"""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.loss import spread
from bench.prober import Prober
from bench.processes import BenchError, Memory, Program, environment, memory, running
from bench.stage import Servers, wait_until
from bench.start import memory_after_requests
from tests.support.distribution import distribution
from tests.support.jar import CONF, free_port
from tests.support.peers import IBEAM, peer_python

CAP_S = 240.0
"""Nobody waits longer for one thing."""

MAINTENANCE_EVERY_S = 60.0


@dataclass(frozen=True)
class Waited:
    """Seconds until something happened; `capped` if it had not after `CAP_S`."""

    seconds: float
    capped: bool = False


@dataclass(frozen=True)
class ColdStart:
    """Seconds since IBeam's start: first answer with accounts, and IBeam's own word that it is authenticated."""

    session: Waited
    authenticated: Waited


class Ibeam:
    """One running IBeam with a gateway of its own."""

    def __init__(self, program: Program, port: int, mark: str) -> None:
        self.program = program
        self.port = port
        self._mark = mark.encode()

    def java(self) -> int:
        """Returns the process id of its gateway. Raises BenchError if there is none."""
        for entry in Path("/proc").iterdir():
            line = _command_line(entry) if entry.name.isdigit() else b""
            if self._mark in line and b"GatewayStart" in line:
                return int(entry.name)
        raise BenchError("IBeam's gateway is not there")

    def memory(self) -> dict[str, Memory]:
        """Returns the memory of IBeam's Python and of its Java, after as many requests as ours gets."""
        found = memory_after_requests(self.port, {"Java": self.java()})
        return {**found, "Python": memory(self.program.process.pid)}


def _command_line(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


def _java_with_mark(folder: Path, mark: str) -> None:
    """Puts a `java` into `folder` that marks its process: IBeam ends every process of the machine that matches."""
    java = shutil.which("java")
    if java is None:
        raise BenchError("no Java")
    folder.mkdir()
    shim = folder / "java"
    shim.write_text(f'#!/bin/sh\nexec {java} -Dbench.mark={mark} "$@"\n')
    shim.chmod(0o755)


def ibeam_environment(base: Path, url: str, gateway: Path, mark: str) -> dict[str, str]:
    """Returns IBeam's environment below `base`: who it is, where the gateway is, and nobody else to be found.

    It ends every process of the machine that has `mark` in its command line.
    """
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("Xvfb") is None:
        raise BenchError("IBeam needs chromedriver and Xvfb: apt-get install chromium-driver xvfb")
    for name in ("inputs", "outputs", "tmp"):
        (base / name).mkdir(parents=True)
    environ = environment(
        HOME=os.fspath(base),
        TMPDIR=os.fspath(base / "tmp"),
        # Its browser shall find nobody but the gateway.
        http_proxy="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
        no_proxy="127.0.0.1,localhost",
        IBEAM_ACCOUNT="demo-trader",
        IBEAM_PASSWORD="demo-password",
        IBEAM_GATEWAY_DIR=os.fspath(gateway),
        IBEAM_GATEWAY_BASE_URL=url,
        IBEAM_GATEWAY_PROCESS_MATCH=mark,
        IBEAM_CHROME_DRIVER_PATH=driver,
        IBEAM_INPUTS_DIR=os.fspath(base / "inputs"),
        IBEAM_OUTPUTS_DIR=os.fspath(base / "outputs"),
        IBEAM_HEALTH_SERVER_PORT=str(free_port()),
        IBEAM_LOG_TO_FILE="False",
    )
    # It finds its own modules beside its starter.
    del environ["PYTHONPATH"], environ["PYTHONSAFEPATH"]
    return environ


def ibeam_command() -> list[Path]:
    """Returns what starts IBeam: its interpreter and its starter; it is installed if it is not."""
    python = peer_python(IBEAM)
    return [python, next(python.parent.parent.glob("lib/python3*/site-packages/ibeam/ibeam_starter.py"))]


@contextlib.contextmanager
def running_ibeam(base: Path, servers: Servers) -> Iterator[Ibeam]:
    """Runs IBeam for the length of the block, in `base`; it starts the gateway and logs in by itself."""
    port, mark = free_port(), f"ibeam-{os.getpid()}-{time.time_ns()}"
    gateway = base / "gateway"
    environ = ibeam_environment(base, f"https://127.0.0.1:{port}", gateway, f"bench.mark={mark}")
    shutil.copytree(distribution(), gateway)
    (base / "inputs" / "conf.yaml").write_text(CONF.format(upstream=servers.url, port=port, auth_delay_ms=3000))
    _java_with_mark(base / "bin", mark)
    environ["PATH"] = f"{base / 'bin'}:{os.environ['PATH']}"
    with running(ibeam_command(), environ, cwd=base) as program:
        yield Ibeam(program, port, mark)


def cold_start(ibeam: Ibeam) -> ColdStart:
    """Waits for its first session."""
    began_at = ibeam.program.started_at
    with Prober(ibeam.port) as prober:
        prober.watch_from(began_at)
        session = _waited(began_at, prober.wait(CAP_S))
    try:
        ibeam.program.wait_for_line("Gateway running and authenticated", CAP_S)
        authenticated = Waited(time.time() - began_at)
    except BenchError:
        authenticated = Waited(CAP_S, capped=True)
    return ColdStart(session=session, authenticated=authenticated)


def lose(ibeam: Ibeam, servers: Servers, after_look_s: float) -> tuple[Waited, Waited]:
    """Drops the session so long after IBeam's look; returns when it noticed, and when it was served again."""
    _wait_for_look(ibeam.program)
    time.sleep(after_look_s)
    with Prober(ibeam.port) as prober:
        if prober.wait(CAP_S) is None:
            # It has not come back from the loss before this one.
            return Waited(CAP_S, capped=True), Waited(CAP_S, capped=True)
        dropped_at = time.time()
        servers.control.drop(push="sts")
        prober.watch_from(time.time())
        noticed = Waited(CAP_S, capped=True)
        with contextlib.suppress(BenchError):
            wait_until(
                lambda: servers.first(dropped_at, "/v1/api/tickle", 401) is not None, CAP_S, "a look", step_s=0.25
            )
            noticed = Waited((servers.first(dropped_at, "/v1/api/tickle", 401) or time.time()) - dropped_at)
        served_at = prober.wait(max(0.0, CAP_S - (time.time() - dropped_at)))
    return noticed, _waited(dropped_at, served_at)


def kill_java(ibeam: Ibeam) -> Waited:
    """Kills its gateway in the middle between two looks; returns when it was served again."""
    _wait_for_look(ibeam.program)
    time.sleep(MAINTENANCE_EVERY_S / 2)
    with Prober(ibeam.port) as prober:
        if prober.wait(CAP_S) is None:
            return Waited(CAP_S, capped=True)
        killed_at = time.time()
        os.kill(ibeam.java(), signal.SIGKILL)
        prober.watch_from(time.time())
        return _waited(killed_at, prober.wait(CAP_S))


def _wait_for_look(program: Program) -> None:
    began_at = time.time()
    wait_until(
        lambda: any(at > began_at and line.endswith("Maintenance") for at, line in list(program.lines)),
        CAP_S,
        "IBeam's next look",
        step_s=0.1,
    )


def phases(rounds: int) -> list[float]:
    """Returns when to drop: IBeam looks once a minute, and no round shall be luckier than the mean."""
    return spread(rounds, MAINTENANCE_EVERY_S)


def _waited(since: float, until: float | None) -> Waited:
    return Waited(CAP_S, capped=True) if until is None else Waited(until - since)
