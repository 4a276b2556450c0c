"""The login budget: what it counts, when it locks, when it only waits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibkr_tools.login.budget import DAY, Book, Budget, Entry, Instant, budget, time_s
from ibkr_tools.login.outcome import Mark

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UP = 1_000.0
TIME_S = 1_000_000.0
LIMIT = 24


def book_of(*marks: tuple[float, Mark] | tuple[float, Mark, str], **changes: object) -> Book:
    """A book last written at NOW, of entries given as minutes before NOW, mark, and tag."""
    entries = []
    for number, (ago, mark, *tag) in enumerate(marks):
        at_s = TIME_S - ago * 60
        fields = {"id": str(number), "at": NOW, "user": "u", "tag": tag[0] if tag else "a", "mark": mark}
        ended = {} if mark is Mark.SUBMITTED else {"ended_s": at_s}
        entries.append(Entry(**fields | {"begun_s": at_s} | ended | changes))  # type: ignore[arg-type]
    return Book(salt="00", at=NOW, life=1, up=UP, time_s=TIME_S, entries=tuple(entries))


def judge(book: Book, after: timedelta = timedelta()) -> Budget:
    """What the budget says some time after NOW."""
    return budget(book, Instant(NOW + after, 1, UP + after.total_seconds()), LIMIT)


@pytest.mark.parametrize(
    ("book", "locked"),
    [
        (book_of(), False),
        (book_of((20, Mark.REFUSED)), False),
        (book_of((30, Mark.REFUSED), (20, Mark.REFUSED)), True),
        (book_of((30, Mark.REFUSED, "a"), (20, Mark.REFUSED, "b")), False),
        (book_of((40, Mark.REFUSED), (30, Mark.SUCCEEDED), (20, Mark.REFUSED)), False),
        (book_of((40, Mark.REFUSED), (30, Mark.FAILED), (20, Mark.REFUSED)), True),
        (book_of((40, Mark.REFUSED), (30, Mark.SUBMITTED), (20, Mark.REFUSED)), True),
        (book_of((4000, Mark.REFUSED), (20, Mark.REFUSED)), True),
        (book_of(*[(60 - n, Mark.FAILED) for n in range(3)]), False),
        (book_of(*[(60 - n, Mark.FAILED) for n in range(4)]), True),
        (book_of(*[(60 - n, Mark.SUBMITTED) for n in range(4)]), True),
        (book_of(*[(60 - n, Mark.PERSON) for n in range(4)]), True),
        (book_of(*[(60 - n, Mark.UNSUBMITTED) for n in range(9)]), False),
        (book_of((90, Mark.FAILED), (80, Mark.SUCCEEDED), *[(60 - n, Mark.FAILED) for n in range(3)]), True),
        (book_of((1500, Mark.FAILED), *[(60 - n, Mark.FAILED) for n in range(3)]), False),
        (book_of(*[(9000 - n, Mark.FAILED) for n in range(4)], (5, Mark.SUCCEEDED)), True),
        (book_of((5, Mark.STOP)), True),
        (book_of((9000, Mark.STOP), (5, Mark.SUCCEEDED)), True),
    ],
)
def test_lock(book: Book, locked: bool) -> None:
    """Two refusals of one password in a row, or four failures in a day, lock, and no time opens that lock."""
    found = judge(book)
    assert found.locked is locked
    assert found.allowed is not locked or found.wait_until is not None
    assert ("unlock" in found.why) is locked
    assert judge(book, 365 * DAY).locked is locked


@pytest.mark.parametrize(
    ("book", "minutes"),
    [
        (book_of((0, Mark.SUCCEEDED)), None),
        (book_of((0, Mark.REFUSED)), None),
        (book_of((9, Mark.REFUSED), (0, Mark.FAILED)), 1),
        (book_of((0, Mark.FAILED)), 1),
        (book_of((0, Mark.SUBMITTED)), 1),
        (book_of((3, Mark.FAILED), (0, Mark.FAILED)), 5),
        (book_of((20, Mark.FAILED), (10, Mark.FAILED), (0, Mark.FAILED)), 15),
        (book_of((20, Mark.FAILED), (10, Mark.SUCCEEDED), (0, Mark.FAILED)), 1),
        (book_of((0, Mark.UNSUBMITTED)), None),
        (book_of((3, Mark.UNSUBMITTED), (0, Mark.UNSUBMITTED)), 1),
        (book_of(*[(60 - n, Mark.UNSUBMITTED) for n in range(20)], (0, Mark.UNSUBMITTED)), 15),
    ],
)
def test_pause(book: Book, minutes: float | None) -> None:
    """Unattended logins wait ever longer after failures; a refusal is no matter of time."""
    found = judge(book)
    assert found.wait_until == (None if minutes is None else NOW + minutes * MINUTE)
    assert found.allowed is (minutes is None)
    assert found.closed_until is None
    assert judge(book, (minutes or 0) * MINUTE).allowed


def test_counts_are_of_the_last_day() -> None:
    """Failures and logins are counted for 24 hours."""
    found = judge(book_of((1500, Mark.SUCCEEDED), (1500, Mark.FAILED), (30, Mark.SUCCEEDED), (20, Mark.SUBMITTED)))
    assert (found.failures_24h, found.logins_24h) == (1, 1)


EIGHT = [(300 - 10 * n, Mark.REFUSED if n % 2 else Mark.FAILED, str(n)) for n in range(8)]


def test_eight_failures_close_whatever_was_noted() -> None:
    """No unlock lets more than eight logins fail in a day; when the oldest is a day old, there is room again."""
    book = book_of(*EIGHT, noted=True)
    found = judge(book)
    assert (found.locked, found.allowed) == (False, False)
    assert found.closed_until == found.wait_until == NOW - 300 * MINUTE + DAY
    assert "before 2026-05-05 07:00:00 UTC" in found.why
    assert judge(book, DAY - 301 * MINUTE).closed_until == found.closed_until
    assert judge(book, DAY - 300 * MINUTE).allowed
    assert judge(book_of(*EIGHT[1:], noted=True)).allowed


def test_a_success_between_does_not_lift_the_ceiling() -> None:
    """The page's text, not the counter of IBKR, is what we see: all failures count."""
    assert judge(book_of(*EIGHT, (5, Mark.SUCCEEDED), noted=True)).closed_until is not None


