"""Durations, typed and read."""

from datetime import timedelta

import pytest

from ibkr_tools.cli.durations import format_duration, parse_duration
from ibkr_tools.errors import UsageError


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("2h", 120), ("45min", 45), ("45m", 45), ("1h30m", 90), ("1h 30min", 90), ("1D", 1440), ("1d2h", 1560)],
)
def test_durations_as_people_type_them(text: str, minutes: int) -> None:
    assert parse_duration(text, "--for") == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "90", "0h", "h", "-2h", "2 weeks", "1.5h", "2h!", "400d", "999999d"])
def test_a_bad_duration_is_2_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="--for") as caught:
        parse_duration(text, "--for")
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (273600, "3 d 4 h")],
)
def test_durations_as_people_read_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
