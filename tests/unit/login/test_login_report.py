"""What a login tells about itself while it runs, to systemd and to the watchdog."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from ibkr_tools.config.schema import Config, LoginConfig, SessionConfig
from ibkr_tools.config.secrets import Secret
from ibkr_tools.directories import Directories
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.login_report import LoginReporter, account_mismatch
from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import LoginSection, StatusFile, utc_now

CONFIG = Config(username="u", account="U1234567", login=LoginConfig(timeout_s=90, logins_a_day=2))


def section_of(directories: Directories) -> LoginSection:
    """What the status file says."""
    found = StatusFile(directories.status_file).read_section(LoginSection)
    assert found is not None
    return found


class Heard(SystemdNotifier):
    """Collects what systemd would be told."""

    def __init__(self) -> None:
        super().__init__({})
        self.messages: list[str] = []

    def _send(self, message: str) -> None:
        self.messages.append(message)


def reporter_in(folder: Path, notifier: SystemdNotifier | None = None) -> tuple[LoginReporter, LoginLog, Directories]:
    """A reporter with a login log of its own."""
    directories = Directories(configuration=folder, runtime=folder / "run", state=folder / "state")
    login_log = LoginLog(directories.login, CONFIG.login.logins_a_day)
    return LoginReporter(CONFIG, directories, login_log, notifier or Heard(), utc_now), login_log, directories


def test_long_wait_is_announced_to_everybody(tmp_path: Path) -> None:
    """systemd shows it, and the watchdog grants the time and the rest of the login after it."""
    heard = Heard()
    reporter, _, directories = reporter_in(tmp_path, heard)
    reporter.report_running()
    assert section_of(directories).fresh_for_s == 180.0
    reporter.announce_wait("waiting for the approval on the phone", 180.0)
    assert heard.messages == ["STATUS=waiting for the approval on the phone"]
    section = section_of(directories)
    assert (section.state, section.fresh_for_s) == ("running", 360.0)
    assert section.why == "waiting for the approval on the phone"


def test_many_logins_and_the_next_try_are_reported(tmp_path: Path) -> None:
    """The watchdog tells a person from this, and waits that long."""
    reporter, login_log, directories = reporter_in(tmp_path)
    for _ in range(2):
        login_log.record_result(
            login_log.record_submission(utc_now(), "u", Secret("x")), AttemptResult.SUCCEEDED, utc_now()
        )
    reporter.report_result("succeeded", "a session")
    section = section_of(directories)
    assert section.logins_24h == 2
    assert section.logins_limited_until is not None
    assert section.logins_limited_until - utc_now() > timedelta(hours=23)
    assert section.retry_at is None
    reporter.report_result("failed", "nothing")
    section = section_of(directories)
    assert section.retry_at is not None
    assert timedelta(minutes=59) < section.retry_at - utc_now() <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("paper", "accounts", "words"),
    [
        (False, (), None),
        (False, ("U1234567",), None),
        (False, ("U7654321", "U1234567"), None),
        (False, ("U7654321",), "Correct account in the configuration: this user may not view U1234567."),
        (False, ("DU1234567",), "Change session.paper in the configuration: it means live accounts, these are paper"),
        (True, ("U1234567",), "Change session.paper in the configuration: it means paper accounts, these are live"),
        (True, ("DU1234567",), "Correct account"),
    ],
)
def test_session_that_the_configuration_does_not_mean(
    paper: bool, accounts: tuple[str, ...], words: str | None
) -> None:
    """The account that is configured, in the mode that is configured, or a person is told what to change."""
    found = account_mismatch(msgspec.structs.replace(CONFIG, session=SessionConfig(paper=paper)), accounts)
    assert found == words or (words is not None and found is not None and found.startswith(words))


def test_no_next_try_where_a_person_is_needed(tmp_path: Path) -> None:
    """Neither after what needs a person, nor when the budget is spent."""
    reporter, login_log, directories = reporter_in(tmp_path)
    login_log.record_result(login_log.record_submission(utc_now(), "u", Secret("x")), AttemptResult.PERSON, utc_now())
    reporter.report_result("failed", "nothing")
    assert section_of(directories).retry_at is None