def test_lock_says_when_an_unlock_can_help() -> None:
    """Locked and at the ceiling: both are told."""
    found = judge(book_of(*EIGHT))
    assert found.locked
    assert found.wait_until is None
    assert "unlock" in found.why
    assert "not before 2026-05-05 07:00:00 UTC" in found.why


def test_stated_wait_holds_for_everybody() -> None:
    """IBKR's own word is kept to the second, counted from when it was said; an unlock overrules it."""
    book = book_of((30, Mark.FAILED), wait_s=3600.0)
    found = judge(book)
    assert found.closed_until == found.wait_until == NOW + 30 * MINUTE
    assert "IBKR says to wait until 2026-05-04 12:30:00 UTC" in found.why
    assert not judge(book, 29 * MINUTE).allowed
    assert judge(book, 30 * MINUTE).allowed
    assert judge(book_of((30, Mark.FAILED), wait_s=3600.0, noted=True)).allowed


def test_many_logins_are_spread() -> None:
    """As many successful logins as login.logins_a_day: from then on unattended ones are an hour apart."""
    logins = [(50 * n + 10, Mark.SUCCEEDED) for n in reversed(range(LIMIT))]
    assert judge(book_of(*logins[1:])).allowed
    found = judge(book_of(*logins))
    assert found.wait_until == NOW + 50 * MINUTE
    assert found.closed_until is None
    assert found.logins_limited_until == NOW + DAY - (50 * 23 + 10) * MINUTE
    assert "24 logins succeeded" in found.why
    assert judge(book_of(*logins), 50 * MINUTE).allowed
    assert judge(book_of(*logins), DAY - (50 * 23 + 10) * MINUTE).logins_limited_until is None


def test_after_what_needs_a_person_no_machine_tries() -> None:
    """However long ago; a person's own try, a success or an unlock ends that. Failures before the form do not."""
    found = judge(book_of((20, Mark.PERSON), (5, Mark.UNSUBMITTED)))
    assert (found.allowed, found.locked, found.person, found.wait_until) == (False, False, True, None)
    assert "ibkr-tools login" in found.why
    assert judge(book_of((20, Mark.PERSON)), 365 * DAY).person
    assert judge(book_of((20, Mark.PERSON), (5, Mark.FAILED))).allowed
    assert judge(book_of((20, Mark.PERSON), (5, Mark.SUCCEEDED))).allowed
    assert judge(book_of((20, Mark.PERSON), noted=True)).allowed


@pytest.mark.parametrize("jump", [timedelta(days=-90), timedelta(hours=-1), timedelta(hours=25), timedelta(days=400)])
def test_setting_the_clock_changes_nothing(jump: timedelta) -> None:
    """Within one life of the machine, what is left to wait is the same however the wall's clock was set."""
    books = [
        book_of(*EIGHT, noted=True),
        book_of((30, Mark.FAILED), wait_s=3600.0),
        book_of((3, Mark.FAILED), (0, Mark.FAILED)),
        book_of(*[(50 * n + 10, Mark.SUCCEEDED) for n in reversed(range(LIMIT))]),
    ]
    for book in books:
        before, after = judge(book), budget(book, Instant(NOW + jump, 1, UP), LIMIT)
        assert before.wait_until is not None
        assert after.wait_until == before.wait_until + jump
        assert (after.failures_24h, after.logins_24h) == (before.failures_24h, before.logins_24h)


def test_time_across_a_restart() -> None:
    """The wall's clock counts while the machine was off; set back, the machine's new life is what surely passed."""
    book = book_of(*EIGHT, noted=True)
    assert time_s(book, Instant(NOW + DAY, 2, UP + 60.0)) == TIME_S + DAY.total_seconds()
    assert time_s(book, Instant(NOW - 90 * DAY, 2, UP + 60.0)) == TIME_S + UP + 60.0
    assert time_s(book, Instant(NOW + DAY, 1, UP - 60.0)) == TIME_S + DAY.total_seconds()
    back = NOW - 90 * DAY
    assert budget(book, Instant(back, 2, 60.0), LIMIT).closed_until == back + DAY - 301 * MINUTE
    assert budget(book, Instant(back, 2, DAY.total_seconds()), LIMIT).allowed


@given(
    marks=st.lists(st.tuples(st.integers(-500, 5000), st.sampled_from(list(Mark)), st.sampled_from("ab")), max_size=30),
    wait_s=st.sampled_from([0.0, 600.0, DAY.total_seconds()]),
    noted=st.booleans(),
)
@settings(max_examples=200)
def test_budget_is_total_and_consistent(marks: list[tuple[float, Mark, str]], wait_s: float, noted: bool) -> None:
    """Any book has an answer: locked, a person's turn, waiting or allowed, and only one of them; no wait is endless."""
    found = judge(book_of(*marks, wait_s=wait_s, noted=noted))
    assert found.allowed == (not found.locked and not found.person and found.wait_until is None)
    assert sum((found.allowed, found.locked, found.person, found.wait_until is not None)) == 1
    for until in (found.wait_until, found.closed_until, found.logins_limited_until):
        assert until is None or NOW < until <= NOW + DAY + 500 * MINUTE
    assert found.why
