"""One login from request to result: budget, browser, login log, status file, log, exit code.

It is what `ibkr-tools login` and `ibkr-login.service` run. Everything it needs is an argument; it returns when there
is a session, and raises what else there is.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from ibkr_tools import files
from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import SecretSource
from ibkr_tools.directories import Directories, user_cache
from ibkr_tools.errors import ActionRequired, ConfigError, IbkrError, LockedOut, LoginRefused, OutputError
from ibkr_tools.login.login_end import LoginEnd, LoginResult
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.login_permission import find_objection
from ibkr_tools.login.login_report import LoginReporter, account_mismatch
from ibkr_tools.login.outcomes import Outcome, StatusState
from ibkr_tools.login.preconditions import await_gateway, find_session
from ibkr_tools.login.push_notice import PushNotice
from ibkr_tools.login.refused_password import require_not_refused
from ibkr_tools.login.sigterm import raising_on_sigterm
from ibkr_tools.login.submission_record import SubmissionRecord
from ibkr_tools.login_request import consume_request
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import StatusFile, utc_now

if TYPE_CHECKING:
    from ibkr_tools.login.browser_protocol import OpenBrowser
    from ibkr_tools.login.login_timers import Patience
    from ibkr_tools.login.portal_protocol import Portal
    from ibkr_tools.user_command import Spawn

Clock = Callable[[], datetime]

SESSION_READ_TIMEOUT_S = 8.0
"""How long an answer of the API may take here: a login that waits longer is better tried again."""


def run_login(
    config: Config,
    directories: Directories,
    config_file: Path,
    *,
    unattended: bool,
    again: bool = False,
    client: "Portal | None" = None,
    notifier: SystemdNotifier | None = None,
    clock: Clock = utc_now,
    patience: "Patience | None" = None,
    login_log: LoginLog | None = None,
    open_browser: "OpenBrowser | None" = None,
    wait_for_gateway: Callable[[StatusFile, int, Clock], None] = await_gateway,
    secrets: SecretSource | None = None,
    spawn: "Spawn | None" = None,
) -> LoginResult:
    """Logs in once, unless there is a session already; only one login runs at a time, a second one waits.

    Args:
        config: the configuration.
        directories: where login log, profile, certificate and status file are.
        config_file: the configuration's file, which may hold the password.
        unattended: no person waits: the request file is consumed, and the waits of the budget are kept.
        again: a person wants a password submitted that IBKR has refused.
        client: the API through the gateway; default: a client of the configured port.
        notifier: systemd; default: the one of this process.
        clock: the time now, aware.
        patience: how long to wait for what; default: as the configuration says.
        login_log: what was submitted before; default: the one of the state directory.
        open_browser: what starts the browser; default: Chromium.
        wait_for_gateway: what waits while the gateway starts, by the status file and its port.
        secrets: password and authenticator's secret; default: read when they are needed.
        spawn: what starts the second factor's command; default: this process does.

    Raises:
        LoginRefused, LockedOut, ActionRequired: a person must act.
        ConfigError, BrowserUnavailable: the operator must edit or install something.
        LoginFailed: no session this time, or IBKR said to wait; LoginInterrupted: SIGTERM;
            LoginPaused: a person said so.
        GatewayUnavailable, UpstreamUnavailable, RateLimited, DataError: the API did not say whether there is a
            session; then nobody logs in, because there may be one.
        OutputError: login log or status file cannot be written.
    """
    login_log = login_log or LoginLog(directories.login, config.login.logins_a_day, directories=directories)
    reporter = LoginReporter(config, directories, login_log, notifier or SystemdNotifier(), clock)
    with reporter.reporting():
        try:
            fresh = unattended and consume_request(directories.login_request)
            files.make_directory(directories.login, mode=0o700)
            # Before anything else shows that a login has begun: beside that, a login log that is missing is a lost one.
            login_log.create(clock())
            with raising_on_sigterm(), files.locked(directories.login / "login.lock", mode=0o600):
                reporter.report_running()
                login = _LoginRun(
                    config,
                    directories,
                    secrets or SecretSource(config_file, config),
                    login_log,
                    reporter,
                    clock=clock,
                    patience=patience,
                    open_browser=open_browser,
                    wait_for_gateway=wait_for_gateway,
                    spawn=spawn,
                )
                end = login.run(
                    client or make_client(config, directories), unattended=unattended, fresh=fresh, again=again
                )
                if end.outcome is Outcome.REFUSED and login_log.budget(clock()).second_try:
                    end = replace(end, outcome=Outcome.DOUBTFUL_REFUSAL)
                if end.outcome is not Outcome.SUCCEEDED:
                    reporter.report_end(end)
        except OSError as error:
            raise OutputError(f"{error.filename or directories.login}: {error.strerror}") from error
        except IbkrError as error:
            reporter.report_result(_state_of(error), error.message, todo=error.hint)
            raise
        return _conclude(config, end, reporter)


def _conclude(config: Config, end: LoginEnd, reporter: LoginReporter) -> LoginResult:
    """Returns the result of a login that has been reported, or raises what its outcome stands for."""
    policy = end.outcome.policy
    if policy.error is not None:
        raise policy.error(f"login of {config.username}: {end.why}", hint=policy.todo)
    duration = reporter.duration
    logger.success("Login of {}: {} ({:.2f} s)", config.username, end.why, duration.total_seconds())
    todo = account_mismatch(config, end.accounts)
    if todo:
        logger.error("To do: {}", todo)
    return LoginResult(outcome=end.outcome, why=end.why, duration=duration, accounts=end.accounts, todo=todo)


def make_client(config: Config, directories: Directories) -> "Portal":
    """Makes the client of the API that a login asks for a session; it sends nothing yet."""
    from ibkr_tools.portal.client import PortalClient
    from ibkr_tools.portal.rate_limiter import SharedRateLimiter
    from ibkr_tools.portal.response_cache import ResponseCache

    rate_limiter = SharedRateLimiter(
        directories.pacing_file, directories.penalty_file, shared=directories.shared_pacing_file
    )
    response_cache = ResponseCache(
        directories.cache, config.username, fallback=user_cache(), paper=config.session.paper
    )
    return PortalClient(
        config.gateway.port,
        directories.certificate,
        rate_limiter,
        response_cache,
        read_timeout_s=SESSION_READ_TIMEOUT_S,
        urgent=True,
    )


def _state_of(error: IbkrError) -> StatusState:
    if isinstance(error, LockedOut):
        return "locked-out"
    if isinstance(error, LoginRefused):
        return "refused"
    if isinstance(error, ActionRequired):
        return "action-required"
    return "broken" if isinstance(error, ConfigError | OutputError) else "failed"


_NOT_NEEDED = LoginEnd(outcome=Outcome.NOT_NEEDED, why="there is a session already")


class _LoginRun:
    """One run of the login, from the question whether it may be to its end."""

    def __init__(
        self,
        config: Config,
        directories: Directories,
        secrets: SecretSource,
        login_log: LoginLog,
        reporter: LoginReporter,
        *,
        clock: Clock,
        patience: "Patience | None",
        open_browser: "OpenBrowser | None",
        wait_for_gateway: Callable[[StatusFile, int, Clock], None],
        spawn: "Spawn | None",
    ) -> None:
        self._config = config
        self._directories = directories
        self._secrets = secrets
        self._login_log = login_log
        self._reporter = reporter
        self._clock = clock
        self._patience = patience
        self._open_browser = open_browser
        self._wait_for_gateway = wait_for_gateway
        self._spawn = spawn

    def run(self, portal: "Portal", *, unattended: bool, fresh: bool, again: bool) -> LoginEnd:
        now = self._clock()
        self._login_log.sync_clock(now)
        objection = find_objection(
            self._login_log, self._config, self._directories, self._secrets, now, unattended=unattended
        )
        if fresh:
            if objection:
                raise objection
            old = find_session(portal)
            return self._log_in(portal, old_session=old.session if old else None)
        # The watchdog asks for a login when it knows that there is no session: then the browser may start meanwhile.
        if (objection or not unattended) and find_session(portal):
            return _NOT_NEEDED
        if objection:
            raise objection
        if not unattended:
            password = self._secrets.password()
            require_not_refused(self._login_log, self._config.username, password, self._clock(), again=again)
        return self._log_in(portal, check_session_first=unattended)

    def _log_in(
        self, portal: "Portal", *, check_session_first: bool = False, old_session: str | None = None
    ) -> LoginEnd:
        # What cannot be typed is said while nothing has been sent, and before a browser starts.
        self._secrets.password()
        if self._config.login.second_factor.method != "none":
            from ibkr_tools.login.otp import require_second_factor

            require_second_factor(self._config, self._secrets)
        # 170 ms and 20 MB that a login which is not needed can do without.
        from ibkr_tools.login.browser_login import BrowserLogin, open_chromium
        from ibkr_tools.login.redaction import Redactor

        config, directories = self._config, self._directories
        push_notice = PushNotice(config, directories, self._clock)
        login = BrowserLogin(
            config=config,
            directories=directories,
            secrets=self._secrets,
            record=SubmissionRecord(self._login_log, config, directories, push_notice, self._clock),
            reporter=self._reporter,
            push_notice=push_notice,
            clock=self._clock,
            patience=self._patience,
            spawn=self._spawn,
        )
        open_browser = self._open_browser or open_chromium
        with open_browser(config, directories, Redactor([config.username])) as browser:
            self._reporter.step("The browser is there")
            if check_session_first:
                self._wait_for_gateway(StatusFile(directories.status_file), config.gateway.port, self._clock)
                if find_session(portal):
                    return _NOT_NEEDED
            after_success = self._login_log.follows_success(self._clock()) and not push_notice.is_needed
            end = login.run(portal, browser, old_session=old_session, after_success=after_success)
            if end.outcome is Outcome.SUCCEEDED:
                # Whoever waits for the session need not wait for the browser's end.
                self._reporter.report_end(end)
        return end
