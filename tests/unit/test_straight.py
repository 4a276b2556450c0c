"""The plain forms of `status` and `show` do without Typer what they do with it."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer.main

from ibkr_tools.cli import straight
from ibkr_tools.cli.app import app
from tests.support.installation import Installation
from tests.support.saved import save_simulated

PLAIN = [
    ["status"],
    ["status", "--json"],
    ["show"],
    ["show", "ledger"],
    ["show", "--all", "summary"],
    ["show", "positions", "--account", "U1234568", "--account", "U1234567"],
    ["show", "positions", "--account", "U9"],
    ["show", "ledger", "--at", "2020-01-01", "--at", "2026-11-20"],
    ["show", "ledger", "--file", "/nonexistent"],
    ["show", "positin"],
    ["show", "trades"],
    ["show", "accounts"],
]
OTHERS = [
    [],
    ["--version"],
    ["--help"],
    ["status", "-h"],
    ["status", "now"],
    ["status", "--jsom"],
    ["show", "a", "b"],
    ["show", "--account"],
    ["show", "--account", "--all"],
    ["show", "--account=U1234567"],
    ["show", "-f", "csv"],
    ["show", "--jq", "."],
    ["fetch", "status"],
    ["--config", "status"],
    ["--nonsense", "status"],
    ["show", "--", "ledger"],
]


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    installation = Installation(tmp_path, environment)
    save_simulated(installation.directories.snapshots, datetime(2026, 11, 20, 12, tzinfo=UTC), accounts=2)
    return installation


@pytest.mark.parametrize("arguments", PLAIN, ids=" ".join)
def test_typer_would_do_the_same(place: Installation, arguments: list[str]) -> None:
    assert straight.command([*place.options, "--verbose", *arguments]) is not None
    imports = "import sys; from ibkr_tools import guard; from ibkr_tools.cli.app import app"
    program = f"{imports}; sys.exit(guard.run(lambda: app()))"
    command = [sys.executable, "-c", program, *place.options, *arguments]
    by_typer = subprocess.run(command, env=place.environment, capture_output=True, text=True, check=False)
    done = place.run(*arguments)
    assert (done.returncode, done.stderr) == (by_typer.returncode, by_typer.stderr)
    # The last line is the age.
    assert done.stdout.splitlines()[:-1] == by_typer.stdout.splitlines()[:-1]


@pytest.mark.parametrize("arguments", OTHERS, ids=" ".join)
def test_whatever_is_not_plain_is_left_to_typer(arguments: list[str]) -> None:
    assert straight.command(arguments) is None


def test_the_options_are_typers() -> None:
    """A changed option is changed in both."""
    whole: Any = typer.main.get_command(app)
    for words, command in (
        (["--verbose"], whole),
        (["--json"], whole.commands["status"]),
        (["--all"], whole.commands["show"]),
    ):
        flags = {name for one in command.params if getattr(one, "is_flag", False) for name in one.opts}
        assert set(words) <= flags
    values = {name for one in whole.params if not one.is_flag for name in one.opts}
    assert values == {"--config", "--runtime-dir", "--state-dir"}
    of_show = {name: one for one in whole.commands["show"].params for name in one.opts}
    assert {name: of_show[name].multiple for name in ("--account", "--at", "--file")} == {
        "--account": True,
        "--at": False,
        "--file": False,
    }


def test_it_starts_without_typer(place: Installation) -> None:
    program = (
        "import sys; from ibkr_tools.cli import main\n"
        "try: main()\nfinally: print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *place.options, "show", "positions"]
    done = subprocess.run(command, env=place.environment, capture_output=True, text=True, check=True)
    assert not set(done.stderr.split()) & {"typer", "click", "requests", "jq", "rich", "loguru"}
