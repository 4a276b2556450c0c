"""What a process loads: the watchdog stays small, `status` stays fast."""

import subprocess
import sys

import pytest

HEAVY = {"requests", "selenium", "jq", "rich", "loguru", "cryptography", "aiohttp", "websocket", "pydantic", "asyncio"}


def loaded(program: str, environment: dict[str, str]) -> set[str]:
    """Returns the top-level modules in memory after `program`."""
    text = f"import sys\n{program}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True, timeout=30
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
def test_quick_commands_load_nothing_heavy(command: list[str], environment: dict[str, str]) -> None:
    """`ibkr-tools status` takes less than 100 ms because requests, selenium, jq and rich stay on the disk."""
    program = (
        "from ibkr_tools.cli.app import app\n"
        f"sys.argv = ['ibkr-tools', '--runtime-dir', '/nonexistent/run', *{command!r}]\n"
        "try: app()\nexcept SystemExit: pass"
    )
    assert not loaded(program, environment) & HEAVY


def test_the_watchdog_loads_neither_a_browser_nor_a_command_line(environment: dict[str, str]) -> None:
    """It holds no password and stays resident for months."""
    modules = loaded("import ibkr_tools.watchdog.__main__", environment)
    assert not modules & {"selenium", "typer", "click", "rich", "jq", "loguru", "aiohttp", "cryptography"}


def test_the_watchdog_cannot_reach_the_login(environment: dict[str, str]) -> None:
    program = (
        "import ibkr_tools.watchdog.__main__\n"
        "assert not [name for name in sys.modules if name.startswith(('ibkr_tools.login', 'ibkr_tools.cli'))]"
    )
    loaded(program, environment)


def test_the_gateway_parent_loads_no_library_of_others(environment: dict[str, str]) -> None:
    """The parent of Java has to stay below 20 MB: it re-executes itself with these modules."""
    modules = loaded("import ibkr_tools.gateway.parent", environment)
    assert not modules & (HEAVY | {"msgspec", "typer", "click"})
