"""The kept profile: whatever is the matter with it, Chromium starts, and IBKR still knows the device where it can."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from loguru import logger

from ibkr_tools.errors import BrowserUnavailable
from ibkr_tools.login import browser_processes
from ibkr_tools.login.browser import BrowserSettings, open_browser
from ibkr_tools.login.browser_profile import DAMAGED, TEMPORARY
from ibkr_tools.simulator import Simulator
from tests.browser.conftest import Home, open_directory, spki_of
from tests.browser.test_browser import settings_of
from tests.support.page_questions import LOADED, wait_for_answer
from tests.support.simulation import simulator_options

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("own_chromium")]

CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2],
    "garbage": lambda _: os.urandom(4096),
}


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What was logged as a warning."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


@pytest.fixture(scope="module")
def kept_profile(certificate: Path) -> Iterator[Path]:
    """The profile that a Chromium has left, with a cookie of IBKR's for this device."""
    options = simulator_options(certificate=certificate, key=certificate.with_name("key.pem"))
    with open_directory() as root, Simulator(options) as simulator:
        settings = BrowserSettings(profile=root / "browser", spki=spki_of(certificate), port=simulator.port)
        with open_browser(settings) as browser:
            browser.open(f"https://127.0.0.1:{simulator.port}/sso/Login")
            wait_for_answer(browser, LOADED)
            wait_for_answer(browser, "return document.cookie = 'device=this-one; max-age=86400; path=/'")
        assert "device" in cookies(settings.profile)
        yield settings.profile


@pytest.fixture
def profile(home: Home, kept_profile: Path) -> Path:
    """A copy of it, where logins have theirs: with all its owners and modes."""
    subprocess.run(["cp", "--archive", kept_profile, home.directories.browser], check=True)
    return home.directories.browser


def cookies(profile: Path) -> set[str]:
    with closing(sqlite3.connect(profile / "Default/Cookies")) as database:
        return {name for (name,) in database.execute("select name from cookies")}


def start(home: Home) -> None:
    """Starts Chromium with the profile, and has it do something."""
    with open_browser(settings_of(home)) as browser:
        browser.open(f"https://127.0.0.1:{home.port}/sso/Login")
        wait_for_answer(browser, LOADED)


def give_away(path: Path) -> None:
    if user := browser_processes.choose_browser_user().user:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


@pytest.mark.parametrize("name", ["Default/Preferences", "Local State", "Default/Secure Preferences"])
@pytest.mark.parametrize("how", CONTENTS)
def test_a_damaged_file(home: Home, profile: Path, warnings: list[str], name: str, how: str) -> None:
    """The device stays the same one; what the driver cannot read is set aside, and that is said."""
    file = profile / name
    file.write_bytes(CONTENTS[how](file.read_bytes() if file.exists() else b"{}"))
    give_away(file)
    start(home)
    assert "device" in cookies(profile)
    assert (profile / DAMAGED).exists() == bool(warnings)
    if how == "garbage" and name != "Default/Secure Preferences":
        assert f"a new one with its cookies has taken its place; the old one is in {profile / DAMAGED}" in warnings[0]
        start(home)
        assert len(warnings) == 1


@pytest.mark.parametrize("how", CONTENTS)
def test_every_file_is_damaged(home: Home, how: str) -> None:
    """The cookies too: then a login is one from a new device."""
    assert home.login().outcome.value == "succeeded"
    home.control.drop()
    for file in [path for path in home.directories.browser.rglob("*") if path.is_file() and not path.is_symlink()]:
        file.write_bytes(CONTENTS[how](file.read_bytes()))
    assert home.login().outcome.value == "succeeded"


def test_a_profile_of_a_newer_chromium(home: Home, profile: Path) -> None:
    """All databases say that only a later version can read them."""
    (profile / "Last Version").write_text("999.0.1.2")
    for file in profile.rglob("*"):
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(file)) as database:
            database.execute("update meta set value = '9999' where key in ('version', 'last_compatible_version')")
            database.commit()
    start(home)


