"""Fetches as whole processes: against ibind and a loop of curl and jq, of many accounts, and several at once."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.loss import SETTLED_S, let_age
from bench.processes import BenchError, Spent, environment, spent, timed
from bench.stage import ACCOUNT, Servers, Stage
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.rate_limit_state import HEADROOM_PER_S, REQUESTS_PER_S
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.simulator import account_numbers
from tests.support.peers import IBIND, peer_python

MANY_POSITIONS, PAGE = 5000, 100
ACCOUNTS, POSITIONS_EACH = 50, 200
ALLOWED_PER_S = float(REQUESTS_PER_S - HEADROOM_PER_S)
"""What reads may use of IBKR's ten requests a second; the rest is the watchdog's."""

AT_ONCE = 4
ACCOUNTS_EACH = 10
"""How many accounts each of the fetches takes that run at once."""

KEEPALIVE_EVERY_S = 1.0
COUNT = ".positions|length"

_WITH_IBIND = Path(__file__).with_name("fetch_with_ibind.py")
_WITH_CURL = Path(__file__).with_name("fetch_with_curl.sh")


@dataclass(frozen=True)
class ByTurns:
    """Seconds of the same task, by us, by a script with ibind, and by a shell script with curl and jq."""

    ours: tuple[float, ...]
    ibind: tuple[float, ...]
    curl: tuple[float, ...]


def by_turns(stage: Stage, positions: int, rounds: int) -> ByTurns:
    """Fetches and counts all positions of one account, each in its turn.

    Same gateway, same pages, and all check the gateway's certificate. ibind and curl are told the account; we have it
    from the watchdog's status. We alone keep to IBKR's ten requests a second: the servers must not insist.

    Raises:
        BenchError: somebody counted wrongly.
    """
    url = f"https://127.0.0.1:{stage.port}/v1/api/"
    told = [url, os.fspath(stage.certificate), ACCOUNT]
    quiet = {"IBIND_LOG_TO_FILE": "False", "IBIND_LOG_TO_CONSOLE": "False"}
    tasks = (
        (stage.command("fetch", "positions", "--jq", COUNT), environment()),
        ([os.fspath(peer_python(IBIND)), os.fspath(_WITH_IBIND), *told], environment(**quiet)),
        ([os.fspath(_WITH_CURL), *told], environment()),
    )
    # The first turn compiles modules and makes the JVM warm.
    turns = [[timed(command, environ, expect=str(positions)) for command, environ in tasks] for _ in range(rounds + 1)]
    ours, ibind, curl = zip(*turns[1:], strict=True)
    return ByTurns(ours, ibind, curl)


@dataclass(frozen=True)
class Traffic:
    """What the servers saw of a fetch: how many pages of positions, how many a second, how many refused for pacing."""

    pages: int
    per_s: float
    refused: int


@dataclass(frozen=True)
class ManyAccounts:
    """A fetch of every account, how large its document is, and the same of one of them for comparison."""

    spent: Spent
    document_mb: float
    of_one: Spent
    traffic: Traffic


def most_memory_mb(document_mb: float) -> float:
    """Returns what a fetch may take at most, in MB: it puts its document together in memory."""
    return round(40.0 + 3.0 * document_mb, 1)


def many_accounts(stage: Stage, file: Path) -> ManyAccounts:
    """Fetches the positions of ACCOUNTS accounts into a file, from servers that insist on their limits.

    Raises:
        BenchError: it failed, or fetched something else.
    """
    _insist(stage)
    of_one = spent(stage.command("fetch", "positions", "--account", ACCOUNT, "-o", file), environment())
    _require_rows(file, POSITIONS_EACH)
    before, began_at = refused(stage.servers), time.time()
    of_all = spent(stage.command("fetch", "positions", "-o", file), environment())
    _require_rows(file, ACCOUNTS * POSITIONS_EACH)
    size_mb = file.stat().st_size / 2**20
    return ManyAccounts(of_all, size_mb, of_one, traffic(stage.servers, began_at, refused(stage.servers) - before))


@dataclass(frozen=True)
class AtOnce:
    """Several fetches at once: how long all took, what the servers saw, how long keeping the session alive waited."""

    seconds: float
    traffic: Traffic
    keepalive_waits_s: tuple[float, ...]


def at_once(stage: Stage, folder: Path) -> AtOnce:
    """Starts AT_ONCE fetches together, each of accounts of its own, and keeps a session alive meanwhile.

    The watchdog of the stage tickles twice a minute; a second keeper of sessions, which takes its turns from the same
    budget in the same way, asks once a second, so that no moment of theirs is missed.

    Raises:
        BenchError: one failed.
    """
    _insist(stage)
    before, began_at, began_s = refused(stage.servers), time.time(), time.monotonic()
    numbers = account_numbers(ACCOUNT, AT_ONCE * ACCOUNTS_EACH)
    running = []
    with _Keeper(stage) as keeper:
        for number in range(AT_ONCE):
            chosen = numbers[number::AT_ONCE]
            wanted = [part for account in chosen for part in ("--account", account)]
            command = stage.command("fetch", "positions", *wanted, "-o", folder / f"{number}.json")
            running.append(subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True))
        problems = [one.communicate()[1] for one in running]
        seconds = time.monotonic() - began_s
    if any(one.returncode for one in running):
        raise BenchError(f"one of {AT_ONCE} fetches at once failed:\n{''.join(problems)}")
    seen = traffic(stage.servers, began_at, refused(stage.servers) - before)
    return AtOnce(seconds, seen, tuple(keeper.waits_s))


class _Keeper:
    """Asks once a second for the length of a block, with the rights of the process that owns the session."""

    def __init__(self, stage: Stage) -> None:
        self._client = PortalClient(
            stage.port,
            stage.certificate,
            SharedRateLimiter(stage.directories.pacing_file, shared=stage.directories.shared_pacing_file),
            owns_session=True,
            pause=self._pause,
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._waited_s = 0.0
        self.waits_s: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def _pause(self, seconds: float) -> None:
        self._waited_s += seconds
        time.sleep(seconds)

    def _run(self) -> None:
        while not self._over.wait(KEEPALIVE_EVERY_S):
            self._waited_s = 0.0
            # A tickle has an interval of its own, which the watchdog of the stage uses.
            self._client.request(endpoints.USER)
            self.waits_s.append(self._waited_s)


def _insist(stage: Stage) -> None:
    """Has the servers insist on IBKR's limits, when nobody but us sends anything any more.

    In the seconds after a login the gateway's own program asks for the brokerage tier, and nobody can pace that.
    """
    let_age(stage, SETTLED_S)
    stage.servers.control.limits(enabled=True)
    # The budget of the last second passes.
    time.sleep(1.5)


def refused(servers: Servers) -> int:
    """Returns how many calls the servers have refused with 429 so far."""
    count: int = servers.control.state()["counters"]["refused_by_pacing"]
    return count


def traffic(servers: Servers, since: float, refused_since: int) -> Traffic:
    """Returns what the servers saw of positions since a wall-clock time.

    Raises:
        BenchError: fewer than two pages.
    """
    moments = sorted(one["at"] for one in servers.requests(since) if "/positions/" in one["path"])
    if len(moments) < 2:
        raise BenchError("a fetch of many accounts that asks for no pages")
    return Traffic(len(moments), rate(moments), refused_since)


def rate(moments: list[float]) -> float:
    """Returns how many of these moments, in seconds and in order, there were a second."""
    return (len(moments) - 1) / (moments[-1] - moments[0])


def _require_rows(file: Path, rows: int) -> None:
    timed(["jq", COUNT, file], environment(), expect=str(rows))
