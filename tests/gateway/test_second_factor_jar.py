"""A user with a second factor behind IBKR's real gateway: the watchdog's logins answer it, on IBKR's clock."""

import json

import pytest

from bench.stage import Servers, Stage
from ibkr_tools.simulator import Simulator
from tests.support.simulation import simulator_options, wait_until
from tests.support.stages import Stages

pytestmark = [pytest.mark.gateway, pytest.mark.browser]

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def configure(stage: Stage, **second_factor: object) -> None:
    content = json.loads(stage.config.read_text())
    content["login"] = {"second_factor": second_factor}
    stage.config.write_text(json.dumps(content))


def test_codes_of_an_authenticator_app_keep_a_session(stages: Stages) -> None:
    """Two sessions, two codes, neither of them refused or the same, though this machine's clock is 40 s behind."""
    with Simulator(simulator_options()) as simulator:
        simulator.control.behaviour(clock_skew_s=40)
        simulator.control.page(second_factor="multiplesf", second_factor_secret=SECRET)
        stage = stages.make(Servers(simulator.url, simulator.control))
        configure(stage, method="totp")
        secret = stage.config.with_name("totp")
        secret.touch(mode=0o600)
        secret.write_text(SECRET + "\n")
        with stage.up() as program:
            wait_until(lambda: stage.is_up, 90)
            simulator.control.drop()
            wait_until(lambda: simulator.control.state()["counters"]["logins"] == 2, 90)
            wait_until(lambda: stage.is_up, 30)
        counters = simulator.control.state()["counters"]
        assert (counters["codes"], counters["pushes"], counters["submitted"]) == (2, 0, 2)
        lines = "\n".join(line for _, line in program.lines)
        assert "s behind IBKR's" in lines
        assert SECRET not in lines
        first, second = json.loads((stage.state / "login/totp.json").read_bytes())["steps"]
        assert second > first


def test_push_that_nobody_approves_is_not_sent_again(stages: Stages) -> None:
    """The watchdog stops and asks for a person; a new start of everything does not ring the phone either."""
    with Simulator(simulator_options()) as simulator:
        simulator.control.page(second_factor="notification")
        stage = stages.make(Servers(simulator.url, simulator.control))
        configure(stage, method="push", push_wait_s=30)

        def waits_for_a_person() -> bool:
            login = stage.status().get("login") or {}
            return (login.get("state"), stage.session().get("state")) == ("action-required", "locked-out")

        def waits_for_the_window() -> bool:
            # A second start that finds no gateway yet tries again only minutes later in IBKR's hours for maintenance.
            return "(during IBKR's" in str(stage.session().get("why"))

        with stage.up():
            wait_until(waits_for_a_person, 110)
        with stage.up():
            wait_until(lambda: waits_for_a_person() or waits_for_the_window(), 110)
        assert simulator.control.state()["counters"]["pushes"] == 1
        assert simulator.control.submitted() == 1
