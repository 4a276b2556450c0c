"""How long a Retry-After header says to wait."""

from datetime import UTC, datetime, timedelta

import pytest

from ibkr_tools.retry_after import parse_retry_after

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("Sun, 22 Nov 2026 12:10:00 GMT", 600),
        ("Sun, 22 Nov 2026 11:00:00 GMT", None),
        ("Sun, 22 Nov 2026 12:10:00", None),
        ("0", None),
        ("-5", None),
        ("٣", None),
        ("", None),
        ("soon", None),
        ("1" * 5000, 111_111_111),
    ],
)
def test_seconds_or_a_date_and_nothing_else(header: str, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == (None if seconds is None else timedelta(seconds=seconds))


def test_without_a_clock_a_date_says_nothing() -> None:
    assert parse_retry_after("Sun, 22 Nov 2026 12:10:00 GMT", None) is None
    assert parse_retry_after("120", None) == timedelta(seconds=120)
