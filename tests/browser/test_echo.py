"""A page that repeats what was typed: no word of it is in the log, the status, the diagnostics or a traceback."""

import html
import json
import subprocess
import sys
from urllib.parse import quote

import pytest

from tests.browser.conftest import Home
from tests.support.checkout import CHECKOUT

pytestmark = pytest.mark.browser

ODD = "Grün'S\\chloß  \"a<b&c>%41+Ende\\"
NAMES_ITSELF = "Invalid password"


def everything_written(home: Home) -> str:
    """Returns every text that the login has left behind."""
    files = [home.directories.status_file, *home.directories.login.rglob("*")]
    return "\n".join(file.read_bytes().decode(errors="replace") for file in files if file.is_file())


def log_in(home: Home, *options: str) -> "subprocess.CompletedProcess[str]":
    """Logs in as a person does."""
    directories = home.directories
    where = [
        *("--config", str(directories.config_file)),
        *("--runtime-dir", str(directories.runtime)),
        *("--state-dir", str(directories.state)),
    ]
    return subprocess.run(
        [sys.executable, "-m", "ibkr_tools", *options, *where, "login"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        cwd=CHECKOUT,
    )


def spellings(password: str) -> set[str]:
    """Returns the password, and each window of six characters of it, as texts, HTML, addresses and scripts have it."""
    pieces = {password, *(password[at : at + 6] for at in range(len(password) - 5))}
    written = {repr(one)[1:-1] for one in pieces} | {json.dumps(one)[1:-1] for one in pieces}
    return pieces | written | {html.escape(one) for one in pieces} | {quote(one, safe="") for one in pieces}


@pytest.mark.parametrize("echo", ["error", "alert"])
@pytest.mark.parametrize("password", [ODD, NAMES_ITSELF])
def test_password_that_the_page_repeats(home: Home, password: str, echo: str) -> None:
    """It is judged by what the page says, and shown without what was typed: once in a text, once in an alert."""
    home.control.page(echo=echo)
    home.configure(password=password)
    done = log_in(home, "--verbose")
    assert done.returncode == 77, done.stderr
    assert home.results == ["refused"]
    assert "…" in done.stderr
    told = done.stdout + done.stderr + everything_written(home)
    if password == ODD:
        assert "Invalid username password combination" in done.stderr
        assert {one for one in spellings(password) if one.lower() in told.lower()} == set()
    else:
        # What the page says by itself has words of it.
        assert password not in told
    assert all(line.isprintable() for line in done.stderr.splitlines())


def test_code_that_the_page_repeats(home: Home) -> None:
    home.control.page(second_factor="silver", second_factor_refusals=5, echo="error")
    home.settings["login"] = {"second_factor": {"method": "command", "command": ["/bin/sh", "-c", "echo 274951"]}}
    home.configure()
    done = log_in(home)
    assert done.returncode == 77, done.stderr
    assert 'Invalid security code: "…" was typed' in done.stderr
    assert "274951" not in done.stderr + everything_written(home)
