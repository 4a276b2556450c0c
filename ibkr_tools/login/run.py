"""One login from request to result: budget, browser, ledger, status file, log, exit code.

It is what `ibkr-tools login` and `ibkr-login.service` run. Everything it needs is an argument; it returns when there
is a session, and raises what else there is.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

from loguru import logger

from ibkr_tools import files
from ibkr_tools.config import Config, Secret, read_password
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ActionRequired, ConfigError, IbkrError, LockedOut, LoginFailed, LoginRefused, OutputError
from ibkr_tools.errors import SessionUnavailable as NoSession
from ibkr_tools.login.ledger import Ledger
from ibkr_tools.login.outcome import MEANINGS, Ending, LoginResult, Mark, Outcome, StatusState
from ibkr_tools.notify import Notifier
from ibkr_tools.status import GatewaySection, LoginSection, StatusFile, utc_now

if TYPE_CHECKING:
    from ibkr_tools.login.browser import Browser
    from ibkr_tools.login.flow import Patience, Portal

Clock = Callable[[], datetime]

GATEWAY_START_S = 60.0
"""The gateway's parent gives Java 50 s to answer."""

READ_TIMEOUT_S = 8.0
"""How long an answer of the API may take here: a login that waits longer is better tried again."""


_TRIED_AGAIN = frozenset({"failed", "maintenance", "broken"})


class Interrupted(LoginFailed):
    """SIGTERM came: the login ends here; a password that was submitted counts as a failure."""


class _Reporter:
    """Tells status file, log and systemd how the login goes."""

    def __init__(self, config: Config, directories: Directories, notifier: Notifier, clock: Clock) -> None:
        self._file = StatusFile(directories.status_file)
        self._ledger = Ledger(directories.login)
        self._notifier = notifier
        self._clock = clock
        self._limit_s = config.login.timeout_s + 60.0
        self._begin = monotonic()
        self._told = False

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=monotonic() - self._begin)

    def step(self, text: str) -> None:
        logger.info("{} (at {:.2f} s)", text, self.duration.total_seconds())
        self._notifier.status(text)

    def running(self) -> None:
        budget = self._ledger.budget(self._clock())
        self._write(
            LoginSection(
                updated_at=self._clock(),
                fresh_for_s=self._limit_s,
                pid=os.getpid(),
                state="running",
                why="a login is under way",
                failures_24h=budget.failures_24h,
                logins_24h=budget.logins_24h,
            )
        )

    def last_word(self) -> None:
        """Says that the login is over if nothing has said so: a bug, Ctrl-C. Whoever waits need not wait longer."""
        if not self._told:
            with suppress(OutputError):
                self.result("broken", f"the login died of {type(sys.exception()).__name__}")

    def result(self, state: StatusState, why: str, *, todo: str | None = None, accounts: tuple[str, ...] = ()) -> None:
        self._told = True
        now = self._clock()
        budget = self._ledger.budget(now)
        self._notifier.status(why)
        self._write(
            LoginSection(
                updated_at=now,
                pid=os.getpid(),
                state=state,
                why=why,
                todo=todo,
                accounts=accounts,
                retry_at=(budget.wait_until or now) if state in _TRIED_AGAIN and not budget.locked else None,
                duration_s=round(self.duration.total_seconds(), 3),
                failures_24h=budget.failures_24h,
                logins_24h=budget.logins_24h,
            )
        )

    def _write(self, section: LoginSection) -> None:
        try:
            self._file.write(section)
        except OSError as error:
            raise OutputError(f"{self._file.path}: {error.strerror}") from error


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Turns the first SIGTERM into an exception, so that the browser ends before we do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted("the login was interrupted by SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(
    config: Config,
    directories: Directories,
    config_file: Path,
    *,
    unattended: bool,
    client: "Portal | None" = None,
    notifier: Notifier | None = None,
    clock: Clock = utc_now,
    patience: "Patience | None" = None,
) -> LoginResult:
    """Logs in once, unless there is a session already; only one login runs at a time, a second one waits.

    Args:
        config: the configuration.
        directories: where ledger, profile, certificate and status file are.
        config_file: the configuration's file, which may hold the password.
        unattended: no person waits: the request file is consumed, and the pauses of the budget are kept.
        client: the API through the gateway; default: a client of the configured port.
        notifier: systemd; default: the one of this process.
        clock: the time now, aware.
        patience: how long to wait for what; default: as the configuration says.

    Raises:
        LoginRefused, LockedOut, ActionRequired: a person must act.
        ConfigError, BrowserUnavailable: the operator must edit or install something.
        LoginFailed: no session this time; Interrupted: SIGTERM.
        GatewayUnavailable, UpstreamUnavailable, RateLimited, DataError: the API did not say whether there is a
            session; then nobody logs in, because there may be one.
        OutputError: ledger or status file cannot be written.
    """
    if unattended:
        directories.login_request.unlink(missing_ok=True)
    reporter = _Reporter(config, directories, notifier or Notifier(), clock)
    try:
        files.make_directory(directories.login, mode=0o700)
        with _ending_on_sigterm(), files.locked(directories.login / "login.lock", mode=0o600):
            reporter.running()
            one = _Login(config, directories, config_file, reporter, clock=clock, patience=patience)
            return one.run(client or _client(config, directories), unattended=unattended)
    except OSError as error:
        raise OutputError(f"{directories.login}: {error.strerror}") from error
    except IbkrError as error:
        # What ended on the page has been reported there.
        if not getattr(error, "reported", False):
            reporter.result(_state_of(error), error.message, todo=error.hint)
        raise
    finally:
        reporter.last_word()


