"""What a version reads of the state directory, and what it names as another's."""

import json
import sqlite3
from pathlib import Path

import pytest

from ibkr_tools import pause_file, state_files
from ibkr_tools.directories import Directories
from ibkr_tools.history.tables import SCHEMA_VERSION
from ibkr_tools.schema_number import describe_other, read_schema
from ibkr_tools.status import utc_now


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    return Directories(configuration=tmp_path / "c", runtime=tmp_path / "r", state=tmp_path / "s")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("step", [-1, 1])
def test_a_file_of_another_version_is_named_with_both_numbers(directories: Directories, step: int) -> None:
    """Of each file, one by one; whatever else is in it."""
    for path, known in state_files.known_schemas(directories).items():
        write(path, json.dumps({"schema": known + step, "other": [1]}))
        assert list(state_files.find_unknown(directories)) == [
            f"{path}: is of schema {known + step}, this version knows {known}"
        ]
        path.unlink()


def test_what_is_of_this_version_or_damaged_is_not_named(directories: Directories) -> None:
    """What is damaged is told by whoever reads it; what was written before files had numbers is read."""
    for path, known in state_files.known_schemas(directories).items():
        write(path, json.dumps({"schema": known}))
    assert list(state_files.find_unknown(directories)) == []
    for text in ("", "{", "[]", "{}", '{"schema": "x"}', "[" * 100_000):
        for path in state_files.known_schemas(directories):
            write(path, text)
        assert list(state_files.find_unknown(directories)) == []


def test_a_history_of_another_version_is_told_with_its_remedy(directories: Directories) -> None:
    """It can be made anew, so it stands in nobody's way."""
    assert state_files.describe_history(directories) is None
    directories.history.parent.mkdir(parents=True)
    said = None
    for version, told in ((SCHEMA_VERSION, False), (SCHEMA_VERSION + 1, True)):
        with sqlite3.connect(directories.history) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
        said = state_files.describe_history(directories)
        assert (said is not None) is told
    assert said is not None
    assert "`ibkr-tools history rebuild`" in said


def test_every_file_of_the_state_that_has_a_number_is_on_the_list(directories: Directories) -> None:
    """Writing one for real, it has the number that the list has."""
    pause_file.begin(directories.pause_file, pause_file.Pause(since=utc_now()))
    known = state_files.known_schemas(directories)[directories.pause_file]
    assert read_schema(directories.pause_file.read_bytes()) == known
    assert describe_other(directories.pause_file.read_bytes(), known) is None


def test_a_pause_of_another_version_is_one_without_end(directories: Directories) -> None:
    """Whatever it says of its end may mean something else there."""
    write(directories.pause_file, '{"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "schema": 2}')
    pause = pause_file.read(directories.pause_file, utc_now())
    assert pause is not None
    assert pause.until is None


def test_the_program_says_so_and_fails(
    directories: Directories, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 65 for what it cannot read, 0 for what can be made anew."""
    monkeypatch.setenv("STATE_DIRECTORY", str(directories.state))
    assert state_files.main() == 0
    write(directories.login / "login_log.json", '{"schema": 2}')
    assert state_files.main() == 65
    assert capsys.readouterr().err == (f"{directories.login}/login_log.json: is of schema 2, this version knows 1\n")
