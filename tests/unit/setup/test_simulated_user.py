"""The simulator's user: the one that it has, and never in the place of somebody's own."""

import pytest

from ibkr_tools.config import example
from ibkr_tools.config.loader import config_problems
from ibkr_tools.setup import simulated_user
from ibkr_tools.setup.simulated_user import simulated_configuration
from ibkr_tools.simulator.options import SimulatorOptions
from tests.support.checkout import CHECKOUT

OURS = {
    "username": simulated_user.USERNAME,
    "account": simulated_user.ACCOUNT,
    "gateway": {"upstream": simulated_user.UPSTREAM},
}


def test_the_simulator_has_this_user() -> None:
    users = {user.username: user.password for user in SimulatorOptions().users}
    assert users[simulated_user.USERNAME] == simulated_user.PASSWORD
    assert f"readonly SIMULATED_UPSTREAM={simulated_user.UPSTREAM}\n" in (CHECKOUT / "bin/_setup.sh").read_text()


@pytest.mark.parametrize("document", [{}, {"username": example.EXAMPLE_USERNAME, "account": "U1234567"}])
def test_in_the_place_of_nobodys(document: dict[str, object]) -> None:
    assert simulated_configuration(document) == OURS
    assert list(config_problems(OURS)) == []


def test_the_simulators_own_stays() -> None:
    own = {**OURS, "fetch": {"keep_days": 3}}
    assert simulated_configuration({**own, "password": "x"}) == own


@pytest.mark.parametrize("document", [{"username": "reader"}, {"account": "U1"}, {"gateway": {"port": 5001}}])
def test_somebodys_own_stays(document: dict[str, object]) -> None:
    assert simulated_configuration(document) is None
