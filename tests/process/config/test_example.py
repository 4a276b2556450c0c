"""The unedited example goes nowhere: every program says so once, with the code that systemd does not restart after."""

import shutil

import pytest

from ibkr_tools.config import example
from ibkr_tools.config.loader import load_config
from ibkr_tools.errors import ConfigError
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import Outcome
from tests.support.checkout import CHECKOUT
from tests.support.installation import Installation
from tests.support.logins import Page

EXAMPLE = CHECKOUT / "config.example.json"

COMMANDS = [
    ("config", "check"),
    ("login",),
    ("login", "--again"),
    ("login", "--unattended"),
    ("watchdog",),
    ("gateway", "run"),
    ("up",),
    ("fetch",),
    ("api", "/portfolio/accounts"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_unedited_example_is_refused(place: Installation, command: tuple[str, ...]) -> None:
    """78, with one line for each value that is still the example's."""
    shutil.copy(EXAMPLE, place.directories.config_file)
    place.directories.config_file.chmod(0o640)
    done = place.run(*command)
    assert done.returncode == 78, done
    said = done.stdout + done.stderr
    assert said.count("username: is still the example's") == 1
    assert "password: is still the example's" in said
    assert "Traceback" not in said
    assert not LoginLog(place.directories.login).path.exists()


def test_installing_comes_before_editing(place: Installation) -> None:
    """IBKR's program is unpacked, or missed, whatever is in the configuration."""
    shutil.copy(EXAMPLE, place.directories.config_file)
    assert "example" not in place.run("gateway", "info").stderr
    assert place.run("gateway", "prepare").returncode == 0


@pytest.mark.parametrize("unattended", [False, True])
def test_password_of_the_example_is_never_submitted(place: Installation, unattended: bool) -> None:
    """Where the user name was edited and the password file was not; 78, and the login log has no entry."""
    place.configure(1025)
    kept = place.directories.config_file.with_name("password")
    kept.touch(mode=0o600)
    kept.write_text(f"{example.EXAMPLE_PASSWORD}\n")
    page = Page(Outcome.REFUSED)
    with pytest.raises(ConfigError, match="the password is still the example's"):
        page.log_in(load_config(place.directories.config_file), place.directories, unattended=unattended)
    assert not page.opened
    section = place.status.read().login
    assert section is not None
    assert section.state == "broken"
