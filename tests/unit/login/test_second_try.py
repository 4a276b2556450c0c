"""A right password that IBKR calls wrong is submitted once more, and however often that happens, nobody is locked."""

import random
from collections import deque
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from ibkr_tools.config.loader import load_config
from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import LockedOut, LoginFailed, LoginRefused
from ibkr_tools.login.budget import MAX_FAILURES_PER_DAY, PROVEN_FOR, SECOND_TRY_INTERVAL, compute_budget, with_attempt
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.login_log_file import Attempt, ClockReading, LoginLogFile, stamped, with_result
from ibkr_tools.login.login_runner import run_login
from ibkr_tools.login.outcomes import AttemptResult, Outcome
from ibkr_tools.status import LoginSection, StatusFile
from tests.support.clocks import Clocks
from tests.support.installation import Installation
from tests.support.logins import AT_ONCE, Page

PASSWORD, OTHER = Secret("correct horse battery staple"), Secret("mistyped")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Log:
    """A login log whose clocks a test moves."""

    def __init__(self, directory: Path) -> None:
        self.clocks = Clocks()
        self.log = LoginLog(directory, uptime=self.clocks.uptime)

    def log_in(self, result: AttemptResult, password: Secret = PASSWORD, user: str = "reader") -> None:
        self.log.record_result(self.log.record_submission(self.clocks.now, user, password), result, self.clocks.now)

    def may_a_machine(self, password: Secret = PASSWORD, user: str = "reader") -> bool:
        now = self.clocks.now
        return self.log.budget(now).allowed and not self.log.was_refused(password, now, user=user)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_one_more_try_after_an_hour(log: Log) -> None:
    """Not before, and after another refusal not before a person has acted."""
    log.log_in(AttemptResult.SUCCEEDED)
    log.clocks.wait(13 * DAY)
    log.log_in(AttemptResult.REFUSED)
    budget = log.log.budget(log.clocks.now)
    assert budget.second_try
    assert budget.wait_until == log.clocks.now + SECOND_TRY_INTERVAL
    assert "called a password wrong that worked within 14 days" in budget.why
    log.clocks.wait(0.99 * HOUR)
    assert not log.may_a_machine()
    log.clocks.wait(0.02 * HOUR)
    assert log.may_a_machine()
    log.log_in(AttemptResult.REFUSED)
    log.clocks.wait(100 * DAY)
    assert log.log.budget(log.clocks.now).locked
    with pytest.raises(LockedOut):
        log.log_in(AttemptResult.SUCCEEDED)


def test_each_success_gives_a_try_again(log: Log) -> None:
    """The refusals before it are forgotten."""
    for _ in range(30):
        log.log_in(AttemptResult.SUCCEEDED)
        log.clocks.wait(DAY)
        log.log_in(AttemptResult.REFUSED)
        log.clocks.wait(HOUR)
        assert log.may_a_machine()


def test_no_try_for_what_has_not_worked(log: Log) -> None:
    """A password that never worked, one that worked too long ago, another one, another user's."""
    log.log_in(AttemptResult.REFUSED)
    log.clocks.wait(2 * HOUR)
    assert not log.may_a_machine()
    log.log.unlock(log.clocks.now)
    log.log_in(AttemptResult.SUCCEEDED)
    log.clocks.wait(PROVEN_FOR + HOUR)
    log.log_in(AttemptResult.REFUSED)
    log.clocks.wait(2 * HOUR)
    assert not log.may_a_machine()
    log.log_in(AttemptResult.SUCCEEDED)
    log.log_in(AttemptResult.REFUSED, OTHER)
    log.clocks.wait(2 * HOUR)
    assert not log.may_a_machine(OTHER)
    assert log.may_a_machine()
    log.log_in(AttemptResult.SUCCEEDED)
    log.log_in(AttemptResult.REFUSED, user="somebody")
    log.clocks.wait(2 * HOUR)
    assert not log.may_a_machine(user="somebody")


@pytest.mark.parametrize("between", [AttemptResult.FAILED, AttemptResult.SUBMITTED, AttemptResult.REFUSED])
def test_the_try_is_used_by_whoever_submits_the_password(log: Log, between: AttemptResult) -> None:
    """A person's login is one, and one whose end nobody wrote."""
    log.log_in(AttemptResult.SUCCEEDED)
    log.clocks.wait(DAY)
    log.log_in(AttemptResult.REFUSED)
    log.clocks.wait(2 * HOUR)
    log.log_in(between)
    log.clocks.wait(3 * DAY)
    assert not log.may_a_machine()


