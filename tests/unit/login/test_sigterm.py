"""SIGTERM during a login ends it there, whatever it is waiting for: an interruption is no answer about the session."""

import os
import signal
from pathlib import Path
from typing import Never

import pytest

from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.login.login_runner import run_login
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.sigterm import LoginInterrupted
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.status import LoginSection, StatusFile
from tests.support.logins import Page

CONFIG = Config(username="u", account="U1234567")


class Stopped:
    """A gateway that systemd stops us in front of."""

    def tickle(self) -> Never:
        """Hangs until the signal comes."""
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        raise AssertionError("the signal was not heard")

    def accounts(self) -> Never:
        """Is not asked."""
        raise AssertionError

    def record_429(self, _stated_s: float | None) -> Never:
        """Is not told."""
        raise AssertionError


@pytest.mark.parametrize("unattended", [True, False])
def test_stopped_while_it_asks_whether_there_is_a_session(tmp_path: Path, unattended: bool) -> None:
    """No password goes out after the signal: there may be a session, which a login would throw away."""
    directories = Directories(configuration=tmp_path, runtime=tmp_path / "run", state=tmp_path / "state")
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    page = Page(Outcome.SUCCEEDED)
    with pytest.raises(LoginInterrupted) as caught:
        run_login(
            CONFIG,
            directories,
            tmp_path / "config.json",
            unattended=unattended,
            client=Stopped(),
            notifier=SystemdNotifier({}),
            open_browser=page.open_browser,
        )
    assert (caught.value.exit_code, page.opened, page.submitted) == (75, 1 if unattended else 0, 0)
    section = StatusFile(directories.status_file).read_section(LoginSection)
    assert section is not None
    assert (section.state, section.why) == ("failed", "the login was interrupted by SIGTERM")
