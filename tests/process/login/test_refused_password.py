"""`ibkr-tools login` as a process, with the login_log that is there or not."""

import shutil
from datetime import timedelta

import pytest

from ibkr_tools.errors import LockedOut, LoginRefused
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.status import utc_now
from tests.support.installation import Installation
from tests.support.logins import Page, log_in


def test_again_is_not_for_machines(place: Installation) -> None:
    """`--again` with `--unattended` is a usage error, before anything is written."""
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
    shutil.rmtree(place.directories.login / "diagnostics")
    with pytest.raises(LockedOut, match=r"is missing, though .*status\.json"):
        log_in(place, page, again=True)
    done = place.run("unlock")
    assert done.returncode == 75
    assert "nothing logs in before 20" in done.stderr
    assert page.submitted == 2
