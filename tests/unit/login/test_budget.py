"""The login budget: what it counts, when it locks, when it only waits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.login.budget import DAY, Budget, compute_budget
from ibkr_tools.login.login_log_file import Attempt, ClockReading, LoginLogFile, log_time_s
from ibkr_tools.login.outcomes import AttemptResult
from tests.support.examples import examples

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UP = 1_000.0
TIME_S = 1_000_000.0
LIMIT = 24


def log_of(*results: tuple[float, AttemptResult] | tuple[float, AttemptResult, str], **changes: object) -> LoginLogFile:
    """A log file last written at NOW, of attempts given as minutes before NOW, result, and fingerprint."""
    attempts = []
    for number, (ago, result, *fingerprint) in enumerate(results):
        at_s = TIME_S - ago * 60
        fields = {
            "id": str(number),
            "at": NOW,
            "user": "u",
            "password_fingerprint": fingerprint[0] if fingerprint else "a",
            "result": result,
        }
        ended = {} if result is AttemptResult.SUBMITTED else {"ended_s": at_s}
        attempts.append(Attempt(**fields | {"begun_s": at_s} | ended | changes))  # type: ignore[arg-type]
    return LoginLogFile(salt="00", at=NOW, boot_id="1", uptime_s=UP, time_s=TIME_S, attempts=tuple(attempts))


def budget_of(log_file: LoginLogFile, after: timedelta = timedelta()) -> Budget:
    """What the budget says some time after NOW."""
    return compute_budget(log_file, ClockReading(NOW + after, "1", UP + after.total_seconds()), LIMIT)


@pytest.mark.parametrize(
    ("log_file", "locked"),
    [
        (log_of(), False),
        (log_of((20, AttemptResult.REFUSED)), False),
        (log_of((30, AttemptResult.REFUSED), (20, AttemptResult.REFUSED)), True),
        (log_of((30, AttemptResult.REFUSED, "a"), (20, AttemptResult.REFUSED, "b")), False),
        (log_of((40, AttemptResult.REFUSED), (30, AttemptResult.SUCCEEDED), (20, AttemptResult.REFUSED)), False),
        (log_of((40, AttemptResult.REFUSED), (30, AttemptResult.FAILED), (20, AttemptResult.REFUSED)), True),
        (log_of((40, AttemptResult.REFUSED), (30, AttemptResult.SUBMITTED), (20, AttemptResult.REFUSED)), True),
        (log_of((4000, AttemptResult.REFUSED), (20, AttemptResult.REFUSED)), True),
        (log_of(*[(60 - n, AttemptResult.FAILED) for n in range(3)]), False),
        (log_of(*[(60 - n, AttemptResult.FAILED) for n in range(4)]), True),
        (log_of(*[(60 - n, AttemptResult.SUBMITTED) for n in range(4)]), True),
        (log_of(*[(60 - n, AttemptResult.PERSON) for n in range(4)]), True),
        (log_of(*[(60 - n, AttemptResult.UNSUBMITTED) for n in range(9)]), False),
        (
            log_of(
                (90, AttemptResult.FAILED),
                (80, AttemptResult.SUCCEEDED),
                *[(60 - n, AttemptResult.FAILED) for n in range(3)],
            ),
            True,
        ),
        (log_of((1500, AttemptResult.FAILED), *[(60 - n, AttemptResult.FAILED) for n in range(3)]), False),
        (log_of(*[(9000 - n, AttemptResult.FAILED) for n in range(4)], (5, AttemptResult.SUCCEEDED)), True),
        (log_of((5, AttemptResult.STOP)), True),
        (log_of((9000, AttemptResult.STOP), (5, AttemptResult.SUCCEEDED)), True),
    ],
)
def test_lock(log_file: LoginLogFile, locked: bool) -> None:
    """Two refusals of one password in a row, or four failures in a day, lock, and no time opens that lock."""
    found = budget_of(log_file)
    assert found.locked is locked
    assert found.allowed is not locked or found.wait_until is not None
    assert ("unlock" in found.why) is locked
    assert budget_of(log_file, 365 * DAY).locked is locked


@pytest.mark.parametrize(
    ("log_file", "minutes"),
    [
        (log_of((0, AttemptResult.SUCCEEDED)), None),
        (log_of((0, AttemptResult.REFUSED)), None),
        (log_of((9, AttemptResult.REFUSED), (0, AttemptResult.FAILED)), 1),
        (log_of((0, AttemptResult.FAILED)), 1),
        (log_of((0, AttemptResult.SUBMITTED)), 1),
        (log_of((3, AttemptResult.FAILED), (0, AttemptResult.FAILED)), 5),
        (log_of((20, AttemptResult.FAILED), (10, AttemptResult.FAILED), (0, AttemptResult.FAILED)), 15),
        (log_of((20, AttemptResult.FAILED), (10, AttemptResult.SUCCEEDED), (0, AttemptResult.FAILED)), 1),
        (log_of((0, AttemptResult.UNSUBMITTED)), None),
        (log_of((3, AttemptResult.UNSUBMITTED), (0, AttemptResult.UNSUBMITTED)), 1),
        (log_of(*[(60 - n, AttemptResult.UNSUBMITTED) for n in range(20)], (0, AttemptResult.UNSUBMITTED)), 15),
    ],
)
def test_pause(log_file: LoginLogFile, minutes: float | None) -> None:
    """Unattended logins wait ever longer after failures; a refusal is no matter of time."""
    found = budget_of(log_file)
    assert found.wait_until == (None if minutes is None else NOW + minutes * MINUTE)
    assert found.allowed is (minutes is None)
    assert found.closed_until is None
    assert budget_of(log_file, (minutes or 0) * MINUTE).allowed


def test_counts_are_of_the_last_day() -> None:
    """Failures and logins are counted for 24 hours."""
    found = budget_of(
        log_of(
            (1500, AttemptResult.SUCCEEDED),
            (1500, AttemptResult.FAILED),
            (30, AttemptResult.SUCCEEDED),
            (20, AttemptResult.SUBMITTED),
        )
    )
    assert (found.failures_24h, found.logins_24h) == (1, 1)


EIGHT = [(300 - 10 * n, AttemptResult.REFUSED if n % 2 else AttemptResult.FAILED, str(n)) for n in range(8)]


def test_eight_failures_close_whatever_was_acknowledged() -> None:
    """No unlock lets more than eight logins fail in a day; when the oldest is a day old, there is room again."""
    log_file = log_of(*EIGHT, acknowledged=True)
    found = budget_of(log_file)
    assert (found.locked, found.allowed) == (False, False)
    assert found.closed_until == found.wait_until == NOW - 300 * MINUTE + DAY
    assert "before 2026-05-05 07:00:00 UTC" in found.why
    assert budget_of(log_file, DAY - 301 * MINUTE).closed_until == found.closed_until
    assert budget_of(log_file, DAY - 300 * MINUTE).allowed
    assert budget_of(log_of(*EIGHT[1:], acknowledged=True)).allowed


def test_a_success_between_does_not_lift_the_ceiling() -> None:
    """The page's text, not the counter of IBKR, is what we see: all failures count."""
    assert budget_of(log_of(*EIGHT, (5, AttemptResult.SUCCEEDED), acknowledged=True)).closed_until is not None


