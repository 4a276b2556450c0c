"""The browser itself: sandboxed, unprivileged, cut off, and gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from ibkr_tools import process_control
from ibkr_tools.errors import BrowserUnavailable, OutputError
from ibkr_tools.login import browser_processes
from ibkr_tools.login.browser import Browser, BrowserSettings, open_browser
from ibkr_tools.login.browser_protocol import BrowserLost, PageChanging
from tests.browser.conftest import Home
from tests.support.page_questions import ask_page
from tests.support.simulation import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("own_chromium")]


def settings_of(home: Home, program: str | None = None) -> BrowserSettings:
    spki = (home.directories.gateway / "tls" / "gateway.spki").read_text().strip()
    return BrowserSettings(profile=home.directories.browser, spki=spki, port=home.port, program=program)


@dataclass(frozen=True)
class Seen:
    """What the kernel says about one process."""

    command: bytes
    limits: str
    status: dict[str, str]


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def seen_processes() -> list[Seen]:
    """Looks at all browser processes; Chromium's helpers come and go meanwhile."""
    found = []
    for pid in browser_processes.find_browser_processes():
        directory = Path(f"/proc/{pid}")
        with suppress(FileNotFoundError, ProcessLookupError):
            limits = " ".join((directory / "limits").read_text().split())
            found.append(Seen((directory / "cmdline").read_bytes(), limits, status_of(pid)))
    return found


def result_of(browser: Browser, script: str) -> object:
    """Returns what a script returns; on a busy machine it may run into the limit of one try."""
    results: list[object] = []

    def has_answered() -> bool:
        with suppress(PageChanging):
            results.append(browser.run(script))
        return bool(results)

    wait_until(has_answered, 60)
    return results[0]


def test_sandbox_is_on_and_nobody_is_root(home: Home) -> None:
    """Renderers are confined by seccomp, no process runs as root, and Chromium itself says that it is sandboxed."""
    with open_browser(settings_of(home)) as browser:
        browser.open("chrome://sandbox")
        said = ""

        def says() -> bool:
            nonlocal said
            said = str(ask_page(browser, "return document.body ? document.body.innerText : ''"))
            return "sandboxed" in said

        wait_until(says)
        assert "You are adequately sandboxed" in said
        seen = list[Seen]()

        def renderers() -> list[Seen]:
            return [one for one in seen if b"--type=renderer" in one.command]

        def are_confined() -> bool:
            # One that has just begun is about to confine itself.
            seen[:] = seen_processes()
            return bool(renderers()) and all(one.status["Seccomp"] == "2" for one in renderers())

        wait_until(are_confined)
        assert len(seen) > 3
        assert not any(b"--no-sandbox" in one.command for one in seen)
        assert all("Max core file size 0" in one.limits for one in seen)
        assert not any(b"--remote-debugging-port" in one.command for one in seen)
        if os.geteuid() == 0:
            assert all("0" not in one.status["Uid"].split() for one in seen)
            assert all(one.status.get("Groups", "") in ("", one.status["Gid"].split()[0]) for one in seen)
    assert not browser_processes.find_browser_processes()


def test_browser_reaches_nothing_but_the_gateway_address(home: Home) -> None:
    """No other address, not even on this machine, is ever connected to."""
    with socket.create_server(("127.0.0.2", 0)) as server, open_browser(settings_of(home)) as browser:
        server.settimeout(1.5)
        browser.open(f"http://127.0.0.2:{server.getsockname()[1]}/")
        with pytest.raises(TimeoutError):
            server.accept()


def test_profile_is_kept_and_stale_locks_are_cleaned(home: Home) -> None:
    """A killed browser's locks do not keep the next one out, and the profile stays between logins."""
    with open_browser(settings_of(home)):
        pass
    profile = home.directories.browser
    assert (profile / "Default").is_dir()
    (profile / "SingletonLock").symlink_to("elsewhere-4194304")
    with open_browser(settings_of(home)) as browser:
        assert result_of(browser, "return 1 + 1") == 2


def test_killed_browser_is_reported_as_lost(home: Home) -> None:
    """After SIGKILL every call says BrowserLost, and leaving is clean."""
    with open_browser(settings_of(home)) as browser:
        for pid in browser_processes.find_browser_processes():
            # Some end by themselves when the first of them is gone.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(BrowserLost):
            browser.run("return 1")
    assert not browser_processes.find_browser_processes()


