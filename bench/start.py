"""From nothing to the first snapshot: `ibkr-tools up` and `ibkr-tools fetch --wait 60`, started together."""

import re
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from bench.prober import Prober
from bench.processes import BenchError, Memory, Program, environment, memory
from bench.stage import ACCOUNT, POSITIONS, Stage

REQUESTS = 100
"""After so many the memory is read: half of them tickles, half pages of 100 positions."""

_LANDMARKS = {
    "/sso/Login": "the browser asks for the login page",
    "/sso/Authenticator": "the page sends the user name",
    "/sso/Dispatcher": "the page sends its proof; IBKR lets the user in",
    "/v1/api/portfolio/accounts": "/portfolio/accounts is answered: there is a session",
    "/positions/0": "the first page of positions is answered",
}

_OUR_LINE = re.compile(r"\d\d:\d\d:\d\d [A-Z]+ +(.*)")


@dataclass(frozen=True)
class ColdStart:
    """One round. Seconds since `ibkr-tools up` was started; memory by the name of the process."""

    session_s: float
    snapshot_s: float
    timeline: list[tuple[float, str]]
    memory: dict[str, Memory]


def cold_start(stage: Stage, *resources: str) -> ColdStart:
    """Starts everything, waits for the snapshot, sends `REQUESTS` requests, reads the memory, ends everything.

    Args:
        stage: where; nothing runs there yet.
        resources: what to fetch; none: the whole snapshot.

    Raises:
        BenchError: the fetch failed.
    """
    with stage.up() as program:
        command = stage.command("fetch", "--wait", "60", *resources, "--jq", ".positions|length")
        fetch = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=90, check=False)
        done_s = time.time() - program.started_at
        if fetch.returncode or fetch.stdout.strip() != str(POSITIONS):
            raise BenchError(f"fetch: {fetch.stdout!r} {fetch.stderr}\n{program.output()}")
        session_at = stage.servers.first(program.started_at, "/v1/api/portfolio/accounts", 200)
        if session_at is None:
            raise BenchError("a snapshot without a session")
        timeline = _timeline(program, stage.servers.requests(program.started_at))
        return ColdStart(
            session_s=session_at - program.started_at,
            snapshot_s=done_s,
            timeline=[*timeline, (done_s, "fetch has ended")],
            memory=memory_after_requests(stage.port, stage.pids()),
        )


def memory_after_requests(port: int, pids: dict[str, int]) -> dict[str, Memory]:
    """Sends `REQUESTS` requests through a gateway and returns the memory of the processes named."""
    prober = Prober(port)
    for number in range(REQUESTS):
        method, path = ("POST", "/tickle") if number % 2 else ("GET", f"/portfolio/{ACCOUNT}/positions/0")
        if prober.ask(method, path) != 200:
            raise BenchError(f"{method} {path} was not served")
    prober.close()
    return {name: memory(pid) for name, pid in pids.items()}


def _timeline(program: Program, requests: list[dict[str, Any]]) -> list[tuple[float, str]]:
    """Returns what happened when: the log of `ibkr-tools up` without Java's own, and what the simulator saw."""
    ours = ((at, _OUR_LINE.match(line)) for at, line in program.lines)
    found = [(at - program.started_at, match.group(1)[:100]) for at, match in ours if match]
    found += [
        (one["at"] - program.started_at, f"the servers answer a tickle with {one['status']}")
        for one in requests
        if one["path"] == "/v1/api/tickle"
    ]
    for path, meaning in _LANDMARKS.items():
        first = next((one["at"] for one in requests if one["path"].endswith(path) and one["status"] == 200), None)
        if first is not None:
            found.append((first - program.started_at, meaning))
    return sorted(found)
