"""The report of a login while it runs and when it is over: to the status file, the log and systemd."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from time import monotonic

from loguru import logger

from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.errors import OutputError
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import Outcome, StatusState
from ibkr_tools.login.timeout_extender import TimeoutExtender
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import LoginSection, StatusFile

LOGIN_LIMIT_MARGIN_S = 90.0
"""For Java's start beside the login, and for starting and ending a browser."""

_RETRIED_STATES = frozenset({"failed", "maintenance", "broken"})


def account_mismatch(config: Config, accounts: Sequence[str]) -> str | None:
    """Returns what a person should put right though there is a session: it is not the one the configuration means.

    Numbers of paper accounts begin with a D (DU1234567), all others do not.
    """
    mode, other = ("paper", "live") if config.session.paper else ("live", "paper")
    if accounts and not any(account.startswith("D") is config.session.paper for account in accounts):
        return f"Change session.paper in the configuration: it means {mode} accounts, these are {other} ones."
    if accounts and config.account not in accounts:
        return f"Correct account in the configuration: this user may not view {config.account}."
    return None


class LoginReporter:
    """Reports to status file, log and systemd how one login goes; `clock` gives the time now, aware."""

    def __init__(
        self,
        config: Config,
        directories: Directories,
        login_log: LoginLog,
        notifier: SystemdNotifier,
        clock: Callable[[], datetime],
    ) -> None:
        self._file = StatusFile(directories.status_file)
        self._login_log = login_log
        self._notifier = notifier
        self._clock = clock
        self._config = config
        self._limit_s = config.login.timeout_s + LOGIN_LIMIT_MARGIN_S
        self._timeout_extender = TimeoutExtender(notifier)
        self._begin = monotonic()
        self._is_over = False

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Shows systemd during the block that the login runs on; reports that the login is over if nothing else did.

        A login that waits for another one is given as long for that as for itself.
        """
        self._timeout_extender.extend(self._limit_s)
        with self._timeout_extender.running():
            try:
                yield
            finally:
                self._report_crash()

    @property
    def duration(self) -> timedelta:
        """How long it has taken so far."""
        return timedelta(seconds=monotonic() - self._begin)

    def step(self, text: str) -> None:
        """Something was done or seen."""
        logger.info("{} (at {:.2f} s)", text, self.duration.total_seconds())
        self._notifier.status(text)

    def report_running(self, why: str = "a login is under way", for_s: float = 0.0) -> None:
        """The login is under way; it will take as long as always, and `for_s` seconds more."""
        self._timeout_extender.extend(self._limit_s + for_s)
        now = self._clock()
        budget = self._login_log.budget(now)
        self._write(
            LoginSection(
                updated_at=now,
                fresh_for_s=self._limit_s + for_s,
                pid=os.getpid(),
                state="running",
                why=why,
                failures_24h=budget.failures_24h,
                logins_24h=budget.logins_24h,
                logins_limited_until=budget.logins_limited_until,
            )
        )

    def announce_wait(self, text: str, seconds: float) -> None:
        """The login waits for something that may take so many seconds from now, such as a person with a phone.

        systemd and the watchdog grant them, and the usual time for the rest of the login after that.
        """
        self.step(text)
        self.report_running(text, seconds)

    def _report_crash(self) -> None:
        """Reports that the login is over if nothing has: a bug, Ctrl-C. Whoever waits need not wait longer."""
        if not self._is_over:
            with suppress(OutputError):
                self.report_result("broken", f"the login died of {type(sys.exception()).__name__}")

    def report_end(self, end: LoginEnd) -> None:
        """The login is over, as its outcome says; after a success a person may have to correct the configuration."""
        policy = end.outcome.policy
        todo = account_mismatch(self._config, end.accounts) if end.outcome is Outcome.SUCCEEDED else policy.todo
        self.report_result(
            policy.state,
            end.why,
            todo=todo,
            accounts=end.accounts,
            recognised=end.recognised,
            page_reports=end.page_reports,
        )

    def report_result(
        self,
        state: StatusState,
        why: str,
        *,
        todo: str | None = None,
        accounts: tuple[str, ...] = (),
        recognised: Mapping[str, str] | None = None,
        page_reports: tuple[str, ...] = (),
    ) -> None:
        """The login is over."""
        self._is_over = True
        now = self._clock()
        budget = self._login_log.budget(now)
        self._notifier.status(why)
        again = state in _RETRIED_STATES and not budget.locked and not budget.person
        self._write(
            LoginSection(
                updated_at=now,
                pid=os.getpid(),
                state=state,
                why=why,
                todo=todo,
                accounts=accounts,
                retry_at=(budget.wait_until or now) if again else None,
                duration_s=round(self.duration.total_seconds(), 3),
                failures_24h=budget.failures_24h,
                logins_24h=budget.logins_24h,
                logins_limited_until=budget.logins_limited_until,
                recognised=dict(recognised or {}),
                page_reports=page_reports,
            )
        )

    def _write(self, section: LoginSection) -> None:
        try:
            self._file.write(section)
        except OSError as error:
            raise OutputError(f"{self._file.path}: {error.strerror}") from error
