"""The command line: help for everything, one exit code for each kind of trouble."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
from typer.core import TyperGroup

from ibkr_tools import __version__, pause_file
from ibkr_tools.cli.app import app
from ibkr_tools.cli.printing import Format, Printing
from ibkr_tools.fetch.formats import Rows
from ibkr_tools.fetch.jq_program import JqProgram
from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.status import GatewaySection, SessionSection, SessionState, utc_now
from tests.support.installation import Installation
from tests.support.processes import unmeasured


def commands(group: TyperGroup, *above: str) -> Iterator[tuple[str, ...]]:
    """Yields the path of every command and group."""
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, TyperGroup):
            yield from commands(command, *above, name)


ROOT = typer.main.get_command(app)
assert isinstance(ROOT, TyperGroup)
EVERY = list(commands(ROOT))


def found(path: tuple[str, ...]) -> Any:
    """Returns a command by its path."""
    command: Any = ROOT
    for name in path:
        assert isinstance(command, TyperGroup)
        command = command.commands[name]
    return command


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_and_option_has_help(path: tuple[str, ...]) -> None:
    command = found(path)
    assert command.help
    assert len(command.help.splitlines()[0]) < 140
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{' '.join(path)} {parameter.name}"


@pytest.mark.parametrize("path", [(), *EVERY], ids=lambda path: " ".join(path) or "root")
def test_help_can_be_asked_for(path: tuple[str, ...]) -> None:
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_the_commands_there_are() -> None:
    """Units, the documentation and people's scripts name these."""
    assert {" ".join(path) for path in EVERY} >= {
        *("fetch", "status", "login", "unlock", "pause", "resume", "watchdog", "up", "simulate"),
        *("gateway", "gateway run", "gateway install", "gateway info", "gateway prepare"),
        *("config", "config check", "config schema"),
    }


def test_the_version(place: Installation) -> None:
    done = place.run("--version")
    assert (done.returncode, done.stdout) == (0, f"ibkr-tools {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["fetch", "--nonsense"], ["gateway", "nonsense"], ["--wait"], ["fetch", "--wait", "nan"]],
)
def test_a_bad_command_line_is_2(place: Installation, arguments: list[str]) -> None:
    done = place.run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_checked_configuration(place: Installation) -> None:
    done = place.run("config", "check")
    assert done.returncode == 0
    assert "user demo-reader, account U1234567" in done.stdout


def test_a_wrong_configuration_is_78_with_every_problem(place: Installation) -> None:
    place.configure(1025, account="x", fetcj={})
    done = place.run("config", "check")
    assert (done.returncode, done.stdout) == (78, "")
    assert "2 problems" in done.stderr
    assert "did you mean 'fetch'?" in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_resources_that_the_tier_has_not_are_78(place: Installation) -> None:
    place.configure(1025, fetch={"resources": ["positions", "orders"]})
    done = place.run("config", "check")
    assert (done.returncode, done.stdout) == (78, "")
    assert "orders needs the brokerage tier" in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize(
    "command", [["config", "check"], ["fetch"], ["watchdog"], ["login"], ["up"], ["gateway", "run"]]
)
def test_without_a_configuration_it_is_78(tmp_path: Path, environment: dict[str, str], command: list[str]) -> None:
    done = Installation(tmp_path, environment).run(*command)
    assert done.returncode == 78, done.stderr
    assert "not there" in done.stderr
    assert "Traceback" not in done.stderr


def test_verbose_shows_where_it_came_from(place: Installation) -> None:
    place.configure(1025, account="x")
    done = place.run("--verbose", "config", "check")
    assert done.returncode == 78
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("flag", [[], ["--status"]])
def test_schemas_are_schemas(place: Installation, flag: list[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(place.run("config", "schema", *flag).stdout))


def session(state: SessionState, *, age_s: float = 0.0) -> SessionSection:
    """Returns what a watchdog said `age_s` ago."""
    now = utc_now()
    at = now - timedelta(seconds=age_s)
    return SessionSection(updated_at=at, fresh_for_s=600.0, state=state, since=now, why="because")


@pytest.mark.parametrize(
    ("section", "code"),
    [
        (None, 69),
        (session(SessionState.UP), 0),
        (session(SessionState.UP, age_s=1000), 69),
        (session(SessionState.LOCKED_OUT), 77),
        (session(SessionState.LOGGING_IN), 75),
        (session(SessionState.GATEWAY_DOWN), 69),
    ],
)
@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_the_status_and_its_code(
    place: Installation, section: SessionSection | None, code: int, flag: list[str]
) -> None:
    if section is not None:
        place.status.write(section)
    done = place.run("status", *flag)
    assert (done.returncode, done.stderr) == (code, "")
    if flag:
        assert json.loads(done.stdout)["healthy"] is (code == 0)
    else:
        assert ("because" in done.stdout) is (section is not None)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"schema": 99}', b"\xff", b"[" * 100_000, b'{"schema":1,"session":{}}']
)
def test_a_foreign_status_file_is_65(place: Installation, content: bytes) -> None:
    place.directories.runtime.mkdir()
    place.directories.status_file.write_bytes(content)
    done = place.run("status")
    assert (done.returncode, done.stdout) == (65, "")
    assert "status.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_status_needs_no_configuration(tmp_path: Path, environment: dict[str, str]) -> None:
    installation = Installation(tmp_path, environment)
    installation.status.write(
        GatewaySection(updated_at=utc_now(), state="up", since=utc_now(), port=5000, upstream="https://x")
    )
    done = installation.run("status")
    assert (done.returncode, done.stderr) == (75, "")


