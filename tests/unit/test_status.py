"""The status file: no writer loses another's section, no reader sees half, nothing foreign is believed."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from ibkr_tools import status as module
from ibkr_tools.errors import DataError
from ibkr_tools.status import (
    FetchSection,
    FlexSection,
    GatewaySection,
    LoginSection,
    Section,
    SessionSection,
    SessionState,
    Status,
    StatusFile,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
VALIDATOR = jsonschema.Draft202012Validator(module.json_schema(), format_checker=jsonschema.FormatChecker())


def gateway(**changes: Any) -> GatewaySection:
    """Returns a section of the gateway's parent."""
    fields: dict[str, Any] = {
        "updated_at": NOW,
        "state": "up",
        "since": NOW,
        "port": 5000,
        "upstream": "https://api.ibkr.com",
    }
    return GatewaySection(**(fields | changes))


def session(**changes: Any) -> SessionSection:
    """Returns a section of the watchdog."""
    fields: dict[str, Any] = {
        "updated_at": NOW,
        "fresh_for_s": 30.0,
        "state": SessionState.UP,
        "since": NOW,
        "why": "both answer",
    }
    return SessionSection(**(fields | changes))


SECTIONS: list[Section] = [
    gateway(),
    gateway(java_pid=7, build="2023", pid=1, fresh_for_s=1.5),
    session(),
    *(session(state=state, todo="x", accounts=("U1234567",), up_since=NOW, next_at=NOW) for state in SessionState),
    LoginSection(updated_at=NOW, state="failed", why="timed out", retry_at=NOW, duration_s=1.0),
    FetchSection(updated_at=NOW, state="succeeded", why="all", saved="/x", saved_at=NOW),
    FlexSection(updated_at=NOW, state="succeeded", why="all", problems=("x",), covered_to=NOW.date()),
]


def test_an_absent_file_is_a_status_without_sections(tmp_path: Path) -> None:
    assert StatusFile(tmp_path / "status.json").read() == Status()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: type(section).__name__)
def test_what_is_written_is_read_and_fits_the_schema(tmp_path: Path, section: Section) -> None:
    file = StatusFile(tmp_path / "run" / "status.json")
    file.write(section)
    assert section in msgspec.structs.astuple(file.read())
    VALIDATOR.validate(json.loads(file.path.read_bytes()))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640


def test_sections_live_side_by_side(tmp_path: Path) -> None:
    file = StatusFile(tmp_path / "status.json")
    file.write(gateway())
    file.write(session())
    file.write(gateway(port=5001))
    found = file.read()
    assert found.gateway is not None
    assert (found.gateway.port, found.session) == (5001, session())
    assert file.read_section(LoginSection) is None


HOSTILE = {
    "empty": b"",
    "half": b'{"schema":1,"gateway":{"updated',
    "list": b"[]",
    "number": b"5",
    "null": b"null",
    "no schema": b"{}",
    "other schema": b'{"schema":2}',
    "schema as text": b'{"schema":"1"}',
    "binary": b"\x00\xff\xfe",
    "deep": b"[" * 100_000,
    "wrong type": b'{"schema":1,"gateway":5}',
    "unknown state": b'{"schema":1,"session":{"updated_at":"2026-11-22T12:00:00Z","state":"fine",'
    b'"since":"2026-11-22T12:00:00Z","why":"x"}}',
    "time without zone": b'{"schema":1,"session":{"updated_at":"2026-11-22T12:00:00","state":"up",'
    b'"since":"2026-11-22T12:00:00","why":"x","fresh_for_s":30}}',
    "no time": b'{"schema":1,"session":{"updated_at":"yesterday","state":"up","since":"x","why":"x"}}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_foreign_file_is_told_and_replaced(tmp_path: Path, name: str) -> None:
    file = StatusFile(tmp_path / "status.json")
    file.path.write_bytes(HOSTILE[name])
    with pytest.raises(DataError, match=r"status\.json"):
        file.read()
    assert file.read_section(SessionSection) is None
    file.write(session())
    assert file.read() == Status(session=session())


def test_keys_of_a_newer_version_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(b'{"schema":1,"news":{"x":1},"fetch":null,"session":null}')
    assert StatusFile(path).read() == Status()


def test_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    with pytest.raises(DataError):
        StatusFile(tmp_path / "status.json").read()


@pytest.mark.parametrize(
    ("fresh_for_s", "age_s", "stale"),
    [(30.0, 29, False), (30.0, 30, False), (30.0, 31, True), (None, 1e9, False), (0.0, 1, True), (30.0, -60, False)],
)
def test_what_a_process_says_ages(fresh_for_s: float | None, age_s: float, stale: bool) -> None:
    section = session(fresh_for_s=fresh_for_s)
    assert section.is_stale(NOW + timedelta(seconds=age_s)) is stale
    assert section.age_s(NOW + timedelta(seconds=age_s)) == max(0, age_s)
