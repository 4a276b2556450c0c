"""From a lost session to the next one: when the watchdog notices, and when the gateway serves the account again."""

import time
from dataclasses import dataclass
from typing import Literal

from bench.prober import Prober
from bench.processes import BenchError
from bench.stage import Servers, Stage, wait_until

LEAST_AGE_S = 21.0
"""The watchdog takes a session that lived shorter than 20 s for a fault, and pauses after several of them."""

TICKLE_EVERY_S = 30.0
LONGEST_S = 120.0

Push = Literal["sts", "silent"]


@dataclass(frozen=True)
class Loss:
    """One lost session. Seconds since it was dropped.

    `noticed_s`: the status file says so, or IBKR's servers saw a tickle fail, whichever was first;
    `status_s`: the status file says that there is a session again; `served_s`: an independent client was served.
    """

    noticed_s: float
    status_s: float
    served_s: float


def lose(stage: Stage, push: Push, *, after_tickle_s: float | None = None) -> Loss:
    """Drops the session and watches it come back.

    Args:
        stage: where `ibkr-tools up` has a session.
        push: whether the WebSocket tells of the loss, or nobody does and the next tickle has to find out.
        after_tickle_s: drop it so many seconds after a tickle; None: as soon as the session is old enough.

    Raises:
        BenchError: it did not come back in time.
    """
    _let_age(stage)
    if after_tickle_s is not None:
        _wait_for_tickle(stage.servers, after_tickle_s)
    with Prober(stage.port) as prober:
        wait_until(lambda: prober.wait(0) is not None, 10, "the prober's first answer")
        dropped_at = time.time()
        stage.servers.control.drop(push=push)
        prober.watch_from(time.time())
        noticed_at = wait_until(lambda: stage.session()["state"] != "up", LONGEST_S, "the watchdog notices")
        failed_at = stage.servers.first(dropped_at, "/v1/api/tickle", 401) or noticed_at
        status_at = wait_until(lambda: stage.session()["state"] == "up", LONGEST_S, "a new session")
        served_at = prober.wait(LONGEST_S)
    if served_at is None:
        raise BenchError("the status says there is a session, and nobody is served")
    return Loss(
        noticed_s=min(noticed_at, failed_at) - dropped_at,
        status_s=status_at - dropped_at,
        served_s=served_at - dropped_at,
    )


def spread(rounds: int, period_s: float) -> list[float]:
    """Returns one moment per round, evenly over a period: what happens once in a period shall favour no round."""
    return [(number + 0.5) * period_s / rounds for number in range(rounds)]


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


def _let_age(stage: Stage) -> None:
    stage.wait_until_up()
    youngest_at = max(one["created_at"] for one in stage.servers.control.state()["sessions"])
    wait_until(lambda: time.time() > youngest_at + LEAST_AGE_S, LEAST_AGE_S + 5, "a session of some age", step_s=0.1)
