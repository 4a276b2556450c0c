"""What the simulator answers, saved by the command, and shown by it: every part, from the table of endpoints."""

from pathlib import Path

from ibkr_tools.portal.endpoints import READS, Scope, Tier
from ibkr_tools.simulator import account_numbers
from tests.support.installation import Installation
from tests.support.portal import signed_in

PARTS = [
    name
    for name, one in READS.items()
    if one.tier is Tier.PORTFOLIO
    and not any(parameter.required for parameter in one.parameters if parameter.name != "acctIds")
]


def test_every_part_that_can_be_saved_is_shown(tmp_path: Path, environment: dict[str, str]) -> None:
    """No request is sent for it: the simulator is gone."""
    place = Installation(tmp_path, environment)
    with signed_in(tmp_path / "simulator", accounts=account_numbers("U1234567", 2), positions=5) as simulator:
        place.configure(simulator.port, simulator.options.certificate)
        done = place.run("fetch", *PARTS, "--save")
        assert done.returncode == 0, done.stderr
    assert len(PARTS) > 10
    assert any(READS[name].scope is Scope.ACCOUNTS for name in PARTS)
    overview = place.run("show")
    assert [line.split()[0] for line in overview.stdout.splitlines()[2 : 2 + len(PARTS)]] == PARTS
    for name in PARTS:
        shown = place.run("show", name)
        assert (shown.returncode, shown.stderr) == (0, ""), name
        assert shown.stdout.splitlines()[-1].startswith("saved "), name


def test_positions_past_ibkrs_cache_weigh_the_same(tmp_path: Path, environment: dict[str, str]) -> None:
    place = Installation(tmp_path, environment)
    with signed_in(tmp_path / "simulator", positions=5) as simulator:
        place.configure(simulator.port, simulator.options.certificate)
        shown = []
        for more in ([], ["--fresh"]):
            assert place.run("fetch", "positions", "summary", "ledger", "--save", *more).returncode == 0
            shown.append(place.run("show", "positions").stdout.splitlines()[:-1])
    assert shown[0] == shown[1]
    assert "%" in shown[0][2]