def test_a_reader_that_leaves_early_is_content(place: Installation) -> None:
    """`ibkr-tools status | true`."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "ibkr_tools", *place.options, "status"],
        env=place.environment,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (69, "")


def redirected(place: Installation, where: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs `ibkr-tools` by a shell, with its output sent to `where`."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {where}', "sh", sys.executable, "-m", "ibkr_tools", *place.options, *arguments],
        env=place.environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["status", "resources", "config check", "--version", "unlock --show"])
@pytest.mark.parametrize(("where", "reason"), [(">&-", "closed"), (">/dev/full", "No space left on device")])
def test_output_that_goes_nowhere_is_73(place: Installation, command: str, where: str, reason: str) -> None:
    """Not a traceback that calls it our bug."""
    done = redirected(place, where, *command.split())
    assert (done.returncode, done.stderr) == (73, f"error: standard output: {reason}\n")


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.default_int_handler])
def test_ctrl_c_ends_a_jq_program_unless_it_is_ignored(tmp_path: Path, before: Any) -> None:
    """As it is in the background of a script."""
    found = []

    class Watched(JqProgram):
        def run(self, document: bytes) -> list[str]:
            found.append(signal.getsignal(signal.SIGINT))
            return super().run(document)

    own = signal.signal(signal.SIGINT, before)
    try:
        Printing(Format.JSON, Watched("."), file=tmp_path / "out").put(lambda: [b"1"], Rows)
        found.append(signal.getsignal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, own)
    assert found == [signal.SIG_IGN if before is signal.SIG_IGN else signal.SIG_DFL, before]


def test_nobody_need_hear_of_an_error(place: Installation) -> None:
    assert redirected(place, "2>&-", "resources", "nothing").returncode == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.parametrize(
    "command",
    [["status"], ["unlock"], ["unlock", "--show"], ["pause"], ["resume"], ["up"], ["fetch"], ["config", "check"]],
)
def test_a_person_without_rights_gets_one_line(open_path: Path, place: Installation, command: list[str]) -> None:
    """Not a traceback that calls it our bug."""
    assert place.root == open_path
    place.status.write(session(SessionState.UP))
    place.record_logins(AttemptResult.FAILED)
    pause_file.begin(place.directories.pause_file, pause_file.Pause(since=utc_now()))
    for path in (place.directories.config_file, place.directories.status_file):
        path.chmod(0o600)
    place.directories.login.chmod(0o755)
    # What it imports, it imports as root: interpreter and checkout may be out of the other user's reach.
    program = (
        "import importlib, os, shlex, sys, traceback, difflib\n"
        "from ibkr_tools.cli.command_table import COMMANDS\n"
        "for entry in COMMANDS.values(): importlib.import_module(f'ibkr_tools.cli.{entry.module}')\n"
        "import ibkr_tools.cli.app, ibkr_tools.supervisor, ibkr_tools.login.login_log, ibkr_tools.fetch.jq_program\n"
        "import ibkr_tools.cli.login_log_view, ibkr_tools.cli.durations, ibkr_tools.pause_file\n"
        "import ibkr_tools.fetch.fetch_task, ibkr_tools.cli.status_report, ibkr_tools.log, loguru, logging\n"
        "import typer._click.decorators\n"
        "os.seteuid(65534); sys.argv[0] = 'ibkr-tools'\n"
        "ibkr_tools.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *place.options, *command],
        env=unmeasured(place.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {65, 73, 77, 78}, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"error: ", done.stderr)


def test_an_instance_that_is_not_there_is_named_with_those_that_are(place: Installation) -> None:
    """2, and the command that makes it; before anything is read."""
    for name, words in (("no-such-one", "there is no instance no-such-one"), ("../etc", "cannot be the name")):
        done = place.run("--instance", name, "status")
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["simulate", "up"])
def test_what_knows_of_one_instance_only_refuses_another(place: Installation, command: str) -> None:
    """It would look at, or change, the units of the one without a name."""
    done = place.run("--instance", "anna", command)
    assert done.returncode == 2
    assert "is for the instance without a name" in done.stderr


def test_messages_of_an_instance_can_be_typed_as_they_are(place: Installation) -> None:
    """They name its units, also where they come from code that knows of no instances."""
    place.configure(5055)
    plain, named = place.run("fetch"), place.run("fetch", IBKR_TOOLS_INSTANCE="anna")
    assert plain.returncode == named.returncode == 69
    assert "systemctl start ibkr-gateway\n" in plain.stderr
    assert "systemctl start ibkr-gateway@anna\n" in named.stderr


def test_status_of_all_as_one_document(place: Installation) -> None:
    """The plain document stays as it is without --all."""
    place.status.write(session(SessionState.UP))
    alone, all_of_them = place.run("status", "--json"), place.run("status", "--json", "--all")
    assert json.loads(alone.stdout)["session"]["state"] == "up"
    (document,) = json.loads(all_of_them.stdout).values()
    assert document["session"]["state"] == "up"
    assert place.run("status", "--all").returncode == 2
