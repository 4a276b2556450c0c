"""A request for a pause lies where every member of the group may write: what is there is not trusted."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ibkr_tools import pause_request
from ibkr_tools.pause_request import PauseRequest
from tests.support.hostile_files import HOSTILE_FILES, place_hostile_file

UNTIL = datetime(2026, 11, 29, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("until", [None, UNTIL])
def test_a_request_is_taken_once(tmp_path: Path, until: datetime | None) -> None:
    path = tmp_path / "pause-request"
    with pytest.raises(FileNotFoundError):
        pause_request.take(path)
    wanted = PauseRequest(paused=True, until=until)
    pause_request.leave(path, wanted)
    assert path.stat().st_mode & 0o777 == 0o660
    assert pause_request.take(path) == wanted
    with pytest.raises(FileNotFoundError):
        pause_request.take(path)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"null", b"[]", b'{"paused": "yes"}', b'{"paused": true, "schema": 2}', b"\xff\xfe", b"[" * 500),
        b'{"paused": true, "until": "tomorrow"}',
        # Larger than any request.
        b'{"paused": true}' + b" " * 600,
    ],
)
def test_what_is_none_of_ours_is_taken_away_and_asks_for_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pause-request"
    path.write_bytes(content)
    assert pause_request.take(path) is None
    assert not os.path.lexists(path)


@pytest.mark.parametrize("kind", HOSTILE_FILES)
def test_nothing_is_followed_or_waited_for(tmp_path: Path, kind: str) -> None:
    """What a link leads to is neither read nor changed."""
    path, other = tmp_path / "pause-request", tmp_path / "other"
    pause_request.leave(other, PauseRequest(paused=True))
    before = other.read_bytes()
    place_hostile_file(kind, path, other)
    assert pause_request.take(path) is None
    assert not os.path.lexists(path)
    assert other.read_bytes() == before
