"""Logins without a browser: a page that ends each of them in the same way, and a portal without a session."""

from ibkr_tools.config.loader import load_config
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_runner import run_login
from ibkr_tools.login.outcomes import Outcome
from tests.support.installation import Installation

__all__ = ["NoSession", "Page", "log_in"]


class NoSession:
    """A portal without a session."""

    session = None
    has_session = False

    def tickle(self) -> "NoSession":
        return self

    def accounts(self) -> list[dict[str, str]]:
        return []


class Page:
    """A login page that ends each login in the same way, and counts."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.submitted = 0

    def __call__(self, _portal: object, before_submit: object) -> LoginEnd:
        before_submit()  # type: ignore[operator]
        self.submitted += 1
        return LoginEnd(outcome=self.outcome, why="as the test says", submitted=True, accounts=("U1234567",))


def log_in(place: Installation, page: Page, *, user: str = "reader", again: bool = False) -> None:
    """Logs in as a person does."""
    place.configure(1025, username=user, password="mistaken")
    place.directories.config_file.chmod(0o600)
    file = place.directories.config_file
    run_login(
        load_config(file),
        place.directories,
        file,
        unattended=False,
        again=again,
        client=NoSession(),
        sign_in=page,
    )
