"""IBKR's reset and maintenance windows: each row of the published tables, summer and winter, in every region."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.watchdog.maintenance_windows import WINDOW_RULES, WindowRule, open_window
from tests.support.checkout import CHECKOUT

RESET, DAILY, WEEKEND = "IBKR's daily reset", "IBKR's daily maintenance", "IBKR's weekend maintenance"

# Region, what is looked for, and when it begins and ends in UTC: winter, then summer. A Wednesday, unless it is the
# weekend's; Hong Kong knows no summer time.
ROWS = [
    ("america", RESET, "2026-01-14T04:55", "2026-01-14T05:15"),
    ("america", RESET, "2026-07-15T03:55", "2026-07-15T04:15"),
    ("america", DAILY, "2026-01-14T05:15", "2026-01-14T06:45"),
    ("america", DAILY, "2026-07-15T04:15", "2026-07-15T05:45"),
    ("europe", RESET, "2026-01-13T22:55", "2026-01-13T23:15"),
    ("europe", RESET, "2026-07-14T21:55", "2026-07-14T22:15"),
    ("europe", DAILY, "2026-01-14T05:25", "2026-01-14T06:45"),
    ("europe", DAILY, "2026-07-15T04:25", "2026-07-15T05:45"),
    ("asia", RESET, "2026-01-13T15:55", "2026-01-13T16:15"),
    ("asia", DAILY, "2026-01-13T20:45", "2026-01-13T22:05"),
    ("asia", DAILY, "2026-07-14T20:45", "2026-07-14T22:05"),
    ("asia", DAILY, "2026-01-14T12:15", "2026-01-14T13:15"),
    ("europe", WEEKEND, "2026-01-17T04:00", "2026-01-17T08:00"),
    ("europe", WEEKEND, "2026-07-18T03:00", "2026-07-18T07:00"),
    ("america", WEEKEND, "2026-07-18T03:00", "2026-07-18T07:00"),
    ("asia", WEEKEND, "2026-07-18T03:00", "2026-07-18T07:00"),
    # The nights in which the clocks change: to summer in Zurich (29 March), to winter in New York (1 November).
    ("europe", RESET, "2026-03-28T22:55", "2026-03-28T23:15"),
    ("europe", DAILY, "2026-03-29T04:25", "2026-03-29T05:45"),
    ("america", DAILY, "2026-11-01T04:15", "2026-11-01T06:45"),
]
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("region", "name", "begins", "ends"), ROWS)
def test_a_window(region: str, name: str, begins: str, ends: str) -> None:
    first, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (begins, ends))
    for moment in (first, first + (end - first) / 2, end - SECOND):
        window = open_window(region, moment)
        assert window is not None
        assert (window.name, window.ends) == (name, end)
    for moment in (first - SECOND, end):
        window = open_window(region, moment)
        assert window is None or window.name != name


def test_of_two_the_longer_one_counts() -> None:
    """The weekend's maintenance begins before New York's midnight and ends after its daily one."""
    window = open_window("america", datetime(2026, 1, 17, 5, 30, tzinfo=UTC))
    assert window is not None
    assert window.name == WEEKEND


@pytest.mark.parametrize("region", WINDOW_RULES)
def test_noon_of_a_weekday_is_free(region: str) -> None:
    hour = {"america": 17, "europe": 11, "asia": 4}[region]
    assert open_window(region, datetime(2026, 7, 15, hour, tzinfo=UTC)) is None


@given(
    st.sampled_from(sorted(WINDOW_RULES)),
    st.integers(1_750_000_000, 2_050_000_000),
)
def test_any_moment(region: str, unix_s: int) -> None:
    """A window that is open ends within hours, and is open until then."""
    now = datetime.fromtimestamp(unix_s, UTC)
    window = open_window(region, now)
    if window is not None:
        assert timedelta(0) < window.ends - now <= timedelta(hours=5)
        last = open_window(region, window.ends - timedelta(microseconds=1))
        assert last is not None


DOCS = (CHECKOUT / "docs/session.md").read_text()


@pytest.mark.parametrize(
    ("region", "rule"), [(region, rule) for region in WINDOW_RULES for rule in WINDOW_RULES[region]], ids=str
)
def test_the_documentation_has_the_same_times(region: str, rule: WindowRule) -> None:
    label = "all" if rule.weekday is not None else f"`{region}`"
    row = next(line for line in DOCS.splitlines() if line.startswith(f"| {label} |"))
    assert f"{rule.begins:%H:%M}\N{EN DASH}{rule.ends:%H:%M}" in row
    assert rule.zone in row
