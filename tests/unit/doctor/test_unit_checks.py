"""How units are: from what systemd says of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from ibkr_tools.doctor.finding import CheckVerdict
from ibkr_tools.doctor.subject import Extent, Told, find_extent, is_of_instances, listed_files
from ibkr_tools.doctor.unit_checks import FOLLOWERS, UnitState, judge_package, judge_states, judge_timers
from ibkr_tools.installation import LOCAL, PACKAGE, Layout

GATEWAY, TIMER = "ibkr-gateway.service", "ibkr-fetch.timer"
NAMES = (GATEWAY, *FOLLOWERS, TIMER, "ibkr-fetch.service", "ibkr-login.service", "ibkr-snapshot.service")


def running(**changes: UnitState) -> dict[str, UnitState]:
    states = {
        name: UnitState(name=name, load="loaded", active="active", enabled="enabled" if name == GATEWAY else "static")
        for name in NAMES
    }
    states[TIMER] = replace(states[TIMER], enabled="disabled", active="inactive")
    for name in ("ibkr-fetch.service", "ibkr-login.service", "ibkr-snapshot.service"):
        states[name] = replace(states[name], active="inactive")
    return states | {changed.name: changed for changed in changes.values()}


def judged(**changed: object) -> list[tuple[CheckVerdict, str, str | None]]:
    """Returns what is wrong where one unit is otherwise; `name` says which."""
    states = running()
    name = str(changed.pop("name"))
    states[name] = replace(states[name], **changed)  # type: ignore[arg-type]
    found = [*judge_states(states, Extent.FULL), *judge_timers(states, Extent.FULL)]
    return [
        (entry.verdict, entry.message_text(), entry.remedy_text())
        for entry in found
        if entry.verdict is not CheckVerdict.OK
    ]


def test_what_runs_as_it_should_is_no_line() -> None:
    assert judged(name=GATEWAY) == []
    assert judged(name=TIMER, enabled="enabled", active="active", next_elapse="Mon 2026-11-23 07:00:00 UTC") == []


@pytest.mark.parametrize(
    ("changed", "verdict", "remedy"),
    [
        ({"name": GATEWAY, "needs_reload": True}, CheckVerdict.FAULT, "sudo systemctl daemon-reload"),
        ({"name": TIMER, "load": "masked"}, CheckVerdict.FAULT, "sudo systemctl unmask ibkr-fetch.timer"),
        ({"name": TIMER, "load": "bad-setting"}, CheckVerdict.FAULT, "systemd-analyze verify ibkr-fetch.timer"),
        ({"name": GATEWAY, "enabled": "disabled"}, CheckVerdict.NOTICE, f"sudo systemctl enable {GATEWAY}"),
        ({"name": GATEWAY, "active": "inactive"}, CheckVerdict.NOTICE, f"sudo systemctl start {GATEWAY}"),
        (
            {"name": GATEWAY, "active": "failed", "result": "exit-code", "exit_status": 78},
            CheckVerdict.FAULT,
            f"sudo systemctl reset-failed {GATEWAY} && sudo systemctl restart {GATEWAY}",
        ),
        (
            {"name": "ibkr-firewall.service", "active": "failed", "result": "exit-code", "exit_status": 78},
            CheckVerdict.FAULT,
            f"sudo systemctl reset-failed ibkr-firewall.service && sudo systemctl restart {GATEWAY}",
        ),
        (
            {"name": "ibkr-login.path", "active": "failed", "result": "trigger-limit-hit"},
            CheckVerdict.FAULT,
            "sudo systemctl reset-failed ibkr-login.path && sudo systemctl restart ibkr-login.path",
        ),
        (
            {"name": "ibkr-fetch.service", "active": "failed", "result": "timeout"},
            CheckVerdict.FAULT,
            "journalctl -n 20 -u ibkr-fetch.service; sudo systemctl restart ibkr-fetch.service",
        ),
        (
            {"name": "ibkr-login.service", "active": "failed", "result": "exit-code", "exit_status": 243},
            CheckVerdict.FAULT,
            "sudo systemctl reset-failed ibkr-login.service && sudo systemctl restart ibkr-login.service",
        ),
        ({"name": TIMER, "enabled": "enabled"}, CheckVerdict.FAULT, f"sudo systemctl start {TIMER}"),
        (
            {"name": TIMER, "enabled": "enabled", "active": "active"},
            CheckVerdict.FAULT,
            f"systemctl cat {TIMER}",
        ),
        *(
            ({"name": name, "active": "inactive"}, CheckVerdict.FAULT, f"sudo systemctl start {name}")
            for name in FOLLOWERS
        ),
    ],
)
def test_what_does_not_has_one_line(changed: dict[str, object], verdict: CheckVerdict, remedy: str) -> None:
    assert [(entry[0], entry[2]) for entry in judged(**changed)] == [(verdict, remedy)]


@pytest.mark.parametrize("name", ["ibkr-login.service", "ibkr-snapshot.service"])
def test_what_failed_and_was_told_is_no_fault_of_a_unit(name: str) -> None:
    """The watchdog asks for another login, and the status has what it came to; who asked for a snapshot was told."""
    assert judged(name=name, active="failed", result="exit-code", exit_status=75) == []
    assert judged(name=name, active="failed", result="exit-code", exit_status=203) != []


def test_where_the_gateway_is_stopped_nothing_else_has_to_run() -> None:
    states = {name: replace(state, active="inactive") for name, state in running().items()}
    found = [entry for entry in judge_states(states, Extent.FULL) if entry.verdict is not CheckVerdict.OK]
    assert [entry.remedy_text() for entry in found] == [f"sudo systemctl start {GATEWAY}"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("systemd/system/ibkr-gateway.service", False), ("systemd/system/ibkr-alert@.service", False)),
        ("systemd/system/ibkr-alert@.service.d/20-exceptions.conf", False),
        *(("systemd/system/ibkr-gateway@.service", True), ("systemd/system/ibkr-alert-fetch@.service", True)),
        ("systemd/system/ibkr-gateway@.service.d/20-exceptions.conf", True),
        *(("tmpfiles.d/ibkr-tools@anna.conf", True), ("tmpfiles.d/ibkr-tools.conf", False)),
    ],
)
def test_what_is_of_instances_is_not_compared(name: str, expected: bool) -> None:
    """It is made by bin/install, of what is compared."""
    assert is_of_instances(Path("/usr/local/lib") / name) == expected


@pytest.mark.parametrize(
    ("told", "messages"),
    [
        (Told(status=0, output="installed", complaint=""), []),
        (Told(status=0, output="half-configured", complaint=""), ["dpkg has the package as half-configured"]),
        (Told(status=0, output="unpacked\n", complaint=""), ["dpkg has the package as unpacked"]),
        (Told(status=None, output="", complaint="no answer in time"), []),
    ],
)
def test_a_package_that_dpkg_has_not_finished_is_told(told: Told, messages: list[str]) -> None:
    """What dpkg does not say is no fault."""
    assert [entry.message_text() for entry in judge_package(told)] == messages


@pytest.mark.parametrize(
    ("layout", "units", "files", "extent"),
    [
        (LOCAL, ["ibkr-gateway.service", "ibkr-flex.service"], ["config.json"], Extent.FULL),
        (LOCAL, ["ibkr-flex.service"], ["config.json"], Extent.STATEMENTS),
        (LOCAL, [], ["config.json"], Extent.NONE),
        (PACKAGE, ["ibkr-gateway.service", "ibkr-flex.service"], [], Extent.FULL),
        (PACKAGE, ["ibkr-gateway.service", "ibkr-flex.service"], ["config.json", "password"], Extent.FULL),
        (PACKAGE, ["ibkr-gateway.service", "ibkr-flex.service"], ["config.json"], Extent.STATEMENTS),
    ],
)
def test_how_much_is_installed(
    tmp_path: Path, layout: Layout, units: list[str], files: list[str], extent: Extent
) -> None:
    """A package has all units; what is set up says the file for the password."""
    for name in files:
        (tmp_path / name).touch()
    shipped = frozenset(layout.units / name for name in units)
    assert find_extent(shipped, layout, tmp_path / "config.json") is extent


def test_where_this_user_may_not_look_everything_is_expected(tmp_path: Path) -> None:
    """Somebody outside of the group may ask the doctor too. A name that is too long is the error that root gets."""
    shipped = frozenset({PACKAGE.units / "ibkr-gateway.service"})
    assert find_extent(shipped, PACKAGE, tmp_path / ("x" * 300) / "config.json") is Extent.FULL


def test_directories_in_the_list_of_a_package_are_no_files() -> None:
    """dpkg lists them; compared with what was shipped they would be faults of every instance with a name."""
    units = "/usr/lib/systemd/system"
    lines = [
        "/.",
        "/usr",
        "/usr/lib",
        units,
        f"{units}/ibkr-login@.service.d",
        f"{units}/ibkr-login@.service.d/20-x.conf",
    ]
    assert listed_files(lines) == {Path(lines[-1])}
