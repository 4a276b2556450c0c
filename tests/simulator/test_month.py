"""A few days of what `bin/bench --month` lives through, with the same code: losses, resets, outages, refused logins."""

import pytest

from bench.month import KINDS
from bench.verdict import Verdict, live

DAYS = 2


@pytest.fixture(scope="module", params=["portfolio", "brokerage"])
def month(request: pytest.FixtureRequest) -> Verdict:
    return live(request.param, days=DAYS, seed=7)


def test_nothing_happens_that_must_not(month: Verdict) -> None:
    """No gap outside the planned outages longer than the notice and one login; budget, pacing and memory hold."""
    assert month.problems == ()


def test_everything_that_was_planned_took_place(month: Verdict) -> None:
    """Losses of several kinds, the nightly reset, every outage; and each time the session came back."""
    assert month.served["reset"].number == DAYS
    assert len(set(month.served) & set(KINDS[month.tier])) >= 2
    assert month.after_outage.number >= 4
    assert month.logins >= sum(one.number for one in month.served.values())
    assert sum(month.logins_in_vain.values()) >= 1


def test_no_password_is_submitted_in_vain(month: Verdict) -> None:
    """While IBKR refuses to show its page, tries end before the password; each of the others is a session."""
    assert (month.submitted, month.failed_submissions) == (month.logins, 0)


def test_availability_is_what_losses_and_outages_leave(month: Verdict) -> None:
    """Outside the planned outages seconds are lost, but for the wait until the next login after IBKR's page is back."""
    lost_s = sum(one.number * one.median_s for one in month.served.values())
    assert month.availability_outside > 1 - (2 * lost_s + 1900) / (DAYS * 86_400 * 0.8)
    assert 0.8 < month.availability < month.availability_outside


def test_the_status_is_written_at_its_beat_and_not_in_a_storm(month: Verdict) -> None:
    """At least every 10 s, and not much more often."""
    assert DAYS * 8640 <= month.status_writes < 2 * DAYS * 8640
