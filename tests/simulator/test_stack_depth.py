"""How far it is from the command line to the socket: a reader follows the whole chain on one page."""

import json
import subprocess
import sys

import pytest

from ibkr_tools.simulator import Simulator
from tests.support.checkout import CHECKOUT
from tests.support.installation import Installation

MAX_OWN_FRAMES = 11
"""Functions of ours on the stack when `requests` is given a request, a worker thread's and its submitter's together."""

pytestmark = pytest.mark.simulator(gateway=True, user="demo-reader")


@pytest.mark.parametrize("latency_ms", [0, 150])
def test_few_functions_lie_between_the_command_and_requests(
    place: Installation, simulator: Simulator, latency_ms: int
) -> None:
    """Whether answers are fast, one after the other, or slow, several at once."""
    simulator.control.behaviour(latency_ms=latency_ms)
    command = [sys.executable, "-P", "-m", "tests.support.stack_frames", *place.options]
    done = subprocess.run(
        [*command, "fetch", "--jq", ".positions | length"],
        env=place.environment | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    requests = json.loads(done.stderr)
    assert done.stdout == "237\n"
    assert [request["url"] for request in requests if "/positions/2" in request["url"]]
    chains = [[*request["submitted_by"], *request["frames"]] for request in requests]
    assert max(map(len, chains)) <= MAX_OWN_FRAMES, max(chains, key=len)
    assert all(chain[0] == "__init__.main" for chain in chains)
