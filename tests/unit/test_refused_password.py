"""A password that IBKR has refused goes out again only when a person says so, knowing what is left."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from loguru import logger

from ibkr_tools.config.loader import load_config
from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ActionRequired, LockedOut, LoginRefused
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.login_runner import run_login
from ibkr_tools.login.outcomes import AttemptResult, LoginEnd, Outcome
from ibkr_tools.status import utc_now
from tests.support.installation import Installation
from tests.unit.test_push_notice import NoSession


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What the log says."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    yield lines
    logger.remove(sink)


class Page:
    """A login page that ends each login in the same way, and counts."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.submitted = 0

    def __call__(self, _portal: object, before_submit: object) -> LoginEnd:
        before_submit()  # type: ignore[operator]
        self.submitted += 1
        return LoginEnd(outcome=self.outcome, why="as the test says", submitted=True, accounts=("U1234567",))


def log_in(place: Installation, page: Page, *, user: str = "reader", again: bool = False) -> None:
    """Logs in as a person does."""
    place.configure(1025, username=user, password="mistaken")
    place.directories.config_file.chmod(0o600)
    file = place.directories.config_file
    run_login(
        load_config(file),
        place.directories,
        file,
        unattended=False,
        again=again,
        client=NoSession(),
        sign_in=page,
    )


def test_refused_password_is_not_submitted_by_hand_unasked(place: Installation) -> None:
    page = Page(Outcome.REFUSED)
    with pytest.raises(LoginRefused, match="as the test says"):
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
    with pytest.raises(LoginRefused, match="as the test says"):
        log_in(place, page, again=True)
    assert "submitted once more, as you say; 3 more logins may fail before nothing logs in" in told[0]
    with pytest.raises(LockedOut):
        log_in(place, page, again=True)
    assert page.submitted == 2


def test_again_where_nothing_was_refused(place: Installation, told: list[str]) -> None:
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
    login_log = place.record_logins(AttemptResult.SUCCEEDED)
    login_log.record_submission(utc_now(), "reader", Secret("mistaken"))
    log_in(place, Page(Outcome.SUCCEEDED))


def test_again_is_not_for_machines(place: Installation) -> None:
    done = place.run("login", "--again", "--unattended")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --again is a person's decision: not with --unattended\n"
    assert not LoginLog(place.directories.login).path.exists()


def test_the_first_login_creates_the_login_log_whatever_comes_of_it(place: Installation) -> None:
    """Also one that ends before a password; so what it leaves behind never stands alone."""
    done = place.run("login")
    assert done.returncode == 69
    login_log = LoginLog(place.directories.login, directories=place.directories)
    assert login_log.path.exists()
    assert login_log.budget(utc_now() + timedelta(seconds=1)).allowed


def test_login_log_that_is_deleted_after_refusals_submits_nothing(place: Installation) -> None:
    """The status file still knows, whatever became of the rest; `unlock` says until when nothing logs in."""
    page = Page(Outcome.REFUSED)
    with pytest.raises(LoginRefused):
        log_in(place, page)
    with pytest.raises(LoginRefused):
        log_in(place, page, again=True)
    LoginLog(place.directories.login).path.unlink()
    with pytest.raises(LockedOut, match=r"is missing, though .*status\.json"):
        log_in(place, page, again=True)
    done = place.run("unlock")
    assert done.returncode == 75
    assert "nothing logs in before 20" in done.stderr
    assert page.submitted == 2