def test_no_second_one_after_an_unlock(log: Log) -> None:
    """A person who unlocks takes the responsibility for one login; its refusal is not the first one."""
    log.log_in(AttemptResult.SUCCEEDED)
    log.clocks.wait(DAY)
    log.log_in(AttemptResult.REFUSED)
    log.clocks.wait(HOUR)
    log.log_in(AttemptResult.REFUSED)
    log.log.unlock(log.clocks.now)
    log.clocks.wait(5 * DAY)
    log.log_in(AttemptResult.REFUSED)
    log.clocks.wait(2 * HOUR)
    assert not log.may_a_machine()


def test_ten_years_of_nights_stay_below_the_ceiling() -> None:
    """Every night the session ends, and one right password in four is called wrong: nobody gets near IBKR's lock."""
    dice = random.Random(20_261_129)
    clocks = Clocks()
    log_file = LoginLogFile(salt="00", at=clocks.now, boot_id="1", uptime_s=0.0)
    failed_s: deque[float] = deque()
    refused_in_row = most_in_row = most_a_day = locks = logins = 0
    is_in = False
    for hour in range(10 * 365 * 24):
        is_in = is_in and hour % 24 != 0
        if is_in:
            # Nobody looks at the login log.
            continue
        now = ClockReading(clocks.now + hour * HOUR, "1", hour * 3600.0)
        log_file = stamped(log_file, now)
        budget = compute_budget(log_file, now, 24)
        if budget.locked:
            # A person looks after it at noon.
            locks += hour % 24 == 12
            if hour % 24 == 12:
                acknowledged = tuple(msgspec.structs.replace(row, acknowledged=True) for row in log_file.attempts)
                log_file = msgspec.structs.replace(log_file, attempts=acknowledged)
            continue
        if not budget.allowed:
            continue
        attempt = Attempt(
            id=str(hour),
            at=now.at,
            user="reader",
            password_fingerprint="a1b2",
            result=AttemptResult.SUBMITTED,
            begun_s=log_file.time_s,
        )
        log_file = with_attempt(log_file, attempt)
        is_in, logins = dice.random() < 0.75, logins + 1
        result = AttemptResult.SUCCEEDED if is_in else AttemptResult.REFUSED
        log_file = with_result(log_file, attempt.id, result=result, ended_s=log_file.time_s)
        refused_in_row = 0 if is_in else refused_in_row + 1
        if not is_in:
            failed_s.append(log_file.time_s)
        while failed_s and log_file.time_s - failed_s[0] >= DAY.total_seconds():
            failed_s.popleft()
        most_in_row, most_a_day = max(most_in_row, refused_in_row), max(most_a_day, len(failed_s))
    assert logins > 3650
    assert most_a_day <= 4 < MAX_FAILURES_PER_DAY
    assert 0 < locks < 3650 / 8
    assert most_in_row <= 8


def test_a_machine_goes_on_after_a_false_refusal(place: Installation) -> None:
    """The login failed, no more: it is tried again an hour later, and a second refusal is one."""
    place.configure(1025, username="reader", password="right")
    place.directories.config_file.chmod(0o600)
    clocks = Clocks()
    log = LoginLog(place.directories.login, directories=place.directories, uptime=clocks.uptime)

    def log_in(outcome: Outcome) -> None:
        page = Page(outcome)
        run_login(
            load_config(place.directories.config_file),
            place.directories,
            place.directories.config_file,
            unattended=True,
            client=page,
            login_log=log,
            clock=lambda: clocks.now,
            patience=AT_ONCE,
            open_browser=page.open_browser,
            wait_for_gateway=lambda _status, _port, _clock: None,
        )

    def section() -> LoginSection:
        found = StatusFile(place.directories.status_file).read_section(LoginSection)
        assert found is not None
        return found

    log_in(Outcome.SUCCEEDED)
    clocks.wait(DAY)
    with pytest.raises(LoginFailed, match="Invalid username password combination") as failed:
        log_in(Outcome.REFUSED)
    assert not isinstance(failed.value, LoginRefused)
    assert (section().state, section().retry_at) == ("failed", clocks.now + SECOND_TRY_INTERVAL)
    with pytest.raises(LoginFailed, match="submitted once more, not before"):
        log_in(Outcome.SUCCEEDED)
    clocks.wait(SECOND_TRY_INTERVAL)
    with pytest.raises(LoginRefused):
        log_in(Outcome.REFUSED)
    assert section().state == "refused"
    clocks.wait(SECOND_TRY_INTERVAL)
    with pytest.raises(LockedOut):
        log_in(Outcome.SUCCEEDED)
