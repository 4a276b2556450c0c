"""One login from request to result: budget, browser, login log, status file, log, exit code.

It is what `ibkr-tools login` and `ibkr-login.service` run. Everything it needs is an argument; it returns when there
is a session, and raises what else there is.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from ibkr_tools import files, pause_file
from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import Secret, SecretSource
from ibkr_tools.directories import Directories, user_cache
from ibkr_tools.errors import ActionRequired, ConfigError, IbkrError, LockedOut, LoginFailed, LoginRefused, OutputError
from ibkr_tools.login.login_end import LoginEnd, LoginResult
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.login_report import LoginReporter, account_mismatch
from ibkr_tools.login.login_request import consume_request
from ibkr_tools.login.outcomes import AttemptResult, Outcome, StatusState
from ibkr_tools.login.preconditions import await_gateway, find_session
from ibkr_tools.login.push_notice import PushNotice
from ibkr_tools.login.refused_password import require_not_refused
from ibkr_tools.login.sigterm import raising_on_sigterm
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import StatusFile, utc_now

if TYPE_CHECKING:
    from ibkr_tools.login.browser import Browser
    from ibkr_tools.login.login_timers import Patience
    from ibkr_tools.login.otp import Spawn
    from ibkr_tools.login.portal_protocol import Portal
    from ibkr_tools.login.second_factor_flow import SecondFactorFlow

Clock = Callable[[], datetime]
PageLogin = Callable[["Portal", Callable[[], None]], LoginEnd]
"""Goes through the page in another way than with a browser; calls its second argument right before it submits."""

SESSION_READ_TIMEOUT_S = 8.0
"""How long an answer of the API may take here: a login that waits longer is better tried again."""


class LoginPaused(LoginFailed):
    """A person asked that nothing logs in; nothing was submitted."""


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
    sign_in: PageLogin | None = None,
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
        sign_in: what goes through the page; default: a browser.
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
                    sign_in=sign_in,
                    spawn=spawn,
                )
                return login.run(
                    client or _client(config, directories), unattended=unattended, fresh=fresh, again=again
                )
        except OSError as error:
            raise OutputError(f"{error.filename or directories.login}: {error.strerror}") from error
        except IbkrError as error:
            # What ended on the page has been reported there.
            if not getattr(error, "reported", False):
                reporter.report_result(_state_of(error), error.message, todo=error.hint)
            raise


def _client(config: Config, directories: Directories) -> "Portal":
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
    """One run of the login."""

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
        sign_in: PageLogin | None,
        spawn: "Spawn | None",
    ) -> None:
        self._config = config
        self._directories = directories
        self._secrets = secrets
        self._reporter = reporter
        self._clock = clock
        self._patience = patience
        self._sign_in = sign_in
        self._spawn = spawn
        self._login_log = login_log
        self._attempt_id: str | None = None
        self._second_factor_flow: SecondFactorFlow | None = None
        self._push_notice = PushNotice(config, directories, clock)

    def run(self, portal: "Portal", *, unattended: bool, fresh: bool, again: bool) -> LoginResult:
        self._login_log.sync_clock(self._clock())
        objection = self._objection(unattended=unattended)
        if fresh:
            if objection:
                raise objection
            old = find_session(portal)
            return self._conclude(self._log_in(portal, old_session=old.session if old else None))
        # The watchdog asks for a login when it knows that there is no session: then the browser may start meanwhile.
        if (objection or not unattended) and find_session(portal):
            return self._conclude(_NOT_NEEDED)
        if objection:
            raise objection
        if not unattended:
            password = self._secrets.password()
            require_not_refused(self._login_log, self._config.username, password, self._clock(), again=again)
        return self._conclude(self._log_in(portal, check_session_first=unattended))

    def _objection(self, *, unattended: bool) -> IbkrError | None:
        """Returns why no password may be submitted now, None if one may."""
        budget = self._login_log.budget(self._clock())
        if budget.locked:
            return LockedOut(budget.why, hint=self._advice() or "Find out why first; then `ibkr-tools unlock`.")
        if paused := self._pause():
            return LoginPaused(paused.why)
        if budget.closed_until:
            return LoginFailed(budget.why)
        if not unattended:
            return None
        if budget.person:
            return ActionRequired(
                "the last login needed a person, so no machine tries again",
                hint=self._advice() or "`ibkr-tools login`; or `ibkr-tools unlock` to let machines try again.",
            )
        if not budget.allowed:
            return LoginFailed(budget.why)
        password = self._secrets.password()
        if self._login_log.was_refused(password, self._clock(), user=self._config.username):
            return LoginRefused(
                "IBKR refused this password before; no machine submits it again",
                hint=Outcome.REFUSED.policy.todo,
            )
        return None

    def _advice(self) -> str | None:
        """Repeats what the login that ended badly told a person to do."""
        outcome = self._login_log.last_outcome(self._clock())
        return None if outcome is None else outcome.policy.todo

    def _pause(self) -> pause_file.Pause | None:
        return pause_file.read(self._directories.pause_file, self._clock())

    def _spki(self) -> str:
        path = self._directories.gateway / "tls" / "gateway.spki"
        try:
            return path.read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"{path}: {error.strerror}", hint="The gateway makes its certificate when it starts for the first time."
            ) from error

    def _log_in(
        self, portal: "Portal", *, check_session_first: bool = False, old_session: str | None = None
    ) -> LoginEnd:
        password = self._secrets.password()
        if self._config.login.second_factor.method != "none":
            from ibkr_tools.login.otp import require_second_factor

            # What cannot be typed is said while nothing has been sent, and before a browser starts.
            require_second_factor(self._config, self._secrets)
        if self._sign_in is None:
            return self._log_in_with_browser(portal, check_session_first=check_session_first, old_session=old_session)
        if check_session_first and find_session(portal):
            return _NOT_NEEDED

        def before_submit() -> None:
            if end := self._record_submission(password):
                raise LoginPaused(end.why)

        try:
            end = self._sign_in(portal, before_submit)
        except LoginPaused as error:
            end = LoginEnd(outcome=Outcome.PAUSED, why=error.message)
        self._record_end(end)
        if end.outcome is Outcome.SUCCEEDED:
            self._report(end)
        return end

    def _log_in_with_browser(self, portal: "Portal", *, check_session_first: bool, old_session: str | None) -> LoginEnd:
        # 170 ms and 20 MB that a login which is not needed can do without.
        from ibkr_tools.login.browser import BrowserSettings, open_browser
        from ibkr_tools.login.redaction import Redactor

        settings = BrowserSettings(
            profile=self._directories.browser,
            spki=self._spki(),
            port=self._config.gateway.port,
            program=self._config.login.browser,
            driver=self._config.login.driver,
        )
        with open_browser(settings, Redactor([self._config.username])) as browser:
            self._reporter.step("The browser is there")
            if check_session_first:
                await_gateway(StatusFile(self._directories.status_file), self._config.gateway.port, self._clock)
                if find_session(portal):
                    return _NOT_NEEDED
            after_success = self._login_log.follows_success(self._clock()) and not self._push_notice.is_needed
            end = self._run_flow(portal, browser, old_session, after_success=after_success)
            self._record_end(end)
            if end.logged_out:
                self._attempt_id = None
                self._reporter.announce_wait("The gateway has logged the new session out; once more", 0.0)
                end = self._run_flow(portal, browser, old_session)
                self._record_end(end)
            if end.outcome is Outcome.SUCCEEDED:
                # Whoever waits for the session need not wait for the browser's end.
                self._report(end)
        return end

    def _run_flow(
        self, portal: "Portal", browser: "Browser", old_session: str | None, *, after_success: bool = False
    ) -> LoginEnd:
        from ibkr_tools.login.diagnostics import save_diagnostics
        from ibkr_tools.login.login_flow import LoginFlow
        from ibkr_tools.login.login_form import Credentials
        from ibkr_tools.login.login_timers import Patience

        password = self._secrets.password()
        browser.redactor.add(password.reveal())
        if self._config.login.second_factor.method != "none":
            from ibkr_tools.login.second_factor_flow import make_second_factor_flow

            if self._config.login.second_factor.method == "totp":
                browser.redactor.add(self._secrets.totp().reveal())
            self._second_factor_flow = make_second_factor_flow(
                self._config, self._secrets, self._directories.login, self._spawn
            )
        flow = LoginFlow(
            browser=browser,
            portal=portal,
            base=f"https://127.0.0.1:{self._config.gateway.port}",
            credentials=Credentials(
                username=self._config.username, password=password, paper=self._config.session.paper
            ),
            before_submit=lambda: self._record_submission(password),
            on_withdrawn=self._withdraw,
            user_selectors=self._config.login.selectors,
            old_session=old_session,
            after_success=after_success,
            second_factor=self._second_factor_flow,
            patience=self._patience or Patience(total=timedelta(seconds=self._config.login.timeout_s)),
            on_step=self._reporter.step,
            on_wait=self._reporter.announce_wait,
        )
        with self._push_notice.withdrawn_after():
            end = flow.run()
        if end.outcome not in (Outcome.SUCCEEDED, Outcome.BROWSER_DIED, Outcome.PAUSED) and not end.logged_out:
            picture = save_diagnostics(
                browser,
                self._directories.login / "diagnostics",
                name=end.outcome.value,
                now=self._clock(),
            )
            logger.info("A picture of the page is in {}", picture or "no file: there is none without secrets")
        return end

    def _record_submission(self, password: Secret) -> LoginEnd | None:
        """Records that a password goes out now; returns how the login ends instead, if a person asked for a pause."""
        if end := self._end_for_pause():
            return end
        if self._push_notice.is_needed:
            self._push_notice.send()
            if end := self._end_for_pause():
                return end
        # A push leaves a result that no machine goes past: whatever happens, one push is sent.
        result = AttemptResult.PERSON if self._push_notice.is_needed else AttemptResult.SUBMITTED
        self._attempt_id = self._login_log.record_submission(
            self._clock(), self._config.username, password, result=result
        )
        return None

    def _end_for_pause(self) -> LoginEnd | None:
        paused = self._pause()
        return LoginEnd(outcome=Outcome.PAUSED, why=paused.why) if paused else None

    def _withdraw(self) -> None:
        if self._attempt_id is not None:
            self._login_log.record_result(self._attempt_id, AttemptResult.UNSUBMITTED, self._clock())
            self._attempt_id = None

    def _record_end(self, end: LoginEnd) -> None:
        now, outcome = self._clock(), end.outcome
        if self._attempt_id is not None:
            try:
                self._login_log.record_result(
                    self._attempt_id, self._attempt_result(outcome), now, wait=end.wait, outcome=outcome
                )
            except (OutputError, LockedOut) as error:
                if outcome is not Outcome.SUCCEEDED:
                    raise
                # There is a session all the same; that its attempt counts as a failure is the safe side.
                logger.error("{}", error.message)
        elif not end.submitted and end.outcome is not Outcome.PAUSED:
            self._login_log.record_unsubmitted(now, self._config.username, wait=end.wait)

    def _attempt_result(self, outcome: Outcome) -> AttemptResult:
        result = outcome.policy.result
        requires_person = self._second_factor_flow is not None and self._second_factor_flow.requires_person(outcome)
        return AttemptResult.PERSON if result is AttemptResult.FAILED and requires_person else result

    def _report(self, end: LoginEnd) -> None:
        policy = end.outcome.policy
        todo = account_mismatch(self._config, end.accounts) if end.outcome is Outcome.SUCCEEDED else policy.todo
        self._reporter.report_result(policy.state, end.why, todo=todo, accounts=end.accounts)

    def _conclude(self, end: LoginEnd) -> LoginResult:
        policy = end.outcome.policy
        duration = self._reporter.duration
        if end.outcome is not Outcome.SUCCEEDED:
            self._report(end)
        if policy.error is not None:
            error = policy.error(f"login of {self._config.username}: {end.why}", hint=policy.todo)
            error.reported = True  # type: ignore[attr-defined]
            raise error
        logger.success("Login of {}: {} ({:.2f} s)", self._config.username, end.why, duration.total_seconds())
        todo = account_mismatch(self._config, end.accounts) if end.outcome is Outcome.SUCCEEDED else None
        if todo:
            logger.error("To do: {}", todo)
        return LoginResult(
            outcome=end.outcome,
            why=end.why,
            duration=duration,
            accounts=end.accounts,
            todo=todo,
        )