def test_driver_of_another_version(home: Home) -> None:
    """A driver that does not know this browser: the error names both versions."""
    fake = home.root / "chromium"
    # Answers the first question on the pipe, which is for its version.
    fake.write_text(
        "#!/usr/bin/python3\n"
        "import json, os, sys\n"
        "if '--version' in sys.argv: sys.exit(print('Chromium 1.2.3.4 of the test'))\n"
        "text = b''\n"
        "while not text.endswith(b'\\0'): text += os.read(3, 1)\n"
        "answer = {'id': json.loads(text[:-1])['id'], 'result': {'product': 'HeadlessChrome/1.2.3.4',\n"
        "  'protocolVersion': '1.3', 'revision': '@1', 'userAgent': 'x', 'jsVersion': '1'}}\n"
        "os.write(4, json.dumps(answer).encode() + b'\\0')\n"
        "os.read(3, 1)\n"
    )
    fake.chmod(0o755)
    wanted = r"Chromium 1\.2\.3\.4 of the test; ChromeDriver"
    with pytest.raises(BrowserUnavailable, match=wanted), open_browser(settings_of(home, program=str(fake))):
        pass
    assert not browser_processes.find_browser_processes()


def test_profile_that_the_unprivileged_user_cannot_reach(home: Home) -> None:
    """Below a private directory of root the browser gets a profile for this time."""
    if os.geteuid() != 0:
        pytest.skip("only root has such directories")
    (home.root / "state").chmod(0o700)
    with open_browser(settings_of(home)) as browser:
        assert result_of(browser, "return 2 + 2") == 4
    assert not home.directories.browser.exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_login_process_that_is_ended_takes_the_browser_along(home: Home, how: signal.Signals) -> None:
    """Whatever ends the login, no browser stays behind, and the submitted password stays counted."""
    home.control.page(dispatcher_delay_ms=20_000)
    config = home.configure()
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from ibkr_tools.config.loader import load_config
        from ibkr_tools.directories import Directories
        from ibkr_tools.login.login_runner import run_login
        root, config = Path(sys.argv[1]), Path(sys.argv[2])
        directories = Directories(configuration=root / "conf", runtime=root / "run", state=root / "state")
        run_login(load_config(config), directories, config, unattended=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(home.root), str(config)], stderr=subprocess.PIPE, text=True
    )
    try:
        # A process that outlives the login comes to us, where it is seen.
        process_control.become_subreaper()
        wait_until(lambda: home.control.submitted() == 1, 20)
        before = browser_processes.find_browser_processes(process.pid)
        assert before
        process.send_signal(how)
        process.wait(60)
        wait_until(lambda: not [pid for pid in browser_processes.find_browser_processes() if not is_zombie(pid)], 5)
    finally:
        process.kill()
        _, errors = process.communicate()
        browser_processes.kill_all(set())
    if how is signal.SIGTERM:
        assert "interrupted by SIGTERM" in errors
        assert home.section.state == "failed"
    assert home.results == ["submitted"]


def is_zombie(pid: int) -> bool:
    try:
        return status_of(pid)["State"].startswith("Z")
    except OSError:
        return True


def test_two_logins_at_once_are_one(home: Home) -> None:
    """The second one waits, and finds the session of the first."""
    later: list[str] = []

    def second() -> None:
        wait_until(lambda: bool(browser_processes.find_browser_processes()), 10)
        later.append(home.login().outcome.value)

    thread = threading.Thread(target=second)
    thread.start()
    first = home.login().outcome.value
    thread.join(180)
    assert (first, later) == ("succeeded", ["not-needed"])
    assert home.control.submitted() == 1


def test_missing_browser_names_the_command(tmp_path: Path) -> None:
    """Without Chromium the error carries the command that installs it."""
    with pytest.raises(BrowserUnavailable) as caught:
        browser_processes.find_browser_programs(browser=str(tmp_path / "chromium"))
    assert "apt-get install" in str(caught.value.hint)
    assert shutil.which("sh")
    with pytest.raises(BrowserUnavailable, match="chromedriver"):
        browser_processes.find_browser_programs(browser="sh", driver=str(tmp_path / "chromedriver"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
@pytest.mark.parametrize("of", ["bytes", "files"])
def test_full_state_directory_is_told_as_such(home: Home, of: str) -> None:
    """73 and the directory; not the advice to install Chromium, which is there."""
    state = home.directories.browser.parent
    kept = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    limit = "size=512k" if of == "bytes" else "size=16m,nr_inodes=20"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{limit},mode=755", "tmpfs", state], check=True)
    try:
        for path, data in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        home.directories.browser.mkdir(mode=0o700)
        if user := browser_processes.choose_browser_user().user:
            os.chown(home.directories.browser, user.pw_uid, user.pw_gid)
        with suppress(OSError), (state / "rest").open("wb", buffering=0) as rest:
            for number in range(1000):
                if of == "bytes":
                    rest.write(bytes(4096))
                else:
                    (state / f"rest-{number}").touch()
        with pytest.raises(OutputError, match="No space left on device") as caught, open_browser(settings_of(home)):
            pass
    finally:
        subprocess.run(["umount", "-l", state], check=True)
    assert str(state) in caught.value.message
    assert caught.value.exit_code == 73
    assert "apt" not in str(caught.value.hint)
    assert not browser_processes.find_browser_processes()