def _client(config: Config, directories: Directories) -> "Portal":
    from ibkr_tools.portal.client import PortalClient
    from ibkr_tools.portal.pacing import SharedPacing
    from ibkr_tools.portal.recall import Recall

    pacing, recall = SharedPacing(directories.pacing_file), Recall(directories.runtime)
    return PortalClient(config.gateway.port, directories.certificate, pacing, recall, read_timeout_s=READ_TIMEOUT_S)


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
        config_file: Path,
        reporter: _Reporter,
        *,
        clock: Clock,
        patience: "Patience | None",
    ) -> None:
        self._config = config
        self._directories = directories
        self._config_file = config_file
        self._reporter = reporter
        self._clock = clock
        self._patience = patience
        self._ledger = Ledger(directories.login)
        self._entry: str | None = None

    def run(self, portal: "Portal", *, unattended: bool) -> LoginResult:
        objection = self._objection(unattended=unattended)
        # The watchdog asks for a login when it knows that there is no session: then the browser may start meanwhile.
        if (objection or not unattended) and _has_session(portal):
            return self._conclude(_NOT_NEEDED)
        if objection:
            raise objection
        return self._conclude(self._in_browser(portal, look_first=unattended))

    def _objection(self, *, unattended: bool) -> IbkrError | None:
        """Returns what speaks against submitting a password now."""
        budget = self._ledger.budget(self._clock())
        if budget.locked:
            return LockedOut(budget.why, hint="Find out why first; then `ibkr-tools unlock`.")
        if unattended and not budget.allowed:
            return LoginFailed(budget.why)
        if unattended and self._ledger.was_refused(read_password(self._config_file, self._config)):
            return LoginRefused(
                "IBKR refused this password before; no machine submits it again",
                hint="Correct the password; or, if it is right, `ibkr-tools unlock`.",
            )
        return None

    def _await_gateway(self) -> None:
        """Waits while the gateway starts: the watchdog has a login begin as soon as a new Java does."""
        status = StatusFile(self._directories.status_file)

        def settled() -> bool:
            gateway = status.read_section(GatewaySection)
            return gateway is None or gateway.state != "starting" or gateway.is_stale(self._clock())

        status.wait(settled, GATEWAY_START_S)

    def _spki(self) -> str:
        path = self._directories.gateway / "tls" / "gateway.spki"
        try:
            return path.read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"{path}: {error.strerror}", hint="The gateway makes its certificate when it starts for the first time."
            ) from error

    def _in_browser(self, portal: "Portal", *, look_first: bool) -> Ending:
        # 170 ms and 20 MB that a login which is not needed can do without.
        from ibkr_tools.login.browser import BrowserSettings, open_browser

        settings = BrowserSettings(
            profile=self._directories.browser,
            spki=self._spki(),
            program=self._config.login.browser,
            driver=self._config.login.driver,
        )
        with open_browser(settings) as browser:
            self._reporter.step("The browser is there")
            if look_first:
                self._await_gateway()
                if _has_session(portal):
                    return _NOT_NEEDED
            ending = self._through_the_page(portal, browser)
            self._settle(ending)
            if ending.outcome is Outcome.SUCCEEDED:
                # Whoever waits for the session need not wait for the browser's end.
                self._report(ending)
        return ending

    def _through_the_page(self, portal: "Portal", browser: "Browser") -> Ending:
        from ibkr_tools.login.diagnostics import save_diagnostics
        from ibkr_tools.login.flow import Credentials, Flow, Patience

        password = read_password(self._config_file, self._config)
        flow = Flow(
            browser=browser,
            portal=portal,
            base=f"https://127.0.0.1:{self._config.gateway.port}",
            credentials=Credentials(
                username=self._config.username, password=password, paper=self._config.session.paper
            ),
            before_submit=lambda: self._enter(password),
            on_withdrawn=self._withdraw,
            patience=self._patience or Patience(whole=timedelta(seconds=self._config.login.timeout_s)),
            on_step=self._reporter.step,
        )
        ending = flow.run()
        if ending.outcome not in (Outcome.SUCCEEDED, Outcome.BROWSER_DIED):
            picture = save_diagnostics(
                browser,
                self._directories.login / "diagnostics",
                name=ending.outcome.value,
                now=self._clock(),
                username=self._config.username,
                password=password,
            )
            logger.info("A picture of the page is in {}", picture or "no file: the browser could not give one")
        return ending

    def _enter(self, password: Secret) -> None:
        self._entry = self._ledger.enter(self._clock(), self._config.username, password)

    def _withdraw(self) -> None:
        if self._entry is not None:
            self._ledger.settle(self._entry, Mark.UNSUBMITTED, self._clock())
            self._entry = None

    def _settle(self, ending: Ending) -> None:
        if self._entry is not None:
            self._ledger.settle(self._entry, MEANINGS[ending.outcome].mark, self._clock())
        elif not ending.submitted:
            self._ledger.note_unsubmitted(self._clock(), self._config.username)

    def _report(self, ending: Ending) -> None:
        meaning = MEANINGS[ending.outcome]
        self._reporter.result(meaning.state, ending.why, todo=meaning.todo, accounts=ending.accounts)

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
        return LoginResult(
            outcome=ending.outcome,
            why=ending.why,
            duration=duration,
            accounts=ending.accounts,
            todo=meaning.todo,
        )


def _has_session(portal: "Portal") -> bool:
    """Says whether there is a session; what is not an answer about the session is raised: unknown is not lost."""
    from ibkr_tools.errors import RateLimited, UpstreamUnavailable

    try:
        return portal.tickle().has_session
    except (RateLimited, UpstreamUnavailable):
        raise
    except NoSession:
        return False
