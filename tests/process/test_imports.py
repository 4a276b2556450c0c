"""What a process loads: the watchdog stays small, `status` stays fast."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.processes import unmeasured
from tests.support.snapshots import save_simulated

HEAVY = {"requests", "selenium", "jq", "rich", "loguru", "cryptography", "aiohttp", "websocket", "pydantic", "asyncio"}


def loaded(program: str, environment: dict[str, str]) -> set[str]:
    """Returns the top-level modules in memory after `program`."""
    text = f"import sys\n{program}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", text],
        env=unmeasured(environment),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_command_line_loads_nothing_heavy(environment: dict[str, str]) -> None:
    assert not loaded("import ibkr_tools.cli.app", environment) & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        *(["status"], ["status", "--json"], ["config", "schema"], ["--version"]),
        *(["resources"], ["resources", "history"], ["resources", "--json"]),
    ],
)
def test_quick_commands_load_nothing_heavy(command: list[str], tmp_path: Path, environment: dict[str, str]) -> None:
    """`status` and `show` are quick because requests, selenium, jq and rich stay on the disk."""
    save_simulated(tmp_path / "snapshots", datetime(2026, 11, 22, 12, tzinfo=UTC))
    arguments = ["ibkr-tools", "--runtime-dir", "/nonexistent/run", "--state-dir", str(tmp_path), *command]
    program = f"from ibkr_tools.cli.app import app\nsys.argv = {arguments!r}\ntry: app()\nexcept SystemExit: pass"
    assert not loaded(program, environment) & HEAVY


@pytest.mark.parametrize("command", [["status"], ["show", "positions"], ["show", "summary"]])
def test_what_is_shown_in_an_instant_loads_little_of_ours(
    command: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    """No configuration, whose schema has a table of all endpoints, and nothing that takes long to be made."""
    save_simulated(tmp_path / "snapshots", datetime(2026, 11, 22, 12, tzinfo=UTC))
    arguments = ["ibkr-tools", "--runtime-dir", "/nonexistent/run", "--state-dir", str(tmp_path), *command]
    program = (
        f"from ibkr_tools.cli.app import app\nsys.argv = {arguments!r}\ntry: app()\nexcept SystemExit: pass\n"
        "assert 'ibkr_tools.cli.app_context' in sys.modules\n"
        "unwanted = {'ibkr_tools.config', 'ibkr_tools.portal.client', 'ibkr_tools.portal.response_parser'}\n"
        "assert not unwanted & {*sys.modules}, unwanted & {*sys.modules}"
    )
    assert not loaded(program, environment) & {"dataclasses", "email", "json", "socket"}


def test_a_fetch_loads_no_logging_and_no_event_loop(environment: dict[str, str]) -> None:
    modules = loaded("import ibkr_tools.cli.fetch_command, ibkr_tools.fetch.fetch_task", environment)
    assert "requests" in modules
    assert not modules & {"loguru", "asyncio", "selenium", "rich", "websocket"}


def test_the_watchdog_loads_neither_a_browser_nor_a_command_line(environment: dict[str, str]) -> None:
    """It holds no password and stays resident for months."""
    modules = loaded("import ibkr_tools.watchdog.__main__", environment)
    assert not modules & {"selenium", "typer", "click", "rich", "jq", "aiohttp", "cryptography"}


def test_the_watchdog_cannot_reach_the_login(environment: dict[str, str]) -> None:
    program = (
        "import ibkr_tools.watchdog.__main__\n"
        "assert not [name for name in sys.modules if (name + '.').startswith(('ibkr_tools.login.', 'ibkr_tools.cli.'))]"
    )
    loaded(program, environment)


def test_the_gateway_parent_loads_little(environment: dict[str, str]) -> None:
    """It stays resident beside Java, below 26 MB: what only a start needs goes with the process that prepared it."""
    modules = loaded("import ibkr_tools.gateway.parent", environment)
    assert not modules & (HEAVY | {"typer", "click", "argparse", "tempfile", "http"})


def test_the_preparation_of_a_start_loads_little(environment: dict[str, str]) -> None:
    """Java, and with it the first login, waits for it."""
    assert not loaded("import ibkr_tools.gateway.__main__", environment) & (HEAVY | {"typer", "click", "tempfile"})


def test_the_package_alone_loads_nothing(environment: dict[str, str]) -> None:
    """Small programs begin with it, and so do notebooks that only want `latest()`."""
    assert "typing" not in loaded("import ibkr_tools", environment)
    assert not loaded("from ibkr_tools import latest", environment) & (HEAVY | {"typer", "click", "tempfile"})


def test_progress_of_what_is_quick_loads_no_rich(environment: dict[str, str]) -> None:
    """It is loaded once a line is shown, and nothing is shown for less than 0.4 s."""
    program = (
        "import io\nfrom ibkr_tools.cli.progress import ProgressLine\n"
        "with ProgressLine(io.StringIO()) as line: line('accounts')"
    )
    assert not loaded(program, environment) & HEAVY
