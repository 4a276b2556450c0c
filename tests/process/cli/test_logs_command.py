"""`ibkr-tools logs`: journalctl for our units, and who may read."""

import os
import subprocess
import sys

import pytest

from ibkr_tools.cli.logs_command import unit_pattern
from ibkr_tools.errors import UsageError

PROGRAM = """\
import os, sys
os.execv = lambda program, words: print(*words)
from ibkr_tools.cli import main
sys.argv = {words!r}
main()
"""
"""Prints what would be started: no journal is on the machine of the tests."""


def started(*arguments: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    program = PROGRAM.format(words=["ibkr-tools", "logs", *arguments])
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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_who_may_not_read_the_journal_is_told_what_to_type(environment: dict[str, str]) -> None:
    program = PROGRAM.format(words=["ibkr-tools", "logs", "login", "-n", "3"])
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
