"""A login with a browser: start it, go through the page, once more if the gateway itself ended the session."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from loguru import logger

from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import SecretSource
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ConfigError
from ibkr_tools.login.browser_protocol import LoginBrowser
from ibkr_tools.login.diagnostics import save_diagnostics
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_flow import LoginFlow
from ibkr_tools.login.login_form import Credentials
from ibkr_tools.login.login_report import LoginReporter
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_report import save_page_report
from ibkr_tools.login.page_snapshot import Selectors
from ibkr_tools.login.portal_protocol import Portal
from ibkr_tools.login.push_notice import PushNotice
from ibkr_tools.login.redaction import Redactor
from ibkr_tools.login.submission_record import SubmissionRecord

if TYPE_CHECKING:
    from ibkr_tools.login.second_factor_flow import SecondFactorFlow
    from ibkr_tools.user_command import Spawn

__all__ = ["BrowserLogin", "open_chromium"]

WITHOUT_PICTURE = frozenset({Outcome.SUCCEEDED, Outcome.BROWSER_DIED, Outcome.PAUSED})
"""Outcomes of which a picture of the page would say nothing."""


@contextmanager
def open_chromium(config: Config, directories: Directories, redactor: Redactor) -> Iterator[LoginBrowser]:
    """Starts Chromium for the gateway of the configuration; see `browser_protocol.OpenBrowser`."""
    from ibkr_tools.login.browser import BrowserSettings, open_browser

    settings = BrowserSettings(
        profile=directories.browser,
        spki=_read_spki(directories),
        port=config.gateway.port,
        program=config.login.browser,
        driver=config.login.driver,
    )
    with open_browser(settings, redactor) as browser:
        yield browser


def _read_spki(directories: Directories) -> str:
    path = directories.gateway / "tls" / "gateway.spki"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", hint="The gateway makes its certificate when it starts for the first time."
        ) from error


@dataclass(frozen=True, kw_only=True)
class BrowserLogin:
    """One login through `browser`, recorded and reported; `spawn` starts the second factor's command.

    `after_success`: see `LoginFlow`. `patience`: None: as the configuration says.
    """

    config: Config
    directories: Directories
    secrets: SecretSource
    record: SubmissionRecord
    reporter: LoginReporter
    push_notice: PushNotice
    clock: Callable[[], datetime]
    patience: Patience | None
    spawn: "Spawn | None"

    def run(self, portal: Portal, browser: LoginBrowser, *, old_session: str | None, after_success: bool) -> LoginEnd:
        """Goes through the page, and once more if the gateway has logged the new session out; records each end.

        Raises:
            IbkrError: see `LoginFlow.run`; the login log cannot be written.
        """
        end = self._go_through(portal, browser, old_session, after_success=after_success)
        if end.logged_out:
            self.reporter.announce_wait("The gateway has logged the new session out; once more", 0.0)
            end = self._go_through(portal, browser, old_session, after_success=False)
        return end

    def _go_through(
        self, portal: Portal, browser: LoginBrowser, old_session: str | None, *, after_success: bool
    ) -> LoginEnd:
        password = self.secrets.password()
        browser.redactor.add(password.reveal())
        second_factor = self._second_factor_flow(browser)
        reports: list[str] = []

        def report_page(selectors: Selectors) -> None:
            path = save_page_report(browser, selectors, self.directories.page_reports, now=self.clock())
            if path is not None and str(path) not in reports:
                reports.append(str(path))

        flow = LoginFlow(
            browser=browser,
            portal=portal,
            base=f"https://127.0.0.1:{self.config.gateway.port}",
            credentials=Credentials(username=self.config.username, password=password, paper=self.config.session.paper),
            before_submit=lambda: self.record.begin(password),
            on_withdrawn=self.record.withdraw,
            user_selectors=self.config.login.selectors,
            old_session=old_session,
            after_success=after_success,
            second_factor=second_factor,
            patience=self.patience or Patience(total=timedelta(seconds=self.config.login.timeout_s)),
            on_step=self.reporter.step,
            on_wait=self.reporter.announce_wait,
            on_changed_page=report_page,
        )
        with self.push_notice.withdrawn_after():
            end = replace(flow.run(), page_reports=tuple(reports))
        if end.outcome not in WITHOUT_PICTURE and not end.logged_out:
            directory = self.directories.login / "diagnostics"
            picture = save_diagnostics(browser, directory, name=end.outcome.value, now=self.clock())
            logger.info("A picture of the page is in {}", picture or "no file: there is none without secrets")
        flow.record_429(end)
        requires_person = second_factor is not None and second_factor.requires_person(end.outcome)
        self.record.end(end, requires_person=requires_person)
        return end

    def _second_factor_flow(self, browser: LoginBrowser) -> "SecondFactorFlow | None":
        if self.config.login.second_factor.method == "none":
            return None
        from ibkr_tools.login.second_factor_flow import make_second_factor_flow

        if self.config.login.second_factor.method == "totp":
            browser.redactor.add(self.secrets.totp().reveal())
        return make_second_factor_flow(self.config, self.secrets, self.directories.login, self.spawn)
