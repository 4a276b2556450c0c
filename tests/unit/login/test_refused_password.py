"""A password that IBKR has refused goes out again only when a person says so, knowing what is left."""

from collections.abc import Iterator

import pytest
from loguru import logger

from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ActionRequired, LockedOut, LoginRefused
from ibkr_tools.login.outcomes import AttemptResult, Outcome
from ibkr_tools.status import utc_now
from tests.support.installation import Installation
from tests.support.logins import Page, log_in


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What the log says."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    yield lines
    logger.remove(sink)


def test_refused_password_is_not_submitted_by_hand_unasked(place: Installation) -> None:
    """The message says when it was refused, what is left, and how to submit it all the same."""
    page = Page(Outcome.REFUSED)
    with pytest.raises(LoginRefused, match="Invalid username password combination"):
        log_in(place, page)
    for _ in range(3):
        with pytest.raises(LoginRefused, match=r"IBKR refused this password at 20\d\d-.* UTC, so nothing") as caught:
            log_in(place, page)
        assert caught.value.exit_code == 77
        assert "3 more logins may fail" in caught.value.message
        assert "--again" in str(caught.value.hint)
    assert page.submitted == 1
    section = place.status.read().login
    assert section is not None
    assert section.state == "refused"


def test_again_submits_it_once_more_and_says_what_is_left(place: Installation, told: list[str]) -> None:
    """The second refusal locks, and then `--again` helps as little as anything."""
    page = Page(Outcome.REFUSED)
    with pytest.raises(LoginRefused):
        log_in(place, page)
    told.clear()
    with pytest.raises(LoginRefused, match="Invalid username password combination"):
        log_in(place, page, again=True)
    assert "submitted once more, as you say; 3 more logins may fail before nothing logs in" in told[0]
    with pytest.raises(LockedOut):
        log_in(place, page, again=True)
    assert page.submitted == 2


def test_again_where_nothing_was_refused(place: Installation, told: list[str]) -> None:
    """`--again` is then only told what is left."""
    log_in(place, Page(Outcome.SUCCEEDED), again=True)
    assert "IBKR has not refused this password; 4 more logins may fail" in told[0]


def test_corrected_user_name_is_a_correction(place: Installation) -> None:
    """The password may have been right all the time."""
    with pytest.raises(LoginRefused):
        log_in(place, Page(Outcome.REFUSED), user="raeder")
    log_in(place, Page(Outcome.SUCCEEDED), user="reader")


@pytest.mark.parametrize(
    ("outcome", "goes_on"),
    [
        (Outcome.CODE_REFUSED, True),
        (Outcome.SECOND_FACTOR, True),
        (Outcome.FORM_AGAIN, True),
        (Outcome.UNKNOWN_ERROR, False),
        (Outcome.LOCKED, False),
    ],
)
def test_other_bad_endings_by_hand(place: Installation, outcome: Outcome, goes_on: bool) -> None:
    """After what was not about the password a person just logs in; after what stops everything nobody does."""
    with pytest.raises(ActionRequired if outcome is not Outcome.FORM_AGAIN else Exception):
        log_in(place, Page(outcome))
    page = Page(Outcome.SUCCEEDED)
    if goes_on:
        log_in(place, page)
    else:
        for again in (True, False):
            with pytest.raises(LockedOut):
                log_in(place, page, again=again)
    assert page.submitted == int(goes_on)


def test_login_of_which_nobody_knows_the_end_is_no_refusal(place: Installation) -> None:
    """A submission without a result does not keep the password from being submitted again."""
    login_log = place.record_logins(AttemptResult.SUCCEEDED)
    login_log.record_submission(utc_now(), "reader", Secret("mistaken"))
    log_in(place, Page(Outcome.SUCCEEDED))