def remove_and_write(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file")
    give_away(path)


def link_to_nothing(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to(path.parent / "nothing")


UNUSABLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a file": (remove_and_write, "no directory"),
    "a dangling link": (link_to_nothing, "a link to nothing"),
    "another user's": (lambda path: os.chown(path, 12345, 12345), "it belongs to another user"),
    "mode 000": (lambda path: path.chmod(0), "its mode is 0000"),
    "not writable": (lambda path: path.chmod(0o500), "its mode is 0500"),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_a_profile_that_cannot_be_used(home: Home, profile: Path, warnings: list[str], how: str) -> None:
    """The login has one of its own, a warning says why, and nothing is changed."""
    if how == "another user's" and os.geteuid() != 0:
        pytest.skip("only root gives away")
    make, reason = UNUSABLE[how]
    make(profile)
    before = profile.lstat()
    start(home)
    assert len(warnings) == 1
    assert f"{profile} cannot be used ({reason})" in warnings[0]
    after = profile.lstat()
    assert (after.st_mode, after.st_uid, after.st_ino) == (before.st_mode, before.st_uid, before.st_ino)


INSIDE: dict[str, Callable[[Path], None]] = {
    "a file": remove_and_write,
    "another user's": lambda path: os.chown(path, 12345, 12345),
    "mode 000": lambda path: path.chmod(0),
}


@pytest.mark.parametrize("how", INSIDE)
def test_a_directory_in_the_profile_that_cannot_be_used(home: Home, profile: Path, how: str) -> None:
    if how == "another user's" and os.geteuid() != 0:
        pytest.skip("only root gives away")
    INSIDE[how](profile / "Default")
    start(home)
    start(home)


def test_an_immutable_profile(home: Home, profile: Path, warnings: list[str]) -> None:
    if subprocess.run(["chattr", "+i", profile], check=False, capture_output=True).returncode:
        pytest.skip("takes root and a file system with attributes")
    try:
        start(home)
    finally:
        subprocess.run(["chattr", "-i", profile], check=True)
    assert "cannot be used (Operation not permitted)" in warnings[0]


@pytest.fixture
def other_browser(home: Home) -> Iterator[Callable[[Path], int]]:
    """Starts a process that the kernel calls a Chromium, with a profile on its command line."""
    program = home.root / "chromium-other"
    program.write_text("#!/bin/sh\nsleep 60 & wait\n")
    program.chmod(0o755)
    started: list[subprocess.Popen[bytes]] = []

    def _start(profile: Path) -> int:
        started.append(subprocess.Popen([program, f"--user-data-dir={profile}"], start_new_session=True))
        return started[-1].pid

    yield _start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def lock(profile: Path, pid: int, host: str = "another-host") -> None:
    """Leaves the locks of a browser, as a link, and as what a backup makes of them."""
    for name, target in (("SingletonLock", f"{host}-{pid}"), ("SingletonCookie", "1234567")):
        (profile / name).unlink(missing_ok=True)
        (profile / name).symlink_to(target)
    (profile / "SingletonSocket").mkdir()


@pytest.mark.parametrize("whose", ["a dead process", "another program", "another Chromium"])
def test_locks_that_nobody_holds(
    home: Home, profile: Path, warnings: list[str], other_browser: Callable[[Path], int], whose: str
) -> None:
    """Of another host, and of a process whose number is now somebody else's."""
    pids = {"a dead process": 4194304, "another program": os.getpid(), "another Chromium": 0}
    lock(profile, pids[whose] or other_browser(home.root / "elsewhere"))
    start(home)
    assert not warnings
    assert not any((profile / name).is_dir() for name in ("SingletonLock", "SingletonSocket"))


def test_a_living_browser_keeps_its_profile(
    home: Home, profile: Path, warnings: list[str], other_browser: Callable[[Path], int]
) -> None:
    """However the path is spelt; the login has another one."""
    (home.root / "same").symlink_to(profile)
    pid = other_browser(home.root / "same")
    lock(profile, pid, socket.gethostname())
    start(home)
    assert f"cannot be used (process {pid} uses it)" in warnings[0]
    assert (profile / "SingletonLock").is_symlink()


def names_in(profile: Path) -> list[Path]:
    """Returns all that is in a profile but temporary files, which are there where the machine's directory is closed."""
    names = (path.relative_to(profile) for path in profile.rglob("*"))
    return sorted(name for name in names if name.parts[0] != TEMPORARY)


def test_a_profile_that_was_not_the_reason_stays(home: Home, profile: Path, warnings: list[str]) -> None:
    """Chromium does not start at all: it is quoted, nothing advises to install it, and the profile is as it was."""
    program = home.root / "chromium"
    program.write_text("#!/bin/sh\necho '[1:1:0101/1:FATAL:x.cc(1)] Something of today is missing.' >&2\nexit 7\n")
    program.chmod(0o755)
    before = names_in(profile)
    settings = settings_of(home, program=str(program))
    with pytest.raises(BrowserUnavailable, match="Something of today is missing") as caught, open_browser(settings):
        pass
    assert "apt" not in str(caught.value.hint)
    assert names_in(profile) == before
    assert "device" in cookies(profile)
    assert not warnings
    assert not browser_processes.find_browser_processes()


def test_a_driver_that_was_killed_is_no_matter_of_the_profile(home: Home, profile: Path, warnings: list[str]) -> None:
    """It is started once more, with the same profile."""
    seen = home.root / "seen"
    seen.mkdir()
    seen.chmod(0o777)
    program = home.root / "chromedriver"
    program.write_text(f'#!/bin/sh\n[ -e {seen}/it ] || {{ >{seen}/it; kill -9 $$; }}\nexec chromedriver "$@"\n')
    program.chmod(0o755)
    with open_browser(replace(settings_of(home), driver=str(program))):
        pass
    assert len(warnings) == 1
    assert "once more, it did" in warnings[0]
    assert not (profile / DAMAGED).exists()
    assert "device" in cookies(profile)