def test_lock_says_when_an_unlock_can_help() -> None:
    """Locked and at the ceiling: both are told."""
    found = budget_of(log_of(*EIGHT))
    assert found.locked
    assert found.wait_until is None
    assert "unlock" in found.why
    assert "not before 2026-05-05 07:00:00 UTC" in found.why


def test_stated_wait_holds_for_everybody() -> None:
    """IBKR's own word is kept to the second, counted from when it was said; an unlock overrules it."""
    log_file = log_of((30, AttemptResult.FAILED), wait_s=3600.0)
    found = budget_of(log_file)
    assert found.closed_until == found.wait_until == NOW + 30 * MINUTE
    assert "IBKR says to wait until 2026-05-04 12:30:00 UTC" in found.why
    assert not budget_of(log_file, 29 * MINUTE).allowed
    assert budget_of(log_file, 30 * MINUTE).allowed
    assert budget_of(log_of((30, AttemptResult.FAILED), wait_s=3600.0, acknowledged=True)).allowed


def test_many_logins_are_spread() -> None:
    """As many successful logins as login.logins_a_day: from then on unattended ones are an hour apart."""
    logins = [(50 * n + 10, AttemptResult.SUCCEEDED) for n in reversed(range(LIMIT))]
    assert budget_of(log_of(*logins[1:])).allowed
    found = budget_of(log_of(*logins))
    assert found.wait_until == NOW + 50 * MINUTE
    assert found.closed_until is None
    assert found.logins_limited_until == NOW + DAY - (50 * 23 + 10) * MINUTE
    assert "24 logins succeeded" in found.why
    assert budget_of(log_of(*logins), 50 * MINUTE).allowed
    assert budget_of(log_of(*logins), DAY - (50 * 23 + 10) * MINUTE).logins_limited_until is None


