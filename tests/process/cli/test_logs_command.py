"""`ibkr-tools logs`: journalctl for our units, and who may read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ibkr_tools.cli.logs_command import unit_pattern
from ibkr_tools.errors import UsageError
from ibkr_tools.journal_access import has_entries

PROGRAM = """\
import os, sys
from ibkr_tools import journal_access
os.execv = lambda program, words: print(*words)
journal_access.has_entries = lambda program, pattern: {has_entries}
from ibkr_tools.cli import main
sys.argv = {words!r}
main()
"""
"""Prints what would be started: no journal is on the machine of the tests."""


def started(
    *arguments: str, environment: dict[str, str], has_entries: bool = True
) -> "subprocess.CompletedProcess[str]":
    program = PROGRAM.format(words=["ibkr-tools", "logs", *arguments], has_entries=has_entries)
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", ["login", "ibkr-login", "ibkr-login.service"])
def test_a_unit_has_three_names(name: str) -> None:
    assert unit_pattern(name) == "ibkr-login*"


def test_an_instance_has_units_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBKR_TOOLS_INSTANCE", "anna")
    assert (unit_pattern(None), unit_pattern("alert")) == ("ibkr-*@anna*", "ibkr-alert*@anna*")


@pytest.mark.parametrize("name", ["nginx", "ibkr-", "", "*", "login --help", "../x", "since-254"])
def test_other_names_are_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        unit_pattern(name)
    assert refused.value.hint is not None
    assert "gateway, login, metrics" in refused.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may read the journal")
def test_options_become_those_of_journalctl(environment: dict[str, str]) -> None:
    done = started("flex", "-f", "-w", "-n", "7", "--since", "today", environment=environment)
    assert done.stdout.split()[1:] == [
        *("--unit=ibkr-flex*", "--lines=7", "--output=short-iso", "--quiet", "--follow"),
        *("--priority=warning", "--since=today"),
    ]
    assert "--unit=ibkr-*" in started(environment=environment).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may read the journal")
def test_a_journal_without_our_units_is_78_and_says_what_installs_them(environment: dict[str, str]) -> None:
    done = started("login", environment=environment, has_entries=False)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines()[0] == "error: the journal has nothing of ibkr-login*"
    assert "bin/install" in done.stderr


@pytest.mark.parametrize(("code", "expected"), [(0, True), (1, False)])
def test_journalctl_fails_where_there_is_no_such_unit(tmp_path: Path, code: int, expected: bool) -> None:
    """`Failed to add filter for units: No data available`, for a pattern that fits none."""
    (tmp_path / "journalctl").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "journalctl").chmod(0o755)
    assert has_entries(str(tmp_path / "journalctl"), "ibkr-*") is expected


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_who_may_not_read_the_journal_is_told_what_to_type(environment: dict[str, str]) -> None:
    program = PROGRAM.format(words=["ibkr-tools", "logs", "login", "-n", "3"], has_entries=True)
    reader = f"import os\nos.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\n{program}"
    # Modules of a checkout that only root can enter are imported before.
    imports = "import ibkr_tools.cli.app, ibkr_tools.cli.logs_command, ibkr_tools.journal_access\n"
    imports += "import ibkr_tools.doctor.shipped_units\n"
    done = subprocess.run(
        [sys.executable, "-c", imports + reader],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 77, done.stderr
    assert "sudo ibkr-tools logs login -n 3" in done.stderr
    assert "adduser $USER systemd-journal" in done.stderr
