"""From a lost session to the next one: when the watchdog notices, and when the gateway serves the account again."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from subprocess import DEVNULL
from typing import Literal

import msgspec

from bench.prober import BROKERAGE, PORTFOLIO, Prober
from bench.processes import BenchError, environment
from bench.stage import Servers, Stage, wait_until
from ibkr_tools.portal import endpoints
from ibkr_tools.portal.rate_limit_state import RateLimitState

OLD_S, SETTLED_S = 21.0, 8.0
"""The watchdog takes a session that lived shorter than 20 s for a fault, and pauses after the third in a row.

One younger than 8 s is still looked at, and its accounts may not be asked for again: IBKR answers that once in 5 s.
"""
YOUNG_IN_A_ROW = 2

TICKLE_EVERY_S = 30.0
LONGEST_S = 180.0
HANG_S = 30.0

Kind = Literal["sts", "close", "silent", "expired", "fetch", "java-killed", "java-hung", "servers-hang", "brokerage"]


@dataclass(frozen=True)
class Loss:
    """One loss and its end. Seconds since the blow, or, where the servers hang, since they answer again.

    `noticed_s`: the status file says so, or IBKR's servers saw a tickle fail, whichever was first, always since the
    blow; `status_s`: the status file says that all is well again; `served_s`: an independent client was served.
    """

    noticed_s: float
    status_s: float
    served_s: float


class Losses:
    """The losses that one stage goes through, one after the other, each with a session that is old enough."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._young = 0

    def lose(self, kind: Kind, *, after_tickle_s: float | None = None, rested: bool = False) -> Loss:
        """Strikes a session as soon as it may be, and watches it come back.

        Args:
            kind: how it is lost, see `lose_at_once`.
            after_tickle_s: so many seconds after a tickle.
            rested: not before IBKR takes another validation.

        Raises:
            BenchError: it did not come back in time.
        """
        old = self._young == YOUNG_IN_A_ROW or after_tickle_s is not None
        self._young = 0 if old else self._young + 1
        let_age(self._stage, OLD_S if old else SETTLED_S)
        if rested:
            _wait_for_validation(self._stage)
        if after_tickle_s is not None:
            _wait_for_tickle(self._stage.servers, after_tickle_s)
        return lose_at_once(self._stage, kind)


def lose_at_once(stage: Stage, kind: Kind) -> Loss:
    """Strikes a session, however old it is, and watches it come back.

    Args:
        stage: where `ibkr-tools up` has a session.
        kind: `sts`, `close`, `silent`: IBKR forgets the session and says so on the WebSocket, only closes it, or says
            nothing; `expired`: a day has passed; `fetch`: nothing is said, but a fetch runs into it; `java-killed`,
            `java-hung`: SIGKILL and SIGSTOP to Java; `servers-hang`: IBKR's servers leave every call unanswered for
            HANG_S; `brokerage`: IBKR ends that tier alone, and says so.

    Raises:
        BenchError: it did not come back in time.
    """
    control, blow = stage.servers.control, Blow(stage, BROKERAGE if kind == "brokerage" else PORTFOLIO)
    match kind:
        case "sts" | "close" | "silent":
            return blow.strike(lambda: control.drop(push=kind))
        case "expired":
            return blow.strike(lambda: control.advance(86_400))
        case "fetch":
            return _lose_before_a_fetch(blow)
        case "brokerage":
            return blow.strike(lambda: control.drop("brokerage"))
        case "java-killed":
            return blow.strike(lambda: os.kill(stage.pids()["Java"], signal.SIGKILL))
        case "java-hung":
            return blow.strike(lambda: os.kill(stage.pids()["Java"], signal.SIGSTOP))
        case "servers-hang":
            return blow.strike(lambda: control.fault("*", "hang"), control.clear_faults, HANG_S)


@dataclass(frozen=True)
class Blow:
    """Something that hits the session of a stage; `path` is what a client misses until it is healed."""

    stage: Stage
    path: str = PORTFOLIO

    def strike(self, hit: Callable[[], object], undo: Callable[[], object] | None = None, lasts_s: float = 0.0) -> Loss:
        """Hits, calls `undo` when that has been noticed and has lasted for so long, and waits until all is well.

        Raises:
            BenchError: nobody notices, or it never is well again.
        """
        stage = self.stage
        with Prober(stage.port, self.path) as prober:
            wait_until(lambda: prober.wait(0) is not None, 60, "the prober's first answer")
            began_at = struck_at = time.time()
            hit()
            prober.watch_from(time.time())
            noticed_at = wait_until(lambda: not stage.is_up, LONGEST_S, "the watchdog notices")
            failed_at = stage.servers.first(struck_at, "/v1/api/tickle", 401) or noticed_at
            if undo is not None:
                wait_until(lambda: time.time() >= struck_at + lasts_s, lasts_s + 1, "the end of the trouble", 0.05)
                undo()
                began_at = time.time()
                prober.watch_from(began_at)
            status_at = wait_until(lambda: stage.is_up, LONGEST_S, "a new session")
            served_at = prober.wait(LONGEST_S)
        if served_at is None:
            raise BenchError("the status says there is a session, and nobody is served")
        return Loss(
            noticed_s=min(noticed_at, failed_at) - struck_at,
            status_s=status_at - began_at,
            served_s=served_at - began_at,
        )


def spread(rounds: int, period_s: float) -> list[float]:
    """Returns one moment per round, evenly over a period: what happens once in a period shall favour no round."""
    return [(number + 0.5) * period_s / rounds for number in range(rounds)]


def let_age(stage: Stage, least_s: float) -> None:
    """Waits until the session is so old by the watchdog's own reckoning, which begins when it has seen it work."""
    stage.wait_until_up()
    up_since_s = datetime.fromisoformat(stage.session()["up_since"]).timestamp()
    wait_until(lambda: time.time() > up_since_s + least_s, least_s + 1, "a session of some age", step_s=0.1)


def _lose_before_a_fetch(blow: Blow) -> Loss:
    stage, fetches = blow.stage, list[subprocess.Popen[bytes]]()

    def hit() -> None:
        stage.servers.control.drop(push="silent")
        # The accounts alone may still be known from a moment ago.
        command = stage.command("fetch", "positions")
        fetches.append(subprocess.Popen(command, env=environment(), stdout=DEVNULL, stderr=DEVNULL))

    loss = blow.strike(hit)
    for fetch in fetches:
        if not fetch.wait(60):
            raise BenchError("a fetch without a session succeeded")
    return loss


def _wait_for_validation(stage: Stage) -> None:
    """Waits until another one may be asked for, which IBKR allows once a minute."""
    past = msgspec.json.decode(stage.directories.pacing_file.read_bytes(), type=RateLimitState)
    due_s = past.next_at.get(endpoints.VALIDATE.name, 0.0)
    wait_until(lambda: time.monotonic() > due_s, 2 * endpoints.VALIDATE.interval_s, "a free validation", step_s=0.1)


def _wait_for_tickle(servers: Servers, after_s: float) -> None:
    began_at = time.time()
    wait_until(
        lambda: servers.first(began_at, "/v1/api/tickle", 200) is not None,
        2 * TICKLE_EVERY_S,
        "the next tickle",
        step_s=0.2,
    )
    due_at = (servers.first(began_at, "/v1/api/tickle", 200) or began_at) + after_s
    wait_until(lambda: time.time() >= due_at, after_s + 1, "the right moment")
