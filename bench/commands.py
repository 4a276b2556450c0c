"""Commands that a person or a script runs often: whole processes, from start to end, against a running session."""

import os
import sys
from pathlib import Path

from bench.processes import environment, timed
from bench.stage import ACCOUNT, POSITIONS, Stage
from tests.support.peers import IBIND, peer_python

WITH_IBIND = Path(__file__).with_name("fetch_with_ibind.py")


def status_and_python(stage: Stage, rounds: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns milliseconds of `ibkr-tools status`, and of a Python that does nothing, by turns."""
    ours, bare = [], []
    for _ in range(rounds):
        bare.append(1000 * timed([sys.executable, "-c", "pass"], environment()))
        ours.append(1000 * timed(stage.command("status"), environment()))
    return tuple(ours), tuple(bare)


def fetch_and_ibind(stage: Stage, rounds: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns seconds of fetching and counting all positions, by us and by a script with ibind, by turns.

    Same gateway, same pages, and both check the gateway's certificate. ibind is told the account, which saves it a
    request; we have it from the watchdog's status.
    """
    python = peer_python(IBIND)
    theirs_environ = {
        "HOME": os.environ.get("HOME", "/"),
        "IBIND_LOG_TO_FILE": "False",
        "IBIND_LOG_TO_CONSOLE": "False",
    }
    url = f"https://127.0.0.1:{stage.port}/v1/api/"
    theirs_command = [os.fspath(one) for one in (python, WITH_IBIND, url, stage.certificate, ACCOUNT)]
    ours_command = stage.command("fetch", "positions", "--jq", ".positions|length")
    ours, theirs = [], []
    for number in range(rounds + 1):
        ours_s = timed(ours_command, environment(), expect=str(POSITIONS))
        theirs_s = timed(theirs_command, theirs_environ, expect=str(POSITIONS))
        if number:
            # The first turn compiled modules and made the JVM warm.
            ours.append(ours_s)
            theirs.append(theirs_s)
    return tuple(ours), tuple(theirs)
