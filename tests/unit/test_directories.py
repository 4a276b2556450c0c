"""Where things are: the argument first, then systemd, then the installation, then home."""

from pathlib import Path

import pytest

from ibkr_tools import directories
from ibkr_tools.directories import find_directories

SYSTEMD = {
    "CONFIGURATION_DIRECTORY": "/etc/second",
    "RUNTIME_DIRECTORY": "/run/second:/run/third",
    "STATE_DIRECTORY": "/var/lib/second",
    "HOME": "/home/anna",
}


def test_systemd_names_them_and_the_first_counts() -> None:
    found = find_directories(SYSTEMD)
    assert (found.configuration, found.runtime, found.state) == (
        Path("/etc/second"),
        Path("/run/second"),
        Path("/var/lib/second"),
    )


def test_an_argument_beats_systemd() -> None:
    found = find_directories(SYSTEMD, configuration=Path("/a"), runtime=Path("/b"), state=Path("/c"))
    assert (found.configuration, found.runtime, found.state) == (Path("/a"), Path("/b"), Path("/c"))


@pytest.mark.skipif(directories.SYSTEM_CONFIGURATION.is_dir(), reason="ibkr-tools is installed on this machine")
def test_a_person_has_her_own() -> None:
    found = find_directories({"HOME": "/home/anna", "XDG_RUNTIME_DIR": "/run/user/1000"})
    assert found.config_file == Path("/home/anna/.config/ibkr-tools/config.json")
    assert found.status_file == Path("/run/user/1000/ibkr-tools/status.json")
    assert found.state == Path("/home/anna/.local/state/ibkr-tools")
    assert find_directories({"HOME": "/home/anna"}).runtime == Path("/home/anna/.local/state/ibkr-tools/run")


def test_empty_variables_do_not_count() -> None:
    found = find_directories({**SYSTEMD, "STATE_DIRECTORY": ""})
    assert found.state not in {Path(), Path("/var/lib/second")}


def test_all_files_are_under_the_three_directories() -> None:
    found = find_directories(SYSTEMD)
    runtime = (found.status_file, found.login_request, found.snapshot_request, found.restart_request, found.pacing_file)
    assert all(path.parent == found.runtime for path in runtime)
    state = (
        found.gateway,
        found.certificate,
        found.login,
        found.browser,
        found.snapshots,
        found.statements,
        found.history,
    )
    assert all(path.is_relative_to(found.state) for path in state)
