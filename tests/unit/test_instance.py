"""The name of an instance, and the names of what belongs to it."""

from pathlib import Path

import pytest

from ibkr_tools.directories import SYSTEM_CONFIGURATION, SYSTEM_RUNTIME, SYSTEM_STATE, find_directories
from ibkr_tools.errors import UsageError
from ibkr_tools.instance import (
    COMMANDS_OF_AN_INSTANCE,
    INSTANCE_VARIABLE,
    UNITS,
    current_instance,
    directory_of,
    in_names_of,
    installed_instances,
    require_name,
    unit_of,
    visible_instances,
)
from ibkr_tools.privileges import SERVICE_USER
from tests.support.unit_files import FILES


@pytest.mark.parametrize("name", ["a", "anna", "user-2", "a1", "a-b-c", "a" * 20])
def test_a_name_that_can_be_used(name: str) -> None:
    assert require_name(name) == name
    assert len(f"{SERVICE_USER}-{name}") <= 32


@pytest.mark.parametrize(
    "name",
    [
        *("", "A", "Anna", "1a", "-a", "a-", "a--b", "a_b", "a.b", "a/b", "../a", "a@b", "a b", "a\n", "%i", "a" * 21),
        # What a list of several calls the instance without a name.
        "default",
    ],
)
def test_a_name_that_cannot_be_used(name: str) -> None:
    """It would mean something else in a path, a unit or a user's name, or be two names for one."""
    with pytest.raises(UsageError):
        require_name(name)


def test_the_environment_names_it() -> None:
    assert current_instance({}) is None
    assert current_instance({INSTANCE_VARIABLE: ""}) is None
    assert current_instance({INSTANCE_VARIABLE: "anna"}) == "anna"
    with pytest.raises(UsageError):
        current_instance({INSTANCE_VARIABLE: "../../root"})


def test_directories_of_an_instance_lie_beside_those_without_a_name() -> None:
    """Neither in them nor in each other's: whoever may enter one sees nothing of another."""
    found = find_directories({INSTANCE_VARIABLE: "anna", "HOME": "/home/somebody"})
    mine = (found.configuration, found.runtime, found.state)
    assert mine == (Path("/etc/ibkr-tools@anna"), Path("/run/ibkr-tools@anna"), Path("/var/lib/ibkr-tools@anna"))
    for plain in (SYSTEM_CONFIGURATION, SYSTEM_RUNTIME, SYSTEM_STATE):
        assert not directory_of(plain, "anna").is_relative_to(plain)
        assert directory_of(plain, None) == plain


def test_what_systemd_says_counts_in_a_unit() -> None:
    found = find_directories({INSTANCE_VARIABLE: "anna", "RUNTIME_DIRECTORY": "/run/elsewhere"})
    assert found.runtime == Path("/run/elsewhere")


def test_units_have_the_name_at_their_end() -> None:
    assert unit_of("ibkr-fetch.service", None) == "ibkr-fetch.service"
    assert unit_of("ibkr-fetch.service", "anna") == "ibkr-fetch@anna.service"
    assert unit_of("ibkr-gateway", "anna") == "ibkr-gateway@anna"
    # `ibkr-alert@` tells of a failed unit.
    assert unit_of("ibkr-alert.path", "anna") == "ibkr-alert-delivery@anna.path"


def test_every_unit_but_the_simulator_is_an_instances_own() -> None:
    names = {path.name.removeprefix("ibkr-").partition(".")[0] for path in FILES if "@" not in path.name}
    assert names - {"simulator"} == set(UNITS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("systemctl start ibkr-gateway", "systemctl start ibkr-gateway@anna"),
        ("restart ibkr-firewall ibkr-gateway (x)", "restart ibkr-firewall@anna ibkr-gateway@anna (x)"),
        ("ibkr-fetch.service has failed", "ibkr-fetch@anna.service has failed"),
        ("journalctl -p warning -u ibkr-alert", "journalctl -p warning -u ibkr-alert-delivery@anna"),
        ("`ibkr-tools unlock` allows it", "`ibkr-tools --instance anna unlock` allows it"),
        ("sudo ./bin/install --gateway X", "sudo ./bin/install --instance anna --gateway X"),
        ("sudo ibkr-tools-install --gateway X", "sudo ibkr-tools-install --instance anna --gateway X"),
        ("/etc/ibkr-tools/config.json: fine", "/etc/ibkr-tools@anna/config.json: fine"),
        ("/run/ibkr-tools-metrics/x.prom", "/run/ibkr-tools-metrics@anna/x.prom"),
        ("sudo adduser $USER ibkr && x", "sudo adduser $USER ibkr-anna && x"),
        ("ibkr-login runs as ibkr: chown ibkr /x", "ibkr-login@anna runs as ibkr-anna: chown ibkr-anna /x"),
        # What is nobody's own, or is said already.
        ("ibkr-tools is not installed; ibkr-simulator", "ibkr-tools is not installed; ibkr-simulator"),
        ("/opt/ibkr-tools/venv ibkr-password ibkr-alert@test", "/opt/ibkr-tools/venv ibkr-password ibkr-alert@test"),
        ("ibkr-gateway@anna.service /etc/ibkr-tools@anna", "ibkr-gateway@anna.service /etc/ibkr-tools@anna"),
    ],
)  # fmt: skip
def test_messages_name_what_belongs_to_the_instance(text: str, expected: str) -> None:
    """A person can type what a message says to do."""
    assert in_names_of(text, "anna") == expected
    assert in_names_of(expected, "anna") == expected
    assert in_names_of(text, None) == text


def test_every_command_that_has_a_place_is_known() -> None:
    from ibkr_tools.cli.app import PLAIN_COMMANDS
    from ibkr_tools.cli.command_table import COMMANDS

    assert set(COMMANDS) - set(COMMANDS_OF_AN_INSTANCE) - PLAIN_COMMANDS <= {"help", "resources"}
    assert set(COMMANDS_OF_AN_INSTANCE) <= set(COMMANDS) - PLAIN_COMMANDS


def test_the_instances_of_a_machine_are_those_that_are_installed(tmp_path: Path) -> None:
    for name in ("run@anna", "run@bob", "run@No", "run@a_b", "other@carl", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "run@file").touch()
    assert installed_instances(tmp_path / "run") == ["anna", "bob"]


def test_the_one_without_a_name_is_among_those_that_can_be_seen(tmp_path: Path) -> None:
    """Where it is there; `default` names it."""
    (tmp_path / "run@anna").mkdir()
    assert visible_instances(tmp_path / "run") == ["anna"]
    (tmp_path / "run").mkdir()
    assert visible_instances(tmp_path / "run") == ["default", "anna"]
