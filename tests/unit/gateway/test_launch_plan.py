"""What the parent of Java is told, and what Java is."""

from pathlib import Path

import pytest

from ibkr_tools.directories import Directories
from ibkr_tools.gateway.filter_probe import FilterPolicy
from ibkr_tools.gateway.launch_plan import LaunchPlan, java_environment, parse_arguments


def test_the_command_line_is_the_whole_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also with options of Java that the parent has too."""
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "etc"))
    plan = LaunchPlan(
        command=("java", "-Xmx64m", "--port", "1", "--conf", "x/conf.yaml"),
        directories=Directories(configuration=tmp_path / "etc", runtime=tmp_path / "run", state=tmp_path / "state"),
        port=5000,
        upstream="https://api.ibkr.com",
        build="2023-04-24",
        filter_policy=FilterPolicy.REQUIRED,
    )
    assert parse_arguments(plan.parent_command()[4:]) == plan


def test_environment_has_nothing_of_ours() -> None:
    environ = {
        "PATH": "/bin",
        "TZ": "UTC",
        "NOTIFY_SOCKET": "/run/n",
        "CREDENTIALS_DIRECTORY": "/run/c",
        "WATCHDOG_USEC": "1",
        "JAVA_TOOL_OPTIONS": "-Xmx9g",
        "CLASSPATH": "x",
    }
    found = java_environment(environ, Path("/home/x"))
    assert found == {"PATH": "/bin", "TZ": "UTC", "HOME": "/home/x", "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
