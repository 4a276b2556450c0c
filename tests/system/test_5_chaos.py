"""Whatever falls upon the machine: soon there is a session again, or the status says truthfully why not."""

from functools import partial
from random import Random

import pytest

from tests.system.chaos import table
from tests.system.chaos.rounds import SHORT, Chaos, alike, deal, named
from tests.system.chaos.scene import Scene
from tests.system.conftest import CHAOS
from tests.system.machine import Machine

pytestmark = pytest.mark.system


# Each round has its own deadlines; the short run takes two or three minutes, a hundred rounds about an hour.
@pytest.mark.timeout(0)
def test_chaos(up: Machine, request: pytest.FixtureRequest) -> None:
    """Rounds of one fault each. A short run by default, `--chaos-rounds 100 --chaos-seed 1` for a long one."""
    rounds, seed = request.config.getoption("chaos_rounds"), request.config.getoption("chaos_seed")
    only = request.config.getoption("chaos_only")
    random = Random(seed)
    scene = Scene(up, random)
    if only:
        faults = alike(only, rounds)
    elif rounds:
        faults = deal(rounds, random)
    else:
        faults = named(SHORT)
    chaos = Chaos(scene, partial(print, flush=True))
    try:
        chaos.run(faults)
    finally:
        request.config.stash[CHAOS] = [f"seed {seed}", *table.table(chaos.results), table.total(chaos.results, scene)]
    assert {result.line() for result in chaos.results if result.failures} == set()
