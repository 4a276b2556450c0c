"""The command line imports the module of the command that is asked for, and no other."""

import sys

import pytest
import typer

from ibkr_tools.cli.app import app
from ibkr_tools.cli.command_table import COMMANDS
from ibkr_tools.cli.lazy_commands import LazyCommands


def test_every_command_is_called_as_it_is_listed() -> None:
    commands = vars(typer.main.get_command(app))["commands"]
    assert [command.name for command in commands.values()] == list(COMMANDS)


def test_a_module_is_imported_when_its_command_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = LazyCommands({"status": "ibkr_tools.cli.status_command", "diff": "ibkr_tools.cli.diff_command"}, {})
    for module in ("status_command", "diff_command"):
        monkeypatch.delitem(sys.modules, f"ibkr_tools.cli.{module}", raising=False)
    assert list(commands) == ["status", "diff"]
    assert "nothing" not in commands
    assert "ibkr_tools.cli.status_command" not in sys.modules
    assert commands["status"] is commands["status"]
    assert "ibkr_tools.cli.status_command" in sys.modules
    assert "ibkr_tools.cli.diff_command" not in sys.modules
