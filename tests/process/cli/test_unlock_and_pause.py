"""What a person says to the logins: `unlock`, `pause`, `resume`."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from ibkr_tools import pause_file
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.status import utc_now
from tests.support.installation import Installation
from tests.support.simulation import make_certificate
from tests.support.tls_server import Scripted, http


def test_nothing_to_unlock(place: Installation) -> None:
    done = place.run("unlock")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no login was recorded yet" in done.stdout
    assert done.stdout.splitlines()[-1] == "unlocked; nothing was locked"


def test_unlock_shows_the_login_log_then_clears_it(place: Installation) -> None:
    """First what happened, in words; then it is clear, and the watchdog is told. No fingerprint is shown."""
    login_log = place.record_logins(AttemptResult.SUCCEEDED, *[AttemptResult.REFUSED, AttemptResult.FAILED] * 2)
    shown = place.run("unlock", "--show")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert login_log.budget(utc_now()).locked
    assert place.status.read().login is None
    rows = shown.stdout.splitlines()
    assert [row.split()[2] for row in rows[1:6]] == ["succeeded", "refused", "failed", "refused", "failed"]
    assert "IBKR refused user name and password" in rows[2]
    assert rows[-2] == "in 24 h: 1 succeeded, 4 failed (4 lock)"
    assert rows[-1].startswith("budget: locked: 4 logins failed within 24 hours")
    done = place.run("unlock")
    assert done.stdout.startswith(shown.stdout)
    assert done.stdout.splitlines()[-1] == "unlocked; logins are allowed again"
    assert login_log.budget(utc_now()).allowed
    section = place.status.read().login
    assert section is not None
    assert (section.state, section.retry_at, section.failures_24h) == ("unlocked", None, 4)
    for attempt in login_log.attempts(utc_now()):
        assert f" {attempt.password_fingerprint}" not in shown.stdout


def test_unlock_for_scripts(place: Installation) -> None:
    place.record_logins(AttemptResult.STOP)
    shown = json.loads(place.run("unlock", "--show", "--json").stdout)
    assert shown["budget"]["locked"] is True
    assert [set(row) for row in shown["attempts"]] == [{"at", "result", "outcome", "cleared", "wait_s"}]
    done = json.loads(place.run("unlock", "--json").stdout)
    assert (done["budget"]["allowed"], done["attempts"][0]["cleared"]) == (True, True)


def test_unlock_says_when_it_cannot_help(place: Installation) -> None:
    """Eight failures in a day: the budget is cleared, and still nobody may log in; 75, try again later."""
    login_log = place.record_logins(*[AttemptResult.FAILED] * 4)
    login_log.unlock(utc_now())
    place.record_logins(*[AttemptResult.FAILED] * 4)
    done = place.run("unlock")
    assert done.returncode == 75
    assert re.search(r"error: cleared, but that does not help yet: 8 logins failed.*before 20", done.stderr)
    section = place.status.read().login
    assert section is not None
    assert section.retry_at is not None
    assert section.retry_at - section.updated_at > timedelta(hours=23)


def test_unlock_needs_no_configuration(tmp_path: Path, environment: dict[str, str]) -> None:
    assert Installation(tmp_path, environment).run("unlock").returncode == 0


def test_a_damaged_login_log_is_shown_as_such(place: Installation) -> None:
    LoginLog(place.directories.login).path.parent.mkdir(parents=True)
    LoginLog(place.directories.login).path.write_text("{}")
    assert "cannot be read" in place.run("unlock", "--show").stdout
    done = place.run("unlock")
    assert done.returncode == 75
    assert "the login log was lost, so 8 failures within 24 hours are assumed" in done.stderr
    assert "nothing logs in before 20" in done.stderr
    assert "the login log was lost, nobody knows what it held" in place.run("unlock", "--show").stdout


def test_pause_and_resume(place: Installation) -> None:
    """The pause is on disk, with its end; it says what it means; resume ends it, and says if there was none."""
    done = place.run("pause", "--for", "1h30min")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"paused until 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC; `ibkr-tools resume`", done.stdout)
    assert "nothing logs in" in done.stdout
    found = pause_file.read(place.directories.pause_file, utc_now())
    assert found is not None
    assert found.until is not None
    assert found.until - found.since == timedelta(minutes=90)
    assert place.run("pause").stdout.startswith("paused by a person")
    found = pause_file.read(place.directories.pause_file, utc_now())
    assert found is not None
    assert found.until is None
    assert place.run("resume").stdout == "resumed; logins happen again\n"
    assert pause_file.read(place.directories.pause_file, utc_now()) is None
    again = place.run("resume")
    assert (again.returncode, again.stdout) == (0, "nothing was paused\n")


def test_a_bad_duration_pauses_nothing(place: Installation) -> None:
    done = place.run("pause", "--for", "90")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --for: '90' is not a duration such as 45min, 2h, 1h30min or 1d\n"
    assert not place.directories.pause_file.exists()


@pytest.mark.parametrize("options", [[], ["--unattended"]])
def test_nothing_logs_in_while_paused(place: Installation, options: list[str]) -> None:
    """Attended or not: 75, and how to end it."""
    place.run("pause")
    certificate, _key = make_certificate(place.root)
    with Scripted(place.root, http("200 OK", b'{"error":"not logged in"}', "Content-Type: application/json")) as server:
        place.configure(server.port, certificate, password="secret")
        place.directories.config_file.chmod(0o600)
        done = place.run("login", *options)
    assert done.returncode == 75
    assert "error: paused by a person; `ibkr-tools resume` lets logins happen again" in done.stderr
    section = place.status.read().login
    assert section is not None
    assert (section.state, section.todo) == ("failed", None)
    assert LoginLog(place.directories.login).attempts(utc_now()) == ()
