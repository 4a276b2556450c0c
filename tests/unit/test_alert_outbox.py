"""The outbox: what is put into it comes out in the same order, whatever the clock and the disk do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools import alert_outbox
from ibkr_tools.alert_outbox import AlertMessage

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
CENTURIES_NS = 10**19
"""Longer than any machine has been up."""


def message(topic: str = "person", **changes: object) -> AlertMessage:
    """A message at NOW."""
    return AlertMessage(**{"topic": topic, "at": NOW, "what": "something", "next": "nothing", **changes})  # type: ignore[arg-type]


def test_what_is_put_is_read(tmp_path: Path) -> None:
    path = alert_outbox.put(tmp_path / "outbox", message(todo="Look.", user="demo-reader"))
    assert alert_outbox.pending(tmp_path / "outbox") == [path]
    assert alert_outbox.read(path) == message(todo="Look.", user="demo-reader")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_order_is_that_of_putting(tmp_path: Path) -> None:
    """Also when the machine's clock is set back in between: an end that came before its beginning would be lost."""
    put = [alert_outbox.put(tmp_path, message(at=NOW - timedelta(hours=number))) for number in range(5)]
    assert alert_outbox.pending(tmp_path) == put


def test_age_is_not_what_the_clock_says(tmp_path: Path) -> None:
    """A machine without a battery boots two days in the past and learns the time when the network is there."""
    path = alert_outbox.put(tmp_path, message())
    assert alert_outbox.age(path, message(), NOW + timedelta(days=2)) < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["by-hand.json", f"{CENTURIES_NS:020d}-ab.json"])
def test_a_name_that_tells_no_age(tmp_path: Path, name: str) -> None:
    """Not even that of a message which the machine put before it was booted, when it had been up for longer."""
    assert alert_outbox.age(tmp_path / name, message(), NOW + timedelta(hours=3)) == timedelta(hours=3)


def test_what_is_no_message(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("", "{}", "[" * 100_000, '{"topic": 1}', "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError):  # noqa: PT011  # msgspec's own texts
            alert_outbox.read(path)
    path.write_bytes(alert_outbox.put(tmp_path, message()).read_bytes().replace(b'"schema":1', b'"schema":9'))
    with pytest.raises(ValueError, match="schema 9"):
        alert_outbox.read(path)
    assert alert_outbox.read(tmp_path / "gone.json") is None


def test_what_is_half_written_does_not_count(tmp_path: Path) -> None:
    (tmp_path / ".1-ab.json.c0ffee").touch()
    (tmp_path / ".1-ab.json").touch()
    assert alert_outbox.pending(tmp_path) == []
    assert alert_outbox.pending(tmp_path / "no-such") == []


def test_an_outbox_that_nobody_empties(tmp_path: Path) -> None:
    put = [alert_outbox.put(tmp_path, message()) for _ in range(alert_outbox.OUTBOX_CAPACITY + 5)]
    assert alert_outbox.pending(tmp_path) == put[5:]
