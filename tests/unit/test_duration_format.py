"""How long something takes, in words."""

import pytest

from ibkr_tools.duration_format import format_wait


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (5.0, "5 s"), (119.5, "2 min"), (121.0, "3 min"), (900.0, "15 min")]
)
def test_a_wait_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert format_wait(seconds) == words
