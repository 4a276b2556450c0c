"""`ibkr-tools password`: another password goes to its own file, and clears what IBKR thought of the former one."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.status import utc_now
from tests.support.fake_systemd import FakeSystemd
from tests.support.installation import Installation
from tests.support.terminal import Terminal

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who has the password")

FORMER, NEW = "hunter22", "se'cr\"et  \\ü"


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    installation = Installation(tmp_path, FakeSystemd(tmp_path).environment(environment))
    installation.configure(1025)
    installation.directories.configuration.chmod(0o750)
    file = installation.directories.config_file.with_name("password")
    file.touch(mode=0o600)
    file.write_text(f"{FORMER}\n")
    return installation


def stored(place: Installation) -> str:
    return place.directories.config_file.with_name("password").read_text()


def change(place: Installation, password: str, *more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        place.command("password", "--password-stdin", *more),
        env=place.environment,
        input=password,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def is_locked(place: Installation) -> bool:
    return place.record_logins().budget(utc_now()).locked


def test_it_goes_to_its_file(place: Installation) -> None:
    done = change(place, f"{NEW}\n")
    assert (done.returncode, stored(place)) == (0, f"{NEW}\n"), done
    assert place.directories.config_file.with_name("password").stat().st_mode & 0o777 == 0o600
    assert NEW not in done.stdout + done.stderr
    assert not place.directories.login.exists() or not is_locked(place)


@pytest.mark.parametrize(("password", "is_cleared"), [(NEW, True), (FORMER, False)])
def test_a_refusal_is_cleared_by_another_password_only(place: Installation, password: str, *, is_cleared: bool) -> None:
    place.record_logins(*[AttemptResult.REFUSED] * 4)
    assert is_locked(place)
    done = change(place, password)
    assert (done.returncode, is_locked(place)) == (0, not is_cleared), done
    assert ("unlocked; logins are allowed again" in done.stdout) == is_cleared
    assert ("it is the one that was there" in done.stdout) != is_cleared


def test_one_refusal_is_cleared_too(place: Installation) -> None:
    """Nothing is locked then, and still the watchdog waits for a person."""
    place.record_logins(AttemptResult.REFUSED)
    change(place, NEW)
    section = place.status.read().login
    assert section is not None
    assert section.state == "unlocked"


def test_nothing_is_unlocked_where_nothing_was_refused(place: Installation) -> None:
    place.record_logins(AttemptResult.SUCCEEDED)
    change(place, NEW)
    assert place.status.read().login is None


def test_a_damaged_login_log_is_not_cleared_by_a_password(place: Installation) -> None:
    """Clearing it costs a day without logins: a person decides that."""
    login_log = place.record_logins(AttemptResult.REFUSED)
    login_log.path.write_text("{")
    done = change(place, NEW)
    assert (done.returncode, login_log.path.read_text()) == (0, "{"), done


def test_failures_that_are_no_refusals_are_not_cleared_by_a_password(place: Installation) -> None:
    place.record_logins(AttemptResult.REFUSED, AttemptResult.SUCCEEDED, *[AttemptResult.FAILED] * 3)
    change(place, NEW)
    assert is_locked(place)


def test_one_that_waits_in_the_configuration_goes(place: Installation) -> None:
    """The file is what counts; a former one must not stay behind for the group to read."""
    place.configure(1025, password=FORMER)
    done = change(place, NEW)
    assert done.returncode == 0, done
    assert "password" not in json.loads(place.directories.config_file.read_text())
    assert stored(place) == f"{NEW}\n"


def test_another_place_that_counts_first_is_named(place: Installation) -> None:
    place.configure(1025, login={"password_file": "/nowhere"})
    assert "login.password_file before it: /nowhere" in change(place, NEW).stderr


@pytest.mark.parametrize("password", ["", "\n", "a\nb\n", "hunter\u200b33", "the password of that user"])
def test_what_is_no_password_is_2_and_changes_nothing(place: Installation, password: str) -> None:
    done = change(place, password)
    assert (done.returncode, stored(place)) == (2, f"{FORMER}\n"), done
    assert len(done.stderr.splitlines()) == 1


def test_without_a_terminal_it_says_how(place: Installation) -> None:
    done = place.run("password")
    assert (done.returncode, "--password-stdin" in done.stderr, stored(place)) == (2, True, f"{FORMER}\n")


def test_typed_twice_without_an_echo(place: Installation) -> None:
    """Then one login is offered, which says how it went."""
    with Terminal(place.command("password"), place.environment) as terminal:
        terminal.answer("New password", NEW)
        terminal.answer("The same once more", NEW)
        terminal.answer("Log in once now with it", "y")
        assert terminal.end() == 69, terminal.text
    assert NEW not in terminal.text
    assert stored(place) == f"{NEW}\n"
    assert "next: journalctl -u ibkr-gateway" in terminal.text


def test_ctrl_c_leaves_the_former_one(place: Installation) -> None:
    with Terminal(place.command("password"), place.environment) as terminal:
        terminal.answer("New password", NEW)
        terminal.wait_for("The same once more")
        terminal.wait_for(": ")
        assert terminal.interrupt() == 130, terminal.text
    assert stored(place) == f"{FORMER}\n"
    assert NEW not in terminal.text
