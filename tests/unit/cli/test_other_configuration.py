"""Another configuration is another instance: it does not read and count in the first one's directories."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ibkr_tools import Connection
from ibkr_tools.cli.app import app
from ibkr_tools.directories import find_directories, require_matching_directories
from ibkr_tools.errors import UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home with one configuration in its place and another one somewhere else."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_RUNTIME_DIR", "CONFIGURATION_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for name in (".config/ibkr-tools/config.json", "second/config.json"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"username": "demo-reader", "account": "U1234567"}))
    monkeypatch.setattr("ibkr_tools.directories.SYSTEM_CONFIGURATION", tmp_path / "none")
    return tmp_path


COMMANDS = (
    ["status"], ["pause"], ["resume"], ["unlock"], ["unlock", "--show"], ["login"], ["fetch"], ["show"], ["up"],
    ["alert"], ["watchdog"], ["gateway", "run"], ["gateway", "prepare"], ["api", "/portfolio/accounts"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("options", [[], ["--state-dir"], ["--runtime-dir"]], ids=str)
def test_its_directories_are_asked_for(home: Path, arguments: list[str], options: list[str]) -> None:
    named = [word for option in options for word in (option, str(home / "second"))]
    before = sorted(home.rglob("*"))
    done = CliRunner().invoke(app, ["--config", str(home / "second/config.json"), *named, *arguments])
    assert isinstance(done.exception, UsageError)
    assert done.exception.exit_code == 2
    assert all(option in str(done.exception.hint) for option in {"--runtime-dir", "--state-dir"} - set(options))
    assert sorted(home.rglob("*")) == before


def test_a_check_needs_none(home: Path) -> None:
    done = CliRunner().invoke(app, ["--config", str(home / "second/config.json"), "config", "check"])
    assert done.exit_code == 0, done.output


def test_a_script_is_asked_too(home: Path) -> None:
    with pytest.raises(UsageError, match="another configuration"):
        Connection(home / "second/config.json")
    Connection(home / "second/config.json", runtime_dir=home / "second/run", state_dir=home / "second/state").close()


def test_the_same_file_by_another_name_is_no_other(home: Path) -> None:
    link = home / "link.json"
    link.symlink_to(home / ".config/ibkr-tools/config.json")
    require_matching_directories(find_directories(), link, runtime=None, state=None)


def test_a_unit_says_which_by_its_environment(home: Path) -> None:
    environ = {"RUNTIME_DIRECTORY": "/run/second", "STATE_DIRECTORY": "/var/lib/second"}
    file = home / "second/config.json"
    require_matching_directories(find_directories(environ), file, runtime=None, state=None, environ=environ)
