"""Commands that only read files start without the others, and nobody can tell."""

from pathlib import Path
from typing import Any

import pytest
import typer.main

from ibkr_tools.cli import QUICK, TAKE_A_VALUE, command_of, quick
from ibkr_tools.cli.app import app
from tests.support.installation import Installation

FULL: Any = typer.main.get_command(app)
SMALL: Any = typer.main.get_command(quick.app)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], None),
        (["status"], "status"),
        (["--verbose", "show", "status"], "show"),
        (["--config", "show", "status"], "status"),
        (["--config=x", "--state-dir", "y", "show"], "show"),
        (["--help"], None),
        (["--config"], None),
        (["fetch", "--output", "status"], "fetch"),
    ],
)
def test_which_command_it_is(arguments: list[str], name: str | None) -> None:
    assert command_of(arguments) == name


def test_global_options_with_a_value_are_known() -> None:
    """Were one missing, its value would be taken for a command."""
    assert {name for one in FULL.params if not one.is_flag for name in one.opts} == TAKE_A_VALUE


def test_the_quick_commands_are_those_of_the_whole() -> None:
    assert set(SMALL.commands) == QUICK
    for name, command in SMALL.commands.items():
        assert [one.opts for one in command.params] == [one.opts for one in FULL.commands[name].params]
        assert type(command) is type(FULL.commands[name])
    assert [one.opts for one in SMALL.params] == [one.opts for one in FULL.params]


@pytest.mark.parametrize("name", sorted(QUICK))
def test_help_and_errors_are_the_same(tmp_path: Path, environment: dict[str, str], name: str) -> None:
    place = Installation(tmp_path, environment)
    assert f"Usage: python -m ibkr_tools {name} [OPTIONS]" in place.run(name, "--help").stdout.replace("\n", " ")
    assert "No such option: --nonsense" in place.run(name, "--nonsense").stderr