def test_after_what_needs_a_person_no_machine_tries() -> None:
    """However long ago; a person's own try, a success or an unlock ends that. Failures before the form do not."""
    found = budget_of(log_of((20, AttemptResult.PERSON), (5, AttemptResult.UNSUBMITTED)))
    assert (found.allowed, found.locked, found.person, found.wait_until) == (False, False, True, None)
    assert "ibkr-tools login" in found.why
    assert budget_of(log_of((20, AttemptResult.PERSON)), 365 * DAY).person
    assert budget_of(log_of((20, AttemptResult.PERSON), (5, AttemptResult.FAILED))).allowed
    assert budget_of(log_of((20, AttemptResult.PERSON), (5, AttemptResult.SUCCEEDED))).allowed
    assert budget_of(log_of((20, AttemptResult.PERSON), acknowledged=True)).allowed


@pytest.mark.parametrize("jump", [timedelta(days=-90), timedelta(hours=-1), timedelta(hours=25), timedelta(days=400)])
def test_setting_the_clock_changes_nothing(jump: timedelta) -> None:
    """Within one boot of the machine, what is left to wait is the same however the wall's clock was set."""
    log_files = [
        log_of(*EIGHT, acknowledged=True),
        log_of((30, AttemptResult.FAILED), wait_s=3600.0),
        log_of((3, AttemptResult.FAILED), (0, AttemptResult.FAILED)),
        log_of(*[(50 * n + 10, AttemptResult.SUCCEEDED) for n in reversed(range(LIMIT))]),
    ]
    for log_file in log_files:
        before, after = budget_of(log_file), compute_budget(log_file, ClockReading(NOW + jump, "1", UP), LIMIT)
        assert before.wait_until is not None
        assert after.wait_until == before.wait_until + jump
        assert (after.failures_24h, after.logins_24h) == (before.failures_24h, before.logins_24h)


def test_time_across_a_restart() -> None:
    """The wall's clock counts while the machine was off; set back, the new boot's uptime is what surely passed."""
    log_file = log_of(*EIGHT, acknowledged=True)
    assert log_time_s(log_file, ClockReading(NOW + DAY, "2", UP + 60.0)) == TIME_S + DAY.total_seconds()
    assert log_time_s(log_file, ClockReading(NOW - 90 * DAY, "2", UP + 60.0)) == TIME_S + UP + 60.0
    assert log_time_s(log_file, ClockReading(NOW + DAY, "1", UP - 60.0)) == TIME_S + DAY.total_seconds()
    back = NOW - 90 * DAY
    assert compute_budget(log_file, ClockReading(back, "2", 60.0), LIMIT).closed_until == back + DAY - 301 * MINUTE
    assert compute_budget(log_file, ClockReading(back, "2", DAY.total_seconds()), LIMIT).allowed


@given(
    results=st.lists(
        st.tuples(st.integers(-500, 5000), st.sampled_from(list(AttemptResult)), st.sampled_from("ab")), max_size=30
    ),
    wait_s=st.sampled_from([0.0, 600.0, DAY.total_seconds()]),
    acknowledged=st.booleans(),
)
@examples(2)
def test_budget_is_total_and_consistent(
    results: list[tuple[float, AttemptResult, str]], wait_s: float, acknowledged: bool
) -> None:
    """Any log has an answer: locked, a person's turn, waiting or allowed, and only one of them; no wait is endless."""
    found = budget_of(log_of(*results, wait_s=wait_s, acknowledged=acknowledged))
    assert found.allowed == (not found.locked and not found.person and found.wait_until is None)
    assert sum((found.allowed, found.locked, found.person, found.wait_until is not None)) == 1
    for until in (found.wait_until, found.closed_until, found.logins_limited_until):
        assert until is None or NOW < until <= NOW + DAY + 500 * MINUTE
    assert found.why
