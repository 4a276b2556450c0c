"""What a login would take for what on the page that IBKR shows now: for whoever wants to know, without a submission."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ibkr_tools import files
from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import Secret
from ibkr_tools.directories import Directories
from ibkr_tools.login import page_scripts
from ibkr_tools.login.browser_login import open_chromium
from ibkr_tools.login.browser_protocol import OpenBrowser
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_form import Credentials, LoginForm
from ibkr_tools.login.login_page_object import LoginPageObject
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.page_report import save_page_report
from ibkr_tools.login.page_snapshot import LOGIN_PATH
from ibkr_tools.login.portal_protocol import Portal
from ibkr_tools.login.redaction import Redactor
from ibkr_tools.page_elements import PageElement

__all__ = ["ExplainedElement", "PageExplanation", "explain_page", "render_explanation"]


_ORDER = [element.value for element in PageElement]


@dataclass(frozen=True, kw_only=True)
class ExplainedElement:
    """One element of the page.

    Attributes:
        name: as in `login.selectors` of the configuration.
        by: the selector that finds it; `role` or `structure` if it was recognised; empty if it is not there.
        element: what it is and how it is labelled; never what is typed into it.
    """

    name: str
    by: str
    element: str


@dataclass(frozen=True, kw_only=True)
class PageExplanation:
    """What the page shows: its elements, and why there is no form to be filled in; None: there is one.

    `document` names the report that may be published, None if there is none.
    """

    elements: tuple[ExplainedElement, ...]
    problem: str | None
    document: str | None


def explain_page(
    config: Config,
    directories: Directories,
    portal: Portal,
    *,
    now: datetime,
    patience: Patience | None = None,
    open_browser: OpenBrowser = open_chromium,
) -> PageExplanation:
    """Opens IBKR's login page in a browser, and says what a login would do with it; nothing is typed or submitted.

    Raises:
        BrowserUnavailable, BrowserLost, ConfigError, LoginFailed: no browser, or it does not get that far.
        OSError: the state directory cannot be written.
    """
    files.make_directory(directories.login, mode=0o700)
    with (
        files.locked(directories.login / "login.lock", mode=0o600),
        open_browser(config, directories, Redactor([config.username])) as browser,
    ):
        page = LoginPageObject(browser, portal, patience=patience or Patience(), user_selectors=config.login.selectors)
        form = LoginForm(
            page,
            f"https://127.0.0.1:{config.gateway.port}{LOGIN_PATH}",
            Credentials(username=config.username, password=Secret("")),
            before_submit=lambda: None,
            on_withdrawn=lambda: None,
        )
        ready = form.open()
        page.record_429()
        rows = page.execute(page_scripts.EXPLAIN, page.selectors) or []
        report = save_page_report(browser, page.selectors, directories.page_reports, now=now)
    return PageExplanation(
        elements=tuple(sorted((ExplainedElement(**row) for row in rows), key=lambda row: _ORDER.index(row.name))),
        problem=ready.why if isinstance(ready, LoginEnd) else None,
        document=None if report is None else str(report),
    )


def render_explanation(explanation: PageExplanation) -> str:
    """Returns it as lines for a terminal: what is there first, then the names of what is not."""
    found = [element for element in explanation.elements if element.by]
    width = max((len(element.name) for element in found), default=0)
    lines = [f"{element.name:<{width}}  {element.element}  (by {_way(element.by)})" for element in found]
    absent = [element.name for element in explanation.elements if not element.by]
    lines.append(f"not there: {', '.join(absent) or 'nothing'}")
    lines.append(_verdict(found, explanation.problem))
    if explanation.document:
        lines.append(f"a report without a word of yours, which you can publish as it is: {explanation.document}")
    return "\n".join(lines) + "\n"


def _way(by: str) -> str:
    return by if by in ("role", "structure") else f"the selector {by}"


def _verdict(found: Sequence[ExplainedElement], problem: str | None) -> str:
    if problem is not None:
        return f"a login would end here: {problem}"
    if any(element.by in ("role", "structure") for element in found):
        return "IBKR has changed its page; a login would go on by what it recognises"
    return "a login would go on"
