"""One login from request to result: budget, browser, ledger, status file, log, exit code.

It is what `ibkr-tools login` and `ibkr-login.service` run. Everything it needs is an argument; it returns when there
is a session, and raises what else there is.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from ibkr_tools import files, pause
from ibkr_tools.config import Config
from ibkr_tools.config_secrets import Secret, SecretSource
from ibkr_tools.directories import Directories, own_cache
from ibkr_tools.errors import ActionRequired, ConfigError, IbkrError, LockedOut, LoginFailed, LoginRefused, OutputError
from ibkr_tools.login.approval import Approval
from ibkr_tools.login.interruption import ending_on_sigterm
from ibkr_tools.login.ledger import Ledger
from ibkr_tools.login.login_request import take_request
from ibkr_tools.login.outcome import MEANINGS, Ending, LoginResult, Mark, Outcome, StatusState
from ibkr_tools.login.readiness import await_gateway, find_session
from ibkr_tools.login.refusal import mind_refusal
from ibkr_tools.login.report import Reporter, remark
from ibkr_tools.notify import Notifier
from ibkr_tools.status import StatusFile, utc_now

if TYPE_CHECKING:
    from ibkr_tools.login.browser import Browser
    from ibkr_tools.login.challenge import SecondFactors
    from ibkr_tools.login.factor import Spawn
    from ibkr_tools.login.flow import Patience, Portal

Clock = Callable[[], datetime]
SignIn = Callable[["Portal", Callable[[], None]], Ending]
"""Goes through the page in another way than with a browser; calls its second argument right before it submits."""

READ_TIMEOUT_S = 8.0
"""How long an answer of the API may take here: a login that waits longer is better tried again."""


class Paused(LoginFailed):
    """A person asked that nothing logs in; nothing was submitted."""


def run(
    config: Config,
    directories: Directories,
    config_file: Path,
    *,
    unattended: bool,
    again: bool = False,
    client: "Portal | None" = None,
    notifier: Notifier | None = None,
    clock: Clock = utc_now,
    patience: "Patience | None" = None,
    ledger: Ledger | None = None,
    sign_in: SignIn | None = None,
    secrets: SecretSource | None = None,
    spawn: "Spawn | None" = None,
) -> LoginResult:
    """Logs in once, unless there is a session already; only one login runs at a time, a second one waits.

    Args:
        config: the configuration.
        directories: where ledger, profile, certificate and status file are.
        config_file: the configuration's file, which may hold the password.
        unattended: no person waits: the request file is consumed, and the waits of the budget are kept.
        again: a person wants a password submitted that IBKR has refused.
        client: the API through the gateway; default: a client of the configured port.
        notifier: systemd; default: the one of this process.
        clock: the time now, aware.
        patience: how long to wait for what; default: as the configuration says.
        ledger: what was submitted before; default: the one of the state directory.
        sign_in: what goes through the page; default: a browser.
        secrets: password and authenticator's secret; default: read when they are needed.
        spawn: what starts the second factor's command; default: this process does.

    Raises:
        LoginRefused, LockedOut, ActionRequired: a person must act.
        ConfigError, BrowserUnavailable: the operator must edit or install something.
        LoginFailed: no session this time, or IBKR said to wait; Interrupted: SIGTERM; Paused: a person said so.
        GatewayUnavailable, UpstreamUnavailable, RateLimited, DataError: the API did not say whether there is a
            session; then nobody logs in, because there may be one.
        OutputError: ledger or status file cannot be written.
    """
    ledger = ledger or Ledger(directories.login, config.login.logins_a_day, directories=directories)
    reporter = Reporter(config, directories, ledger, notifier or Notifier(), clock)
    with reporter.telling():
        try:
            fresh = unattended and take_request(directories.login_request)
            files.make_directory(directories.login, mode=0o700)
            # Before anything else shows that a login has begun: beside that, a ledger that is missing is a lost one.
            ledger.begin(clock())
            with ending_on_sigterm(), files.locked(directories.login / "login.lock", mode=0o600):
                reporter.running()
                one = _Login(
                    config,
                    directories,
                    secrets or SecretSource(config_file, config),
                    ledger,
                    reporter,
                    clock=clock,
                    patience=patience,
                    sign_in=sign_in,
                    spawn=spawn,
                )
                return one.run(client or _client(config, directories), unattended=unattended, fresh=fresh, again=again)
        except OSError as error:
            raise OutputError(f"{error.filename or directories.login}: {error.strerror}") from error
        except IbkrError as error:
            # What ended on the page has been reported there.
            if not getattr(error, "reported", False):
                reporter.result(_state_of(error), error.message, todo=error.hint)
            raise


def _client(config: Config, directories: Directories) -> "Portal":
    from ibkr_tools.portal.client import PortalClient
    from ibkr_tools.portal.pacing import SharedPacing
    from ibkr_tools.portal.recall import Recall

    pacing = SharedPacing(directories.pacing_file, directories.penalty_file, shared=directories.shared_pacing_file)
    recall = Recall(directories.cache, config.username, own=own_cache(), paper=config.session.paper)
    return PortalClient(
        config.gateway.port, directories.certificate, pacing, recall, read_timeout_s=READ_TIMEOUT_S, urgent=True
    )


def _state_of(error: IbkrError) -> StatusState:
    if isinstance(error, LockedOut):
        return "locked-out"
    if isinstance(error, ActionRequired):
        return "refused"
    return "broken" if isinstance(error, ConfigError | OutputError) else "failed"


_NOT_NEEDED = Ending(outcome=Outcome.NOT_NEEDED, why="there is a session already")


class _Login:
    """What one run knows."""

    def __init__(
        self,
        config: Config,
        directories: Directories,
        secrets: SecretSource,
        ledger: Ledger,
        reporter: Reporter,
        *,
        clock: Clock,
        patience: "Patience | None",
        sign_in: SignIn | None,
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
        self._ledger = ledger
        self._entry: str | None = None
        self._second_factors: SecondFactors | None = None
        self._approval = Approval(config, directories, clock)

    def run(self, portal: "Portal", *, unattended: bool, fresh: bool, again: bool) -> LoginResult:
        self._ledger.keep_time(self._clock())
        objection = self._objection(unattended=unattended)
        if fresh:
            if objection:
                raise objection
            old = find_session(portal)
            return self._conclude(self._at_the_page(portal, old_session=old.session if old else None))
        # The watchdog asks for a login when it knows that there is no session: then the browser may start meanwhile.
        if (objection or not unattended) and find_session(portal):
            return self._conclude(_NOT_NEEDED)
        if objection:
            raise objection
        if not unattended:
            password = self._secrets.password()
            mind_refusal(self._ledger, self._config.username, password, self._clock(), again=again)
        return self._conclude(self._at_the_page(portal, look_first=unattended))

    def _objection(self, *, unattended: bool) -> IbkrError | None:
        """Returns what speaks against submitting a password now."""
        budget = self._ledger.budget(self._clock())
        if budget.locked:
            return LockedOut(budget.why, hint=self._advice() or "Find out why first; then `ibkr-tools unlock`.")
        if paused := self._pause():
            return Paused(paused.why)
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
        if self._ledger.was_refused(password, self._clock(), user=self._config.username):
            return LoginRefused(
                "IBKR refused this password before; no machine submits it again",
                hint=MEANINGS[Outcome.REFUSED].todo,
            )
        return None

    def _advice(self) -> str | None:
        """Repeats what the login that ended badly told a person to do."""
        ending = self._ledger.last_ending(self._clock())
        return None if ending is None else MEANINGS[ending].todo

    def _pause(self) -> pause.Pause | None:
        return pause.read(self._directories.pause_file, self._clock())

    def _spki(self) -> str:
        path = self._directories.gateway / "tls" / "gateway.spki"
        try:
            return path.read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"{path}: {error.strerror}", hint="The gateway makes its certificate when it starts for the first time."
            ) from error

    def _at_the_page(self, portal: "Portal", *, look_first: bool = False, old_session: str | None = None) -> Ending:
        password = self._secrets.password()
        if self._config.login.second_factor.method != "none":
            from ibkr_tools.login.factor import require_second_factor

            # What cannot be typed is said while nothing has been sent, and before a browser starts.
            require_second_factor(self._config, self._secrets)
        if self._sign_in is None:
            return self._in_browser(portal, look_first=look_first, old_session=old_session)
        if look_first and find_session(portal):
            return _NOT_NEEDED
        try:
            ending = self._sign_in(portal, lambda: self._enter(password))
        except Paused as error:
            ending = Ending(outcome=Outcome.PAUSED, why=error.message)
        self._settle(ending)
        if ending.outcome is Outcome.SUCCEEDED:
            self._report(ending)
        return ending

    def _in_browser(self, portal: "Portal", *, look_first: bool, old_session: str | None) -> Ending:
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
            if look_first:
                await_gateway(StatusFile(self._directories.status_file), self._config.gateway.port, self._clock)
                if find_session(portal):
                    return _NOT_NEEDED
            after_success = self._ledger.follows_success(self._clock()) and not self._approval.is_needed
            ending = self._through_the_page(portal, browser, old_session, after_success=after_success)
            self._settle(ending)
            if ending.logged_out:
                self._entry = None
                self._reporter.announce("The gateway has logged the new session out; once more", 0.0)
                ending = self._through_the_page(portal, browser, old_session)
                self._settle(ending)
            if ending.outcome is Outcome.SUCCEEDED:
                # Whoever waits for the session need not wait for the browser's end.
                self._report(ending)
        return ending

    def _through_the_page(
        self, portal: "Portal", browser: "Browser", old_session: str | None, *, after_success: bool = False
    ) -> Ending:
        from ibkr_tools.login.diagnostics import save_diagnostics
        from ibkr_tools.login.flow import Credentials, Flow, Patience

        password = self._secrets.password()
        browser.redactor.add(password.reveal())
        if self._config.login.second_factor.method != "none":
            from ibkr_tools.login.challenge import make_second_factors

            if self._config.login.second_factor.method == "totp":
                browser.redactor.add(self._secrets.totp().reveal())
            self._second_factors = make_second_factors(
                self._config, self._secrets, self._directories.login, self._spawn
            )
        flow = Flow(
            browser=browser,
            portal=portal,
            base=f"https://127.0.0.1:{self._config.gateway.port}",
            credentials=Credentials(
                username=self._config.username, password=password, paper=self._config.session.paper
            ),
            before_submit=lambda: self._enter(password),
            on_withdrawn=self._withdraw,
            selectors=self._config.login.selectors,
            old_session=old_session,
            after_success=after_success,
            challenge=self._second_factors,
            patience=self._patience or Patience(whole=timedelta(seconds=self._config.login.timeout_s)),
            on_step=self._reporter.step,
            on_wait=self._reporter.announce,
        )
        try:
            with self._approval.until_over():
                ending = flow.run()
        except Paused as error:
            return Ending(outcome=Outcome.PAUSED, why=error.message)
        if ending.outcome not in (Outcome.SUCCEEDED, Outcome.BROWSER_DIED) and not ending.logged_out:
            picture = save_diagnostics(
                browser,
                self._directories.login / "diagnostics",
                name=ending.outcome.value,
                now=self._clock(),
            )
            logger.info("A picture of the page is in {}", picture or "no file: there is none without secrets")
        return ending

    def _enter(self, password: Secret) -> None:
        self._stop_if_paused()
        if self._approval.is_needed:
            self._approval.ask()
            self._stop_if_paused()
        # A push leaves a mark that no machine goes past: whatever happens, the phone rings once.
        mark = Mark.PERSON if self._approval.is_needed else Mark.SUBMITTED
        self._entry = self._ledger.enter(self._clock(), self._config.username, password, mark=mark)

    def _stop_if_paused(self) -> None:
        if paused := self._pause():
            raise Paused(paused.why)

    def _withdraw(self) -> None:
        if self._entry is not None:
            self._ledger.settle(self._entry, Mark.UNSUBMITTED, self._clock())
            self._entry = None

    def _settle(self, ending: Ending) -> None:
        now, outcome = self._clock(), ending.outcome
        if self._entry is not None:
            try:
                self._ledger.settle(self._entry, self._mark(outcome), now, wait=ending.wait, ending=outcome)
            except (OutputError, LockedOut) as error:
                if outcome is not Outcome.SUCCEEDED:
                    raise
                # There is a session all the same; that its entry counts as a failure is the safe side.
                logger.error("{}", error.message)
        elif not ending.submitted and ending.outcome is not Outcome.PAUSED:
            self._ledger.note_unsubmitted(now, self._config.username, wait=ending.wait)

    def _mark(self, outcome: Outcome) -> Mark:
        mark = MEANINGS[outcome].mark
        rang = self._second_factors is not None and self._second_factors.is_for_a_person(outcome)
        return Mark.PERSON if mark is Mark.FAILED and rang else mark

    def _report(self, ending: Ending) -> None:
        meaning = MEANINGS[ending.outcome]
        todo = remark(self._config, ending.accounts) if ending.outcome is Outcome.SUCCEEDED else meaning.todo
        self._reporter.result(meaning.state, ending.why, todo=todo, accounts=ending.accounts)

    def _conclude(self, ending: Ending) -> LoginResult:
        meaning = MEANINGS[ending.outcome]
        duration = self._reporter.duration
        if ending.outcome is not Outcome.SUCCEEDED:
            self._report(ending)
        if meaning.error is not None:
            error = meaning.error(f"login of {self._config.username}: {ending.why}", hint=meaning.todo)
            error.reported = True  # type: ignore[attr-defined]
            raise error
        logger.success("Login of {}: {} ({:.2f} s)", self._config.username, ending.why, duration.total_seconds())
        todo = remark(self._config, ending.accounts) if ending.outcome is Outcome.SUCCEEDED else None
        if todo:
            logger.error("To do: {}", todo)
        return LoginResult(
            outcome=ending.outcome,
            why=ending.why,
            duration=duration,
            accounts=ending.accounts,
            todo=todo,
        )
